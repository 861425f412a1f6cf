// `npm run bench -- --pg URL --pg-pid PID [--data FOLDER] [--json FILE]`: OmenDB beside PostgreSQL + pgvector, the same work in one run,
// printed as a table of figures and ratios. OmenDB is started here on a temporary folder; PostgreSQL is given, durable and
// with pgvector. Compare the ratios: absolute figures belong to the machine and its neighbours.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { once } from "node:events";
import { finished } from "node:stream/promises";
import { Client } from "pg";
import { from as copyFrom } from "pg-copy-streams";
import { root, startServer } from "../test/support/server.ts";
import { cpuClock } from "./cpu.ts";
import {
  type BenchDataset,
  type BenchQuery,
  dot,
  exactNearest,
  loadBenchDataset,
  vectorLiteral,
} from "./dataset.ts";

const K = 10;
const EF_SWEEP = [10, 20, 40, 80, 120, 200, 400];
const TARGET_RECALL = 0.95;
const QUERIES = 200;
const CLIENTS = 16;
const SECONDS = 5;

interface System {
  readonly name: "omendb" | "pgvector";
  readonly url: string;
  readonly pid: number;
}

interface Figure {
  readonly p50Ms?: number;
  readonly cpuUs: number;
  readonly perSecond?: number;
  readonly recall?: number;
  readonly note?: string;
}

type Results = Record<string, Partial<Record<System["name"], Figure>>>;

async function connect(system: System): Promise<Client> {
  const client = new Client({ connectionString: system.url });
  await client.connect();
  return client;
}

async function load(system: System, dataset: BenchDataset): Promise<void> {
  const client = await connect(system);
  await client.query("CREATE EXTENSION IF NOT EXISTS vector");
  await client.query("DROP TABLE IF EXISTS pkg");
  await client.query(
    `CREATE TABLE pkg (id int PRIMARY KEY, section text, r int, body text, emb vector(${dataset.dimensions}))`,
  );
  const stream = client.query(copyFrom("COPY pkg FROM STDIN"));
  for (const row of dataset.rows) {
    const body = row.body.replace(/[\\\n\r\t]/g, " ");
    if (!stream.write(`${row.id}\t${row.section}\t${row.r}\t${body}\t${vectorLiteral(row.embedding)}\n`))
      await once(stream, "drain");
  }
  stream.end();
  await finished(stream);
  await client.query(
    "CREATE INDEX pkg_emb ON pkg USING hnsw (emb vector_cosine_ops) WITH (m = 16, ef_construction = 200)",
  );
  if (system.name === "omendb") {
    await client.query("CREATE INDEX pkg_body ON pkg USING bm25 (body) WITH (text_config = 'english')");
  } else {
    await client.query(
      "ALTER TABLE pkg ADD tsv tsvector GENERATED ALWAYS AS (to_tsvector('english', body)) STORED",
    );
    await client.query("CREATE INDEX pkg_tsv ON pkg USING gin (tsv)");
  }
  await client.query("CREATE INDEX pkg_r ON pkg (r)");
  await client.query(system.name === "omendb" ? "ANALYZE pkg" : "VACUUM ANALYZE pkg");
  await client.end();
}

interface Ask {
  readonly sql: string;
  readonly values: (query: BenchQuery) => readonly unknown[];
}

