// Which input columns an expression reads. Lazy arguments (AND, OR, CASE ...) run on some rows of a batch only, and
// gathering columns nobody reads would cost more than the expression.
import type { BoundExpression } from "../../planner/logical/expression.ts";
import { childrenOf } from "../../planner/logical/walk.ts";

/** Column positions read by `expression`, ascending, without repeats. */
export function columnsUsed(expression: BoundExpression): readonly number[] {
  const found = new Set<number>();
  const walk = (node: BoundExpression): void => {
    if (node.kind === "column") found.add(node.index);
    for (const child of childrenOf(node)) walk(child);
  };
  walk(expression);
  return [...found].sort((a, b) => a - b);
}
