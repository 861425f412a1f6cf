// A unique index that cannot be built: the engine names the row id of a duplicate, PostgreSQL's message shows the key.
import { type IndexEntry, storedAttnum, type TableEntry } from "../../../catalog/entries.ts";
import { SqlError, SqlState, toSqlError } from "../../../common/error.ts";
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

function duplicateDetail(
  rid: number | undefined,
  context: DefinitionContext,
  table: TableEntry,
  index: IndexEntry,
): string | undefined {
  if (rid === undefined) return undefined;
  const attnums = index.columns.map(storedAttnum);
  const types = attnums.map((attnum) => columnType(table, attnum));
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
