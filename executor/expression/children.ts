// The sub-expressions of an expression that see the same input row.
import { unreachable } from "../../common/assert.ts";
import type { BoundExpression } from "../../planner/logical/expression.ts";

/**
 * Direct sub-expressions over the same row. Left out on purpose: an array cast's `element` and a subquery's `test`, which
 * see rows of their own, and plans.
 */
export function childrenOf(expression: BoundExpression): readonly BoundExpression[] {
  switch (expression.kind) {
    case "constant":
    case "parameter":
    case "column":
    case "outer":
      return [];
    case "call":
    case "and":
    case "or":
    case "coalesce":
    case "greatest":
    case "least":
      return expression.args;
    case "relabel":
    case "io-cast":
    case "array-cast":
    case "not":
    case "is-null":
    case "is-not-null":
    case "boolean-test":
    case "field":
      return [expression.input];
    case "distinct":
    case "nullif":
    case "scalar-array":
      return [expression.left, expression.right];
    case "case":
      return [
        ...expression.whens.flatMap((when) => [when.condition, when.result]),
        ...(expression.otherwise === undefined ? [] : [expression.otherwise]),
      ];
    case "array":
      return expression.elements;
    case "row":
      return expression.fields;
    case "subscript":
      return [
        expression.input,
        ...expression.subscripts.flatMap((s) => [s.lower, s.upper].filter((bound) => bound !== undefined)),
      ];
    case "row-compare":
      return [...expression.left, ...expression.right];
    case "subquery":
      return [...expression.testArgs, ...expression.bindings.map((binding) => binding.value)];
    case "text-score":
      return [expression.text, expression.query];
    case "hybrid-rrf":
      return [
        ...expression.branches,
        ...[expression.weights, expression.k, expression.candidates].filter((part) => part !== undefined),
      ];
    default:
      return unreachable(expression);
  }
}
