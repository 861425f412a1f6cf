// min(x) or max(x) alone over one table with a btree index that starts with x: the aggregate needs only the first row in that
// order that is not NULL.
//
//   Aggregate max(x)          Aggregate max(x)
//     Scan              ->      Limit 1
//                                 Sort x DESC
//                                   Scan ... where x IS NOT NULL
import { Oid } from "../../../common/types/oid.ts";
import type { AggregateCall, BoundExpression } from "../../logical/expression.ts";
import { mapPlan } from "../../logical/map.ts";
import type { LogicalAggregate, LogicalPlan, LogicalScan } from "../../logical/plan.ts";
import { usableIndexes } from "../../index-keys.ts";
import type { Rule, RuleContext } from "../rule.ts";

export const minMaxIndex: Rule = {
  name: "MinMaxIndex",
  apply: (plan, context) =>
    mapPlan(plan, (node) => (node.kind === "aggregate" ? firstRow(node, context) : node)),
};

function firstRow(node: LogicalAggregate, context: RuleContext): LogicalPlan {
  const { input } = node;
  const call = node.aggregates[0]?.call;
  if (input.kind !== "scan" || node.keys.length > 0 || node.aggregates.length !== 1 || call === undefined)
    return node;
  const column = aggregatedColumn(call, input, context);
  if (column === undefined) return node;
  const notNull: BoundExpression = {
    kind: "is-not-null",
    input: column,
    type: { oid: Oid.bool, typmod: -1 },
    collation: 0,
    position: 0,
  };
  const descending = call.function.name === "max";
  const count: BoundExpression = {
    kind: "constant",
    value: 1,
    type: { oid: Oid.int8, typmod: -1 },
    collation: 0,
    position: 0,
  };
  const filtered: LogicalScan = { ...input, filter: [...input.filter, notNull] };
  const sorted: LogicalPlan = {
    kind: "sort",
    input: filtered,
    // The NULLs are gone; this null order is the one a plain index has when read in that direction.
    keys: [{ expression: column, descending, nullsFirst: descending }],
  };
  return { ...node, input: { kind: "limit", input: sorted, count, skip: undefined, withTies: undefined } };
}

/** The plain column that min or max reads, if an index starts with it. */
function aggregatedColumn(
  call: AggregateCall,
  scan: LogicalScan,
  context: RuleContext,
): BoundExpression | undefined {
  const isMinMax =
    call.function.source.startsWith("agg:") && (call.function.name === "min" || call.function.name === "max");
  const column = call.args[0];
  if (!isMinMax || call.filter !== undefined || call.orderBy.length > 0 || column?.kind !== "column")
    return undefined;
  const attnum = scan.columns.find((candidate) => candidate.id === column.index)?.attnum;
  const hasIndex = usableIndexes(context.planner, scan).some(
    ({ index }) => index.method === "btree" && index.columns[0]?.attnum === attnum,
  );
  return hasIndex && context.planner.settings.enableIndexscan ? column : undefined;
}
