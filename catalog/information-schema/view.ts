// How a view of information_schema is written: an expression for each column that says something, in any order. The rest
// are NULL, and every column is cast to its type in PostgreSQL (the base type of its domain), so that names, order and
// types cannot drift from the generated column list.
import { assert, must } from "../../common/assert.ts";
import { systemRelation } from "../builtin/system-relations.ts";
import { CatalogOid, type VirtualColumn } from "../catalog.ts";

export type Expressions = Readonly<Record<string, string>>;

const CASTS: ReadonlyMap<number, string> = new Map([
  [19, "name"],
  [23, "int4"],
  [1043, "varchar"],
  [1184, "timestamptz"],
]);

/** The SQL of a view: `tail` is FROM and WHERE. */
export function viewSql(name: string, expressions: Expressions, tail: string): string {
  const relation = must(systemRelation(CatalogOid.informationSchema, name), `information_schema.${name}`);
  const names = new Set(relation.columns.map((column) => column.name));
  for (const column of Object.keys(expressions)) assert(names.has(column), `a column ${column} in ${name}`);
  const list = relation.columns.map(
    (column) => `CAST(${expressions[column.name] ?? "NULL"} AS ${castOf(column)}) AS ${column.name}`,
  );
  return ` SELECT ${list.join(",\n    ")}\n   ${tail.trim()}`;
}

/** yes_or_no is varchar(3); character_data has no length. */
function castOf(column: VirtualColumn): string {
  const name = must(CASTS.get(column.type.oid), `a cast for ${column.name}`);
  return column.type.oid === 1043 && column.type.typmod > 4 ? `${name}(${column.type.typmod - 4})` : name;
}

/** 'YES' or 'NO'. */
export function yesNo(condition: string): string {
  return `CASE WHEN ${condition} THEN 'YES' ELSE 'NO' END`;
}

/** What everybody may see: his own, or what he holds a privilege on. */
export const VISIBLE_TABLE = `(pg_has_role(c.relowner, 'USAGE')
       OR has_table_privilege(c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER'))`;
