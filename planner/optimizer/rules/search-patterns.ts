// ORDER BY distance / text score / hybrid_rrf + LIMIT over one table becomes a search node:
//
//   Limit                     Limit
//     Sort (d ASC)      ->      Project   (d replaced by the score the search gives)
//       Project                   Search   (scan, predicate, branch, limit)
//         Scan
//
// The answer stays that of the sort (the executor goes on with unmatched rows, NaN, NULLs last, ties by row id), so the
// direction and the null order must be those: DESC, NULLS FIRST, a second sort key, no LIMIT, another operator class or a
// query that depends on the row keep the sort. With enable_indexscan = off or omendb.exact the sort stays too, except
// for hybrid_rrf, which only this node can compute.
import { notSupported } from "../../../common/error.ts";
import { quoteIdentifier } from "../../../common/identifier.ts";
import { Oid } from "../../../common/types/oid.ts";
import { type IndexColumn, type IndexEntry, storedAttnum } from "../../../catalog/entries.ts";
import type { SearchBranch, VectorBranch } from "../../physical/plan.ts";
import type { BoundExpression, CallExpression, HybridExpression } from "../../logical/expression.ts";
import { columnsIn, mapPlan, nodeExpressions, substituteColumns } from "../../logical/map.ts";
import type { LogicalColumn, LogicalPlan, LogicalProject, LogicalScan } from "../../logical/plan.ts";
import { isVolatile, mapChildren, sameExpression, someExpression } from "../../logical/walk.ts";
import { indexKeys, usableIndexes } from "../../index-keys.ts";
import type { Rule, RuleContext } from "../rule.ts";

export const searchPatterns: Rule = {
  name: "SearchPatterns",
  apply: (plan, context) => {
    const searched = mapPlan(plan, (node) => (node.kind === "limit" ? matchLimit(node, context) : node));
    rejectStrayHybrid(searched);
    return searched;
  },
};

function matchLimit(limit: Extract<LogicalPlan, { kind: "limit" }>, context: RuleContext): LogicalPlan {
  const sort = limit.input;
  if (sort.kind !== "sort" || limit.count === undefined || limit.withTies !== undefined) return limit;
  const key = sort.keys[0];
  if (key === undefined || sort.keys.length !== 1 || key.descending || key.nullsFirst) return limit;
  const projects: LogicalProject[] = [];
  let below = sort.input;
  let expression = key.expression;
  while (below.kind === "project") {
    const items = new Map(below.items.map((item) => [item.column.id, item.expression]));
    expression = substituteColumns(expression, items);
    projects.push(below);
    below = below.input;
  }
  if (below.kind !== "scan") return limit;
  const score = context.newColumn("score", { oid: Oid.float8, typmod: -1 }, 0);
  const search = makeSearch(below, expression, limit, score, context);
  if (search === undefined) return limit;
  return { ...limit, input: projectsOver(projects, search, expression, score) };
}

function makeSearch(
  scan: LogicalScan,
  e: BoundExpression,
  limit: Extract<LogicalPlan, { kind: "limit" }>,
  score: LogicalColumn,
  context: RuleContext,
): LogicalPlan | undefined {
  const { count, skip } = limit;
  if (count === undefined) return undefined;
  if (e.kind === "hybrid-rrf") {
    const branches = e.branches.map((branch) => branchOf(scan, branch, context));
    if (branches.some((branch) => branch === undefined)) {
      throw notSupported(
        "a branch of hybrid_rrf that is not a distance or text score of one column of the table to one query value",
        e.position,
      );
    }
    return {
      kind: "hybrid",
      scan,
      branches: branches.filter((branch) => branch !== undefined),
      weights: e.weights,
      k: e.k,
      candidates: e.candidates,
      count,
      skip,
      score,
    };
  }
  const { settings } = context.planner;
  if (!settings.enableIndexscan || settings.exact) return undefined;
  const branch = branchOf(scan, e, context);
  // Without an index a search would be a full scan and a heap, which is what the sort is.
  const hasIndex = branch?.kind === "text" ? branch.isUsable : branch?.index !== undefined;
  return branch === undefined || !hasIndex ? undefined : { kind: "search", scan, branch, count, skip, score };
}

function branchOf(scan: LogicalScan, e: BoundExpression, context: RuleContext): SearchBranch | undefined {
  if (e.kind === "text-score") {
    const column = scanColumn(scan, e.text);
    const index = context.planner.catalog.entry("index", e.indexOid);
    const key = index?.kind === "index" ? index.columns[0] : undefined;
    if (column === undefined || index?.kind !== "index" || key === undefined || !isFixed(scan, e.query))
      return undefined;
    const isUsable = usableIndexes(context.planner, scan).some((usable) => usable.index.oid === index.oid);
    return {
      kind: "text",
      index,
      isUsable,
      attnum: isUsable ? storedAttnum(key) : column.attnum,
      query: e.query,
      columnName: quoteIdentifier(column.name),
    };
  }
  return e.kind === "call" ? vectorBranch(scan, e, context) : undefined;
}