/** One pass over the queries with a prepared statement: median wall, server CPU per query, ids. */
async function pass(
  system: System,
  client: Client,
  name: string,
  ask: Ask,
  queries: readonly BenchQuery[],
): Promise<Figure & { readonly ids: number[][] }> {
  const wall: number[] = [];
  const ids: number[][] = [];
  for (const query of queries.slice(0, 10))
    await client.query({ name, text: ask.sql, values: [...ask.values(query)] });
  const clock = cpuClock(system.pid);
  for (const query of queries) {
    const started = performance.now();
    const answer = await client.query({ name, text: ask.sql, values: [...ask.values(query)] });
    wall.push(performance.now() - started);
    ids.push(answer.rows.map((row: { id: number }) => row.id));
  }
  const cpu = clock();
  return { p50Ms: median(wall), cpuUs: (cpu / queries.length) * 1e6, ids };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

/** Ties count as right: a row as near as the true k-th. */
function recallOf(
  dataset: BenchDataset,
  queries: readonly BenchQuery[],
  ids: readonly number[][],
  accept: (r: number) => boolean,
): number {
  const byId = new Map(dataset.rows.map((row) => [row.id, row]));
  let sum = 0;
  for (const [i, query] of queries.entries()) {
    const truth = exactNearest(dataset, query.embedding, K, (row) => accept(row.r));
    const hits = (ids[i] ?? []).filter((id) => {
      const row = byId.get(id);
      return row !== undefined && accept(row.r) && dot(row.embedding, query.embedding) >= truth.worst - 1e-6;
    });
    sum += truth.ids.size === 0 ? 1 : Math.min(hits.length, truth.ids.size) / truth.ids.size;
  }
  return sum / queries.length;
}

/** Smallest ef of the sweep whose recall reaches the target. */
async function knnAtRecall(
  system: System,
  dataset: BenchDataset,
  queries: readonly BenchQuery[],
): Promise<Figure> {
  const client = await connect(system);
  let best: Figure = { cpuUs: NaN, note: "recall not reached" };
  for (const ef of EF_SWEEP) {
    await client.query(`SET hnsw.ef_search = ${ef}`);
    const figure = await pass(
      system,
      client,
      `knn${ef}`,
      { sql: `SELECT id FROM pkg ORDER BY emb <=> $1::vector LIMIT ${K}`, values: (q) => [q.literal] },
      queries,
    );
    const recall = recallOf(dataset, queries, figure.ids, () => true);
    if (recall >= TARGET_RECALL) {
      best = { p50Ms: figure.p50Ms ?? NaN, cpuUs: figure.cpuUs, recall, note: `ef ${ef}` };
      break;
    }
  }
  await client.end();
  return best;
}

async function filteredKnn(
  system: System,
  dataset: BenchDataset,
  queries: readonly BenchQuery[],
): Promise<Figure> {
  const client = await connect(system);
  const limit = Math.floor(dataset.rows.length / 100);
  const figure = await pass(
    system,
    client,
    "filtered",
    {
      sql: `SELECT id FROM pkg WHERE r < $1 ORDER BY emb <=> $2::vector LIMIT ${K}`,
      values: (q) => [limit, q.literal],
    },
    queries,
  );
  const recall = recallOf(dataset, queries, figure.ids, (r) => r < limit);
  await client.end();
  return { p50Ms: figure.p50Ms ?? NaN, cpuUs: figure.cpuUs, recall, note: "defaults" };
}

async function hybrid(system: System, queries: readonly BenchQuery[]): Promise<Figure> {
  const client = await connect(system);
  const sql =
    system.name === "omendb"
      ? `SELECT id FROM pkg ORDER BY hybrid_rrf(body <@> $1, emb <=> $2::vector) LIMIT ${K}`
      : `WITH q AS (SELECT to_tsquery('english', (SELECT string_agg(quote_literal(w), ' | ') FROM unnest(tsvector_to_array(to_tsvector('english', $1))) w)) AS q),
         v AS (SELECT id, row_number() OVER (ORDER BY d) rk FROM (SELECT id, emb <=> $2::vector d FROM pkg ORDER BY 2 LIMIT 100) x),
         t AS (SELECT id, row_number() OVER (ORDER BY s DESC) rk FROM (SELECT id, ts_rank(tsv, q.q, 1) s FROM pkg, q WHERE tsv @@ q.q ORDER BY s DESC LIMIT 100) z)
         SELECT id FROM v FULL JOIN t USING (id) ORDER BY coalesce(1.0/(60+v.rk),0)+coalesce(1.0/(60+t.rk),0) DESC LIMIT ${K}`;
  const figure = await pass(system, client, "hybrid", { sql, values: (q) => [q.text, q.literal] }, queries);
  await client.end();
  return {
    p50Ms: figure.p50Ms ?? NaN,
    cpuUs: figure.cpuUs,
    note: system.name === "omendb" ? "BM25 + kNN" : "ts_rank + kNN",
  };
}

/** `clients` sessions repeat `work` for a few seconds. */
async function throughput(
  system: System,
  clients: number,
  work: (client: Client, turn: number) => Promise<unknown>,
): Promise<Figure> {
  const sessions = await Promise.all(Array.from({ length: clients }, () => connect(system)));
  await Promise.all(sessions.map((client, i) => work(client, i)));
  const clock = cpuClock(system.pid);
  const started = performance.now();
  const end = started + SECONDS * 1000;
  const counts = await Promise.all(
    sessions.map(async (client, i) => {
      let done = 0;
      for (; performance.now() < end; done++) await work(client, clients + done * clients + i);
      return done;
    }),
  );
  const elapsed = (performance.now() - started) / 1000;
  const total = counts.reduce((sum, count) => sum + count, 0);
  const cpu = clock();
  await Promise.all(sessions.map((client) => client.end()));
  return { perSecond: total / elapsed, cpuUs: (cpu / total) * 1e6 };
}

function pointSelect(system: System, dataset: BenchDataset): Promise<Figure> {
  return throughput(system, CLIENTS, (client, turn) =>
    client.query({
      name: "point",
      text: "SELECT section FROM pkg WHERE id = $1",
      values: [dataset.rows[turn % dataset.rows.length]?.id],
    }),
  );
}

async function durableInserts(system: System): Promise<Figure> {
  const client = await connect(system);
  await client.query("DROP TABLE IF EXISTS ins");
  await client.query("CREATE TABLE ins (id bigint PRIMARY KEY, note text)");
  await client.end();
  return throughput(system, CLIENTS, (session, turn) =>
    session.query({
      name: "ins",
      text: "INSERT INTO ins VALUES ($1, 'a note of some length')",
      values: [turn],
    }),
  );
}

function print(results: Results): void {
  const rows = [["measure", "omendb", "pgvector", "ratio (omendb / pgvector)"]];
  for (const [measure, figures] of Object.entries(results)) {
    const ours = figures.omendb;
    const theirs = figures.pgvector;
    rows.push([measure, show(ours), show(theirs), ratio(ours, theirs)]);
  }
  const widths = (rows[0] as string[]).map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  for (const row of rows) console.log(row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  "));
}

function show(figure: Figure | undefined): string {
  if (figure === undefined) return "-";
  const parts: string[] = [];
  if (figure.perSecond !== undefined) parts.push(`${Math.round(figure.perSecond)}/s`);
  if (figure.p50Ms !== undefined) parts.push(`p50 ${figure.p50Ms.toFixed(2)} ms`);
  parts.push(`cpu ${figure.cpuUs.toFixed(0)} us`);
  if (figure.recall !== undefined) parts.push(`recall ${figure.recall.toFixed(3)}`);
  if (figure.note !== undefined) parts.push(figure.note);
  return parts.join(", ");
}

function ratio(ours: Figure | undefined, theirs: Figure | undefined): string {
  if (ours === undefined || theirs === undefined) return "-";
  const parts = [`cpu ${(ours.cpuUs / theirs.cpuUs).toFixed(2)}x`];
  if (ours.perSecond !== undefined && theirs.perSecond !== undefined)
    parts.push(`rate ${(ours.perSecond / theirs.perSecond).toFixed(2)}x`);
  if (ours.p50Ms !== undefined && theirs.p50Ms !== undefined)
    parts.push(`p50 ${(ours.p50Ms / theirs.p50Ms).toFixed(2)}x`);
  return parts.join(", ");
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      pg: { type: "string" },
      "pg-pid": { type: "string" },
      data: { type: "string" },
      json: { type: "string" },
    },
  });
  const folder = mkdtempSync(join(tmpdir(), "omendb-bench-"));
  const server = await startServer(["--data", folder]);
  const systems: System[] = [{ name: "omendb", url: server.url, pid: server.process.pid ?? 0 }];
  if (values.pg !== undefined)
    systems.push({ name: "pgvector", url: values.pg, pid: Number(values["pg-pid"] ?? 0) });
  const dataset = loadBenchDataset(values.data, join(root, "data/demo"));
  const queries = dataset.queries.slice(0, QUERIES);
  console.error(`data: ${dataset.name}, ${queries.length} queries`);
  const results: Results = {};
  const measures: readonly (readonly [string, (system: System) => Promise<Figure>])[] = [
    [`kNN, recall >= ${TARGET_RECALL}`, (system) => knnAtRecall(system, dataset, queries)],
    ["kNN, predicate keeping 1 %", (system) => filteredKnn(system, dataset, queries)],
    ["hybrid (text + kNN)", (system) => hybrid(system, queries)],
    [`point SELECT, ${CLIENTS} clients`, (system) => pointSelect(system, dataset)],
    [`durable INSERT, ${CLIENTS} clients`, (system) => durableInserts(system)],
  ];
  try {
    for (const system of systems) await load(system, dataset);
    for (const [name, measure] of measures) {
      const figures: Partial<Record<System["name"], Figure>> = {};
      for (const system of systems) figures[system.name] = await measure(system);
      results[name] = figures;
    }
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
  print(results);
  console.log(JSON.stringify({ data: dataset.name, results }));
  if (values.json !== undefined)
    writeFileSync(values.json, JSON.stringify({ data: dataset.name, results }, null, 1));
}

await main();
