// Records PostgreSQL 15's reading and printing of type-cases.txt ("type|text" lines; "set name|value" changes a setting; a
// vector case needs pgvector) into recorded/types.json:
//   npx tsx test/record/types.ts postgresql://postgres@127.0.0.1:5432/postgres
// One entry a case: [type, type modifier, text, answer], answer = text output or "!SQLSTATE message"; or ["set", name, value].
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import pg from "pg";

export type RecordedValue =
  | readonly [type: string, typmod: number, text: string, answer: string]
  | readonly ["set", name: string, value: string];

const here = dirname(fileURLToPath(import.meta.url));
export const RECORDED_TYPES = join(here, "recorded", "types.json");

async function main(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query("SET timezone = 'America/New_York'");
  const out: RecordedValue[] = [];
  for (const line of readFileSync(join(here, "type-cases.txt"), "utf8").split("\n")) {
    const at = line.indexOf("|");
    if (at < 0) continue;
    const [type, text] = [line.slice(0, at), line.slice(at + 1).replaceAll("\\n", "\n")];
    if (type.startsWith("set ")) {
      const name = type.slice(4);
      await client.query("SELECT set_config($1, $2, false)", [name, text]);
      out.push(["set", name, text]);
    } else out.push(await record(client, type, text));
  }
  await client.end();
  writeFileSync(RECORDED_TYPES, `[\n${out.map((entry) => JSON.stringify(entry)).join(",\n")}\n]\n`);
  console.log(`${out.length} entries`);
}

async function record(client: pg.Client, type: string, text: string): Promise<RecordedValue> {
  await client.query(`CREATE TEMP TABLE recorded_type (a ${type})`);
  const column = await client.query<{ name: string; typmod: number }>(
    `SELECT t.typname AS name, a.atttypmod AS typmod FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
      WHERE a.attrelid = 'recorded_type'::regclass AND a.attname = 'a'`,
  );
  await client.query("DROP TABLE recorded_type");
  const { name, typmod } = column.rows[0] as { name: string; typmod: number };
  try {
    const result = await client.query<{ t: string }>({
      text: `SELECT $1::${type}::text AS t`,
      values: [text],
    });
    return [name, typmod, text, result.rows[0]?.t ?? ""];
  } catch (error) {
    const failure = error as { code?: string; message: string; detail?: string; hint?: string };
    const detail = failure.detail === undefined ? "" : ` DETAIL: ${failure.detail}`;
    const hint = failure.hint === undefined ? "" : ` HINT: ${failure.hint}`;
    return [name, typmod, text, `!${failure.code ?? ""} ${failure.message}${detail}${hint}`];
  }
}

const url = process.argv[2];
if (url !== undefined) await main(url);
