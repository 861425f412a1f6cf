// Ranked rows as batches: target columns fetched by row id, the order value beside them.
import { type Batch, Float64Vector } from "../../common/batch/vector.ts";
import type { ScanTarget } from "../../planner/physical/plan.ts";
import type { ExecutionContext } from "../context.ts";
import { POOLED_RIDS } from "../storage/buffer-pool.ts";
import { RowFetcher } from "../storage/fetch-rows.ts";

export interface RankedRows {
  readonly rids: Uint32Array;
  /** NULL where `nulls` says so. */
  readonly values: Float64Array;
  readonly nulls: Uint8Array | undefined;
}

export class RankedEmitter {
  readonly #rows: RankedRows;
  readonly #fetcher: RowFetcher;
  #position = 0;

  constructor(rows: RankedRows, target: ScanTarget, context: ExecutionContext) {
    this.#rows = rows;
    const capacity = Math.min(Math.max(rows.rids.length, POOLED_RIDS), context.batchRows);
    this.#fetcher = new RowFetcher(target, capacity, context);
  }

  next(): Batch | undefined {
    const { rids, values, nulls } = this.#rows;
    while (this.#position < rids.length) {
      const from = this.#position;
      const count = Math.min(this.#fetcher.capacity, rids.length - from);
      this.#position += count;
      const batch = this.#fetcher.fetch(rids, from, count);
      if (batch === undefined) continue;
      if (batch.rowCount === rids.length) {
        // All are here, in their order: the values are, too.
        const value = new Float64Vector(values, nulls, batch.rowCount);
        return { columns: [...batch.columns, value], rowCount: batch.rowCount };
      }
      const found = new Float64Array(batch.rowCount);
      const foundNulls = nulls === undefined ? undefined : new Uint8Array(batch.rowCount);
      // Fetched rows come in the order asked for; rows that are not there are skipped.
      let at = from;
      for (let row = 0; row < batch.rowCount; row++) {
        while (rids[at] !== batch.rids[row]) at += 1;
        found[row] = values[at] as number;
        if (foundNulls !== undefined) foundNulls[row] = nulls?.[at] ?? 0;
        at += 1;
      }
      const value = new Float64Vector(found, foundNulls, batch.rowCount);
      return { columns: [...batch.columns, value], rowCount: batch.rowCount };
    }
    return undefined;
  }

  close(): void {
    this.#fetcher.close();
  }
}
