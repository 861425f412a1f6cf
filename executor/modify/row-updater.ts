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
import { chain, forEach, type MaybePromise } from "../maybe-promise.ts";
import { LentRows, type RowShape, rowShape } from "../storage/lent-rows.ts";
import { columnType } from "../storage/scan-target.ts";
import { findViolation, fullRow, type Violation, withGenerated } from "./constraints.ts";
import { readLocked } from "./existing-rows.ts";
import { indexById } from "./row-inserter.ts";
import { unknownIndex } from "./unknown-index.ts";
import { type FullRow, uniqueViolation } from "./violations.ts";
import { updateRows } from "./write-rows.ts";

type GeneratedColumn = TableConstraints["generated"][number];

export interface UpdateTarget {
  readonly table: TableEntry;
  readonly assignments: UpdatePlan["assignments"];
  readonly constraints: TableConstraints;
}

/** What a target says the same way in every execution. */
interface UpdateShape {
  /** The target with those generated columns alone that read what is assigned. */
  readonly target: UpdateTarget;
  /** attnums written: assigned, and generated from what is assigned. */
  readonly written: readonly number[];
  /** The same as positions in the engine's relation. */
  readonly changed: Uint16Array;
  readonly stored: RowShape;
  readonly lockMode: number;
  /** The last answer of oldColumnsNeeded(), and to what. */
  needed: { readonly alsoRead: ReadonlySet<number>; readonly attnums: number[] } | undefined;
}

const shapes = new WeakMap<UpdateTarget, UpdateShape>();

function shapeOf(target: UpdateTarget): UpdateShape {
  let shape = shapes.get(target);
  if (shape === undefined) {
    shape = makeShape(target);
    shapes.set(target, shape);
  }
  return shape;
}

function makeShape(target: UpdateTarget): UpdateShape {
  const written = target.assignments.map((assignment) => assignment.attnum);
  const generated: GeneratedColumn[] = [];
  // In their order: a hidden column of an index may read a generated one.
  for (const column of target.constraints.generated) {
    if (!columnsUsed(column.expression).some((position) => written.includes(position + 1))) continue;
    generated.push(column);
    written.push(column.attnum);
  }
  return {
    target: { ...target, constraints: { ...target.constraints, generated } },
    written,
    changed: Uint16Array.from(written, (attnum) => attnum - 1),
    stored: rowShape(written.map((attnum) => columnType(target.table, attnum))),
    lockMode: lockModeOf(target.constraints, written),
    needed: undefined,
  };
}

/**
 * FOR NO KEY UPDATE unless a column of a unique index is written: then nobody may refer to the key meanwhile. Nothing can
 * refer to an expression or to a part of the rows.
 */
function lockModeOf(constraints: TableConstraints, written: readonly number[]): number {
  const isKey = constraints.indexes.some(
    (index) =>
      index.isUnique &&
      index.predicate === undefined &&
      index.columns.every((column) => column.expression === undefined) &&
      index.columns.some((column) => written.includes(column.attnum)),
  );
  return isKey ? RowLock.update : RowLock.noKeyUpdate;
}

export class RowUpdater {
  readonly #target: UpdateTarget;
  readonly #context: ExecutionContext;
  readonly #shape: UpdateShape;
  readonly #stored: LentRows;

  constructor(target: UpdateTarget, context: ExecutionContext) {
    this.#shape = shapeOf(target);
    this.#target = this.#shape.target;
    this.#context = context;
    this.#stored = new LentRows(this.#shape.stored, context.buffers);
  }

  /** How its rows have to be locked. */
  get lockMode(): number {
    return this.#shape.lockMode;
  }

  /**
   * attnums of the old row that constraints, generated columns and the positions in `alsoRead` (attnum - 1) look at; those of
   * foreign keys and referenced keys also where they are written.
   */
  oldColumnsNeeded(alsoRead: ReadonlySet<number>): number[] {
    if (this.#shape.needed?.alsoRead !== alsoRead)
      this.#shape.needed = { alsoRead, attnums: this.#oldColumns(alsoRead) };
    return this.#shape.needed.attnums;
  }

  #oldColumns(alsoRead: ReadonlySet<number>): number[] {
    const { table, constraints } = this.#target;
    const positions = new Set([...alsoRead].filter((position) => position < table.columns.length));
    for (const { expression } of [...constraints.checks, ...constraints.generated]) {
      for (const position of columnsUsed(expression)) positions.add(position);
    }
    const { written } = this.#shape;
    const unwritten = [...positions]
      .map((position) => position + 1)
      .filter((attnum) => !written.includes(attnum));
    return [...new Set([...unwritten, ...watchedColumns(constraints, written)])];
  }

  /**
   * Writes new versions of the locked rows `rids` (one per row of `input`); `old` holds the old row's columns by
   * attnum - 1 as far as oldColumnsNeeded() asked. Gives the new rows in the same shape.
   */
  update(input: Batch, rids: Uint32Array, old: readonly Vector[]): MaybePromise<readonly Vector[]> {
    const { table, assignments, constraints } = this.#target;
    const { rowCount } = input;
    const assigned = [...old];
    const assign = ({ attnum, expression }: UpdateTarget["assignments"][number]): MaybePromise<void> =>
      chain(compileExpression(expression)(input, this.#context), (values) => {
        assigned[attnum - 1] = values;
      });
    return chain(forEach(assignments, assign), () =>
      chain(withGenerated(assigned, rowCount, constraints, this.#context), (full) =>
        chain(
          findViolation(table, { columns: full, rowCount }, constraints, this.#shape.written, this.#context),
          (violation) => chain(this.#write(full, old, rids, violation), () => full),
        ),
      ),
    );
  }

  /** Gives the memory of the last write back. */
  close(): void {
    this.#stored.release();
  }

  #write(
    full: readonly Vector[],
    old: readonly Vector[],
    rids: Uint32Array,
    violation: Violation | undefined,
  ): MaybePromise<void> {
    const { table, constraints } = this.#target;
    const validCount = violation?.row ?? rids.length;
    const { changed, written } = this.#shape;
    const values = written.map((attnum) => must(full[attnum - 1], "a written column"));
    const stored = this.#stored.hold(values, validCount);
    return chain(
      updateRows(table.storageId, rids, changed, stored, 0, validCount, this.#context),
      (conflict) => {
        if (conflict !== undefined) {
          const row = this.#wholeRow(full, rids, conflict.row);
          const { indexId } = conflict;
          const index = indexById(constraints, indexId) ?? unknownIndex(indexId, this.#context);
          throw uniqueViolation(table, index, row, this.#context);
        }
        if (violation !== undefined) throw violation.error(this.#wholeRow(full, rids, violation.row));
        noteUpdated(table, constraints, written, old, full, rids, this.#context);
      },
    );
  }

  /** For messages: columns that were not read before come from the stored row. */
  #wholeRow(columns: readonly Vector[], rids: Uint32Array, row: number): FullRow {
    const { table } = this.#target;
    const live = storedColumns(table).map((column) => column.attnum);
    const stored = readLocked(table, live, rids.slice(row, row + 1), this.#context);
    const known = new Set(this.#shape.written);
    return fullRow(
      stored.map((column, i) =>
        known.has(i + 1) ? gather(columns[i] as Vector, Uint32Array.of(row)) : column,
      ),
      0,
    );
  }
}
