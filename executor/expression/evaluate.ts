// The compiled form of an expression: a function from a Batch to a Vector of the same length. Closures hold no state of one
// execution (plans and their compiled expressions are shared by interleaved statements); what varies comes in `context`.
import type { Batch, Vector } from "../../common/batch/vector.ts";
import type { BoundExpression } from "../../planner/logical/expression.ts";
import type { ExecutionContext } from "../context.ts";
import type { MaybePromise } from "../maybe-promise.ts";

export type Evaluate = (batch: Batch, context: ExecutionContext) => MaybePromise<Vector>;

/** How parts of the compiler reach the whole. */
export type Compile = (expression: BoundExpression) => Evaluate;

/** All of `evaluators` over one batch, in order. */
export function evaluateAll(
  evaluators: readonly Evaluate[],
  batch: Batch,
  context: ExecutionContext,
): MaybePromise<Vector[]> {
  const values: Vector[] = [];
  for (let i = 0; i < evaluators.length; i++) {
    const value = (evaluators[i] as Evaluate)(batch, context);
    if (value instanceof Promise) return evaluateOn(evaluators, batch, context, values, value);
    values.push(value);
  }
  return values;
}

async function evaluateOn(
  evaluators: readonly Evaluate[],
  batch: Batch,
  context: ExecutionContext,
  values: Vector[],
  pending: Promise<Vector>,
): Promise<Vector[]> {
  values.push(await pending);
  while (values.length < evaluators.length)
    values.push(await (evaluators[values.length] as Evaluate)(batch, context));
  return values;
}
