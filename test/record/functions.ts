// Records PostgreSQL 15's answers to calls of built-in functions into recorded/functions.json:
//   npx tsx test/record/functions.ts postgresql://postgres@127.0.0.1:5432/postgres
// The database must have encoding UTF8 and collation C.UTF-8. One entry a call: [key of the body, argument type names, argument texts, answer]. The answer is the result's text, null for
// NULL, {"rows": [...]} for a set, or "!SQLSTATE message".
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { AGGREGATE_CALLS } from "./aggregate-cases.ts";
import { EXTRA_CALLS, argumentLists, instantiate, random, recordedSources } from "./function-cases.ts";

export type RecordedCall = readonly [
  source: string,
  typeNames: string,
  args: readonly string[],
  resultType: string,
  answer: string | null | { readonly rows: readonly (string | null)[] },
];

export const RECORDED_FUNCTIONS = join(dirname(fileURLToPath(import.meta.url)), "recorded", "functions.json");
/** Calls recorded for each function. */
const CALLS_PER_FUNCTION = 9;
const MAX_ROWS = 40;

interface ProcRow {
  readonly proname: string;
  readonly prosrc: string;
  readonly prolang: number;
  readonly retset: boolean;
  readonly args: string[];
  readonly oids: string[];
}

async function main(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query("SET timezone = 'America/New_York'; SET client_min_messages = error");
  const sources = new Set(recordedSources());
  const procs = await client.query<ProcRow>(`
    SELECT p.proname, p.prosrc, p.prolang::int, p.proretset AS retset,
           ARRAY(SELECT t.typname::text FROM unnest(p.proargtypes) WITH ORDINALITY u(o, n) JOIN pg_type t ON t.oid = u.o ORDER BY n) AS args,
           ARRAY(SELECT o::text FROM unnest(p.proargtypes) WITH ORDINALITY u(o, n) ORDER BY n) AS oids
      FROM pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f' ORDER BY p.oid`);
  await client.query("SET statement_timeout = 250");
  const calls: RecordedCall[] = [];
  const next = random(20_240_229);
  const seen = new Set<string>();
  for (const proc of procs.rows) {
    const source = proc.prolang === 14 ? `sql:${proc.proname}:${proc.oids.join(",")}` : proc.prosrc;
    if (!sources.has(source)) continue;
    const signature = `${source}(${proc.args.join(",")})`;
    if (seen.has(signature)) continue;
    seen.add(signature);
    for (let round = 0; round < (proc.args.some((name) => name.startsWith("any")) ? 3 : 1); round++) {
      const types = instantiate(proc.args, next);
      if (types === undefined) continue;
      for (const args of argumentLists(types, CALLS_PER_FUNCTION, next)) {
        const recorded = await record(client, source, proc, types, args);
        if (recorded !== undefined) calls.push(recorded);
      }
    }
  }
  for (const [source, name, types, args] of EXTRA_CALLS) {
    const proc = procs.rows.find((row) => row.proname === name);
    if (proc === undefined) throw new Error(`no function ${name}`);
    const recorded = await record(client, source, proc, types, args);
    if (recorded !== undefined) calls.push(recorded);
  }
  for (const [name, type, values] of AGGREGATE_CALLS)
    calls.push(await recordAggregate(client, name, type, values));
  await client.end();
  writeFileSync(RECORDED_FUNCTIONS, `[\n${calls.map((call) => JSON.stringify(call)).join(",\n")}\n]\n`);
  console.log(`${calls.length} calls of ${seen.size} functions`);
}

async function record(
  client: pg.Client,
  source: string,
  proc: ProcRow,
  types: readonly string[],
  args: readonly string[],
): Promise<RecordedCall | undefined> {
  const list = args.map((_, i) => `$${i + 1}::text::${quoted(types[i] as string)}`).join(", ");
  const call = `pg_catalog."${proc.proname}"(${list})`;
  const typeKey = types.join(",");
  try {
    const typed = await client.query<{ type: string }>(
      `SELECT typname AS type FROM pg_type WHERE oid = (SELECT pg_typeof(x)::oid FROM ${proc.retset ? `${call} AS x LIMIT 1` : `(SELECT ${call} AS x) s`})`,
      [...args],
    );
    const type = typed.rows[0]?.type ?? "text";
    if (proc.retset) {
      const rows = await client.query<{ t: string | null }>(
        `SELECT x::text AS t FROM ${call} AS x LIMIT ${MAX_ROWS}`,
        [...args],
      );
      return [source, typeKey, args, type, { rows: rows.rows.map((row) => row.t) }];
    }
    const result = await client.query<{ t: string | null }>(`SELECT (${call})::text AS t`, [...args]);
    return [source, typeKey, args, type, result.rows[0]?.t ?? null];
  } catch (error) {
    const failure = error as { code?: string; message: string };
    // Cancelled: a series without end, a text of gigabytes.
    // Undefined function: a VARIADIC one, which wants its array marked so.
    if (failure.code === "57014" || failure.code === "42883") return undefined;
    return [source, typeKey, args, "", `!${failure.code ?? ""} ${failure.message}`];
  }
}

/** The values in their order, as one array text; key "agg:name". */
async function recordAggregate(
  client: pg.Client,
  name: string,
  type: string,
  values: string,
): Promise<RecordedCall> {
  const call = `"${name}"(x) AS r FROM unnest($1::text::${type}[]) AS x`;
  try {
    const result = await client.query<{ t: string | null; type: string }>(
      `SELECT r::text AS t, (SELECT typname FROM pg_type WHERE oid = pg_typeof(r)::oid) AS type FROM (SELECT ${call}) s`,
      [values],
    );
    return [`agg:${name}`, type, [values], result.rows[0]?.type ?? "", result.rows[0]?.t ?? null];
  } catch (error) {
    const failure = error as { code?: string; message: string };
    return [`agg:${name}`, type, [values], "", `!${failure.code ?? ""} ${failure.message}`];
  }
}

function quoted(typeName: string): string {
  return typeName.startsWith("_") ? `pg_catalog."${typeName.slice(1)}"[]` : `pg_catalog."${typeName}"`;
}

const url = process.argv[2];
if (url !== undefined) await main(url);
