// All visible rows of a table, filtered.
import type { Batch } from "../../common/batch/vector.ts";
import type { ScanCursor } from "../../native/engine.ts";
import type { SeqScanPlan } from "../../planner/physical/plan.ts";
import type { ExecutionContext } from "../context.ts";
import { chain, type MaybePromise } from "../maybe-promise.ts";
import type { RowReader } from "../storage/row-reader.ts";
import { targetColumns, targetReader, withRids } from "../storage/scan-target.ts";
import type { Operator } from "./operator.ts";
import { type BatchFilter, batchFilter, pullUntil } from "./pull.ts";

export class SeqScanOperator implements Operator {
  readonly #plan: SeqScanPlan;
  readonly #context: ExecutionContext;
  readonly #filter: BatchFilter | undefined;
  #reader: RowReader | undefined;
  #cursor: ScanCursor | undefined;

  constructor(plan: SeqScanPlan, context: ExecutionContext) {
    this.#plan = plan;
    this.#context = context;
    this.#filter = batchFilter(plan.filter, plan.id, context);
  }

  open(): void {
    const { target, since = 0 } = this.#plan;
    this.#reader = targetReader(target, this.#context.batchRows, this.#context.buffers);
    this.#cursor = this.#context.transaction.openScan(target.table.storageId, targetColumns(target), since);
  }

  next(): MaybePromise<Batch | undefined> {
    if (this.#filter === undefined) return this.#read();
    return pullUntil({ open: () => {}, next: () => this.#read(), close: () => {} }, this.#filter);
  }

  close(): void {
    this.#cursor?.close();
    this.#reader?.close();
    this.#cursor = undefined;
    this.#reader = undefined;
  }

  #read(): MaybePromise<Batch | undefined> {
    return chain(this.#context.turn(), () => {
      const { reader, cursor } = { reader: this.#reader as RowReader, cursor: this.#cursor as ScanCursor };
      const rowCount = reader.scan(cursor);
      return rowCount === 0 ? undefined : withRids(this.#plan.target, reader, rowCount);
    });
  }
}
