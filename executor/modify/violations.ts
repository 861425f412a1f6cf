// The errors of constraints, in PostgreSQL's words and with its fields.
import { must } from "../../common/assert.ts";
import { SqlError, SqlState } from "../../common/error.ts";
import type { Datum, SqlType } from "../../common/types/type.ts";
import { type IndexColumn, type IndexEntry, storedAttnum, type TableEntry } from "../../catalog/entries.ts";
import type { ExecutionContext } from "../context.ts";
import { failingRow, formatKey } from "../storage/key-text.ts";
import { columnType } from "../storage/scan-target.ts";

/** A whole row by attnum - 1. */
export type FullRow = readonly Datum[];

export function notNullViolation(
  table: TableEntry,
  attnum: number,
  row: FullRow,
  context: ExecutionContext,
): SqlError {
  const column = must(table.columns[attnum - 1], "a column").name;
  return new SqlError(
    SqlState.notNullViolation,
    `null value in column "${column}" of relation "${table.name}" violates not-null constraint`,
    { ...tableFields(table, context), column, detail: rowDetail(table, row, context) },
  );
}

export function checkViolation(
  table: TableEntry,
  constraint: string,
  row: FullRow,
  context: ExecutionContext,
): SqlError {
  return new SqlError(
    SqlState.checkViolation,
    `new row for relation "${table.name}" violates check constraint "${constraint}"`,
    { ...tableFields(table, context), constraint, detail: rowDetail(table, row, context) },
  );
}

export function uniqueViolation(
  table: TableEntry,
  index: IndexEntry,
  row: FullRow,
  context: ExecutionContext,
): SqlError {
  const { name } = index;
  const columns = index.columns.slice(0, index.keyCount);
  const attnums = columns.map(storedAttnum);
  const key = formatKey(
    columns.map((column) => keyName(table, column)),
    attnums.map((attnum): SqlType => columnType(table, attnum)),
    attnums.map((attnum) => row[attnum - 1] ?? null),
    context.functionContext.types,
  );
  return new SqlError(SqlState.uniqueViolation, `duplicate key value violates unique constraint "${name}"`, {
    ...tableFields(table, context),
    constraint: name,
    detail: `Key ${key} already exists.`,
  });
}

/** A key column as DETAIL names it: an expression by its text. */
export function keyName(table: TableEntry, column: IndexColumn): string {
  return column.expression?.text ?? must(table.columns[column.attnum - 1], "a key column").name;
}

function tableFields(
  table: TableEntry,
  context: ExecutionContext,
): { schema: string | undefined; table: string } {
  return { schema: context.catalog.entry("schema", table.schema)?.name, table: table.name };
}

/** Dropped columns are not shown. */
function rowDetail(table: TableEntry, row: FullRow, context: ExecutionContext): string {
  const shown = table.columns.filter((column) => !column.isDropped);
  return failingRow(
    shown.map((column) => column.type),
    shown.map((column) => row[column.attnum - 1] ?? null),
    context.functionContext.types,
  );
}
