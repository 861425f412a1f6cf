// New rows of one table: completes them (defaults, generated columns), checks them, writes them. INSERT without ON CONFLICT
// and COPY use all of it; INSERT ON CONFLICT uses the parts and writes row by row where keys collide.
import { must } from "../../common/assert.ts";
import { ConstantVector, type Vector } from "../../common/batch/vector.ts";
import type { IndexEntry, TableEntry } from "../../catalog/entries.ts";
import type { ColumnBuffer } from "../../native/engine.ts";
import type { InsertPlan, TableConstraints } from "../../planner/physical/plan.ts";
import { noteInserted } from "../constraint/note.ts";
import type { ExecutionContext } from "../context.ts";
import { compileExpression } from "../expression/compile.ts";
import { toBuffer } from "../storage/column-buffer.ts";
import { findViolation, fullRow, withGenerated } from "./constraints.ts";
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
  readonly buffers: readonly ColumnBuffer[];
  readonly rowCount: number;
  /** Rows before this one satisfy NOT NULL and CHECK; equal to rowCount when all do. */
  readonly validCount: number;
  /** Throws the violation of row `validCount`. */
  readonly throwViolation: () => void;
}

export class RowInserter {
  readonly #target: InsertTarget;
  readonly #context: ExecutionContext;

  constructor(target: InsertTarget, context: ExecutionContext) {
    this.#target = target;
    this.#context = context;
  }

  /** Full rows from the given columns (one per target attnum). */
  async complete(given: readonly Vector[], rowCount: number): Promise<NewRows> {
    const { table, attnums, defaults, constraints } = this.#target;
    const missing = new ConstantVector(null, rowCount);
    const columns = Array.from({ length: table.columns.length }, (): Vector => missing);
    for (let i = 0; i < attnums.length; i++) {
      columns[(attnums[i] as number) - 1] = must(given[i], "a column per target");
    }
    for (const { attnum, expression } of defaults) {
      columns[attnum - 1] = await compileExpression(expression)({ columns: [], rowCount }, this.#context);
    }
    const full = await withGenerated(columns, rowCount, constraints, this.#context);
    const violation = await findViolation(
      table,
      { columns: full, rowCount },
      constraints,
      undefined,
      this.#context,
    );
    const validCount = violation?.row ?? rowCount;
    return {
      columns: full,
      buffers: full.map((vector, i) =>
        toBuffer(vector, must(table.columns[i], "a column").type, 0, validCount),
      ),
      rowCount,
      validCount,
      throwViolation: () => {
        if (violation !== undefined) throw violation.error(fullRow(full, violation.row));
      },
    };
  }

  /**
   * Writes all rows; 23505, 23502 or 23514 for the first row that cannot be. Gives the new row ids. `onConflict` learns the
   * row of a 23505 before it is thrown.
   */
  async insert(rows: NewRows, onConflict?: (row: number) => void): Promise<Uint32Array> {
    const rids = new Uint32Array(rows.rowCount);
    const { storageId } = this.#target.table;
    const conflict = await insertRows(storageId, rows.buffers, 0, rows.validCount, rids, this.#context);
    if (conflict !== undefined) {
      onConflict?.(conflict.row);
      this.throwConflict(rows, conflict);
    }
    rows.throwViolation();
    this.noteWritten(rids);
    return rids;
  }

  /** Rows that were written are looked at again when the statement ends, where the table has constraints for it. */
  noteWritten(rids: Uint32Array): void {
    noteInserted(this.#target.constraints, rids, this.#context);
  }

  throwConflict(rows: NewRows, conflict: Conflict): never {
    const { table, constraints } = this.#target;
    const index = indexById(constraints, conflict.indexId);
    throw uniqueViolation(table, index, fullRow(rows.columns, conflict.row), this.#context);
  }
}

export function indexById(constraints: TableConstraints, storageId: number): IndexEntry | undefined {
  return constraints.indexes.find((index) => index.storageId === storageId);
}
