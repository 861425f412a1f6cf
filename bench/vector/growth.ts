// `tsx bench/vector/growth.ts [--large] [--opened FOLDER] [--data FOLDER] [--json FILE]`: how a search grows with the table: 1K,
// 16K and 100K rows of 128 dimensions, with --large 500K and 1M too (some fifteen minutes of building on two cores, 4 GB). In
// this process, through searchVectors.
//
// For each size: CREATE INDEX, then median latency and nodes visited at recall .95 (interpolated over hnsw.ef_search; the
// exact answers are the engine's own under omendb.exact), index bytes per vector, and how long a new process takes from
// opening the engine to its first hits: the median of some, after one that warms the page cache. The exponents are the slopes
// of a straight line through the logarithms. The clusters of the set overlap: a set that is answered exactly with any beam
// would show nothing but the depth of the graph. --opened takes a folder with a database of such a size instead of building
// one (`items`, keys from 0, made with the same set).
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { type EmbeddedDatabase, open } from "../../index.ts";
import { atRecall, type CurvePoint } from "./curve.ts";
import { K } from "./exact.ts";
import type { FirstAnswer } from "./first-answer.ts";
import { printJson, printTable } from "./report.ts";
import { generatedSet, literalOf, OVERLAPPING, rowOf, type VectorSet } from "./sets.ts";
import { median } from "./systems.ts";

const run = promisify(execFile);

const SIZES = [1_000, 16_000, 100_000];
const LARGE_SIZES = [500_000, 1_000_000];
const DIMENSIONS = 128;
const QUERIES = 100;
const EFS = [10, 14, 20, 30, 45, 70, 100, 150, 220];
const RECALL = 0.95;
const ROUNDS = 3;
const EXPLAINED = 25;
/** Searches before the first that counts: until the code is compiled and the vectors they come by have been checked. */
const WARM_UPS = 300;
const STARTS = 5;

interface Size {
  readonly rows: number;
  readonly buildPerSecond: number;
  readonly latencyUs: number;
  readonly visited: number;
  readonly ef: number;
  readonly indexBytesPerVector: number;
  readonly residentMb: number;
  readonly firstAnswer: FirstAnswer;
}

async function exactIds(db: EmbeddedDatabase, set: VectorSet): Promise<Set<number>[]> {
  await db.query("SET omendb.exact = on");
  const truths: Set<number>[] = [];
  for (let i = 0; i < set.queryCount; i++) {
    const query = rowOf(set.queries, DIMENSIONS, i);
    const { ids } = await db.searchVectors("items", { query, k: K });
    truths.push(new Set(ids as Int32Array));
  }
  await db.query("RESET omendb.exact");
  return truths;
}

/** Mean of what EXPLAIN ANALYZE counts. */
async function nodesVisited(db: EmbeddedDatabase, set: VectorSet): Promise<number> {
  let sum = 0;
  for (let i = 0; i < EXPLAINED; i++) {
    const literal = literalOf(rowOf(set.queries, DIMENSIONS, i));
    const { rows } = await db.query(
      `EXPLAIN (ANALYZE) SELECT id FROM items ORDER BY v <-> '${literal}' LIMIT ${K}`,
    );
    const text = rows.map((row) => Object.values(row).join("")).join("\n");
    sum += Number(/Nodes Visited: (\d+)/.exec(text)?.[1] ?? Number.NaN);
  }
  return sum / EXPLAINED;
}

async function curveOf(db: EmbeddedDatabase, set: VectorSet): Promise<CurvePoint[]> {
  const truths = await exactIds(db, set);
  const points: CurvePoint[] = [];
  await db.query(`SET hnsw.ef_search = ${EFS.at(-1)}`);
  for (let i = 0; i < WARM_UPS; i++)
    await db.searchVectors("items", { query: rowOf(set.queries, DIMENSIONS, i % set.queryCount), k: K });
  for (const ef of EFS) {
    await db.query(`SET hnsw.ef_search = ${ef}`);
    let found = 0;
    const latencies: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      for (const [i, truth] of truths.entries()) {
        const query = rowOf(set.queries, DIMENSIONS, i);
        const started = performance.now();
        const { ids } = await db.searchVectors("items", { query, k: K });
        latencies.push((performance.now() - started) * 1000);
        if (round === 0) found += Array.from(ids as Int32Array).filter((id) => truth.has(id)).length;
      }
    }
    points.push({
      ef,
      recall: found / (truths.length * K),
      figures: { latencyUs: median(latencies), visited: await nodesVisited(db, set) },
    });
  }
  return points;
}

