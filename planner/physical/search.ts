// Search nodes: which part of the predicate indexes answer as a bitmap, what stays to be evaluated, and estimates per path. The
// choice among the paths is left to the executor, which knows the values and counts (choose-path.ts).
import { must } from "../../common/assert.ts";
import type { IndexEntry } from "../../catalog/entries.ts";
import { usableIndexes } from "../index-keys.ts";
import type { BoundExpression } from "../logical/expression.ts";
import { columnsIn } from "../logical/map.ts";
import {
  outputColumns,
  type LogicalColumn,
  type LogicalHybrid,
  type LogicalScan,
  type LogicalSearch,
} from "../logical/plan.ts";
import { defaultBeam } from "./beam.ts";
import { ids, type Builder, type Built } from "./builder.ts";
import {
  distanceCost,
  exactVectorCost,
  exhaustiveTextCost,
  graphCost,
  prunedTextCost,
} from "./choose-path.ts";
import { Cost, estimate } from "./cost.ts";
import type { IndexMatch } from "./index-match.ts";
import type { BitmapSource, SearchBranch, SearchFilter, SearchPathEstimate } from "./plan.ts";
import { answered, indexBitmap, indexMatches, scanTarget } from "./scan.ts";

/** Share of documents a query's terms are taken to occur in while the query is not known. */
const TERM_SHARE = 0.05;

export function buildSearch(builder: Builder, plan: LogicalSearch): Built {
  const { scan, branch } = plan;
  const columns = [...outputColumns(scan), plan.score];
  const filter = searchFilter(builder, scan, branch.index);
  const paths = pathEstimates(builder, scan, branch, filter, wantedRows(builder, plan));
  const best = Math.min(...paths.map((path) => path.totalCost));
  const rows = builder.estimator.rows(plan);
  const cost = estimate(best, best + rows * Cost.cpuTuple, rows, builder.estimator.width(columns));
  return {
    plan: {
      kind: "search",
      target: scanTarget(scan),
      branch: resolveBranch(builder, branch),
      filter,
      count: builder.resolve(plan.count, []),
      skip: plan.skip === undefined ? undefined : builder.resolve(plan.skip, []),
      paths,
      ...builder.base(columns, cost),
    },
    layout: ids(columns),
  };
}

export function buildHybrid(builder: Builder, plan: LogicalHybrid): Built {
  const { scan } = plan;
  const columns: readonly LogicalColumn[] = [...outputColumns(scan), plan.score];
  const filter = searchFilter(builder, scan, undefined);
  const candidates = Math.max(100, 10 * wantedRows(builder, plan));
  const perBranch = plan.branches.map((branch) =>
    Math.min(...pathEstimates(builder, scan, branch, filter, candidates).map((path) => path.totalCost)),
  );
  const total =
    perBranch.reduce((sum, cost) => sum + cost, 0) +
    candidates * plan.branches.length * Cost.cpuOperator * 10;
  const rows = builder.estimator.rows(plan);
  const optional = (e: BoundExpression | undefined): BoundExpression | undefined =>
    e === undefined ? undefined : builder.resolve(e, []);
  return {
    plan: {
      kind: "hybrid",
      target: scanTarget(scan),
      branches: plan.branches.map((branch) => resolveBranch(builder, branch)),
      weights: optional(plan.weights),
      k: optional(plan.k),
      candidates: optional(plan.candidates),
      filter,
      count: builder.resolve(plan.count, []),
      skip: optional(plan.skip),
      ...builder.base(
        columns,
        estimate(total, total + rows * Cost.cpuTuple, rows, builder.estimator.width(columns)),
      ),
    },
    layout: ids(columns),
  };
}

function wantedRows(builder: Builder, plan: LogicalSearch | LogicalHybrid): number {
  return (builder.estimator.constant(plan.count) ?? 10) + (builder.estimator.constant(plan.skip) ?? 0);
}

function resolveBranch(builder: Builder, branch: SearchBranch): SearchBranch {
  if (branch.index !== undefined) builder.dependOn(branch.index);
  return { ...branch, query: builder.resolve(branch.query, []) };
}

