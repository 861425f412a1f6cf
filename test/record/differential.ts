// PostgreSQL 15's answers to the generated statements of test/differential:
// POSTGRES_URL=... node --import tsx test/record/differential.ts
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { generate, SCHEMA } from "../differential/generator.ts";

const SEED = 20_240_607;
const COUNT = 120;
const url = process.env.POSTGRES_URL;
if (url === undefined) throw new Error("POSTGRES_URL names the PostgreSQL 15 to record from");
const client = new pg.Client({ connectionString: url });
await client.connect();
await client.query("CREATE TEMP TABLE warmup (a int)");
await client.query("SET search_path = pg_temp");
for (const statement of SCHEMA) await client.query(statement.replace(/^create table/, "create temp table"));
const recorded: { sql: string; rows: unknown[][] }[] = [];
for (const sql of generate(SEED, COUNT)) {
  const { rows } = await client.query({ text: sql, rowMode: "array" });
  recorded.push({
    sql,
    rows: rows.map((row: (string | number | boolean | null)[]) =>
      row.map((value) => (value === null ? null : String(value))),
    ),
  });
}
await client.end();
const path = fileURLToPath(new URL("../differential/recorded/joins.json", import.meta.url));
writeFileSync(path, `[\n${recorded.map((item) => JSON.stringify(item)).join(",\n")}\n]\n`);
