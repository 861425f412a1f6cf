// `tsx bench/vector/filters.ts --pg URL --pg-pid PID [--set FOLDER ...] [--json FILE]`: nearest neighbours under a predicate,
// at default settings: recall, rows short of k, and server CPU per query, for predicates that keep half, a tenth, a
// hundredth and a thousandth of the rows at random, the part of the space the query lies in, and the part furthest away.
//
// OmenDB runs as it comes. pgvector runs three ways, all with a btree on each predicate's column: as it comes; with iterative
// scans in strict order; and without the graph (btree, then sort). For the last two plans are made for each value
// (plan_cache_mode): the ratio is against the cheaper of them that finds 95 in 100.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Asked, Asking } from "./asking.ts";
import { K, recallOf, type Truth, truthOf } from "./exact.ts";
import { cellsOf, ranksOf } from "./labels.ts";
import { buildGraph, loadTable, writeCopyFile } from "./load.ts";
import { comparison, type Comparison } from "./options.ts";
import { printJson, printTable, ratio } from "./report.ts";
import { literalOf, OPERATOR, rowOf, type VectorSet } from "./sets.ts";
import { type Settings, sql, type System } from "./systems.ts";

const LEAST_RECALL = 0.95;
const ROUNDS = 8;
/** Of each way in each round. */
const EXECUTIONS = 100;
const WARM_UP_SECONDS = 1.5;

const CUSTOM_PLANS = { plan_cache_mode: "force_custom_plan" };

interface Way {
  readonly name: string;
  readonly system: System["name"];
  readonly settings: Settings;
}

const WAYS: readonly Way[] = [
  { name: "omendb", system: "omendb", settings: {} },
  { name: "pgvector, defaults", system: "pgvector", settings: {} },
  {
    name: "pgvector, strict_order",
    system: "pgvector",
    settings: { ...CUSTOM_PLANS, "hnsw.iterative_scan": "strict_order" },
  },
  { name: "pgvector, btree", system: "pgvector", settings: { ...CUSTOM_PLANS, enable_indexscan: "off" } },
];

/** A predicate by query: the condition's parameter, and which rows hold. */
interface FilterClass {
  readonly name: string;
  /** CPU wanted, as a share of pgvector's better way. */
  readonly wanted: number;
  readonly condition: string;
  readonly value: (query: number) => number;
  readonly allowed: (query: number) => (row: number) => boolean;
}

interface Figure {
  readonly recall: number;
  readonly short: number;
  readonly cpuUs: number;
  readonly p50Us: number;
}

type Figures = Readonly<Record<string, Figure>>;

function classesOf(set: VectorSet, ranks: Int32Array, cells: ReturnType<typeof cellsOf>): FilterClass[] {
  const share = (name: string, part: number, wanted: number): FilterClass => {
    const limit = Math.round(set.count * part);
    return {
      name,
      wanted,
      condition: "rank < $1",
      value: () => limit,
      allowed: () => (row) => (ranks[row] as number) < limit,
    };
  };
  const cell = (name: string, of: Int32Array): FilterClass => ({
    name,
    wanted: 0.5,
    condition: "cell = $1",
    value: (query) => of[query] as number,
    allowed: (query) => (row) => cells.labels[row] === of[query],
  });
  return [
    share("50 %", 0.5, 0.5),
    share("10 %", 0.1, 0.4),
    share("1 %", 0.01, 0.5),
    share("0.1 %", 0.001, 1),
    cell("correlated", cells.own),
    cell("anti-correlated", cells.furthest),
  ];
}

/**
 * The answers and costs of each way. Sessions stay open from warming up to the last round, so that the code and plans that are
 * measured are warm on all sides; ways take turns, and the quietest round of each counts.
 */
