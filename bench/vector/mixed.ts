// `tsx bench/vector/mixed.ts [--seconds N] [--rows N] [--json FILE]`: one writer inserting and deleting as fast as it can, seven
// readers asking for nearest neighbours. Shown: the readers' rate, median, 99th percentile and longest wait, with and
// without the writer, and the recall of one of them, which asks for the exact answer too, in the same snapshot.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startServer } from "../../test/support/server.ts";
import { K } from "./exact.ts";
import { buildGraph, loadTable, writeCopyFile } from "./load.ts";
import { printJson, printTable } from "./report.ts";
import { BenchSession } from "./session.ts";
import { generatedSet, literalOf, rowOf, type VectorSet } from "./sets.ts";
import { quantile, type System } from "./systems.ts";

const READERS = 7;
const DIMENSIONS = 128;
const QUERIES = 100;
/** Rows of the writer's statements: it inserts a run, and deletes the one it inserted some runs before. */
const RUN = 50;
const RUNS_KEPT = 40;
/** Answers over which a mean of recall is taken. */
const WINDOW = 20;

interface Phase {
  readonly reads: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly longestMs: number;
  readonly rowsWritten: number;
  readonly recall: number;
  readonly leastRecall: number;
}

const KNN = `SELECT id FROM items ORDER BY v <-> $1 LIMIT ${K}`;

function literals(set: VectorSet, block: Float32Array, count: number): string[] {
  return Array.from({ length: count }, (_, i) => literalOf(rowOf(block, set.dimensions, i)));
}

async function read(
  system: System,
  queries: readonly string[],
  first: number,
  until: number,
): Promise<number[]> {
  const session = await BenchSession.open(system);
  await session.prepare("knn", KNN);
  const waits: number[] = [];
  for (let i = first; performance.now() < until; i++) {
    const execution = session.execution("knn", [queries[i % queries.length] as string]);
    const started = performance.now();
    await session.run(execution);
    waits.push(performance.now() - started);
  }
  session.close();
  return waits;
}

/** Recall of each answer: against the exact answer of the same snapshot. */
async function check(system: System, queries: readonly string[], until: number): Promise<number[]> {
  const session = await BenchSession.open(system);
  await session.prepare("knn", KNN);
  const recalls: number[] = [];
  for (let i = 0; performance.now() < until; i++) {
    const execution = session.execution("knn", [queries[i % queries.length] as string]);
    await session.simple("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    const found = await session.run(execution);
    await session.simple("SET LOCAL omendb.exact = on");
    const exact = new Set(await session.run(execution));
    await session.simple("COMMIT");
    recalls.push(found.filter((id) => exact.has(id)).length / exact.size);
  }
  session.close();
  return recalls;
}

/** Inserts and deletes runs of rows; gives the number of rows inserted or deleted. */
async function write(
  system: System,
  set: VectorSet,
  vectors: readonly string[],
  until: number,
): Promise<number> {
  const session = await BenchSession.open(system);
  const runs: number[] = [];
  let [next, written] = [set.count, 0];
  await session.simple(`DELETE FROM items WHERE id >= ${set.count}`);
  while (performance.now() < until) {
    const rows = Array.from(
      { length: RUN },
      (_, i) => `(${next + i},'${vectors[(next + i) % vectors.length]}')`,
    );
    await session.simple(`INSERT INTO items VALUES ${rows.join(",")}`);
    runs.push(next);
    next += RUN;
    written += RUN;
    const oldest = runs.length > RUNS_KEPT ? runs.shift() : undefined;
    if (oldest !== undefined) {
      await session.simple(`DELETE FROM items WHERE id >= ${oldest} AND id < ${oldest + RUN}`);
      written += RUN;
    }
  }
  session.close();
  return written;
}

async function phase(system: System, set: VectorSet, seconds: number, writes: boolean): Promise<Phase> {
  const queries = literals(set, set.queries, QUERIES);
  const vectors = literals(set, set.queries, set.queryCount);
  const until = performance.now() + seconds * 1000;
  const writing = writes ? write(system, set, vectors, until) : 0;
  const checking = check(system, queries, until);
  const reading = Array.from({ length: READERS - 1 }, (_, i) => read(system, queries, i * 13, until));
  const waits = (await Promise.all(reading)).flat();
  const recalls = await checking;
  const windows = Array.from({ length: Math.floor(recalls.length / WINDOW) }, (_, i) =>
    mean(recalls.slice(i * WINDOW, (i + 1) * WINDOW)),
  );
  return {
    reads: waits.length,
    perSecond: waits.length / seconds,
    p50Ms: quantile(waits, 0.5),
    p99Ms: quantile(waits, 0.99),
    longestMs: Math.max(...waits),
    rowsWritten: await writing,
    recall: mean(recalls),
    leastRecall: Math.min(...windows),
  };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { seconds: { type: "string" }, rows: { type: "string" }, json: { type: "string" } },
  });
  const seconds = Number(values.seconds ?? 10);
  const folder = mkdtempSync(join(tmpdir(), "omendb-mixed-"));
  const server = await startServer(["--data", join(folder, "data")]);
  try {
    const system: System = { name: "omendb", url: server.url, pid: server.process.pid ?? 0 };
    // Queries and what the writer writes come from the same space as the rows.
    const set = generatedSet(Number(values.rows ?? 20_000), DIMENSIONS, 2000, 1);
    const file = join(folder, "vectors.bin");
    await writeCopyFile(file, set, []);
    await loadTable(system, set, file);
    const session = await BenchSession.open(system);
    await session.simple("ALTER TABLE items ADD PRIMARY KEY (id)");
    session.close();
    await buildGraph(system, set);
    await phase(system, set, 2, false);
    const phases = {
      "readers alone": await phase(system, set, seconds / 2, false),
      "and a writer": await phase(system, set, seconds, true),
    };
    printTable([
      [set.name, "reads/s", "p50 ms", "p99 ms", "longest ms", "rows written/s", "recall", "least recall"],
      ...Object.entries(phases).map(([name, figures]) => [
        name,
        figures.perSecond.toFixed(0),
        figures.p50Ms.toFixed(2),
        figures.p99Ms.toFixed(1),
        figures.longestMs.toFixed(1),
        (figures.rowsWritten / seconds).toFixed(0),
        figures.recall.toFixed(4),
        figures.leastRecall.toFixed(3),
      ]),
    ]);
    printJson(phases, values.json);
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

await main();
