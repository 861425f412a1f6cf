// Scans a computed catalogue relation. The look-up value narrows what the relation computes; the filter decides.
import { type Batch, vectorOf } from "../../common/batch/vector.ts";
import type { Datum } from "../../common/types/type.ts";
import type { VirtualScanPlan } from "../../planner/physical/plan.ts";
import type { ExecutionContext } from "../context.ts";
import { vectorKindOf } from "../expression/caller.ts";
import { evaluateScalar } from "../expression/compile.ts";
import { chain, type MaybePromise } from "../maybe-promise.ts";
import type { Operator } from "./operator.ts";
import { type BatchFilter, batchFilter, pullUntil } from "./pull.ts";

export class VirtualScanOperator implements Operator {
  readonly #plan: VirtualScanPlan;
  readonly #context: ExecutionContext;
  readonly #filter: BatchFilter | undefined;
  #rows: Iterator<readonly Datum[]> | undefined;

  constructor(plan: VirtualScanPlan, context: ExecutionContext) {
    this.#plan = plan;
    this.#context = context;
    this.#filter = batchFilter(plan.filter, plan.id, context);
  }

  open(): MaybePromise<void> {
    const { equal, relation } = this.#plan;
    const world = {
      catalog: this.#context.catalog,
      functions: this.#context.functionContext,
      statistics: this.#context.statistics,
    };
    if (equal === undefined) {
      this.#rows = relation.rows(world)[Symbol.iterator]();
      return;
    }
    return chain(evaluateScalar(equal.value, this.#context), (value) => {
      // `column = NULL` holds for no row.
      const rows = value === null ? [] : relation.rows(world, { column: equal.column, value });
      this.#rows = rows[Symbol.iterator]();
    });
  }

  next(): MaybePromise<Batch | undefined> {
    if (this.#filter === undefined) return this.#read();
    return pullUntil({ open: () => {}, next: () => this.#read(), close: () => {} }, this.#filter);
  }

  close(): void {
    this.#rows?.return?.();
  }

  #read(): MaybePromise<Batch | undefined> {
    return chain(this.#context.turn(), () => {
      const { columns } = this.#plan;
      const values = columns.map((): Datum[] => []);
      let rowCount = 0;
      while (rowCount < this.#context.batchRows) {
        const step = this.#rows?.next();
        if (step === undefined || step.done === true) break;
        for (let i = 0; i < columns.length; i++) values[i]?.push(step.value[columns[i] as number] ?? null);
        rowCount += 1;
      }
      if (rowCount === 0) return undefined;
      return {
        columns: this.#plan.output.map((column, i) => vectorOf(vectorKindOf(column.type), values[i] ?? [])),
        rowCount,
      };
    });
  }
}
