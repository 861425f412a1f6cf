// Type names as users write them in regtype, to_regtype and function signatures: "int", "double precision[]",
// "timestamp(3) with time zone", "public.thing". PostgreSQL runs its SQL parser here; the catalogue does not import ours, and
// the grammar of a type name is small.
import { SqlError, SqlState } from "../../common/error.ts";
import { type NameScope, parseName } from "./identifier.ts";

/** The standard's spellings, by what the catalogue calls them. */
const STANDARD: ReadonlyMap<string, string> = new Map([
  ["bigint", "int8"],
  ["bit", "bit"],
  ["bit varying", "varbit"],
  ["boolean", "bool"],
  ["char", "bpchar"],
  ["char varying", "varchar"],
  ["character", "bpchar"],
  ["character varying", "varchar"],
  ["dec", "numeric"],
  ["decimal", "numeric"],
  ["double precision", "float8"],
  ["float", "float8"],
  ["int", "int4"],
  ["integer", "int4"],
  ["interval", "interval"],
  ["national char", "bpchar"],
  ["national char varying", "varchar"],
  ["national character", "bpchar"],
  ["national character varying", "varchar"],
  ["nchar", "bpchar"],
  ["nchar varying", "varchar"],
  ["numeric", "numeric"],
  ["real", "float4"],
  ["smallint", "int2"],
  ["time", "time"],
  ["time with time zone", "timetz"],
  ["time without time zone", "time"],
  ["timestamp", "timestamp"],
  ["timestamp with time zone", "timestamptz"],
  ["timestamp without time zone", "timestamp"],
]);

const INTERVAL_FIELDS =
  /^interval (?:year|month|day|hour|minute|second)(?: to (?:month|hour|minute|second))?$/;

/** Oid of the type; undefined when there is none of that name. 42601 when it is not a type name, 3F000 for a bad schema. */
export function parseTypeName(scope: NameScope, text: string): number | undefined {
  const { base, isArray, modifiers } = split(text);
  const element = elementType(scope, base, modifiers);
  if (element === undefined || !isArray) return element;
  const array = scope.catalog.typeByOid(element)?.arrayOid ?? 0;
  return array === 0 ? undefined : array;
}

function split(text: string): { base: string; isArray: boolean; modifiers: string } {
  let rest = text.trim();
  const withoutArray = rest
    .replace(/(?:\s*\[\s*\d*\s*\])+$/, "")
    .replace(/\s+array(?:\s*\[\s*\d+\s*\])?$/i, "");
  const isArray = withoutArray !== rest;
  rest = withoutArray.trim();
  let modifiers = "";
  const base = rest.replace(/\(\s*([^()"]*)\s*\)/, (_, inner: string) => {
    modifiers = inner.trim();
    return " ";
  });
  return { base: base.trim(), isArray, modifiers };
}

function elementType(scope: NameScope, base: string, modifiers: string): number | undefined {
  const words = base.toLowerCase().replace(/\s+/g, " ");
  const standard = INTERVAL_FIELDS.test(words) ? "interval" : STANDARD.get(words);
  if (standard !== undefined) {
    // float(1..24) is real.
    const name = words === "float" && modifiers !== "" && Number(modifiers) <= 24 ? "float4" : standard;
    return scope.catalog.typeByName("pg_catalog", name, [])?.oid;
  }
  const parts = parseName(base);
  const name = parts?.at(-1);
  if (parts === undefined || name === undefined) throw syntaxError(base);
  const schema = parts.length > 1 ? parts.at(-2) : undefined;
  requireSchema(scope, schema);
  return scope.catalog.typeByName(schema, name, scope.searchPath)?.oid;
}

export function requireSchema(scope: NameScope, schema: string | undefined): void {
  if (schema === undefined || schema === "pg_temp" || scope.catalog.schemaByName(schema) !== undefined)
    return;
  throw new SqlError(SqlState.invalidSchemaName, `schema "${schema}" does not exist`);
}

function syntaxError(text: string): SqlError {
  const word = /^\s*\S+\s+(\S+)/.exec(text)?.[1];
  const message = word === undefined ? `invalid type name "${text}"` : `syntax error at or near "${word}"`;
  return new SqlError(SqlState.syntaxError, message);
}
