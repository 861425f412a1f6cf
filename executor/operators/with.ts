// WITH: runs its input with the results of the CTEs at hand. A CTE's plan runs when it is first read, once, and its rows are
// kept; a data-modifying one runs to its end before the main plan starts, read or not (PostgreSQL leaves the order open).
import type { Batch } from "../../common/batch/vector.ts";
import type { WithPlan } from "../../planner/physical/plan.ts";
import { RowStore } from "../batch/row-store.ts";
import type { CteSource, ExecutionContext } from "../context.ts";
import type { MaybePromise } from "../maybe-promise.ts";
import type { Operator } from "./operator.ts";
import { drain } from "./pull.ts";
import { Emitter } from "../batch/emitter.ts";

export class WithOperator implements Operator {
  readonly #plan: WithPlan;
  readonly #input: Operator;
  readonly #context: ExecutionContext;
  readonly #kept: KeptCte[] = [];
  readonly #outerSources = new Map<number, CteSource | undefined>();

  constructor(plan: WithPlan, input: Operator, context: ExecutionContext) {
    this.#plan = plan;
    this.#input = input;
    this.#context = context;
  }

  async open(): Promise<void> {
    for (const cte of this.#plan.ctes) {
      const operator = this.#context.buildOperator(cte.plan, this.#context);
      const kept = new KeptCte(operator, cte.plan.output.length, this.#context);
      this.#kept.push(kept);
      this.#outerSources.set(cte.id, this.#context.ctes.get(cte.id));
      this.#context.ctes.set(cte.id, kept);
    }
    for (let i = 0; i < this.#kept.length; i++) {
      if (this.#plan.ctes[i]?.modifies === true) await this.#kept[i]?.rows();
    }
    await this.#input.open();
  }

  next(): MaybePromise<Batch | undefined> {
    return this.#input.next();
  }

  close(): void {
    this.#input.close();
    for (const kept of this.#kept) kept.close();
    for (const [id, source] of this.#outerSources) {
      if (source === undefined) this.#context.ctes.delete(id);
      else this.#context.ctes.set(id, source);
    }
    this.#outerSources.clear();
  }
}

/** A CTE whose rows are made at first use. */
class KeptCte implements CteSource {
  readonly #operator: Operator;
  readonly #store: RowStore;
  readonly #context: ExecutionContext;
  #running: Promise<RowStore> | undefined;

  constructor(operator: Operator, columnCount: number, context: ExecutionContext) {
    this.#operator = operator;
    this.#store = new RowStore(columnCount, context);
    this.#context = context;
  }

  rows(): Promise<RowStore> {
    this.#running ??= this.#run();
    return this.#running;
  }

  open(): { next(): MaybePromise<Batch | undefined> } {
    let emitter: Emitter | undefined;
    return {
      next: async () => {
        const store = await this.rows();
        emitter ??= new Emitter(store.columns(), undefined, 0, store.rowCount, this.#context.batchRows);
        return emitter.next();
      },
    };
  }

  close(): void {
    this.#operator.close();
    this.#store.release();
  }

  async #run(): Promise<RowStore> {
    await this.#operator.open();
    await drain(this.#operator, (batch) => this.#store.append(batch.columns, batch.rowCount));
    return this.#store;
  }
}
