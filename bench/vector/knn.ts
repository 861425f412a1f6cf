// `tsx bench/vector/knn.ts --pg URL --pg-pid PID [--set FOLDER ...] [--quick] [--json FILE]`: nearest neighbours through SQL
// beside pgvector: CREATE INDEX, server CPU and wall time per query at equal recall, and the rate of 8 clients; OmenDB as it
// comes, with a byte a dimension, and with the vectors themselves.
//
// Rounds alternate between the contenders and the values of ef; of a point's rounds the quietest counts.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ask, warmUp } from "./asking.ts";
import { type AtRecall, atRecall, type CurvePoint } from "./curve.ts";
import { K, recallOf, truthOf } from "./exact.ts";
import { buildGraph, loadTable, writeCopyFile } from "./load.ts";
import { comparison, type Comparison } from "./options.ts";
import { printJson, printTable, ratio } from "./report.ts";
import { literalOf, OPERATOR, rowOf, type VectorSet } from "./sets.ts";
import { type Ask, pgbench, quantile, type System, timed } from "./systems.ts";

const EFS = [10, 20, 40, 80, 160, 320];
const RECALLS = [0.95, 0.99];
const ROUNDS = 3;
const EXECUTIONS = 600;
const WARM_UP_SECONDS = 4;
const CLIENTS = 8;
const CLIENT_QUERIES = 20;
const CLIENT_SECONDS = 4;

interface Curve {
  readonly build: { readonly perSecond: number; readonly perCpuSecond: number };
  readonly points: readonly CurvePoint[];
  readonly at: readonly (AtRecall | undefined)[];
  readonly clients: {
    readonly ef: number;
    readonly perSecond: number;
    readonly cpuUs: number;
    readonly p99Us: number;
  };
}

/** A graph in a table of its own. */
interface Contender {
  readonly name: string;
  readonly system: System;
  readonly table: string;
  /** Of the index, beside those that all have. */
  readonly options: readonly string[];
}

function contenders(systems: readonly System[]): Contender[] {
  return systems.flatMap((system) => {
    const plain = { name: system.name, system, table: "items", options: [] };
    const floats = {
      name: "omendb floats",
      system,
      table: "items_floats",
      options: ["quantization = 'none'"],
    };
    return system.name === "omendb" ? [plain, floats] : [plain];
  });
}

function statement({ table }: Contender, set: VectorSet, vector: string): string {
  return `SELECT id FROM ${table} ORDER BY v ${OPERATOR[set.metric]} ${vector} LIMIT ${K}`;
}

function parametersOf(set: VectorSet): string[][] {
  return Array.from({ length: set.queryCount }, (_, i) => [literalOf(rowOf(set.queries, set.dimensions, i))]);
}

/** The curve of each contender: the least cost of each point over the rounds. */
async function curvesOf(set: VectorSet, all: readonly Contender[]): Promise<Map<Contender, CurvePoint[]>> {
  const truths = Array.from({ length: set.queryCount }, (_, i) => truthOf(set, i));
  const parameters = parametersOf(set);
  const points = new Map<Contender, CurvePoint[]>(all.map((one) => [one, []]));
  for (const one of all) await warmUp(one.system, statement(one, set, "$1"), parameters, {}, WARM_UP_SECONDS);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [at, ef] of EFS.entries()) {
      for (const one of all) {
        const settings = { "hnsw.ef_search": ef };
        const sql = statement(one, set, "$1");
        const asked = await ask(one.system, sql, parameters, { settings, executions: EXECUTIONS });
        const recalls = truths.map((truth, i) => recallOf(set, i, truth, asked.answers[i] ?? []));
        const recall = recalls.reduce((sum, one) => sum + one, 0) / recalls.length;
        const curve = points.get(one) as CurvePoint[];
        const before = curve[at]?.figures;
        curve[at] = {
          ef,
          recall,
          figures: {
            cpuUs: Math.min(asked.cpuUs, before?.["cpuUs"] ?? Number.POSITIVE_INFINITY),
            p50Us: Math.min(asked.p50Us, before?.["p50Us"] ?? Number.POSITIVE_INFINITY),
          },
        };
      }
    }
  }
  return points;
}

