// A scan's target as the engine needs it: column positions, types, and the batch with the row id where it is wanted.
import { must } from "../../common/assert.ts";
import { type Batch, Int64Vector, type Vector } from "../../common/batch/vector.ts";
import type { SqlType } from "../../common/types/type.ts";
import type { TableEntry } from "../../catalog/entries.ts";
import type { ColumnSpec } from "../../native/engine.ts";
import type { ScanTarget } from "../../planner/physical/plan.ts";
import type { BufferPool } from "./buffer-pool.ts";
import { columnSpec } from "./column-spec.ts";
import { RowReader } from "./row-reader.ts";

/** What does not change from one execution of a plan to the next. */
interface TargetShape {
  readonly columns: Uint16Array;
  readonly types: readonly SqlType[];
  readonly specs: readonly ColumnSpec[];
}

const shapes = new WeakMap<ScanTarget, TargetShape>();

function shapeOf(target: ScanTarget): TargetShape {
  let shape = shapes.get(target);
  if (shape === undefined) {
    const types = target.attnums.map((attnum) => columnType(target.table, attnum));
    shape = {
      columns: Uint16Array.from(target.attnums, (attnum) => attnum - 1),
      types,
      specs: types.map(columnSpec),
    };
    shapes.set(target, shape);
  }
  return shape;
}

/** Positions in the engine's relation. Shared: not to be written. */
export function targetColumns(target: ScanTarget): Uint16Array {
  return shapeOf(target).columns;
}

export function columnType(table: TableEntry, attnum: number): SqlType {
  return must(table.columns[attnum - 1], `column ${attnum} of ${table.name}`).type;
}

export function targetReader(target: ScanTarget, capacity: number, pool: BufferPool): RowReader {
  const { types, specs } = shapeOf(target);
  return new RowReader(types, capacity, pool, specs);
}

/** The reader's rows as a batch of the target. */
export function withRids(target: ScanTarget, reader: RowReader, rowCount: number): Batch {
  const columns = reader.vectors(rowCount);
  return { columns: target.withRid ? [...columns, ridVector(reader.rids, rowCount)] : columns, rowCount };
}

/** Row ids as the int8 column that UPDATE, DELETE and ctid read. */
export function ridVector(rids: Uint32Array, rowCount: number): Vector {
  const values = new Float64Array(rowCount);
  for (let row = 0; row < rowCount; row++) values[row] = rids[row] as number;
  return new Int64Vector(values, undefined, undefined, rowCount);
}
