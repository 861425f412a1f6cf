// Access paths of one table: sequential scan, btree scan, bitmap scan; look-ups of virtual relations.
import { usableIndexes } from "../index-keys.ts";
import type { BoundExpression, SortKey } from "../logical/expression.ts";
import { columnsIn } from "../logical/map.ts";
import { outputColumns, type LogicalPlan, type LogicalScan } from "../logical/plan.ts";
import { conjuncts } from "../logical/walk.ts";
import { ids, type Builder, type Built } from "./builder.ts";
import { Cost, DEFAULT_ROWS, estimate } from "./cost.ts";
import { stripRelabel } from "./selectivity.ts";
import { indexOrder, matchIndex, type IndexMatch } from "./index-match.ts";
import type { BitmapSource, IndexCondition, ScanTarget } from "./plan.ts";

interface Path {
  readonly startup: number;
  readonly total: number;
  readonly make: () => Built;
}

/** The cheapest path. */
export function buildScan(builder: Builder, scan: LogicalScan): Built {
  const paths = [seqPath(builder, scan)];
  for (const usable of usableIndexes(builder.planner, scan)) {
    if (usable.index.method !== "btree") continue;
    const match = matchIndex(builder.planner, scan, usable);
    if (match.matched.length === 0 && usable.index.predicate === undefined) continue;
    paths.push(indexPath(builder, scan, match, false), bitmapPath(builder, scan, match));
  }
  return cheapest(paths).make();
}

/** A scan that gives rows in the order of `keys` (over the scan's columns), if an index can; undefined = none. */
export function orderedScan(
  builder: Builder,
  scan: LogicalScan,
  keys: readonly SortKey[],
): Built | undefined {
  const paths: Path[] = [];
  for (const usable of usableIndexes(builder.planner, scan)) {
    if (usable.index.method !== "btree") continue;
    const match = matchIndex(builder.planner, scan, usable);
    // Ranges of an ANY list come one after the other, each in order but not all together.
    if (match.condition.anyOf !== undefined) continue;
    const direction = indexOrder(match, keys);
    if (direction !== undefined) paths.push(indexPath(builder, scan, match, direction === "backward"));
  }
  return paths.length === 0 ? undefined : cheapest(paths).make();
}

function cheapest(paths: readonly Path[]): Path {
  return paths.reduce((best, path) => (path.total < best.total ? path : best));
}

export function scanTarget(scan: LogicalScan): ScanTarget {
  return {
    table: scan.table,
    alias: scan.alias,
    attnums: scan.columns.map((column) => column.attnum),
    withRid: scan.rid !== undefined,
  };
}

function tablePages(builder: Builder, scan: LogicalScan): { readonly rows: number; readonly pages: number } {
  const rows = builder.estimator.tableRows(scan.table.oid, scan.table.storageId);
  const width = builder.estimator.width(scan.columns) + 28;
  return { rows, pages: Math.max(1, Math.ceil((rows * width) / Cost.pageBytes)) };
}

function conditionCost(conditions: readonly BoundExpression[]): number {
  return conditions.flatMap(conjuncts).length * Cost.cpuOperator;
}

function seqPath(builder: Builder, scan: LogicalScan): Path {
  const { rows, pages } = tablePages(builder, scan);
  const penalty = builder.planner.settings.enableSeqscan ? 0 : Cost.disabled;
  const total = penalty + pages * Cost.seqPage + rows * (Cost.cpuTuple + conditionCost(scan.filter));
  return {
    startup: penalty,
    total,
    make: () => {
      const columns = outputColumns(scan);
      const cost = estimate(penalty, total, builder.estimator.rows(scan), builder.estimator.width(columns));
      const filter = builder.condition(scan.filter, ids(columns));
      return {
        plan: { kind: "seq-scan", target: scanTarget(scan), filter, ...builder.base(columns, cost) },
        layout: ids(columns),
      };
    },
  };
}

function indexPath(builder: Builder, scan: LogicalScan, match: IndexMatch, backward: boolean): Path {
  const { rows, pages } = tablePages(builder, scan);
  const fetched = fetchedRows(builder, rows, match);
  const penalty = builder.planner.settings.enableIndexscan ? 0 : Cost.disabled;
  const startup = penalty + Math.log2(Math.max(rows, 2)) * Cost.cpuOperator;
  const heapPages = Math.min(fetched, pages);
  const total =
    startup +
    heapPages * Cost.randomPage +
    fetched * (Cost.cpuIndexTuple + Cost.cpuTuple + conditionCost(match.remaining)) +
    (fetched * Cost.randomPage) / 64;
  return {
    startup,
    total,
    make: () => {
      builder.dependOn(match.index);
      const columns = outputColumns(scan);
      const layout = ids(columns);
      const cost = estimate(startup, total, builder.estimator.rows(scan), builder.estimator.width(columns));
      return {
        plan: {
          kind: "index-scan",
          target: scanTarget(scan),
          index: match.index,
          condition: resolveCondition(builder, match.condition),
          backward,
          conditionText: builder.resolveAll(match.matched, layout),
          filter: builder.condition(match.remaining, layout),
          ...builder.base(columns, cost),
        },
        layout,
      };
    },
  };
}

