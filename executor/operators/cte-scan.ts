// Reads the rows of a CTE (kept by With) or of a recursive union's working table.
import { must } from "../../common/assert.ts";
import type { Batch } from "../../common/batch/vector.ts";
import type { CteScanPlan } from "../../planner/physical/plan.ts";
import type { CteSource, ExecutionContext } from "../context.ts";
import { chain, type MaybePromise } from "../maybe-promise.ts";
import type { Operator } from "./operator.ts";

export class CteScanOperator implements Operator {
  readonly #plan: CteScanPlan;
  readonly #context: ExecutionContext;
  #reader: ReturnType<CteSource["open"]> | undefined;

  constructor(plan: CteScanPlan, context: ExecutionContext) {
    this.#plan = plan;
    this.#context = context;
  }

  open(): void {
    this.#reader = must(this.#context.ctes.get(this.#plan.cteId), `CTE ${this.#plan.name} in scope`).open();
  }

  next(): MaybePromise<Batch | undefined> {
    return chain(this.#context.turn(), () => must(this.#reader, "an open CTE scan").next());
  }

  close(): void {}
}