/** The predicate split into a bitmap from indexes and a rest over the columns it reads. */
function searchFilter(
  builder: Builder,
  scan: LogicalScan,
  searched: IndexEntry | undefined,
): SearchFilter | undefined {
  if (scan.filter.length === 0) return undefined;
  const usable = usableIndexes(builder.planner, scan).find(({ index }) => index === searched);
  const layout = ids(outputColumns(scan));
  const { settings } = builder.planner;
  const matches = settings.enableBitmapscan && settings.enableIndexscan ? chooseMatches(builder, scan) : [];
  const sources = matches.map((match) => indexBitmap(builder, match, layout));
  const first = sources[0];
  const bitmap: BitmapSource | undefined = sources.length > 1 ? { kind: "and", inputs: sources } : first;
  const known = new Set(matches.flatMap(answered));
  const rest = scan.filter.filter((condition) => !known.has(condition));
  return {
    bitmap,
    residual: rest.length === 0 ? undefined : conditionOver(builder, scan, rest),
    whole: conditionOver(builder, scan, scan.filter),
    isIndexPredicate: usable?.implied.length === scan.filter.length,
    text: builder.resolveAll(scan.filter, layout),
    selectivity: builder.estimator.selectivity(scan.filter),
  };
}

/** Matches that answer conditions no earlier one answers, most selective first. */
function chooseMatches(builder: Builder, scan: LogicalScan): readonly IndexMatch[] {
  const bySelectivity = [...indexMatches(builder, scan)].sort(
    (a, b) => builder.estimator.selectivity(answered(a)) - builder.estimator.selectivity(answered(b)),
  );
  const known = new Set<BoundExpression>();
  const chosen: IndexMatch[] = [];
  for (const match of bySelectivity) {
    if (answered(match).every((condition) => known.has(condition))) continue;
    for (const condition of answered(match)) known.add(condition);
    chosen.push(match);
  }
  return chosen;
}

/** Conditions as one expression over just the columns they read. */
function conditionOver(
  builder: Builder,
  scan: LogicalScan,
  conditions: readonly BoundExpression[],
): SearchFilter["whole"] {
  const used = new Set(conditions.flatMap((condition) => [...columnsIn(condition)]));
  const read = scan.columns.filter((column) => used.has(column.id));
  const layout = ids(read);
  return {
    expression: must(builder.condition(conditions, layout), "a condition"),
    attnums: read.map((column) => column.attnum),
  };
}

function pathEstimates(
  builder: Builder,
  scan: LogicalScan,
  branch: SearchBranch,
  filter: SearchFilter | undefined,
  k: number,
): readonly SearchPathEstimate[] {
  const rows = builder.estimator.tableRows(scan.table.oid, scan.table.storageId);
  const matches =
    filter === undefined || filter.isIndexPredicate ? undefined : Math.max(1, rows * filter.selectivity);
  const filtering = filterCost(filter, rows);
  if (branch.kind === "text") {
    const postings = rows * TERM_SHARE;
    return [
      { path: "text-pruned", totalCost: filtering + prunedTextCost(postings, rows, matches, k) },
      { path: "text-exhaustive", totalCost: filtering + exhaustiveTextCost(postings, rows, matches) },
    ];
  }
  const typmod = scan.table.columns.find((column) => column.attnum === branch.attnum)?.type.typmod ?? -1;
  const distance = distanceCost(typmod > 0 ? typmod : 384);
  const exact: SearchPathEstimate = {
    path: "exact",
    totalCost: filtering + exactVectorCost(matches ?? rows, distance),
  };
  if (branch.index === undefined) return [exact];
  const ef = Math.max(builder.planner.settings.efSearch ?? defaultBeam(branch.index, rows, k), k);
  const path = matches === undefined ? "graph" : "graph-filtered";
  return [{ path, totalCost: filtering + graphCost(rows, matches, ef, distance) }, exact];
}

function filterCost(filter: SearchFilter | undefined, rows: number): number {
  if (filter === undefined || filter.isIndexPredicate) return 0;
  const fromIndex = filter.bitmap === undefined ? 0 : rows * filter.selectivity * Cost.cpuIndexTuple;
  const scanned = filter.bitmap === undefined ? rows : rows * filter.selectivity;
  return fromIndex + (filter.residual === undefined ? 0 : scanned * (Cost.cpuTuple + Cost.cpuOperator));
}

/** What EXPLAIN shows as the expected path. */
export function likelyPath(paths: readonly SearchPathEstimate[]): SearchPathEstimate | undefined {
  return paths.reduce<SearchPathEstimate | undefined>(
    (best, path) => (best === undefined || path.totalCost < best.totalCost ? path : best),
    undefined,
  );
}
