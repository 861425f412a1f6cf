// A WITH query that is read once becomes part of the plan that reads it, so that conditions and limits reach into it; one that
// nobody reads and that writes nothing goes. MATERIALIZED, data-modifying, recursive and volatile ones stay apart.
import { inputsOf, isVolatilePlan, mapPlan, nodeExpressions } from "../../logical/map.ts";
import { childrenOf } from "../../logical/walk.ts";
import { outputColumns, type LogicalCte, type LogicalPlan, type ProjectItem } from "../../logical/plan.ts";
import type { BoundExpression } from "../../logical/expression.ts";
import type { Rule } from "../rule.ts";

export const inlineCtes: Rule = {
  name: "InlineCtes",
  apply: (plan) => mapPlan(plan, (node) => (node.kind === "with" ? inline(node) : node)),
};

function inline(node: Extract<LogicalPlan, { kind: "with" }>): LogicalPlan {
  let result: LogicalPlan = node;
  // From the last to the first: an inlined query may be what makes an earlier one be read once.
  for (const cte of [...node.ctes].reverse()) {
    if (result.kind !== "with") break;
    const references = countReferences(result, cte.id);
    if (
      cte.modifies ||
      (references > 0 &&
        (cte.isMaterialized || references > 1 || isVolatilePlan(cte.plan) || locksRows(cte.plan)))
    )
      continue;
    const rest: readonly LogicalCte[] = result.ctes.filter((other) => other.id !== cte.id);
    const replace = (inner: LogicalPlan): LogicalPlan =>
      mapPlan(inner, (scan) =>
        scan.kind === "cte-scan" && scan.cteId === cte.id ? instead(cte, scan) : scan,
      );
    const input: LogicalPlan = references === 0 ? result.input : replace(result.input);
    const ctes = references === 0 ? rest : rest.map((other) => ({ ...other, plan: replace(other.plan) }));
    result = ctes.length === 0 ? input : { kind: "with", ctes, input };
  }
  return result;
}

/** SELECT ... FOR UPDATE locks what it was written over, whatever the query around it asks for. */
function locksRows(plan: LogicalPlan): boolean {
  return plan.kind === "lock-rows" || inputsOf(plan).some(locksRows);
}

function instead(cte: LogicalCte, scan: Extract<LogicalPlan, { kind: "cte-scan" }>): LogicalPlan {
  const produced = outputColumns(cte.plan);
  const items = scan.columns.map((column, i): ProjectItem => {
    const source = produced[i] as (typeof produced)[number];
    return {
      column,
      expression: {
        kind: "column",
        index: source.id,
        name: source.name,
        type: source.type,
        collation: source.collation,
        position: 0,
      },
    };
  });
  return { kind: "project", input: cte.plan, items };
}

function countReferences(plan: LogicalPlan, id: number): number {
  let count = plan.kind === "cte-scan" && plan.cteId === id ? 1 : 0;
  for (const input of inputsOf(plan)) count += countReferences(input, id);
  for (const e of nodeExpressions(plan)) count += countInExpression(e, id);
  return count;
}

function countInExpression(e: BoundExpression, id: number): number {
  let count = e.kind === "subquery" && e.logical !== undefined ? countReferences(e.logical, id) : 0;
  for (const child of childrenOf(e)) count += countInExpression(child, id);
  return count;
}
