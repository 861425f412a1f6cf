// Moves Limit below Project, so that Limit meets the Sort under it and SearchPatterns sees "the k nearest" as one pattern.
// Holds only while Project gives exactly one row per row and its expressions may skip rows: not with volatile ones.
import { isVolatile, returnsSet } from "../../logical/walk.ts";
import { mapPlan } from "../../logical/map.ts";
import type { LogicalPlan } from "../../logical/plan.ts";
import type { Rule } from "../rule.ts";

export const limitThroughProject: Rule = {
  name: "LimitThroughProject",
  apply: (plan) =>
    mapPlan(plan, (node): LogicalPlan => {
      if (node.kind !== "limit" || node.input.kind !== "project" || node.withTies !== undefined) return node;
      const project = node.input;
      if (project.input.kind !== "sort") return node;
      if (project.items.some((item) => returnsSet(item.expression) || isVolatile(item.expression)))
        return node;
      return { ...project, input: { ...node, input: project.input } };
    }),
};
