// Rows named by a bitmap over row ids (from indexes, ANDed and ORed), in row id order, with the whole filter applied.
import type { Batch } from "../../common/batch/vector.ts";
import type { BitmapScanPlan } from "../../planner/physical/plan.ts";
import type { ExecutionContext } from "../context.ts";
import { chain, type MaybePromise } from "../maybe-promise.ts";
import { BitmapReader, buildBitmap } from "../storage/bitmap.ts";
import { RowFetcher } from "../storage/fetch-rows.ts";
import type { Operator } from "./operator.ts";
import { type BatchFilter, batchFilter, pullUntil } from "./pull.ts";

export class BitmapScanOperator implements Operator {
  readonly #plan: BitmapScanPlan;
  readonly #context: ExecutionContext;
  readonly #filter: BatchFilter | undefined;
  #bits: BitmapReader | undefined;
  #fetcher: RowFetcher | undefined;
  #rids = new Uint32Array(0);

  constructor(plan: BitmapScanPlan, context: ExecutionContext) {
    this.#plan = plan;
    this.#context = context;
    this.#filter = batchFilter(plan.filter, plan.id, context);
  }

  open(): MaybePromise<void> {
    const { bitmap, target } = this.#plan;
    return chain(buildBitmap(bitmap, target.table, this.#context), ({ bits }) => {
      this.#bits = new BitmapReader(bits);
      this.#fetcher = new RowFetcher(target, this.#context.batchRows, this.#context);
      this.#rids = new Uint32Array(this.#fetcher.capacity);
    });
  }

  next(): MaybePromise<Batch | undefined> {
    if (this.#filter === undefined) return this.#read();
    return pullUntil({ open: () => {}, next: () => this.#read(), close: () => {} }, this.#filter);
  }

  close(): void {
    this.#fetcher?.close();
    this.#fetcher = undefined;
  }

  #read(): MaybePromise<Batch | undefined> {
    return chain(this.#context.turn(), () => {
      for (;;) {
        const count = (this.#bits as BitmapReader).next(this.#rids);
        if (count === 0) return undefined;
        const batch = (this.#fetcher as RowFetcher).fetch(this.#rids, 0, count);
        if (batch !== undefined) return batch;
      }
    });
  }
}