async function firstAnswer(path: string): Promise<FirstAnswer> {
  const script = fileURLToPath(new URL("first-answer.ts", import.meta.url));
  const args = ["--import", "tsx", script, path, String(DIMENSIONS)];
  const answers: FirstAnswer[] = [];
  for (let start = 0; start <= STARTS; start++) {
    const { stdout } = await run(process.execPath, args);
    // The first process warms the page cache.
    if (start > 0) answers.push(JSON.parse(stdout) as FirstAnswer);
  }
  const of = (figure: keyof FirstAnswer): number => median(answers.map((answer) => answer[figure]));
  return { processMs: of("processMs"), openMs: of("openMs"), hitsMs: of("hitsMs") };
}

/** Fills a new database; gives the vectors indexed a second. */
async function build(db: EmbeddedDatabase, set: VectorSet): Promise<number> {
  await db.query(`CREATE TABLE items (id int PRIMARY KEY, v vector(${DIMENSIONS}))`);
  const ids = Int32Array.from({ length: set.count }, (_, i) => i);
  await db.appendVectors("items", { vectors: set.base, ids });
  const started = performance.now();
  await db.query("SET maintenance_work_mem = '2GB'");
  await db.query(
    "CREATE INDEX items_v ON items USING hnsw (v vector_l2_ops) WITH (m = 16, ef_construction = 200)",
  );
  return set.count / ((performance.now() - started) / 1000);
}

/** `opened`: a database to measure instead of building one of that many rows. */
async function measure(rows: number, path: string, opened: boolean): Promise<Size> {
  const db = await open({ path });
  const set = generatedSet(rows, DIMENSIONS, QUERIES, 1, OVERLAPPING);
  const buildPerSecond = opened ? Number.NaN : await build(db, set);
  const points = await curveOf(db, set);
  const at = atRecall(points, RECALL);
  const size = await db.query<{ bytes: number }>("SELECT pg_relation_size('items_v')::int8 AS bytes");
  const residentMb = process.memoryUsage.rss() / 2 ** 20;
  await db.close();
  return {
    rows,
    buildPerSecond,
    latencyUs: at?.figures["latencyUs"] ?? Number.NaN,
    visited: at?.figures["visited"] ?? Number.NaN,
    ef: at?.ef ?? Number.NaN,
    indexBytesPerVector: (size.rows[0]?.bytes ?? Number.NaN) / rows,
    residentMb,
    firstAnswer: await firstAnswer(path),
  };
}

async function rowsOf(path: string): Promise<number> {
  const db = await open({ path });
  const { rows } = await db.query<{ count: number }>("SELECT count(*)::int AS count FROM items");
  await db.close();
  return rows[0]?.count ?? 0;
}

/** The slope of a straight line through (log x, log y). */
function exponent(sizes: readonly Size[], of: (size: Size) => number): number {
  const xs = sizes.map(({ rows }) => Math.log(rows));
  const ys = sizes.map((size) => Math.log(of(size)));
  const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
  const [x, y] = [mean(xs), mean(ys)];
  const over = xs.reduce((sum, value, i) => sum + (value - x) * ((ys[i] as number) - y), 0);
  return over / xs.reduce((sum, value) => sum + (value - x) ** 2, 0);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      large: { type: "boolean" },
      opened: { type: "string" },
      data: { type: "string" },
      json: { type: "string" },
    },
  });
  const folder = mkdtempSync(join(values.data ?? tmpdir(), "omendb-growth-"));
  const sizes: Size[] = [];
  try {
    for (const rows of values.large === true ? [...SIZES, ...LARGE_SIZES] : SIZES) {
      const path = join(folder, String(rows));
      sizes.push(await measure(rows, path, false));
      rmSync(path, { recursive: true, force: true });
    }
    if (values.opened !== undefined) {
      sizes.push(await measure(await rowsOf(values.opened), values.opened, true));
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  printTable([
    [
      "rows",
      "build/s",
      "ef at .95",
      "p50 us",
      "nodes visited",
      "index B/vector",
      "RSS MB",
      "open ms",
      "first hits ms",
      "process ms",
    ],
    ...sizes.map((size) => [
      String(size.rows),
      size.buildPerSecond.toFixed(0),
      String(size.ef),
      size.latencyUs.toFixed(0),
      size.visited.toFixed(0),
      size.indexBytesPerVector.toFixed(0),
      size.residentMb.toFixed(0),
      size.firstAnswer.openMs.toFixed(0),
      size.firstAnswer.hitsMs.toFixed(0),
      size.firstAnswer.processMs.toFixed(0),
    ]),
  ]);
  const exponents = {
    latency: exponent(sizes, (size) => size.latencyUs),
    visited: exponent(sizes, (size) => size.visited),
  };
  console.log(
    `exponents: latency n^${exponents.latency.toFixed(2)}, nodes visited n^${exponents.visited.toFixed(2)}`,
  );
  printJson({ sizes, exponents }, values.json);
}

await main();
