// One row by its id, for messages and single-row work.
import type { Datum, SqlType } from "../../common/types/type.ts";
import type { EngineTransaction } from "../../native/engine.ts";
import { detach } from "../batch/column-builder.ts";
import { BufferPool } from "./buffer-pool.ts";
import { RowReader } from "./row-reader.ts";

/** Values of `columns` (positions in the relation) of row `rid`; undefined when it is not visible. `types` per column. */
export function readRow(
  transaction: EngineTransaction,
  relationId: number,
  rid: number,
  columns: readonly number[],
  types: readonly SqlType[],
): readonly Datum[] | undefined {
  const reader = new RowReader(types, 1, new BufferPool());
  const found = reader.fetch(
    transaction,
    relationId,
    Uint16Array.from(columns),
    Uint32Array.of(rid),
    0,
    1,
    false,
  );
  if (found === 0) return undefined;
  return reader.vectors(1).map((vector) => detach(vector.get(0)));
}
