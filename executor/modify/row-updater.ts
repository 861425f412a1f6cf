// New versions of locked rows of one table: assignments evaluated, generated columns recomputed, constraints checked, the
// changed columns written.
import { must } from "../../common/assert.ts";
import type { Batch, Vector } from "../../common/batch/vector.ts";
import { storedColumns, type TableEntry } from "../../catalog/entries.ts";
import { RowLock } from "../../native/engine.ts";
import type { TableConstraints, UpdatePlan } from "../../planner/physical/plan.ts";
import { gather } from "../batch/gather.ts";
import { noteUpdated, watchedColumns } from "../constraint/note.ts";
import type { ExecutionContext } from "../context.ts";
import { columnsUsed } from "../expression/columns-used.ts";
import { compileExpression } from "../expression/compile.ts";
import { evaluateAll } from "../expression/evaluate.ts";
import { toBuffer } from "../storage/column-buffer.ts";
import { findViolation, fullRow, withGenerated } from "./constraints.ts";
import { readLocked } from "./existing-rows.ts";
import { indexById } from "./row-inserter.ts";
import { type FullRow, uniqueViolation } from "./violations.ts";
import { updateRows } from "./write-rows.ts";

type GeneratedColumn = TableConstraints["generated"][number];

export interface UpdateTarget {
  readonly table: TableEntry;
  readonly assignments: UpdatePlan["assignments"];
  readonly constraints: TableConstraints;
}

export class RowUpdater {
  readonly #target: UpdateTarget;
  readonly #context: ExecutionContext;
  /** attnums written: assigned, and generated from what is assigned. */
  readonly #written: readonly number[];

  constructor(target: UpdateTarget, context: ExecutionContext) {
    const written = target.assignments.map((assignment) => assignment.attnum);
    const generated: GeneratedColumn[] = [];
    // In their order: a hidden column of an index may read a generated one.
    for (const column of target.constraints.generated) {
      if (!columnsUsed(column.expression).some((position) => written.includes(position + 1))) continue;
      generated.push(column);
      written.push(column.attnum);
    }
    this.#target = { ...target, constraints: { ...target.constraints, generated } };
    this.#context = context;
    this.#written = written;
  }

  /**
   * FOR NO KEY UPDATE unless a column of a unique index is written: then nobody may refer to the key meanwhile. Nothing can
   * refer to an expression or to a part of the rows.
   */
  get lockMode(): number {
    const isKey = this.#target.constraints.indexes.some(
      (index) =>
        index.isUnique &&
        index.predicate === undefined &&
        index.columns.every((column) => column.expression === undefined) &&
        index.columns.some((column) => this.#written.includes(column.attnum)),
    );
    return isKey ? RowLock.update : RowLock.noKeyUpdate;
  }

  /**
   * attnums of the old row that constraints, generated columns and the positions in `alsoRead` (attnum - 1) look at; those of
   * foreign keys and referenced keys also where they are written.
   */
  oldColumnsNeeded(alsoRead: ReadonlySet<number>): number[] {
    const { table, constraints } = this.#target;
    const positions = new Set([...alsoRead].filter((position) => position < table.columns.length));
    for (const { expression } of [...constraints.checks, ...constraints.generated]) {
      for (const position of columnsUsed(expression)) positions.add(position);
    }
    const unwritten = [...positions]
      .map((position) => position + 1)
      .filter((attnum) => !this.#written.includes(attnum));
    return [...new Set([...unwritten, ...watchedColumns(constraints, this.#written)])];
  }

  /**
   * Writes new versions of the locked rows `rids` (one per row of `input`); `old` holds the old row's columns by
   * attnum - 1 as far as oldColumnsNeeded() asked. Gives the new rows in the same shape.
   */
  async update(input: Batch, rids: Uint32Array, old: readonly Vector[]): Promise<Vector[]> {
    const { table, assignments, constraints } = this.#target;
    const { rowCount } = input;
    const values = await evaluateAll(
      assignments.map((assignment) => compileExpression(assignment.expression)),
      input,
      this.#context,
    );
    const assigned = [...old];
    for (let i = 0; i < assignments.length; i++) {
      assigned[(assignments[i] as { attnum: number }).attnum - 1] = must(values[i], "a value per assignment");
    }
    const full = await withGenerated(assigned, rowCount, constraints, this.#context);
    const batch = { columns: full, rowCount };
    const written = new Set(this.#written);
    const violation = await findViolation(table, batch, constraints, written, this.#context);
    const validCount = violation?.row ?? rowCount;
    const buffers = this.#written.map((attnum) =>
      toBuffer(
        must(full[attnum - 1], "a written column"),
        must(table.columns[attnum - 1], "a column").type,
        0,
        validCount,
      ),
    );
    const changed = Uint16Array.from(this.#written, (attnum) => attnum - 1);
    const conflict = await updateRows(table.storageId, rids, changed, buffers, 0, validCount, this.#context);
    if (conflict !== undefined) {
      const row = this.#wholeRow(full, rids, conflict.row);
      throw uniqueViolation(table, indexById(constraints, conflict.indexId), row, this.#context);
    }
    if (violation !== undefined) throw violation.error(this.#wholeRow(full, rids, violation.row));
    noteUpdated(table, constraints, this.#written, old, full, rids, this.#context);
    return full;
  }

  /** For messages: columns that were not read before come from the stored row. */
  #wholeRow(columns: readonly Vector[], rids: Uint32Array, row: number): FullRow {
    const { table } = this.#target;
    const live = storedColumns(table).map((column) => column.attnum);
    const stored = readLocked(table, live, rids.slice(row, row + 1), this.#context);
    const known = new Set(this.#written);
    return fullRow(
      stored.map((column, i) =>
        known.has(i + 1) ? gather(columns[i] as Vector, Uint32Array.of(row)) : column,
      ),
      0,
    );
  }
}
