// Writes catalog/generated/*.ts from a live PostgreSQL 15: the rows that initdb makes in the system tables, and the columns
// of every relation of pg_catalog and information_schema. Run by hand, on a freshly created database (template0):
//   npx tsx catalog/generate/generate.ts postgresql://postgres@127.0.0.1:5432/fresh
//
// Each output file holds one string: a header line with the column names, a line with the most frequent value of each
// column, then one line a row; fields are separated by tabs, and a field equal to the most frequent value is left empty.
// Strings rather than JSON modules or object literals, because V8 keeps them as one flat object and nothing is decoded
// until somebody asks (catalog/generated-table.ts is the reader, and says how the escapes work).
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import pg from "pg";

const OUTPUT = join(dirname(fileURLToPath(import.meta.url)), "..", "generated");

interface Source {
  readonly name: string;
  /** Instead of all columns and rows of the table. */
  readonly sql?: string;
  readonly order?: string;
}

/** What to copy, and what to leave out or to compute differently. */
const SOURCES: readonly Source[] = [
  { name: "pg_type" },
  {
    name: "pg_proc",
    // Default expressions one by one, as text: the node trees mean nothing outside the server that wrote them.
    sql: `SELECT oid, proname, pronamespace, prolang, procost, prorows, provariadic, prosupport::oid AS prosupport,
            prokind, proleakproof, proisstrict, proretset, provolatile, proparallel, pronargs, pronargdefaults,
            prorettype, proargtypes, proallargtypes, proargmodes, proargnames,
            (SELECT json_agg(pg_get_function_arg_default(p.oid, n) ORDER BY n)
               FROM generate_series(1, coalesce(cardinality(p.proallargtypes), p.pronargs)) n
              WHERE p.pronargdefaults > 0 AND pg_get_function_arg_default(p.oid, n) IS NOT NULL) AS proargdefaults,
            prosrc, pg_get_function_sqlbody(oid) AS prosqlbody
          FROM pg_proc p WHERE proname !~ '^plpgsql_'`,
  },
  { name: "pg_operator" },
  { name: "pg_cast" },
  { name: "pg_aggregate", order: "aggfnoid" },
  { name: "pg_opclass" },
  { name: "pg_opfamily" },
  { name: "pg_amop" },
  { name: "pg_amproc" },
  { name: "pg_am" },
  // ICU and libc locales differ from machine to machine; the product has byte order only.
  {
    name: "pg_collation",
    sql: "SELECT * FROM pg_collation WHERE collname IN ('default', 'C', 'POSIX', 'ucs_basic')",
  },
  // PL/pgSQL is an extension that template0 happens to have.
  { name: "pg_language", sql: "SELECT * FROM pg_language WHERE lanname <> 'plpgsql'" },
  { name: "pg_conversion" },
  { name: "pg_range", order: "rngtypid" },
  { name: "pg_tablespace" },
  { name: "pg_ts_config" },
  { name: "pg_ts_config_map", order: "mapcfg, maptokentype, mapseqno" },
  { name: "pg_ts_dict" },
  { name: "pg_ts_parser" },
  { name: "pg_ts_template" },
  {
    name: "pg_description",
    order: "classoid, objoid, objsubid",
    sql: `SELECT objoid, classoid, objsubid, description FROM pg_description
          WHERE (classoid <> 'pg_collation'::regclass OR objoid IN (100, 950, 951)) AND classoid <> 'pg_extension'::regclass`,
  },
  {
    name: "pg_shdescription",
    order: "objoid",
    sql: "SELECT objoid, classoid, description FROM pg_shdescription WHERE objoid < 16384",
  },
  {
    name: "pg_settings",
    order: "name",
    // The boot value, not what this server happens to run with.
    sql: `SELECT name, boot_val AS setting, unit, category, short_desc, extra_desc, context, vartype, 'default' AS source,
            min_val, max_val, enumvals, boot_val, boot_val AS reset_val, NULL AS sourcefile, NULL AS sourceline,
            false AS pending_restart FROM pg_settings`,
  },
  { name: "pg_timezone_abbrevs", order: "abbrev" },
  {
    name: "pg_keywords",
    order: "word",
    sql: "SELECT word, catcode, barelabel, catdesc, baredesc FROM pg_get_keywords()",
  },
  // Every system relation with its columns as "name type typmod notnull" joined by commas.
  {
    name: "system_relations",
    sql: `SELECT c.oid, c.relname, c.relnamespace, c.reltype, c.relkind, c.relisshared,
            (SELECT string_agg(concat_ws(' ', a.attname, a.atttypid, a.atttypmod, CASE WHEN a.attnotnull THEN 1 ELSE 0 END),
                               ',' ORDER BY a.attnum)
               FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0) AS columns
          FROM pg_class c
          WHERE c.relkind IN ('r', 'v') AND c.relnamespace IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)`,
  },
];

