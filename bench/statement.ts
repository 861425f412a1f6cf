// `tsx bench/statement.ts [--pg URL --pg-pid PID] [--only WORDS] [--seconds N] [--json FILE]`: what one prepared statement costs
// the server, by kind, beside PostgreSQL + pgvector: one client, one statement at a time, Bind, Execute and Sync as drivers
// send them. Rounds alternate between the systems, so that a busy neighbour meets both; the cheapest round of each counts.
//
// The vector kinds search a small set with a narrow beam: what is left is the cost around a search, which is what this program
// is for. Recall, and searches that are work themselves, are bench/vector's.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cpuClock } from "./cpu.ts";
import { ranksOf } from "./vector/labels.ts";
import { buildGraph, loadTable, writeCopyFile } from "./vector/load.ts";
import { printJson, printTable, ratio } from "./vector/report.ts";
import { BenchSession } from "./vector/session.ts";
import { generatedSet, literalOf, OPERATOR, rowOf, type VectorSet } from "./vector/sets.ts";
import { type Settings, sql, type System } from "./vector/systems.ts";
import { parseArgs } from "node:util";
import { startServer } from "../test/support/server.ts";

const ROUNDS = 3;
const WARM_UPS = 3000;
const SESSION_WARM_UPS = 50;
const ROWS = 100_000;
const VECTORS = 20_000;
const DIMENSIONS = 128;
const QUERIES = 100;
/** The narrowest beam that can give LIMIT 10. */
const BEAM: Settings = { "hnsw.ef_search": 10 };
/** pgvector answers these by btree and sort: both systems look at each row that passes. */
const FILTERED: Settings = { plan_cache_mode: "force_custom_plan" };

interface Kind {
  readonly name: string;
  readonly sql: string;
  readonly settings: Settings;
  /** Parameters of the n-th statement of a round, in text. */
  readonly values: (n: number) => readonly string[];
}

/** Numbers that spread over the rows without repeating soon. */
function scattered(n: number): string {
  return String((n * 48_271) % ROWS);
}

function kindsOf(set: VectorSet): readonly Kind[] {
  const query = (n: number): string => literalOf(rowOf(set.queries, DIMENSIONS, n % set.queryCount));
  const order = `ORDER BY v ${OPERATOR[set.metric]}`;
  let nextId = ROWS;
  const filtered = (name: string, share: number): Kind => ({
    name: `nearest 10 of ${name} by btree`,
    sql: `SELECT id FROM items WHERE rank < $1 ${order} $2 LIMIT 10`,
    settings: FILTERED,
    values: (n) => [String(set.count * share), query(n)],
  });
  return [
    { name: "SELECT without a table", sql: "SELECT $1::int4", settings: {}, values: (n) => [String(n)] },
    {
      name: "SELECT by primary key",
      sql: "SELECT note FROM points WHERE id = $1",
      settings: {},
      values: (n) => [scattered(n)],
    },
    {
      name: "UPDATE by primary key",
      sql: "UPDATE points SET n = n + $2 WHERE id = $1",
      settings: {},
      values: (n) => [scattered(n), "1"],
    },
    {
      name: "INSERT with a primary key",
      sql: "INSERT INTO points VALUES ($1, $2, $3)",
      settings: {},
      values: () => [String(nextId++), "0", "a note of some length"],
    },
    {
      name: "nearest 10",
      sql: `SELECT id FROM items ${order} $1 LIMIT 10`,
      settings: BEAM,
      values: (n) => [query(n)],
    },
    filtered("0.1 %", 0.001),
    filtered("1 %", 0.01),
    filtered("50 %", 0.5),
  ];
}

