// Rows of a list of row ids, in that order, batch by batch: the second half of index, bitmap and search scans.
import type { Batch } from "../../common/batch/vector.ts";
import type { RowBlock } from "../../native/engine.ts";
import type { ScanTarget } from "../../planner/physical/plan.ts";
import type { ExecutionContext } from "../context.ts";
import type { RowReader } from "./row-reader.ts";
import { targetColumns, targetReader, withRids } from "./scan-target.ts";

export interface FetchedBatch extends Batch {
  /** Row ids of the batch's rows, in at least as many places. */
  readonly rids: Uint32Array;
}

export class RowFetcher {
  readonly #target: ScanTarget;
  readonly #context: ExecutionContext;
  readonly #columns: Uint16Array;
  readonly #reader: RowReader;

  /** `capacity`: most rows fetched at a time. */
  constructor(target: ScanTarget, capacity: number, context: ExecutionContext) {
    this.#target = target;
    this.#context = context;
    this.#columns = targetColumns(target);
    this.#reader = targetReader(target, capacity, context.buffers);
  }

  /** Rows one call can take. */
  get capacity(): number {
    return this.#reader.capacity;
  }

  /** Visible rows among rids[from, from + count); undefined when there is none. Valid until the next fetch. */
  fetch(rids: Uint32Array, from: number, count: number): FetchedBatch | undefined {
    const { transaction } = this.#context;
    const { storageId } = this.#target.table;
    const found = this.#reader.fetch(transaction, storageId, this.#columns, rids, from, count, false);
    if (found === 0) return undefined;
    const { columns, rowCount } = withRids(this.#target, this.#reader, found);
    return { columns, rowCount, rids: this.#reader.rids };
  }

  /** Whether fetchByKey can be asked. */
  get takesKeys(): boolean {
    return this.#reader.takesKeys;
  }

  /** The first rows with a key, in index order; as many as `capacity` where there may be more. */
  fetchByKey(indexId: number, key: RowBlock, backward: boolean): FetchedBatch | undefined {
    const { storageId } = this.#target.table;
    const { transaction } = this.#context;
    const found = this.#reader.fetchByKey(transaction, indexId, key, backward, storageId, this.#columns);
    if (found === 0) return undefined;
    const { columns, rowCount } = withRids(this.#target, this.#reader, found);
    return { columns, rowCount, rids: this.#reader.rids };
  }

  close(): void {
    this.#reader.close();
  }
}
