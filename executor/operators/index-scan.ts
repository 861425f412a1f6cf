// Rows in the order of a btree index, within ranges of its key, filtered. The engine gives row ids; rows follow by fetch.
import { must } from "../../common/assert.ts";
import type { Batch } from "../../common/batch/vector.ts";
import type { IndexCursor, IndexRange, RowBlock } from "../../native/engine.ts";
import type { IndexScanPlan } from "../../planner/physical/plan.ts";
import type { ExecutionContext } from "../context.ts";
import { chain, type MaybePromise } from "../maybe-promise.ts";
import { POOLED_RIDS } from "../storage/buffer-pool.ts";
import { LentBuffers } from "../storage/column-buffer.ts";
import { RowFetcher } from "../storage/fetch-rows.ts";
import { IndexKey, rangeOfKey } from "../storage/index-key.ts";
import { indexRanges } from "../storage/index-range.ts";
import type { Operator } from "./operator.ts";
import { type BatchFilter, batchFilter, pullUntil } from "./pull.ts";

/** The first look is small and needs no cursor, because most index scans find few rows; then full batches follow. */
const FIRST_ROWS = POOLED_RIDS;
const NO_RIDS: Uint32Array = new Uint32Array(0);

export class IndexScanOperator implements Operator {
  readonly #plan: IndexScanPlan;
  readonly #context: ExecutionContext;
  readonly #filter: BatchFilter | undefined;
  #ranges: IndexRange[] = [];
  /** The memory of the ranges' bounds. */
  #bounds: LentBuffers | undefined;
  /** A condition that is a key has no ranges: its first rows come in one call. */
  readonly #key: IndexKey | undefined;
  #keyValues: RowBlock | undefined;
  #cursor: IndexCursor | undefined;
  #fetcher: RowFetcher | undefined;
  #rids: Uint32Array = NO_RIDS;
  /** The range whose first look came back full: its walk goes on with a cursor, should anybody ask for more. */
  #unfinished: IndexRange | undefined;

  constructor(plan: IndexScanPlan, context: ExecutionContext) {
    this.#plan = plan;
    this.#context = context;
    this.#filter = batchFilter(plan.filter, plan.id, context);
    this.#key = IndexKey.of(plan.condition, plan.index, plan.target.table, context);
  }

  open(): MaybePromise<void> {
    this.#useCapacity(FIRST_ROWS);
    if (this.#key === undefined || !must(this.#fetcher, "room was made").takesKeys) return this.#openRanges();
    return chain(this.#key.evaluate(), (values) => {
      if (values === undefined) return this.#openRanges();
      if (values !== "none") this.#keyValues = values;
    });
  }

  #openRanges(): MaybePromise<void> {
    const { condition, index, target, backward } = this.#plan;
    this.#bounds = new LentBuffers(this.#context.buffers);
    const ranges = indexRanges(condition, index, target.table, backward, this.#context, this.#bounds);
    return chain(ranges, (made) => {
      this.#ranges = made;
    });
  }

  next(): MaybePromise<Batch | undefined> {
    if (this.#filter === undefined) return this.#read();
    return pullUntil({ open: () => {}, next: () => this.#read(), close: () => {} }, this.#filter);
  }

  close(): void {
    this.#closeCursor();
    this.#fetcher?.close();
    this.#fetcher = undefined;
    this.#context.buffers.releaseRids(this.#rids);
    this.#rids = NO_RIDS;
    this.#ranges = [];
    this.#bounds?.release();
    this.#keyValues = undefined;
    this.#key?.close();
  }

  #read(): MaybePromise<Batch | undefined> {
    return chain(this.#context.turn(), () => {
      if (this.#keyValues !== undefined) return this.#readByKey(this.#keyValues);
      for (;;) {
        const count = this.#nextRids();
        if (count === 0) return undefined;
        const batch = (this.#fetcher as RowFetcher).fetch(this.#rids, 0, count);
        if (batch !== undefined) return batch;
      }
    });
  }

  #readByKey(key: RowBlock): Batch | undefined {
    const { index, backward } = this.#plan;
    const fetcher = must(this.#fetcher, "room was made");
    this.#keyValues = undefined;
    const batch = fetcher.fetchByKey(index.storageId, key, backward);
    if (batch?.rowCount === fetcher.capacity) this.#unfinished = rangeOfKey(key);
    return batch;
  }

  #nextRids(): number {
    const { transaction } = this.#context;
    const { index, backward } = this.#plan;
    if (this.#unfinished !== undefined) this.#openCursor(this.#unfinished);
    for (;;) {
      if (this.#cursor !== undefined) {
        const count = this.#cursor.next(this.#rids);
        if (count < this.#rids.length) this.#closeCursor();
        if (count > 0) return count;
      }
      const range = this.#ranges.shift();
      if (range === undefined) return 0;
      const count = transaction.indexRids(index.storageId, range, backward, this.#rids);
      if (count === this.#rids.length) this.#unfinished = range;
      if (count > 0) return count;
    }
  }

  /** Goes on behind the rows of the first look, which the statement's snapshot gives the cursor again. */
  #openCursor(range: IndexRange): void {
    const { index, backward } = this.#plan;
    this.#unfinished = undefined;
    this.#cursor = this.#context.transaction.openIndexScan(index.storageId, range, backward);
    this.#cursor.next(this.#rids);
    this.#useCapacity(this.#context.batchRows);
  }

  #closeCursor(): void {
    this.#cursor?.close();
    this.#cursor = undefined;
  }

  #useCapacity(rows: number): void {
    if (this.#rids.length === Math.min(rows, this.#context.batchRows)) return;
    this.#fetcher?.close();
    this.#fetcher = new RowFetcher(this.#plan.target, Math.min(rows, this.#context.batchRows), this.#context);
    this.#context.buffers.releaseRids(this.#rids);
    this.#rids = this.#context.buffers.takeRids(this.#fetcher.capacity);
  }
}
