// Built-in types as the binder sees them, decoded on demand from pg_type's generated rows.
import type { TypeEntry } from "../catalog.ts";
import { generatedTable, rowsBy } from "./tables.ts";

const decoded = new Map<number, TypeEntry>();

export function builtinType(oid: number): TypeEntry | undefined {
  const row = rowsBy("pg_type", "oid", String(oid))[0];
  return row === undefined ? undefined : entryOf(row);
}

/** Types of that name in any of the system schemas. */
export function builtinTypesNamed(name: string): readonly TypeEntry[] {
  return rowsBy("pg_type", "typname", name).map(entryOf);
}

export function* builtinTypes(): Iterable<TypeEntry> {
  const { rowCount } = generatedTable("pg_type");
  for (let row = 0; row < rowCount; row++) yield entryOf(row);
}

/** Base type of a domain with the domain's modifier; the oid itself for every other type. */
export function domainBase(oid: number): { readonly oid: number; readonly typmod: number } {
  const row = rowsBy("pg_type", "oid", String(oid))[0];
  if (row === undefined) return { oid, typmod: -1 };
  const table = generatedTable("pg_type");
  const base = Number(table.field(row, table.position("typbasetype")));
  return base === 0
    ? { oid, typmod: -1 }
    : { oid: base, typmod: Number(table.field(row, table.position("typtypmod"))) };
}

function entryOf(row: number): TypeEntry {
  const known = decoded.get(row);
  if (known !== undefined) return known;
  const table = generatedTable("pg_type");
  const fields = table.fields(row);
  const text = (column: string): string => fields[table.position(column)] ?? "";
  const number = (column: string): number => Number(text(column));
  const entry: TypeEntry = {
    oid: number("oid"),
    name: text("typname"),
    namespace: number("typnamespace"),
    length: number("typlen"),
    byValue: text("typbyval") === "t",
    kind: text("typtype"),
    category: text("typcategory"),
    isPreferred: text("typispreferred") === "t",
    delimiter: text("typdelim"),
    relationOid: number("typrelid"),
    elementOid: number("typelem"),
    arrayOid: number("typarray"),
    collation: number("typcollation"),
  };
  decoded.set(row, entry);
  return entry;
}
