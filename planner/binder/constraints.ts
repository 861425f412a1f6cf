// What INSERT and UPDATE have to check and compute for a full row: NOT NULL, CHECK, generated columns, unique
// indexes, and what is looked at when the statement ends: foreign keys from and to the table, deferrable keys.
import { Oid } from "../../common/types/oid.ts";
import { type ColumnEntry, isHidden, type TableEntry } from "../../catalog/entries.ts";
import type { TableConstraints } from "../physical/plan.ts";
import type { BindContext } from "./context.ts";
import { watchForeignKeys, watchKeys, watchReferences } from "./watches.ts";
import { bindScalarText, tableColumns } from "./scalar.ts";

/** In the order they are computed: a hidden column of an index may read the user's generated ones. */
function generatedColumns(table: TableEntry): readonly ColumnEntry[] {
  const visible = table.columns.filter((column) => !column.isDropped);
  return [...visible, ...table.columns.filter(isHidden)];
}

/** Expressions see the table's columns at attnum - 1. */
export function bindConstraints(context: BindContext, table: TableEntry): TableConstraints {
  const columns = tableColumns(table);
  const live = table.columns.filter((column) => !column.isDropped);
  const indexes = context.catalog.indexesOf(table.oid);
  for (const index of indexes) context.dependOn(index, 0);
  return {
    notNull: live.filter((column) => column.notNull).map((column) => column.attnum),
    checks: table.constraints.flatMap((constraint) =>
      constraint.type !== "c" || constraint.expression === undefined
        ? []
        : [
            {
              name: constraint.name,
              expression: bindScalarText(
                context,
                constraint.expression,
                columns,
                { oid: Oid.bool, typmod: -1 },
                "check",
                table.name,
              ),
            },
          ],
    ),
    generated: generatedColumns(table).flatMap((column) =>
      column.generated === undefined
        ? []
        : [
            {
              attnum: column.attnum,
              expression: bindScalarText(
                context,
                column.generated,
                columns,
                column.type,
                "generated",
                table.name,
              ),
            },
          ],
    ),
    indexes: indexes.filter((index) => index.isUnique),
    foreignKeys: watchForeignKeys(table),
    referencedBy: watchReferences(context.catalog, table),
    deferrableKeys: watchKeys(table),
  };
}