/** A unique index under full equality gives one row whatever the statistics say. */
function fetchedRows(builder: Builder, rows: number, match: IndexMatch): number {
  if (match.index.isUnique && match.equalCount === match.index.keyCount) return 1;
  return Math.max(1, rows * builder.estimator.selectivity(answered(match)));
}

/** Rows by way of a bitmap: each page once and in order, so cheaper than the index order for many scattered rows. */
function bitmapPath(builder: Builder, scan: LogicalScan, match: IndexMatch): Path {
  const { rows, pages } = tablePages(builder, scan);
  const fetched = fetchedRows(builder, rows, match);
  const penalty = builder.planner.settings.enableBitmapscan ? 0 : Cost.disabled;
  const startup =
    penalty +
    fetched * Cost.cpuIndexTuple * 1.1 +
    Math.log2(Math.max(rows, 2)) * Cost.cpuOperator +
    pages * 0.002 +
    Cost.bitmapSetup;
  const touched = Math.min(pages, fetched);
  const perPage = Cost.randomPage - (Cost.randomPage - Cost.seqPage) * Math.sqrt(touched / pages);
  const total = startup + touched * perPage + fetched * (Cost.cpuTuple + conditionCost(match.remaining));
  return {
    startup,
    total,
    make: () => {
      const columns = outputColumns(scan);
      const layout = ids(columns);
      const cost = estimate(startup, total, builder.estimator.rows(scan), builder.estimator.width(columns));
      return {
        plan: {
          kind: "bitmap-scan",
          target: scanTarget(scan),
          bitmap: indexBitmap(builder, match, layout),
          filter: builder.condition(match.remaining, layout),
          ...builder.base(columns, cost),
        },
        layout,
      };
    },
  };
}

export function indexBitmap(builder: Builder, match: IndexMatch, layout: readonly number[]): BitmapSource {
  builder.dependOn(match.index);
  return {
    kind: "index",
    index: match.index,
    condition: resolveCondition(builder, match.condition),
    conditionText: builder.resolveAll(match.matched, layout),
  };
}

/** Bounds read nothing of the scanned row, so they resolve over an empty one: columns become outer parameters. */
function resolveCondition(builder: Builder, condition: IndexCondition): IndexCondition {
  const bound = (side: IndexCondition["low"]): IndexCondition["low"] =>
    side === undefined ? undefined : { ...side, value: builder.resolve(side.value, []) };
  return {
    equal: builder.resolveAll(condition.equal, []),
    low: bound(condition.low),
    high: bound(condition.high),
    anyOf: condition.anyOf === undefined ? undefined : builder.resolve(condition.anyOf, []),
    nullTest: condition.nullTest,
  };
}

/** The conditions that reading by the index answers. */
export function answered(match: IndexMatch): readonly BoundExpression[] {
  return [...match.matched, ...match.implied];
}

/** Usable btree matches of a scan, for bitmaps under a search. */
export function indexMatches(builder: Builder, scan: LogicalScan): readonly IndexMatch[] {
  return usableIndexes(builder.planner, scan)
    .filter(({ index }) => index.method === "btree")
    .map((usable) => matchIndex(builder.planner, scan, usable))
    .filter((match) => answered(match).length > 0);
}

/** A computed relation of pg_catalog: one equality may be a look-up; the whole filter is applied again. */
export function buildVirtualScan(
  builder: Builder,
  plan: Extract<LogicalPlan, { kind: "virtual-scan" }>,
): Built {
  const layout = ids(plan.columns);
  const own = new Set(layout);
  let equal: { readonly column: string; readonly value: BoundExpression } | undefined;
  for (const condition of plan.filter) {
    if (
      equal !== undefined ||
      condition.kind !== "call" ||
      condition.operator !== "=" ||
      condition.args.length !== 2
    )
      continue;
    const [left, right] = condition.args as [BoundExpression, BoundExpression];
    const isLeft = isLookup(plan, left);
    const key = stripRelabel(isLeft ? left : right);
    const value = isLeft ? right : left;
    if (
      !(isLeft || isLookup(plan, right)) ||
      key.kind !== "column" ||
      [...columnsIn(value)].some((id) => own.has(id))
    )
      continue;
    const column = plan.columns.find((candidate) => candidate.id === key.index);
    const name = column === undefined ? undefined : plan.relation.columns[column.attnum - 1]?.name;
    if (name !== undefined) equal = { column: name, value: builder.resolve(value, []) };
  }
  const rows = builder.estimator.rows(plan);
  const scanned = equal === undefined ? DEFAULT_ROWS.virtual : 5;
  const cost = estimate(
    0,
    scanned * (Cost.cpuTuple + conditionCost(plan.filter)),
    rows,
    builder.estimator.width(plan.columns),
  );
  return {
    plan: {
      kind: "virtual-scan",
      relation: plan.relation,
      alias: plan.alias,
      columns: plan.columns.map((column) => column.attnum - 1),
      equal,
      filter: builder.condition(plan.filter, layout),
      ...builder.base(plan.columns, cost),
    },
    layout,
  };
}

function isLookup(plan: Extract<LogicalPlan, { kind: "virtual-scan" }>, e: BoundExpression): boolean {
  const key = stripRelabel(e);
  if (key.kind !== "column") return false;
  const column = plan.columns.find((candidate) => candidate.id === key.index);
  const name = column === undefined ? undefined : plan.relation.columns[column.attnum - 1]?.name;
  return name !== undefined && plan.relation.lookups.includes(name);
}
