// One row without columns (SELECT without FROM), or none when a one-time condition is not true.
import type { Batch } from "../../common/batch/vector.ts";
import type { ResultPlan } from "../../planner/physical/plan.ts";
import type { ExecutionContext } from "../context.ts";
import { evaluateScalar } from "../expression/compile.ts";
import { chain, type MaybePromise } from "../maybe-promise.ts";
import type { Operator } from "./operator.ts";

export class ResultOperator implements Operator {
  readonly #plan: ResultPlan;
  readonly #context: ExecutionContext;
  #isDone = false;

  constructor(plan: ResultPlan, context: ExecutionContext) {
    this.#plan = plan;
    this.#context = context;
  }

  open(): MaybePromise<void> {
    this.#context.look();
    if (this.#plan.condition === undefined) return;
    return chain(evaluateScalar(this.#plan.condition, this.#context), (holds) => {
      this.#isDone = holds !== true;
    });
  }

  next(): Batch | undefined {
    if (this.#isDone) return undefined;
    this.#isDone = true;
    return { columns: [], rowCount: 1 };
  }

  close(): void {}
}
