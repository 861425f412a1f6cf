// (a AND b) OR (a AND c) becomes a AND (b OR c): what all arms of an OR demand is a condition of its own, which can join two
// tables, go down into a scan or find an index. An arm with nothing left makes the rest superfluous: a OR (a AND b) is a.
// The law holds with NULLs too. Only conditions are rewritten: elsewhere there is nothing to gain.
import type { BoundExpression } from "../../logical/expression.ts";
import { mapPlan } from "../../logical/map.ts";
import type { LogicalPlan } from "../../logical/plan.ts";
import { conjuncts, isVolatile, mapList, sameExpression } from "../../logical/walk.ts";
import type { Rule } from "../rule.ts";

export const factorOrs: Rule = {
  name: "FactorOrs",
  apply: (plan) =>
    mapPlan(plan, (node): LogicalPlan => {
      if (node.kind !== "filter" && node.kind !== "join") return node;
      const conditions = mapList(node.conditions, factor);
      return conditions === node.conditions ? node : { ...node, conditions };
    }),
};

/** Follows ANDs and ORs down; anything else stays as it is. */
function factor(e: BoundExpression): BoundExpression {
  if (e.kind !== "and" && e.kind !== "or") return e;
  const args = mapList(e.args, factor);
  const inner = args === e.args ? e : { ...e, args };
  return e.kind === "or" ? factorOr(inner) : inner;
}

function factorOr(e: Extract<BoundExpression, { kind: "and" | "or" }>): BoundExpression {
  const arms = e.args.map(conjuncts);
  const [first = [], ...others] = arms;
  const common = first.filter(
    (condition) => !isVolatile(condition) && others.every((arm) => holds(arm, condition)),
  );
  if (common.length === 0) return e;
  const rests = arms.map((arm) => arm.filter((condition) => !holds(common, condition)));
  const and = (args: readonly BoundExpression[]): BoundExpression =>
    args.length === 1 && args[0] !== undefined ? args[0] : { ...e, kind: "and", args };
  if (rests.some((rest) => rest.length === 0)) return and(common);
  return and([...common, { ...e, args: rests.map(and) }]);
}

function holds(list: readonly BoundExpression[], condition: BoundExpression): boolean {
  return list.some((item) => sameExpression(item, condition));
}
