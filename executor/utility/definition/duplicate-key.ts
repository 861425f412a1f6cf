// A unique index that cannot be built: the engine names the row id of a duplicate, PostgreSQL's message shows the key.
import { type IndexEntry, storedAttnum, type TableEntry } from "../../../catalog/entries.ts";
import { SqlError, SqlState, toSqlError } from "../../../common/error.ts";
import { quoteIdentifier } from "../../../common/identifier.ts";
import { keyName } from "../../modify/violations.ts";
import { formatKey } from "../../storage/key-text.ts";
import { readRow } from "../../storage/read-row.ts";
import { columnType } from "../../storage/scan-target.ts";
import type { DefinitionContext } from "./context.ts";

/** `thrown` as SqlError; a 23505 of an index build gets PostgreSQL's text, DETAIL and fields. */
export function duplicateKeyError(
  thrown: unknown,
  context: DefinitionContext,
  table: TableEntry,
  index: IndexEntry,
): SqlError {
  const error = toSqlError(thrown);
  if (error.code !== SqlState.uniqueViolation) return error;
  return new SqlError(SqlState.uniqueViolation, `could not create unique index "${index.name}"`, {
    detail: duplicateDetail((thrown as { rid?: number }).rid, context, table, index),
    table: table.name,
    constraint: index.name,
  });
}

/** Behind a deferrable key the engine does not look for duplicates: 23505 for the first key that two rows have. */
export async function refuseDuplicates(
  context: DefinitionContext,
  table: TableEntry,
  index: IndexEntry,
): Promise<void> {
  const schema = context.catalog().entry("schema", table.schema)?.name ?? "";
  const names = index.columns.map(({ attnum }) => table.columns[attnum - 1]?.name ?? "");
  const columns = names.map(quoteIdentifier);
  const known = index.nullsNotDistinct
    ? "true"
    : columns.map((column) => `${column} IS NOT NULL`).join(" AND ");
  const row = await context.firstRow(
    `SELECT ${columns.join(", ")} FROM ${quoteIdentifier(schema)}.${quoteIdentifier(table.name)} ` +
      `WHERE ${known} GROUP BY ${columns.join(", ")} HAVING count(*) > 1 LIMIT 1`,
  );
  if (row === undefined) return;
  const types = index.columns.map(({ attnum }) => columnType(table, attnum));
  throw new SqlError(SqlState.uniqueViolation, `could not create unique index "${index.name}"`, {
    detail: `Key ${formatKey(names, types, row, context.functions.types)} is duplicated.`,
    schema,
    table: table.name,
    constraint: index.name,
  });
}

function duplicateDetail(
  rid: number | undefined,
  context: DefinitionContext,
  table: TableEntry,
  index: IndexEntry,
): string | undefined {
  if (rid === undefined) return undefined;
  const attnums = index.columns.map(storedAttnum);
  const types = attnums.map((attnum) => columnType(table, attnum));
  // The duplicate may be younger than the statement, which has waited for its writer.
  context.transaction.beginCheck();
  const row = readRow(
    context.transaction,
    table.storageId,
    rid,
    attnums.map((attnum) => attnum - 1),
    types,
  );
  if (row === undefined) return undefined;
  const names = index.columns.map((column) => keyName(table, column));
  return `Key ${formatKey(names, types, row, context.functions.types)} is duplicated.`;
}
