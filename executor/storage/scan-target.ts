// A scan's target as the engine needs it: column positions, types, and the batch with the row id where it is wanted.
import { must } from "../../common/assert.ts";
import { type Batch, Int64Vector, type Vector } from "../../common/batch/vector.ts";
import type { SqlType } from "../../common/types/type.ts";
import type { TableEntry } from "../../catalog/entries.ts";
import type { ScanTarget } from "../../planner/physical/plan.ts";
import type { BufferPool } from "./buffer-pool.ts";
import { RowReader } from "./row-reader.ts";

/** Positions in the engine's relation. */
export function targetColumns(target: ScanTarget): Uint16Array {
  return Uint16Array.from(target.attnums, (attnum) => attnum - 1);
}

export function columnType(table: TableEntry, attnum: number): SqlType {
  return must(table.columns[attnum - 1], `column ${attnum} of ${table.name}`).type;
}

export function targetReader(target: ScanTarget, capacity: number, pool: BufferPool): RowReader {
  return new RowReader(
    target.attnums.map((attnum) => columnType(target.table, attnum)),
    capacity,
    pool,
  );
}

/** The reader's rows as a batch of the target. */
export function withRids(target: ScanTarget, reader: RowReader, rowCount: number): Batch {
  const columns = reader.vectors(rowCount);
  return { columns: target.withRid ? [...columns, ridVector(reader.rids, rowCount)] : columns, rowCount };
}

/** Row ids as the int8 column that UPDATE, DELETE and ctid read. */
export function ridVector(rids: Uint32Array, rowCount: number): Vector {
  return new Int64Vector(Float64Array.from(rids.subarray(0, rowCount)), undefined, undefined, rowCount);
}
