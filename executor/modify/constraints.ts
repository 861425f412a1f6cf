// NOT NULL, CHECK and stored generated columns over full rows (column attnum - 1).
import { must } from "../../common/assert.ts";
import type { Batch, Vector } from "../../common/batch/vector.ts";
import type { SqlError } from "../../common/error.ts";
import type { TableEntry } from "../../catalog/entries.ts";
import type { TableConstraints } from "../../planner/physical/plan.ts";
import type { ExecutionContext } from "../context.ts";
import { argumentsOf } from "../expression/caller.ts";
import { compileExpression } from "../expression/compile.ts";
import { chain, forEach, type MaybePromise } from "../maybe-promise.ts";
import { checkViolation, type FullRow, notNullViolation } from "./violations.ts";

/** The first row that breaks a constraint. */
export interface Violation {
  readonly row: number;
  /** `full` is the whole row for the DETAIL line. */
  readonly error: (full: FullRow) => SqlError;
}

/** The columns with the stored generated ones computed, in order: a hidden column of an index may read the user's. */
export function withGenerated(
  columns: readonly Vector[],
  rowCount: number,
  constraints: TableConstraints,
  context: ExecutionContext,
): MaybePromise<readonly Vector[]> {
  if (constraints.generated.length === 0) return columns;
  const computed = [...columns];
  const compute = ({ attnum, expression }: TableConstraints["generated"][number]): MaybePromise<void> =>
    chain(compileExpression(expression)({ columns: computed, rowCount }, context), (values) => {
      computed[attnum - 1] = values;
    });
  return chain(forEach(constraints.generated, compute), () => computed);
}

/**
 * The first violation in row order; within a row NOT NULL columns in order, then CHECKs by name, as PostgreSQL looks at
 * them. `written` limits NOT NULL to columns an UPDATE assigns.
 */
export function findViolation(
  table: TableEntry,
  batch: Batch,
  constraints: TableConstraints,
  written: readonly number[] | undefined,
  context: ExecutionContext,
): MaybePromise<Violation | undefined> {
  let first: Violation | undefined;
  const report = (row: number, error: (full: FullRow) => SqlError): void => {
    if (first === undefined || row < first.row) first = { row, error };
  };
  for (const attnum of constraints.notNull) {
    if (written !== undefined && !written.includes(attnum)) continue;
    const row = firstNull(must(batch.columns[attnum - 1], "a column"), batch.rowCount);
    if (row !== undefined) report(row, (full) => notNullViolation(table, attnum, full, context));
  }
  if (constraints.checks.length === 0) return first;
  const checks = constraints.checks.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const look = ({ name, expression }: TableConstraints["checks"][number]): MaybePromise<void> =>
    chain(compileExpression(expression)(batch, context), (holds) => {
      const row = firstFalse(holds, batch.rowCount);
      if (row !== undefined) report(row, (full) => checkViolation(table, name, full, context));
    });
  return chain(forEach(checks, look), () => first);
}

/** Row `row` of full columns, by attnum - 1. */
export function fullRow(columns: readonly Vector[], row: number): FullRow {
  return argumentsOf(columns, row);
}

function firstNull(vector: Vector, rowCount: number): number | undefined {
  if (vector.kind !== "constant" && vector.kind !== "boxed" && vector.nulls === undefined) return undefined;
  for (let row = 0; row < rowCount; row++) if (vector.isNull(row)) return row;
  return undefined;
}

/** A CHECK is broken by FALSE only: NULL passes. */
function firstFalse(vector: Vector, rowCount: number): number | undefined {
  for (let row = 0; row < rowCount; row++) if (vector.get(row) === false) return row;
  return undefined;
}
