// Records PostgreSQL 15's answers that the catalogue tests compare with. Run by hand, on a freshly created database:
//   npx tsx test/catalog/record.ts postgresql://postgres@127.0.0.1:5432/fresh
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import pg from "pg";

const FOLDER = join(dirname(fileURLToPath(import.meta.url)), "recorded");
const url = process.argv[2];
if (url === undefined) throw new Error("usage: record.ts postgresql://user@host:port/fresh_database");
const client = new pg.Client({ connectionString: url });
await client.connect();

async function rows(sql: string): Promise<unknown[][]> {
  return (await client.query<unknown[]>({ text: sql, rowMode: "array" })).rows;
}

function write(name: string, value: unknown): void {
  writeFileSync(
    join(FOLDER, `${name}.json`),
    `${JSON.stringify(value, undefined, 0).replaceAll("],[", "],\n[")}\n`,
  );
}

write(
  "columns",
  await rows(`SELECT c.oid, n.nspname || '.' || c.relname, c.relkind,
      string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END,
                 ', ' ORDER BY a.attnum)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
    WHERE c.relkind IN ('r', 'v') AND n.nspname IN ('pg_catalog', 'information_schema')
    GROUP BY 1, 2, 3 ORDER BY 1`),
);
// Every seventh function, and all that print something unusual: defaults, modes, ordered sets, TABLE results.
write(
  "functions",
  await rows(`SELECT oid, oid::regproc::text, oid::regprocedure::text, pg_get_function_arguments(oid),
      pg_get_function_identity_arguments(oid), pg_get_function_result(oid)
    FROM pg_proc WHERE oid::int8 % 7 = 0 OR pronargdefaults > 0 OR proargmodes::text ~ '[bvt]'
      OR oid IN (SELECT aggfnoid FROM pg_aggregate WHERE aggkind <> 'n')
    ORDER BY 1`),
);
write(
  "operators",
  await rows(
    "SELECT oid, oid::regoper::text, oid::regoperator::text FROM pg_operator WHERE oid::int8 % 5 = 0 ORDER BY 1",
  ),
);
write(
  "types",
  await rows(`SELECT oid, typmod, format_type(oid, typmod) FROM pg_type,
      (VALUES (NULL), (-1), (3), (7), (655366), (327677), (2147418115), (470351871), (458751), (470286339)) m (typmod)
    WHERE typtype <> 'c' AND typname !~ '^_?pg_' AND (typmod IS NULL
      OR (oid IN (1186, 1187) AND (typmod > 400000 OR typmod = -1) AND typmod <> 655366)
      OR (oid IN (16, 18, 19, 23, 25, 1042, 1043, 1082, 1083, 1114, 1115, 1184, 1231, 1266, 1560, 1562, 1700, 1014, 1015)
          AND typmod < 1000000))
    ORDER BY 1, 2`),
);
await client.query(`
  BEGIN;
  CREATE TABLE t (id serial PRIMARY KEY, a int, b text DEFAULT 'x', "Odd name" numeric(10,2), c int, UNIQUE (a, "Odd name"));
  CREATE SCHEMA s;
  CREATE TABLE s.hidden (id int)`);
