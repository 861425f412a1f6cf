// Names as PostgreSQL prints them: quoted where an unquoted identifier would be read back differently, and qualified with
// the schema where the search path would find something else or nothing.
import type { CatalogSnapshot } from "../catalog.ts";

/** Where a name is printed for: what is visible decides what must be qualified. */
export interface NameScope {
  readonly catalog: CatalogSnapshot;
  /** Schemas in force, implicit ones included. */
  readonly searchPath: readonly string[];
}

/** PostgreSQL 15's keywords that are not unreserved: pg_get_keywords() with catcode other than U. */
const KEYWORDS: ReadonlySet<string> = new Set(
  [
    "all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both ",
    "case cast char character check coalesce collate collation column concurrently constraint create cross ",
    "current_catalog current_date current_role current_schema current_time current_timestamp current_user dec ",
    "decimal default deferrable desc distinct do else end except exists extract false fetch float for foreign ",
    "freeze from full grant greatest group grouping having ilike in initially inner inout int integer ",
    "intersect interval into is isnull join lateral leading least left like limit localtime localtimestamp ",
    "national natural nchar none normalize not notnull null nullif numeric offset on only or order out outer ",
    "overlaps overlay placing position precision primary real references returning right row select ",
    "session_user setof similar smallint some substring symmetric table tablesample then time timestamp to ",
    "trailing treat trim true union unique user using values varchar variadic verbose when where window with ",
    "xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize ",
    "xmltable ",
  ]
    .join("")
    .trim()
    .split(" "),
);

/** quote_ident: unchanged when a lower-case plain identifier that is no keyword. */
export function quoteIdentifier(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) && !KEYWORDS.has(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

/** quote_literal without the E'' form: catalogue texts hold no backslashes that matter. */
export function quoteLiteral(text: string): string {
  const quoted = `'${text.replaceAll("'", "''").replaceAll("\\", "\\\\")}'`;
  return text.includes("\\") ? `E${quoted}` : quoted;
}

export function schemaName(catalog: CatalogSnapshot, oid: number): string {
  return catalog.entry("schema", oid)?.name ?? "";
}

/** schema.name, each part quoted where needed. */
export function qualified(schema: string, name: string): string {
  return schema === "" ? quoteIdentifier(name) : `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`;
}

/** Parts of a possibly qualified name as users write it: quotes removed, unquoted parts in lower case; undefined = malformed. */
export function parseName(text: string): readonly string[] | undefined {
  const parts: string[] = [];
  // Anything but blanks, dots and quotes goes for an unquoted part, as SplitIdentifierString has it.
  const pattern = /\s*(?:"((?:[^"]|"")+)"|([^\s."]+))\s*(\.|$)/y;
  let end = 0;
  for (;;) {
    pattern.lastIndex = end;
    const match = pattern.exec(text);
    if (match === null) return undefined;
    parts.push(match[1] === undefined ? (match[2] ?? "").toLowerCase() : match[1].replaceAll('""', '"'));
    end = pattern.lastIndex;
    if (match[3] === "") return end === text.length ? parts : undefined;
  }
}
