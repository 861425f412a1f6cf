// Runs foldExpression over every expression of a plan.
import { mapNodeExpressions, mapPlan } from "../../logical/map.ts";
import { foldExpression } from "../fold.ts";
import type { Rule } from "../rule.ts";

export const foldConstants: Rule = {
  name: "FoldConstants",
  apply: (plan, { planner }) => {
    const context = { functions: planner.functionContext, types: planner.catalog };
    return mapPlan(plan, (node) => mapNodeExpressions(node, (e) => foldExpression(e, context)));
  },
};
