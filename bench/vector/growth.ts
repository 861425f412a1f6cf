// `tsx bench/vector/growth.ts [--large] [--data FOLDER] [--json FILE]`: how a search grows with the table: 1K, 16K and 100K rows
// of 128 dimensions, with --large 500K and 1M too (an hour of building, 4 GB). In this process, through searchVectors.
//
// For each size: CREATE INDEX, then median latency and nodes visited at recall .95 (interpolated over hnsw.ef_search; the
// exact answers are the engine's own under omendb.exact), index bytes per vector, and how long a new process takes from
// opening the engine to its first hits. The exponents are the slopes of a straight line through the logarithms.
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
import { generatedSet, literalOf, rowOf, type VectorSet } from "./sets.ts";
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
  // The first process warms the page cache.
  await run(process.execPath, args);
  const { stdout } = await run(process.execPath, args);
  return JSON.parse(stdout) as FirstAnswer;
}

async function measure(rows: number, folder: string): Promise<Size> {
  const set = generatedSet(rows, DIMENSIONS, QUERIES, 1);
  const path = join(folder, String(rows));
  const db = await open({ path });
  await db.query(`CREATE TABLE items (id int PRIMARY KEY, v vector(${DIMENSIONS}))`);
  const ids = Int32Array.from({ length: rows }, (_, i) => i);
  await db.appendVectors("items", { vectors: set.base, ids });
  const started = performance.now();
  await db.query("SET maintenance_work_mem = '2GB'");
  await db.query(
    "CREATE INDEX items_v ON items USING hnsw (v vector_l2_ops) WITH (m = 16, ef_construction = 200)",
  );
  const buildPerSecond = rows / ((performance.now() - started) / 1000);
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
    options: { large: { type: "boolean" }, data: { type: "string" }, json: { type: "string" } },
  });
  const folder = mkdtempSync(join(values.data ?? tmpdir(), "omendb-growth-"));
  const sizes: Size[] = [];
  try {
    for (const rows of values.large === true ? [...SIZES, ...LARGE_SIZES] : SIZES) {
      sizes.push(await measure(rows, folder));
      rmSync(join(folder, String(rows)), { recursive: true, force: true });
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