async function prepareTables(system: System, set: VectorSet, file: string): Promise<void> {
  await sql(
    system,
    "DROP TABLE IF EXISTS points; CREATE TABLE points (id bigint PRIMARY KEY, n int, note text);" +
      `INSERT INTO points SELECT i, 0, 'a note of some length' FROM generate_series(0, ${ROWS - 1}) i`,
  );
  await loadTable(system, set, file, ["rank"]);
  await buildGraph(system, set);
  await sql(system, "CREATE INDEX items_rank ON items (rank)");
  const analyze = system.name === "omendb" ? "ANALYZE" : "VACUUM ANALYZE";
  await sql(system, `${analyze} items`);
  await sql(system, `${analyze} points`);
}

/**
 * Lets a server compile its code: two sessions at once, because OmenDB's may lie on two threads, each with code of its own.
 * Commits do not wait for the disk meanwhile.
 */
async function warmUp(system: System, kind: Kind): Promise<void> {
  const repeat = async (from: number): Promise<void> => {
    const session = await BenchSession.open(system, { ...kind.settings, synchronous_commit: "off" });
    await session.prepare("asked", kind.sql);
    for (let n = 0; n < WARM_UPS; n++) await session.run(session.execution("asked", kind.values(from + n)));
    session.close();
  };
  await Promise.all([repeat(0), repeat(WARM_UPS)]);
}

/** Server CPU microseconds per statement over about `seconds`. */
async function roundOf(system: System, kind: Kind, seconds: number): Promise<number> {
  const session = await BenchSession.open(system, kind.settings);
  await session.prepare("asked", kind.sql);
  const one = (n: number): Promise<unknown> => session.run(session.execution("asked", kind.values(n)));
  for (let n = 0; n < SESSION_WARM_UPS; n++) await one(n);
  const cpu = cpuClock(system.pid);
  const until = performance.now() + seconds * 1000;
  let count = 0;
  for (; performance.now() < until; count++) await one(SESSION_WARM_UPS + count);
  const used = cpu();
  session.close();
  return (used / count) * 1e6;
}

async function measure(
  systems: readonly System[],
  kind: Kind,
  seconds: number,
): Promise<Record<string, number>> {
  const best: Record<string, number> = {};
  for (const system of systems) await warmUp(system, kind);
  for (let round = 0; round < ROUNDS; round++) {
    for (const system of systems) {
      const cpuUs = await roundOf(system, kind, seconds);
      best[system.name] = Math.min(best[system.name] ?? Number.POSITIVE_INFINITY, cpuUs);
    }
  }
  return best;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      pg: { type: "string" },
      "pg-pid": { type: "string" },
      only: { type: "string" },
      seconds: { type: "string", default: "1" },
      json: { type: "string" },
    },
  });
  const set = generatedSet(VECTORS, DIMENSIONS, QUERIES, 1);
  const folder = mkdtempSync(join(tmpdir(), "omendb-statement-"));
  const server = await startServer(["--data", join(folder, "data")]);
  const systems: System[] = [{ name: "omendb", url: server.url, pid: server.process.pid ?? 0 }];
  if (values.pg !== undefined)
    systems.push({ name: "pgvector", url: values.pg, pid: Number(values["pg-pid"] ?? 0) });
  const results: { readonly kind: string; readonly cpuUs: Record<string, number> }[] = [];
  try {
    const file = join(folder, "vectors.bin");
    await writeCopyFile(file, set, [ranksOf(set.count)]);
    for (const system of systems) await prepareTables(system, set, file);
    for (const kind of kindsOf(set)) {
      if (values.only !== undefined && !kind.name.includes(values.only)) continue;
      results.push({ kind: kind.name, cpuUs: await measure(systems, kind, Number(values.seconds)) });
    }
    for (const system of systems) await sql(system, "DROP TABLE points, items");
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
  const names = systems.map(({ name }) => name);
  printTable([
    ["CPU per statement", ...names, "ratio"],
    ...results.map(({ kind, cpuUs }) => [
      kind,
      ...names.map((name) => `${(cpuUs[name] ?? Number.NaN).toFixed(0)} us`),
      cpuUs["pgvector"] === undefined ? "" : ratio(cpuUs["omendb"] ?? Number.NaN, cpuUs["pgvector"]),
    ]),
  ]);
  printJson(results, values.json);
}

await main();
