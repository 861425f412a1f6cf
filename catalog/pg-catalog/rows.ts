// How a virtual relation says its rows: objects by column name, so that a table with thirty columns names the ten it has
// something to say about. The rest are NULL, or for NOT NULL columns the zero of the type, which is what PostgreSQL keeps
// in system columns that do not apply (relpages, typelem, conparentid ...).
import { assert } from "../../common/assert.ts";
import { Oid } from "../../common/types/oid.ts";
import type { Datum } from "../../common/types/type.ts";
import type { VirtualColumn, VirtualContext } from "../catalog.ts";

export type Row = Readonly<Record<string, Datum>>;

/** `equal.column` = `equal.value` wanted; only columns listed in `lookups` come here. More rows than that may be returned. */
export interface Lookup {
  readonly column: string;
  readonly value: Datum;
}

export interface RelationRows {
  readonly lookups: readonly string[];
  /** Objects by column name, or complete rows in column order where they are kept from scan to scan. */
  rows(context: VirtualContext, equal: Lookup | undefined): Iterable<Row | readonly Datum[]>;
}

/** A name, oid or flag as text. Columns and arguments of structured types never come here. */
export function plainText(value: Datum | undefined): string {
  if (typeof value === "string") return value;
  assert(
    typeof value === "number" || typeof value === "boolean" || typeof value === "bigint",
    "a plain value",
  );
  return String(value);
}

/** Turns row objects into rows in column order. */
export function rowBuilder(
  columns: readonly VirtualColumn[],
): (row: Row | readonly Datum[]) => readonly Datum[] {
  const names = columns.map((column) => column.name);
  const zeros = columns.map((column) => (column.notNull ? zeroOf(column) : null));
  return (row) => {
    if (isComplete(row)) return row;
    return names.map((name, i) => {
      const value = row[name];
      if (value === undefined) return zeros[i] ?? null;
      assert(value !== null || zeros[i] === null, `a value for ${name}`);
      return value;
    });
  };
}

export function isComplete(row: Row | readonly Datum[]): row is readonly Datum[] {
  return Array.isArray(row);
}

const EMPTY_TEXT: readonly number[] = [Oid.text, Oid.name, Oid.char, Oid.varchar];

/** The zero of a NOT NULL column; null where the type has none, and then every row must give a value. */
function zeroOf(column: VirtualColumn): Datum {
  if (column.type.oid === Oid.bool) return false;
  if (EMPTY_TEXT.includes(column.type.oid)) return "";
  const isNumber = [
    Oid.oid,
    Oid.int2,
    Oid.int4,
    Oid.int8,
    Oid.float4,
    Oid.float8,
    Oid.xid,
    Oid.regproc,
  ].includes(column.type.oid as never);
  return isNumber ? 0 : null;
}
