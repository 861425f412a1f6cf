// New rows of one table: completes them (defaults, generated columns), checks them, writes them. INSERT without ON CONFLICT
// and COPY use all of it; INSERT ON CONFLICT uses the parts and writes row by row where keys collide.
import { must } from "../../common/assert.ts";
import { ConstantVector, type Vector } from "../../common/batch/vector.ts";
import type { IndexEntry, TableEntry } from "../../catalog/entries.ts";
import type { StoredRows } from "../../native/engine.ts";
import type { InsertPlan, TableConstraints } from "../../planner/physical/plan.ts";
import { noteInserted } from "../constraint/note.ts";
import type { ExecutionContext } from "../context.ts";
import { compileExpression } from "../expression/compile.ts";
import { chain, forEach, type MaybePromise } from "../maybe-promise.ts";
import { POOLED_RIDS } from "../storage/buffer-pool.ts";
import { LentRows, type RowShape, rowShape } from "../storage/lent-rows.ts";
import { findViolation, fullRow, type Violation, withGenerated } from "./constraints.ts";
import { unknownIndex } from "./unknown-index.ts";
import { uniqueViolation } from "./violations.ts";
import { type Conflict, insertRows } from "./write-rows.ts";

/** What INSERT and COPY know about their target. */
export interface InsertTarget {
  readonly table: TableEntry;
  readonly attnums: readonly number[];
  readonly defaults: InsertPlan["defaults"];
  readonly constraints: TableConstraints;
}

/** Rows ready to be written. */
export interface NewRows {
  /** By attnum - 1. */
  readonly columns: readonly Vector[];
  readonly stored: StoredRows;
  readonly rowCount: number;
  /** Rows before this one satisfy NOT NULL and CHECK; equal to rowCount when all do. */
  readonly validCount: number;
  /** Throws the violation of row `validCount`. */
  readonly throwViolation: () => void;
}

/** Of whole rows, by version of the table. */
const shapes = new WeakMap<TableEntry, RowShape>();

function shapeOf(table: TableEntry): RowShape {
  let shape = shapes.get(table);
  if (shape === undefined) {
    shape = rowShape(table.columns.map((column) => column.type));
    shapes.set(table, shape);
  }
  return shape;
}

export class RowInserter {
  readonly #target: InsertTarget;
  readonly #context: ExecutionContext;
  readonly #stored: LentRows;

  constructor(target: InsertTarget, context: ExecutionContext) {
    this.#target = target;
    this.#context = context;
    this.#stored = new LentRows(shapeOf(target.table), context.buffers);
  }

  /** Full rows from the given columns (one per target attnum). Valid until the next call of it. */
  complete(given: readonly Vector[], rowCount: number): MaybePromise<NewRows> {
    const { table, attnums, defaults, constraints } = this.#target;
    const missing = new ConstantVector(null, rowCount);
    const columns: Vector[] = [];
    for (let i = 0; i < table.columns.length; i++) columns.push(missing);
    for (let i = 0; i < attnums.length; i++) {
      columns[(attnums[i] as number) - 1] = must(given[i], "a column per target");
    }
    const setDefault = ({ attnum, expression }: InsertTarget["defaults"][number]): MaybePromise<void> =>
      chain(compileExpression(expression)({ columns: [], rowCount }, this.#context), (values) => {
        columns[attnum - 1] = values;
      });
    return chain(forEach(defaults, setDefault), () =>
      chain(withGenerated(columns, rowCount, constraints, this.#context), (full) =>
        chain(
          findViolation(table, { columns: full, rowCount }, constraints, undefined, this.#context),
          (violation) => this.#newRows(full, rowCount, violation),
        ),
      ),
    );
  }

  #newRows(full: readonly Vector[], rowCount: number, violation: Violation | undefined): NewRows {
    const validCount = violation?.row ?? rowCount;
    return {
      columns: full,
      stored: this.#stored.hold(full, validCount),
      rowCount,
      validCount,
      throwViolation: () => {
        if (violation !== undefined) throw violation.error(fullRow(full, violation.row));
      },
    };
  }

  /**
   * Writes all rows; 23505, 23502 or 23514 for the first row that cannot be. `onConflict` learns the row of a 23505 before
   * it is thrown.
   */
  insert(rows: NewRows, onConflict?: (row: number) => void): MaybePromise<void> {
    const { buffers } = this.#context;
    const { table, constraints } = this.#target;
    // Row ids that are looked at again when the statement ends are kept until then.
    const isWatched = constraints.foreignKeys.length + constraints.deferrableKeys.length > 0;
    const rids = isWatched
      ? new Uint32Array(rows.validCount)
      : buffers.takeRids(Math.max(rows.validCount, POOLED_RIDS));
    const inserting = insertRows(table.storageId, rows.stored, 0, rows.validCount, rids, this.#context);
    return chain(inserting, (conflict) => {
      if (conflict !== undefined) {
        onConflict?.(conflict.row);
        this.throwConflict(rows.columns, conflict);
      }
      rows.throwViolation();
      if (isWatched) this.noteWritten(rids);
      else buffers.releaseRids(rids);
    });
  }

  /** Gives the memory of the last rows back. */
  close(): void {
    this.#stored.release();
  }

  /** Rows that were written are looked at again when the statement ends, where the table has constraints for it. */
  noteWritten(rids: Uint32Array): void {
    noteInserted(this.#target.constraints, rids, this.#context);
  }

  /** `columns` by attnum - 1, as in NewRows. */
  throwConflict(columns: readonly Vector[], conflict: Conflict): never {
    const { table, constraints } = this.#target;
    const { indexId } = conflict;
    const index = indexById(constraints, indexId) ?? unknownIndex(indexId, this.#context);
    throw uniqueViolation(table, index, fullRow(columns, conflict.row), this.#context);
  }
}

export function indexById(constraints: TableConstraints, storageId: number): IndexEntry | undefined {
  return constraints.indexes.find((index) => index.storageId === storageId);
}