async function figuresOf(
  run: Comparison,
  set: VectorSet,
  filter: FilterClass,
  truths: readonly Truth[],
): Promise<Figures> {
  const parameters = truths.map((_, query) => [
    String(filter.value(query)),
    literalOf(rowOf(set.queries, set.dimensions, query)),
  ]);
  const statement = `SELECT id FROM items WHERE ${filter.condition} ORDER BY v ${OPERATOR[set.metric]} $2 LIMIT ${K}`;
  const askings = new Map<Way, Asking>();
  for (const way of WAYS) {
    const system = run.systems.find(({ name }) => name === way.system);
    if (system === undefined) continue;
    const asking = await Asking.open(system, statement, parameters, way.settings);
    await asking.warmUp({ seconds: WARM_UP_SECONDS });
    askings.set(way, asking);
  }
  const figures: Record<string, Figure> = {};
  for (let round = 0; round < ROUNDS; round++) {
    for (const [way, asking] of askings) {
      const asked = await asking.round(EXECUTIONS);
      const before = figures[way.name];
      figures[way.name] =
        before === undefined
          ? { ...qualityOf(set, filter, truths, asked.answers), cpuUs: asked.cpuUs, p50Us: asked.p50Us }
          : {
              ...before,
              cpuUs: Math.min(asked.cpuUs, before.cpuUs),
              p50Us: Math.min(asked.p50Us, before.p50Us),
            };
    }
  }
  for (const asking of askings.values()) asking.close();
  return figures;
}

function qualityOf(
  set: VectorSet,
  filter: FilterClass,
  truths: readonly Truth[],
  answers: Asked["answers"],
): Pick<Figure, "recall" | "short"> {
  const recalls = truths.map((truth, query) =>
    recallOf(set, query, truth, answers[query] ?? [], filter.allowed(query)),
  );
  return {
    recall: recalls.reduce((sum, one) => sum + one, 0) / recalls.length,
    short: truths.filter((truth, query) => (answers[query]?.length ?? 0) < truth.wanted).length,
  };
}

async function measure(
  set: VectorSet,
  run: Comparison,
): Promise<readonly { readonly filter: FilterClass; readonly figures: Figures }[]> {
  const ranks = ranksOf(set.count);
  const cells = cellsOf(set);
  const folder = mkdtempSync(join(tmpdir(), "omendb-filters-"));
  const file = join(folder, "vectors.bin");
  await writeCopyFile(file, set, [ranks, cells.labels]);
  for (const system of run.systems) {
    await loadTable(system, set, file, ["rank", "cell"]);
    await buildGraph(system, set);
    await sql(system, "CREATE INDEX items_rank ON items (rank); CREATE INDEX items_cell ON items (cell)");
    await sql(system, system.name === "omendb" ? "ANALYZE items" : "VACUUM ANALYZE items");
  }
  rmSync(folder, { recursive: true, force: true });
  const results: { filter: FilterClass; figures: Figures }[] = [];
  for (const filter of classesOf(set, ranks, cells)) {
    const truths = Array.from({ length: set.queryCount }, (_, query) =>
      truthOf(set, query, filter.allowed(query)),
    );
    results.push({ filter, figures: await figuresOf(run, set, filter, truths) });
  }
  return results;
}

/** pgvector's cheaper way of enough recall. */
function bestRival(figures: Figures): Figure | undefined {
  const rivals = WAYS.slice(2)
    .map((way) => figures[way.name])
    .filter((figure) => figure !== undefined && figure.recall >= LEAST_RECALL);
  return rivals.toSorted((a, b) => (a?.cpuUs ?? 0) - (b?.cpuUs ?? 0))[0];
}

function show(figure: Figure | undefined): string {
  if (figure === undefined) return "-";
  const short = figure.short > 0 ? `, ${figure.short} short` : "";
  return `${figure.recall.toFixed(3)}${short}, ${figure.cpuUs.toFixed(0)} us`;
}

await comparison("filters", async (run) => {
  const report: unknown[] = [];
  for (const set of run.sets) {
    const results = await measure(set, run);
    printTable([
      [set.name, ...WAYS.map((way) => way.name), "CPU ratio", "wanted", "p50 ratio"],
      ...results.map(({ filter, figures }) => {
        const [ours, theirs] = [figures["omendb"], bestRival(figures)];
        const ratios =
          ours === undefined || theirs === undefined
            ? ["", ""]
            : [ratio(ours.cpuUs, theirs.cpuUs), ratio(ours.p50Us, theirs.p50Us)];
        return [
          filter.name,
          ...WAYS.map((way) => show(figures[way.name])),
          ratios[0] as string,
          `<= ${filter.wanted}`,
          ratios[1] as string,
        ];
      }),
    ]);
    report.push({
      set: set.name,
      classes: results.map(({ filter, figures }) => ({ name: filter.name, wanted: filter.wanted, figures })),
    });
  }
  printJson(report, run.jsonFile);
});
