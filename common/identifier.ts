// Identifiers and literals in SQL text: one function each quotes them everywhere, by PostgreSQL's quote_identifier() and
// quote_literal().

/** Key words that are not "unreserved" in PostgreSQL 15 (pg_get_keywords() with catcode other than U): they need quotes. */
const QUOTED_KEYWORDS: ReadonlySet<string> = new Set(
  (
    "all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both " +
    "case cast char character check coalesce collate collation column concurrently constraint create cross " +
    "current_catalog current_date current_role current_schema current_time current_timestamp current_user dec " +
    "decimal default deferrable desc distinct do else end except exists extract false fetch float for foreign " +
    "freeze from full grant greatest group grouping having ilike in initially inner inout int integer intersect " +
    "interval into is isnull join lateral leading least left like limit localtime localtimestamp national " +
    "natural nchar none normalize not notnull null nullif numeric offset on only or order out outer overlaps " +
    "overlay placing position precision primary real references returning right row select session_user setof " +
    "similar smallint some substring symmetric table tablesample then time timestamp to trailing treat trim true " +
    "union unique user using values varchar variadic verbose when where window with xmlattributes xmlconcat " +
    "xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable"
  ).split(" "),
);

/** `name` as it must be written: quoted unless it is lower case, starts with a letter or _ and is no key word. */
export function quoteIdentifier(name: string): string {
  if (/^[a-z_][a-z0-9_]*$/.test(name) && !QUOTED_KEYWORDS.has(name)) return name;
  return `"${name.replaceAll('"', '""')}"`;
}

/** schema.name with both parts quoted where needed. */
export function qualifiedIdentifier(schema: string, name: string): string {
  return `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`;
}

/** 'text' as a literal; E'...' when it holds a backslash, so that it reads back the same under every setting. */
export function quoteLiteral(text: string): string {
  const quoted = `'${text.replaceAll("'", "''").replaceAll("\\", "\\\\")}'`;
  return text.includes("\\") ? `E${quoted}` : quoted;
}