/** Clients of pgbench, each with a statement prepared for each of a few query vectors. */
async function manyClients(one: Contender, set: VectorSet, ef: number): Promise<Curve["clients"]> {
  const asks: Ask[] = parametersOf(set)
    .slice(0, CLIENT_QUERIES)
    .map(([vector]) => ({ sql: statement(one, set, ":q"), values: { q: vector as string } }));
  const load = { settings: { "hnsw.ef_search": ef }, clients: CLIENTS, seconds: CLIENT_SECONDS };
  const many = await pgbench(one.system, asks, load);
  return {
    ef,
    perSecond: many.count / many.seconds,
    cpuUs: (many.cpu / many.count) * 1e6,
    p99Us: quantile(many.latenciesUs, 0.99),
  };
}

async function measure(set: VectorSet, run: Comparison): Promise<Record<string, Curve>> {
  const folder = mkdtempSync(join(tmpdir(), "omendb-knn-"));
  const file = join(folder, "vectors.bin");
  await writeCopyFile(file, set, []);
  const all = contenders(run.systems);
  const builds = new Map<Contender, { seconds: number; cpu: number }>();
  for (const one of all) {
    const { system, table, options } = one;
    await loadTable(system, set, file, [], table);
    builds.set(one, await timed(system, () => buildGraph(system, set, table, options)));
  }
  rmSync(folder, { recursive: true, force: true });
  const points = await curvesOf(set, all);
  const curves: Record<string, Curve> = {};
  for (const one of all) {
    const curve = points.get(one) as CurvePoint[];
    const at = RECALLS.map((wanted) => atRecall(curve, wanted));
    const build = builds.get(one) as { seconds: number; cpu: number };
    curves[one.name] = {
      build: { perSecond: set.count / build.seconds, perCpuSecond: set.count / build.cpu },
      points: curve,
      at,
      clients: await manyClients(one, set, at[0]?.ef ?? (EFS.at(-1) as number)),
    };
  }
  return curves;
}

function show(set: VectorSet, curves: Readonly<Record<string, Curve>>): void {
  const names = Object.keys(curves);
  const theirs = curves["pgvector"];
  const others = names.filter((name) => name !== "pgvector");
  const row = (name: string, of: (curve: Curve) => number | undefined, wanted: string): string[] => {
    const values = names.map((system) => of(curves[system] as Curve));
    const b = theirs && of(theirs);
    const ratios = others.map((system) => {
      const a = of(curves[system] as Curve);
      return a === undefined || b === undefined ? "" : ratio(a, b);
    });
    return [
      name,
      ...values.map((value) => (value === undefined ? "not reached" : value.toFixed(value < 10 ? 3 : 0))),
      ...ratios,
      wanted,
    ];
  };
  printTable([
    [set.name, ...names, ...others.map((name) => `${name} ratio`), "wanted"],
    row("CREATE INDEX, vectors/s", (curve) => curve.build.perSecond, ">= 3"),
    row("CREATE INDEX, vectors per CPU s", (curve) => curve.build.perCpuSecond, ""),
    ...RECALLS.flatMap((wanted, i) => [
      row(`recall ${wanted}: CPU us`, (curve) => curve.at[i]?.figures["cpuUs"], "<= 0.4"),
      row(`recall ${wanted}: p50 us`, (curve) => curve.at[i]?.figures["p50Us"], "<= 0.4"),
      row(`recall ${wanted}: ef`, (curve) => curve.at[i]?.ef, ""),
    ]),
    row(`${CLIENTS} clients at ${RECALLS[0]}: queries/s`, (curve) => curve.clients.perSecond, ">= 2.5"),
    row(`${CLIENTS} clients: server CPU us`, (curve) => curve.clients.cpuUs, ""),
    row(`${CLIENTS} clients: p99 us`, (curve) => curve.clients.p99Us, ""),
  ]);
  printTable([
    ["ef", ...names.flatMap((name) => [`${name} recall`, "CPU us", "p50 us"])],
    ...EFS.map((ef, i) => [
      String(ef),
      ...names.flatMap((name) => {
        const point = curves[name]?.points[i] as CurvePoint;
        return [
          point.recall.toFixed(4),
          (point.figures["cpuUs"] as number).toFixed(0),
          (point.figures["p50Us"] as number).toFixed(0),
        ];
      }),
    ]),
  ]);
}

await comparison("knn", async (run) => {
  const results: unknown[] = [];
  for (const set of run.sets) {
    const curves = await measure(set, run);
    show(set, curves);
    results.push({ set: set.name, ...curves });
  }
  printJson(results, run.jsonFile);
});
