// SET enable_seqscan = off, and ORDER BY distance without LIMIT over a column with an index for it: the rows that the index has
// and no others. A vector index has no entry for a NULL and, under cosine distance, none for a zero vector; pgvector answers
// such a query by walking its index, so these rows are missing there, and programs that turn sequential scans off ask for
// that answer. At the default setting the answer is that of the sort, whatever indexes there are.
//
//   Sort (d ASC)           Sort (d ASC)
//     Scan          ->       Scan  filter: v IS NOT NULL, or distance(v, v) < NaN under cosine distance
//
// It runs behind SearchPatterns, which has taken the sorts with a LIMIT; those return as many rows as there are, always.
import { Oid } from "../../../common/types/oid.ts";
import type { BoundExpression, CallExpression } from "../../logical/expression.ts";
import { mapPlan, substituteColumns } from "../../logical/map.ts";
import type { LogicalPlan, LogicalScan, LogicalSort } from "../../logical/plan.ts";
import type { Rule, RuleContext } from "../rule.ts";
import { vectorBranch } from "./search-patterns.ts";

/** float8's `<`. */
const FLOAT8_LESS = 295;
const BOOL = { oid: Oid.bool, typmod: -1 };

export const indexOnlyOrder: Rule = {
  name: "IndexOnlyOrder",
  apply: (plan, context) => {
    if (context.planner.settings.enableSeqscan) return plan;
    return mapPlan(plan, (node) => (node.kind === "sort" ? restrictSort(node, context) : node));
  },
};

function restrictSort(sort: LogicalSort, context: RuleContext): LogicalPlan {
  const key = sort.keys[0];
  if (key === undefined || sort.keys.length !== 1 || key.descending || key.nullsFirst) return sort;
  const input = restrict(sort.input, key.expression, context);
  return input === undefined ? sort : { ...sort, input };
}

/** `plan` with the condition on its scan; undefined = not a table with an index for the distance. */
function restrict(plan: LogicalPlan, e: BoundExpression, context: RuleContext): LogicalPlan | undefined {
  if (plan.kind === "project") {
    const items = new Map(plan.items.map((item) => [item.column.id, item.expression]));
    const input = restrict(plan.input, substituteColumns(e, items), context);
    return input === undefined ? undefined : { ...plan, input };
  }
  if (plan.kind !== "scan" || e.kind !== "call") return undefined;
  const condition = hasEntry(plan, e, context);
  return condition === undefined ? undefined : { ...plan, filter: [...plan.filter, condition] };
}

/** Whether a row has an entry in the index that answers `distance`. */
function hasEntry(
  scan: LogicalScan,
  distance: CallExpression,
  context: RuleContext,
): BoundExpression | undefined {
  const branch = vectorBranch(scan, distance, context);
  if (branch?.index === undefined) return undefined;
  const searched = distance.args.find((arg) => arg !== branch.query);
  if (searched === undefined) return undefined;
  const { position } = distance;
  if (branch.metric !== "cosine") {
    return { kind: "is-not-null", input: searched, type: BOOL, collation: 0, position };
  }
  const less = context.planner.catalog.functionByOid(FLOAT8_LESS);
  if (less === undefined) return undefined;
  const own: CallExpression = { ...distance, args: [searched, searched] };
  const nan: BoundExpression = { ...typed(distance), kind: "constant", value: Number.NaN };
  return {
    kind: "call",
    function: less,
    args: [own, nan],
    operator: "<",
    cast: undefined,
    type: BOOL,
    collation: 0,
    position,
  };
}

function typed(e: BoundExpression): Pick<BoundExpression, "type" | "collation" | "position"> {
  return { type: e.type, collation: e.collation, position: e.position };
}
