// A left join becomes an inner join where a condition above it fails for the NULLs it would add: the added rows would be thrown
// away. Full joins lose the sides that such conditions throw away. Run between two passes of PushDown, so that conditions
// lie directly on the join.
import type { BoundExpression } from "../../logical/expression.ts";
import { mapPlan, producedIds } from "../../logical/map.ts";
import type { LogicalJoin, LogicalPlan } from "../../logical/plan.ts";
import type { Rule } from "../rule.ts";

export const simplifyOuterJoins: Rule = {
  name: "SimplifyOuterJoins",
  apply: (plan) =>
    mapPlan(plan, (node): LogicalPlan => {
      if (node.kind !== "filter" || node.input.kind !== "join") return node;
      const join = simplify(node.input, node.conditions);
      return join === node.input ? node : { ...node, input: join };
    }),
};

function simplify(join: LogicalJoin, conditions: readonly BoundExpression[]): LogicalJoin {
  const rejects = (side: LogicalPlan): boolean => {
    const ids = producedIds(side);
    return conditions.some((e) => rejectsNulls(e, ids));
  };
  if (join.joinType === "left") return rejects(join.right) ? { ...join, joinType: "inner" } : join;
  if (join.joinType !== "full") return join;
  const needsLeft = rejects(join.left);
  const needsRight = rejects(join.right);
  if (needsLeft && needsRight) return { ...join, joinType: "inner" };
  if (needsLeft) return { ...join, joinType: "left" };
  return needsRight ? { ...join, joinType: "left", left: join.right, right: join.left } : join;
}

/** Certainly not true when all these columns are NULL. */
function rejectsNulls(e: BoundExpression, ids: ReadonlySet<number>): boolean {
  switch (e.kind) {
    case "and":
      return e.args.some((arg) => rejectsNulls(arg, ids));
    case "or":
      return e.args.every((arg) => rejectsNulls(arg, ids));
    case "is-not-null":
      return isNullWith(e.input, ids);
    case "boolean-test":
      return (
        (e.test === "is-true" || e.test === "is-false" || e.test === "is-not-unknown") &&
        isNullWith(e.input, ids)
      );
    default:
      return isNullWith(e, ids);
  }
}

/** Certainly NULL when all these columns are NULL. */
function isNullWith(e: BoundExpression, ids: ReadonlySet<number>): boolean {
  switch (e.kind) {
    case "column":
      return ids.has(e.index);
    case "call":
      return e.function.isStrict && e.args.some((arg) => isNullWith(arg, ids));
    case "relabel":
    case "io-cast":
    case "array-cast":
    case "not":
      return isNullWith(e.input, ids);
    case "scalar-array":
      return e.function.isStrict && isNullWith(e.left, ids);
    default:
      return false;
  }
}
