// A unique index that cannot be built: the engine names the row id of a duplicate, PostgreSQL's message shows the key.
import type { IndexEntry, TableEntry } from "../../../catalog/entries.ts";
import { SqlError, SqlState, toSqlError } from "../../../common/error.ts";
import { columnSpec } from "../../storage/column-spec.ts";
import type { DefinitionContext } from "./context.ts";
import { formatKey } from "../../storage/key-text.ts";
import { readRow } from "../../storage/read-row.ts";

/** `thrown` as SqlError; a 23505 of an index build gets PostgreSQL's text, DETAIL and fields. */
export async function duplicateKeyError(
  thrown: unknown,
  context: DefinitionContext,
  table: TableEntry,
  index: IndexEntry,
): Promise<SqlError> {
  const error = toSqlError(thrown);
  if (error.code !== SqlState.uniqueViolation) return error;
  const rid = (thrown as { rid?: number }).rid;
  const columns = index.columns.map((column) => column.attnum - 1);
  const row =
    rid === undefined
      ? undefined
      : readRow(
          context.transaction,
          table.storageId,
          rid,
          columns,
          columns.map((at) => columnType(table, at)),
        );
  return new SqlError(SqlState.uniqueViolation, `could not create unique index "${index.name}"`, {
    detail:
      row === undefined
        ? undefined
        : `Key ${formatKey(
            columns.map((at) => table.columns[at]?.name ?? "?"),
            columns.map((at) => columnType(table, at)),
            row,
            context.functions.types,
          )} is duplicated.`,
    table: table.name,
    constraint: index.name,
  });
}

function columnType(table: TableEntry, at: number) {
  const type = table.columns[at]?.type;
  if (type === undefined)
    throw new SqlError(SqlState.internalError, `column ${at + 1} of "${table.name}" is gone`);
  columnSpec(type);
  return type;
}