const METRICS: Readonly<Record<string, VectorBranch["metric"]>> = {
  "<->": "l2",
  "<#>": "ip",
  "<=>": "cosine",
  "<+>": "l1",
  "<~>": "hamming",
  "<%>": "jaccard",
};

/** Other types have operators of these names. */
const VECTOR_TYPES: ReadonlySet<number> = new Set([Oid.vector, Oid.halfvec, Oid.sparsevec, Oid.bit]);

/** A distance between a column (or an indexed expression) and one value for the whole scan; undefined = something else. */
export function vectorBranch(
  scan: LogicalScan,
  e: CallExpression,
  context: RuleContext,
): VectorBranch | undefined {
  const metric = e.operator === undefined ? undefined : METRICS[e.operator];
  const [a, b] = e.args;
  if (metric === undefined || e.operator === undefined || a === undefined || b === undefined)
    return undefined;
  if (a.type.oid !== b.type.oid || !VECTOR_TYPES.has(a.type.oid)) return undefined;
  const isLeft = isFixed(scan, b);
  const [searched, query] = isLeft ? [a, b] : [b, a];
  if (!isLeft && !isFixed(scan, query)) return undefined;
  const found = vectorIndex(scan, searched, e, context);
  const column = scanColumn(scan, searched);
  const attnum = found === undefined ? column?.attnum : storedAttnum(found.key);
  if (attnum === undefined) return undefined;
  return {
    kind: "vector",
    index: found?.index,
    attnum,
    metric,
    function: e.function,
    query,
    operator: e.operator,
    columnName: found?.key.expression?.text ?? quoteIdentifier(column?.name ?? ""),
  };
}

interface VectorIndex {
  readonly index: IndexEntry;
  readonly key: IndexColumn;
}

/** An hnsw index on what is searched whose operator class orders by this very function. */
function vectorIndex(
  scan: LogicalScan,
  searched: BoundExpression,
  e: CallExpression,
  context: RuleContext,
): VectorIndex | undefined {
  const { catalog, settings } = context.planner;
  if (!settings.enableIndexscan || settings.exact) return undefined;
  for (const { index } of usableIndexes(context.planner, scan)) {
    const key = index.columns[0];
    if ((index.method !== "hnsw" && index.method !== "ivfflat") || key === undefined) continue;
    const operator = catalog.operatorClassByOid(key.opclass)?.operators.get(1);
    if (operator === undefined || catalog.operatorByOid(operator)?.functionOid !== e.function.oid) continue;
    const computed = indexKeys(context.planner, scan, index)[0];
    const bare = searched.kind === "relabel" ? searched.input : searched;
    if (sameExpression(computed, searched) || sameExpression(computed, bare)) return { index, key };
  }
  return undefined;
}

function scanColumn(scan: LogicalScan, e: BoundExpression): LogicalColumn | undefined {
  const inner = e.kind === "relabel" ? e.input : e;
  return inner.kind === "column" ? scan.columns.find((column) => column.id === inner.index) : undefined;
}

/** The same value for the whole scan. */
function isFixed(scan: LogicalScan, e: BoundExpression): boolean {
  const own = new Set(scan.columns.map((column) => column.id));
  return !isVolatile(e) && ![...columnsIn(e)].some((id) => own.has(id));
}

/** The projections again, reading the score where they computed it. */
function projectsOver(
  projects: readonly LogicalProject[],
  search: LogicalPlan,
  e: BoundExpression,
  score: LogicalColumn,
): LogicalPlan {
  const read: BoundExpression = {
    kind: "column",
    index: score.id,
    name: "score",
    type: score.type,
    collation: 0,
    position: e.position,
  };
  const replace = (x: BoundExpression): BoundExpression =>
    sameExpression(x, e) ? read : mapChildren(x, replace);
  return projects.reduceRight<LogicalPlan>((input, project, i) => {
    // Only the innermost projection sees the table's columns, in which the expression is written.
    const items =
      i === projects.length - 1
        ? project.items.map((item) => ({ ...item, expression: replace(item.expression) }))
        : project.items;
    return { ...project, items, input };
  }, search);
}

function rejectStrayHybrid(plan: LogicalPlan): void {
  mapPlan(plan, (node) => {
    for (const e of nodeExpressions(node)) {
      if (someExpression(e, (inner) => inner.kind === "hybrid-rrf")) throw strayHybrid(e);
    }
    return node;
  });
}

function strayHybrid(e: BoundExpression): Error {
  let found: HybridExpression | undefined;
  someExpression(e, (inner) => {
    if (inner.kind === "hybrid-rrf") found = inner;
    return found !== undefined;
  });
  return notSupported("hybrid_rrf outside ORDER BY hybrid_rrf(...) LIMIT n over one table", found?.position);
}
