// Columns of a table by name, as definitions write them.
import type { TableEntry } from "../../../catalog/entries.ts";
import { SqlError, SqlState } from "../../../common/error.ts";

/** The attnum of a column that is not dropped; 42703 when there is none of the name. */
export function attnumOf(table: TableEntry, name: string): number {
  const column = table.columns.find((candidate) => candidate.name === name && !candidate.isDropped);
  if (column === undefined) {
    throw new SqlError(
      SqlState.undefinedColumn,
      `column "${name}" of relation "${table.name}" does not exist`,
    );
  }
  return column.attnum;
}
