// Drops columns nobody reads, from the top down: narrower scans are what a column store gains most from. The statement's own
// output stays complete; so do the inputs of nodes that match columns by position.
import type { BoundExpression } from "../../logical/expression.ts";
import {
  columnsIn,
  freeColumns,
  mapInputs,
  mapNodeExpressions,
  mapSubplans,
  nodeExpressions,
} from "../../logical/map.ts";
import { outputColumns, type LogicalPlan, type LogicalScan } from "../../logical/plan.ts";
import type { Rule } from "../rule.ts";

export const pruneColumns: Rule = { name: "PruneColumns", apply: (plan) => pruneAll(plan) };

function pruneAll(plan: LogicalPlan): LogicalPlan {
  return prune(plan, new Set(outputColumns(plan).map((column) => column.id)));
}

function prune(written: LogicalPlan, needed: ReadonlySet<number>): LogicalPlan {
  const plan = mapNodeExpressions(written, (e) => mapSubplans(e, pruneAll));
  switch (plan.kind) {
    case "scan":
      return pruneScan(plan, needed);
    case "virtual-scan": {
      const used = withColumns(needed, plan.filter);
      return { ...plan, columns: plan.columns.filter((column) => used.has(column.id)) };
    }
    case "search":
    case "hybrid":
      return { ...plan, scan: pruneScan(plan.scan, needed) };
    case "project": {
      const items = plan.items.filter((item) => needed.has(item.column.id));
      return {
        ...plan,
        items,
        input: prune(
          plan.input,
          withColumns(
            new Set(),
            items.map((item) => item.expression),
          ),
        ),
      };
    }
    case "aggregate": {
      const aggregates = plan.aggregates.filter((aggregate) => needed.has(aggregate.column.id));
      const kept = { ...plan, aggregates };
      return { ...kept, input: prune(plan.input, withColumns(new Set(), nodeExpressions(kept))) };
    }
    case "filter":
    case "project-set":
    case "sort":
    case "limit":
      return { ...plan, input: prune(plan.input, withColumns(needed, nodeExpressions(plan))) };
    case "lock-rows": {
      const used = withColumns(needed, nodeExpressions(plan));
      for (const mark of plan.marks) used.add(mark.rid.id);
      return { ...plan, input: prune(plan.input, used) };
    }
    case "distinct":
      // Plain DISTINCT compares every column it has.
      return {
        ...plan,
        input: plan.on === undefined ? pruneAll(plan.input) : prune(plan.input, withColumns(needed, plan.on)),
      };
    case "with":
      return {
        ...plan,
        ctes: plan.ctes.map((cte) => ({ ...cte, plan: pruneAll(cte.plan) })),
        input: prune(plan.input, needed),
      };
    case "join": {
      const used = withColumns(needed, plan.conditions);
      const lateral = new Set([...used, ...freeColumns(plan.right)]);
      return { ...plan, left: prune(plan.left, lateral), right: prune(plan.right, used) };
    }
    case "update":
    case "delete": {
      const used = withColumns(new Set([plan.rid.id]), nodeExpressions(plan));
      // UPDATE writes whole rows, RETURNING may read them: the old values come along.
      if (plan.kind === "update" || plan.returning !== undefined)
        for (const column of plan.targetColumns) used.add(column.id);
      return { ...plan, input: prune(plan.input, used) };
    }
    default:
      return mapInputs(plan, pruneAll);
  }
}

function pruneScan(scan: LogicalScan, needed: ReadonlySet<number>): LogicalScan {
  const used = withColumns(needed, scan.filter);
  return {
    ...scan,
    columns: scan.columns.filter((column) => used.has(column.id)),
    rid: scan.rid !== undefined && used.has(scan.rid.id) ? scan.rid : undefined,
  };
}

function withColumns(needed: ReadonlySet<number>, expressions: readonly BoundExpression[]): Set<number> {
  const used = new Set(needed);
  for (const e of expressions) columnsIn(e, used);
  return used;
}
