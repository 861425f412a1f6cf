// Rows in the order of a btree index, within ranges of its key, filtered. The engine gives row ids; rows follow by fetch.
import type { Batch } from "../../common/batch/vector.ts";
import type { IndexCursor, IndexRange } from "../../native/engine.ts";
import type { IndexScanPlan } from "../../planner/physical/plan.ts";
import type { ExecutionContext } from "../context.ts";
import { chain, type MaybePromise } from "../maybe-promise.ts";
import { RowFetcher } from "../storage/fetch-rows.ts";
import { indexRanges } from "../storage/index-range.ts";
import type { Operator } from "./operator.ts";
import { type BatchFilter, batchFilter, pullUntil } from "./pull.ts";

/** The first fetch is small, because most index scans find few rows; the following ones are full batches. */
const FIRST_ROWS = 16;

export class IndexScanOperator implements Operator {
  readonly #plan: IndexScanPlan;
  readonly #context: ExecutionContext;
  readonly #filter: BatchFilter | undefined;
  #ranges: IndexRange[] = [];
  #cursor: IndexCursor | undefined;
  #fetcher: RowFetcher | undefined;
  #rids = new Uint32Array(0);
  /** The last read filled its buffer: more rows are likely, so the next one is a full batch. */
  #wasFull = false;

  constructor(plan: IndexScanPlan, context: ExecutionContext) {
    this.#plan = plan;
    this.#context = context;
    this.#filter = batchFilter(plan.filter, plan.id, context);
  }

  async open(): Promise<void> {
    const { condition, index, target, backward } = this.#plan;
    this.#ranges = await indexRanges(condition, index, target.table, backward, this.#context);
    this.#useCapacity(FIRST_ROWS);
  }

  next(): MaybePromise<Batch | undefined> {
    if (this.#filter === undefined) return this.#read();
    return pullUntil({ open: () => {}, next: () => this.#read(), close: () => {} }, this.#filter);
  }

  close(): void {
    this.#cursor?.close();
    this.#cursor = undefined;
    this.#fetcher?.close();
    this.#fetcher = undefined;
    this.#ranges = [];
  }

  #read(): MaybePromise<Batch | undefined> {
    return chain(this.#context.turn(), () => {
      for (;;) {
        const count = this.#nextRids();
        if (count === 0) return undefined;
        const batch = (this.#fetcher as RowFetcher).fetch(this.#rids, 0, count);
        if (batch !== undefined) return batch;
      }
    });
  }

  #nextRids(): number {
    for (;;) {
      if (this.#cursor === undefined) {
        const range = this.#ranges.shift();
        if (range === undefined) return 0;
        const { index, backward } = this.#plan;
        this.#cursor = this.#context.transaction.openIndexScan(index.storageId, range, backward);
      } else if (this.#wasFull) this.#useCapacity(this.#context.batchRows);
      const count = this.#cursor.next(this.#rids);
      this.#wasFull = count === this.#rids.length;
      if (count > 0) return count;
      this.#cursor.close();
      this.#cursor = undefined;
    }
  }

  #useCapacity(rows: number): void {
    if (this.#rids.length === Math.min(rows, this.#context.batchRows)) return;
    this.#fetcher?.close();
    this.#fetcher = new RowFetcher(this.#plan.target, Math.min(rows, this.#context.batchRows), this.#context);
    this.#rids = new Uint32Array(this.#fetcher.capacity);
  }
}
