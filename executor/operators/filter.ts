// Rows for which a condition is TRUE (neither FALSE nor NULL).
import { must } from "../../common/assert.ts";
import type { Batch } from "../../common/batch/vector.ts";
import type { FilterPlan } from "../../planner/physical/plan.ts";
import type { ExecutionContext } from "../context.ts";
import type { MaybePromise } from "../maybe-promise.ts";
import type { Operator } from "./operator.ts";
import { type BatchFilter, batchFilter, pullUntil } from "./pull.ts";

export class FilterOperator implements Operator {
  readonly #input: Operator;
  readonly #filter: BatchFilter;

  constructor(plan: FilterPlan, input: Operator, context: ExecutionContext) {
    this.#input = input;
    this.#filter = must(batchFilter(plan.condition, plan.id, context), "a Filter has a condition");
  }

  open(): MaybePromise<void> {
    return this.#input.open();
  }

  next(): MaybePromise<Batch | undefined> {
    return pullUntil(this.#input, this.#filter);
  }

  close(): void {
    this.#input.close();
  }
}
