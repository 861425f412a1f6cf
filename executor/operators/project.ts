// Computes the expressions of a select list, one column each.
import type { Batch } from "../../common/batch/vector.ts";
import type { ProjectPlan } from "../../planner/physical/plan.ts";
import type { ExecutionContext } from "../context.ts";
import { compileAll } from "../expression/compile.ts";
import { type Evaluate, evaluateAll } from "../expression/evaluate.ts";
import { chain, type MaybePromise } from "../maybe-promise.ts";
import type { Operator } from "./operator.ts";

export class ProjectOperator implements Operator {
  readonly #input: Operator;
  readonly #expressions: readonly Evaluate[];
  readonly #context: ExecutionContext;

  constructor(plan: ProjectPlan, input: Operator, context: ExecutionContext) {
    this.#input = input;
    this.#expressions = compileAll(plan.expressions);
    this.#context = context;
  }

  open(): MaybePromise<void> {
    return this.#input.open();
  }

  next(): MaybePromise<Batch | undefined> {
    return chain(this.#input.next(), (batch) => {
      if (batch === undefined) return undefined;
      return chain(evaluateAll(this.#expressions, batch, this.#context), (columns) => ({
        columns,
        rowCount: batch.rowCount,
      }));
    });
  }

  close(): void {
    this.#input.close();
  }
}
