// How a view of information_schema is written: an expression for each column that says something, in any order. The rest
// are NULL, and every column is cast to its type in PostgreSQL (the base type of its domain), so that names, order and
// types cannot drift from the generated column list.
import { assert, must } from "../../common/assert.ts";
import { Oid } from "../../common/types/oid.ts";
import { systemRelation } from "../builtin/system-relations.ts";
import { CatalogOid, type VirtualColumn } from "../catalog.ts";

export type Expressions = Readonly<Record<string, string>>;

const CASTS: ReadonlyMap<number, string> = new Map([
  [Oid.name, "name"],
  [Oid.int4, "int4"],
  [Oid.varchar, "varchar"],
  [Oid.timestamptz, "timestamptz"],
]);

/** One SELECT of a view: `tail` is FROM and WHERE. */
export interface ViewPart {
  readonly name: string;
  readonly expressions: Expressions;
  readonly tail: string;
}

/** Name, then the SELECTs that UNION ALL puts together. */
export type ViewDefinition = readonly [string, ...ViewPart[]];

export function viewPart(name: string, expressions: Expressions, tail: string): ViewPart {
  return { name, expressions, tail };
}

/** The SQL of a view. Made when first asked for: most sessions never look. */
export function viewSql([, ...parts]: ViewDefinition): string {
  return parts.map(partSql).join("\nUNION ALL\n");
}

function partSql({ name, expressions, tail }: ViewPart): string {
  const relation = must(systemRelation(CatalogOid.informationSchema, name), `information_schema.${name}`);
  const names = new Set(relation.columns.map((column) => column.name));
  for (const column of Object.keys(expressions)) assert(names.has(column), `a column ${column} in ${name}`);
  const list = relation.columns.map(
    (column) => `CAST(${expressions[column.name] ?? "NULL"} AS ${castOf(column)}) AS ${column.name}`,
  );
  return ` SELECT ${list.join(",\n    ")}\n   ${tail.trim()}`;
}

/** yes_or_no is varchar(3), time_stamp is timestamptz(2), character_data has no length. */
function castOf(column: VirtualColumn): string {
  const { oid, typmod } = column.type;
  const name = must(CASTS.get(oid), `a cast for ${column.name}`);
  // varchar counts its 4 bytes of header into the modifier.
  const length = oid === Oid.varchar ? typmod - 4 : typmod;
  return typmod >= 0 ? `${name}(${length})` : name;
}

/** 'YES' or 'NO'. */
export function yesNo(condition: string): string {
  return `CASE WHEN ${condition} THEN 'YES' ELSE 'NO' END`;
}

/** What everybody may see: his own, or what he holds a privilege on. */
export const VISIBLE_TABLE = `(pg_has_role(c.relowner, 'USAGE')
       OR has_table_privilege(c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER'))`;