const url = process.argv[2];
if (url === undefined) throw new Error("usage: generate.ts postgresql://user@host:port/fresh_database");
const client = new pg.Client({
  connectionString: url,
  types: { getTypeParser: () => (text: string) => text },
});
await client.connect();
const version =
  (await client.query<{ server_version: string }>("SHOW server_version")).rows[0]?.server_version ?? "";
if (!version.startsWith("15.")) throw new Error(`PostgreSQL 15 expected, found ${version}`);
// User objects would end up among the built-in rows.
const users = await client.query("SELECT relname FROM pg_class WHERE oid >= 16384 LIMIT 1");
if (users.rows.length > 0) throw new Error("the database is not fresh: make one with TEMPLATE template0");
await client.query("SET search_path TO pg_catalog; SET quote_all_identifiers TO off");

for (const table of SOURCES) {
  const sql = `${table.sql ?? (await plainSelect(table.name))} ORDER BY ${table.order ?? "oid"}`;
  const result = await client.query<(string | null)[]>({ text: sql, rowMode: "array" });
  const names = result.fields.map((field) => field.name);
  writeFileSync(
    join(OUTPUT, `${table.name.replaceAll("_", "-")}.ts`),
    moduleText(table.name, names, result.rows, version),
  );
}
await client.end();

/** All columns; regproc as the number, since its text form depends on the search path. */
async function plainSelect(table: string): Promise<string> {
  const columns = await client.query<{ attname: string; atttypid: string }>(
    "SELECT attname, atttypid::text FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 ORDER BY attnum",
    [table],
  );
  const list = columns.rows.map(({ attname, atttypid }) =>
    atttypid === "24" ? `${attname}::oid AS ${attname}` : attname,
  );
  return `SELECT ${list.join(", ")} FROM ${table}`;
}

function moduleText(
  table: string,
  names: readonly string[],
  rows: readonly (string | null)[][],
  serverVersion: string,
): string {
  const defaults = names.map((_, column) => mostFrequent(rows.map((row) => encode(row[column] ?? null))));
  const lines = [names.join("\t"), defaults.join("\t")];
  for (const row of rows) {
    lines.push(
      row
        .map((value, column) => (encode(value) === defaults[column] ? "" : encode(value)))
        .join("\t")
        .replace(/\t+$/, ""),
    );
  }
  const literal = lines.join("\n").replaceAll("\\", "\\\\").replaceAll("`", "\\`").replaceAll("${", "\\${");
  const name = table.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
  return `// Generated by catalog/generate/generate.ts from PostgreSQL ${serverVersion.split(" ")[0]}; not edited by hand.\nexport const ${name} = \`${literal}\`;\n`;
}

/** \N for NULL, \e for the empty string (an empty field means "as most rows"), backslash escapes for separators. */
function encode(value: string | null): string {
  if (value === null) return "\\N";
  if (value === "") return "\\e";
  return value
    .replaceAll("\\", "\\\\")
    .replaceAll("\t", "\\t")
    .replaceAll("\n", "\\n")
    .replaceAll("\r", "\\r");
}

function mostFrequent(values: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  let best = "";
  let bestCount = 0;
  for (const [value, count] of counts) {
    if (count > bestCount) {
      best = value;
      bestCount = count;
    }
  }
  // A column of distinct values has no most frequent one; the empty string then stands for none.
  return bestCount > 1 || values.length === 1 ? best : "\\e";
}