const CHECKS = [
  "a > 0",
  "a > 0 AND c < 3",
  "a > 0 AND (c < 3 OR b = 'x')",
  "(a > 0 AND c < 3) OR b = ')'",
  "NOT (a > 0 AND c < 3)",
  "NOT a > 0",
  "b IS NOT NULL",
  "b IS NOT NULL AND a IS NULL OR c > 1",
  "length(b) > 3",
  "starts_with(b, 'x')",
  "(a + c) * 2 > 2",
  "b IN ('x', 'y')",
  '"Odd name" BETWEEN 1 AND 2',
  "a > 0 OR c > 0 OR b = 'it''s (odd'",
  "b LIKE 'x%' AND length(b) + a > 3",
];
const checks: unknown[][] = [];
for (const [i, check] of CHECKS.entries()) {
  await client.query(`ALTER TABLE t ADD CONSTRAINT c${i} CHECK (${check})`);
  const sql = `SELECT pg_get_expr(conbin, conrelid), pg_get_expr(conbin, conrelid, true), pg_get_constraintdef(oid),
    pg_get_constraintdef(oid, true) FROM pg_constraint WHERE conname = 'c${i}'`;
  checks.push(...(await rows(sql)));
}
write("checks", checks);
const INDEXES = [
  "CREATE INDEX i ON t (a)",
  "CREATE UNIQUE INDEX i ON t (a DESC, b NULLS FIRST)",
  "CREATE INDEX i ON t (b text_pattern_ops, a DESC NULLS LAST) INCLUDE (c)",
  "CREATE UNIQUE INDEX i ON t (a) NULLS NOT DISTINCT WITH (fillfactor = 70, deduplicate_items = off)",
  'CREATE INDEX "Odd index" ON t ("Odd name")',
];
const indexes: unknown[][] = [];
for (const statement of INDEXES) {
  await client.query(statement);
  const name = statement.includes("Odd index") ? '"Odd index"' : "i";
  const texts =
    await rows(`SELECT pg_get_indexdef('${name}'::regclass), pg_get_indexdef('${name}'::regclass, 0, true),
    pg_get_indexdef('${name}'::regclass, 1, true), pg_get_indexdef('${name}'::regclass, 9, true)`);
  indexes.push([statement, ...(texts[0] ?? [])]);
  await client.query(`DROP INDEX ${name}`);
}
write("indexes", indexes);
const REG_TEXTS: readonly (readonly [string, string])[] = [
  ...[
    "t",
    "public.t",
    "T",
    '"T"',
    "s.hidden",
    "hidden",
    "nope",
    "no.pe",
    "a.b.c",
    "a b",
    "",
    "1259",
    "pg_class",
    "-",
  ].map((text) => ["regclass", text] as const),
  ...[
    "int",
    "INT[]",
    "numeric(10,2)",
    "character varying(3)",
    "timestamp(3) with time zone",
    "time without time zone",
    '"char"',
    "char",
    "float(3)",
    "float",
    "interval day to second",
    "int array",
    "pg_catalog.int4",
    "nope",
    "no.pe",
    "t",
    "t[]",
    "double precision",
    "bit varying(3)",
  ].map((text) => ["regtype", text] as const),
  ...["lower", "lowerx", "now", "pg_catalog.now", "abs"].map((text) => ["regproc", text] as const),
  ...["lower(text)", "lower(int)", "now()", "lower", "round(numeric, int)", "nope(int)"].map(
    (text) => ["regprocedure", text] as const,
  ),
  ...["+", "||/", "pg_catalog.||/", "<<=|"].map((text) => ["regoper", text] as const),
  ...["+(int4,int4)", "-(none,int4)", "pg_catalog.+(integer, integer)", "+(int4)"].map(
    (text) => ["regoperator", text] as const,
  ),
  ...["public", "zz", "PG_Catalog"].map((text) => ["regnamespace", text] as const),
  ...["postgres", "zz", "pg_monitor"].map((text) => ["regrole", text] as const),
  ["regconfig", "english"],
  ["regconfig", "zz"],
  ["regcollation", '"C"'],
  ["regcollation", "C"],
];
const regs: unknown[][] = [];
for (const [kind, text] of REG_TEXTS) {
  await client.query("SAVEPOINT one");
  try {
    const answer = await client.query<string[]>({
      text: `SELECT $1::${kind}::text`,
      values: [text],
      rowMode: "array",
    });
    regs.push([kind, text, answer.rows[0]?.[0], null]);
  } catch (error) {
    const { code, message } = error as pg.DatabaseError;
    regs.push([kind, text, null, `${code} ${message}`]);
    await client.query("ROLLBACK TO one");
  }
}
write("regs", regs);
await client.end();
