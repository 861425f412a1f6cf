// Questions about types: categories, arrays, collations, and the names errors use (PostgreSQL's format_type).
import { Oid } from "../../common/types/oid.ts";
import type { SqlType } from "../../common/types/type.ts";
import type { TypeEntry } from "../../catalog/catalog.ts";

/** The one look-up these helpers need; BindContext and CatalogSnapshot both are one. */
export interface TypeLookup {
  typeByOid(oid: number): TypeEntry | undefined;
}

export const BOOL: SqlType = { oid: Oid.bool, typmod: -1 };
export const INT4: SqlType = { oid: Oid.int4, typmod: -1 };
export const INT8: SqlType = { oid: Oid.int8, typmod: -1 };
export const TEXT: SqlType = { oid: Oid.text, typmod: -1 };
export const FLOAT8: SqlType = { oid: Oid.float8, typmod: -1 };
export const UNKNOWN: SqlType = { oid: Oid.unknown, typmod: -1 };

const SQL_NAMES: ReadonlyMap<string, string> = new Map([
  ["bool", "boolean"],
  ["int2", "smallint"],
  ["int4", "integer"],
  ["int8", "bigint"],
  ["float4", "real"],
  ["float8", "double precision"],
  ["varchar", "character varying"],
  ["bpchar", "character"],
  ["time", "time without time zone"],
  ["timetz", "time with time zone"],
  ["timestamp", "timestamp without time zone"],
  ["timestamptz", "timestamp with time zone"],
  ["char", '"char"'],
  ["varbit", "bit varying"],
]);

/** A type as PostgreSQL writes it in messages, without modifier: "character varying", "integer[]". */
export function typeName(lookup: TypeLookup, oid: number): string {
  const type = lookup.typeByOid(oid);
  if (type === undefined) return "???";
  if (isTrueArray(type)) return `${typeName(lookup, type.elementOid)}[]`;
  return SQL_NAMES.get(type.name) ?? type.name;
}

/** With its modifier: "character varying(3)", "numeric(10,2)". */
export function typeNameWithModifier(lookup: TypeLookup, type: SqlType): string {
  const entry = lookup.typeByOid(type.oid);
  if (entry !== undefined && isTrueArray(entry)) {
    return `${typeNameWithModifier(lookup, { oid: entry.elementOid, typmod: type.typmod })}[]`;
  }
  const base = typeName(lookup, type.oid);
  // format_type calls a char without length bpchar, because "character" would mean character(1).
  if (type.oid === Oid.bpchar && type.typmod < 0) return "bpchar";
  if (type.typmod < 0) return base;
  switch (type.oid) {
    case Oid.varchar:
    case Oid.bpchar:
      return `${base}(${type.typmod - 4})`;
    case Oid.numeric: {
      const packed = type.typmod - 4;
      const scale = ((packed & 0x7ff) ^ 1024) - 1024;
      return `numeric(${(packed >> 16) & 0xffff},${scale})`;
    }
    case Oid.timestamp:
      return `timestamp(${type.typmod}) without time zone`;
    case Oid.timestamptz:
      return `timestamp(${type.typmod}) with time zone`;
    case Oid.time:
      return `time(${type.typmod}) without time zone`;
    case Oid.interval:
      return base;
    default:
      return `${base}(${type.typmod})`;
  }
}

/** Arrays proper: variable length with an element, not int2vector, oidvector or name. */
export function isTrueArray(type: TypeEntry): boolean {
  return (
    type.elementOid !== 0 &&
    type.length === -1 &&
    type.category === "A" &&
    type.name !== "int2vector" &&
    type.name !== "oidvector"
  );
}

/** Element type of an array; 0 = not an array. int2vector and oidvector count, as they do for PostgreSQL's ANY. */
export function elementTypeOf(lookup: TypeLookup, oid: number): number {
  const type = lookup.typeByOid(oid);
  if (type === undefined) return 0;
  return isTrueArray(type) || type.name === "int2vector" || type.name === "oidvector" ? type.elementOid : 0;
}

export function arrayTypeOf(lookup: TypeLookup, oid: number): number {
  return lookup.typeByOid(oid)?.arrayOid ?? 0;
}

export function categoryOf(lookup: TypeLookup, oid: number): string {
  return lookup.typeByOid(oid)?.category ?? "X";
}

export function isPreferred(lookup: TypeLookup, oid: number): boolean {
  return lookup.typeByOid(oid)?.isPreferred ?? false;
}

/** Default collation of a type; 0 = not collatable. */
export function collationOf(lookup: TypeLookup, oid: number): number {
  return lookup.typeByOid(oid)?.collation ?? 0;
}

const POLYMORPHIC: ReadonlySet<string> = new Set([
  "anyelement",
  "anyarray",
  "anynonarray",
  "anyenum",
  "anyrange",
  "anymultirange",
  "anycompatible",
  "anycompatiblearray",
  "anycompatiblenonarray",
  "anycompatiblerange",
  "anycompatiblemultirange",
]);

export function isPolymorphic(lookup: TypeLookup, oid: number): boolean {
  const type = lookup.typeByOid(oid);
  return type !== undefined && type.kind === "p" && POLYMORPHIC.has(type.name);
}
