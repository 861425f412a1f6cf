// Where a portal's rows come from: a running plan, rows kept from one, or the answer of a utility command.
import { type Batch, BoxedVector } from "../common/batch/vector.ts";
import type { Datum } from "../common/types/type.ts";

export interface RowSource {
  /** The following rows, valid until the call after; undefined at the end. */
  next(): Batch | undefined | Promise<Batch | undefined>;
  close(): void;
}

/** Rows at hand, given by column-wise batches. */
export class KeptRows implements RowSource {
  readonly #batches: readonly Batch[];
  #next = 0;

  constructor(batches: readonly Batch[]) {
    this.#batches = batches;
  }

  next(): Batch | undefined {
    return this.#batches[this.#next++];
  }

  close(): void {
    this.#next = this.#batches.length;
  }
}

/** A batch from rows of values: the answers of SHOW, EXPLAIN and their like. */
export function batchOfRows(rows: readonly (readonly Datum[])[], columnCount: number): Batch {
  const columns = Array.from(
    { length: columnCount },
    (_, column) => new BoxedVector(rows.map((row) => row[column] ?? null)),
  );
  return { columns, rowCount: rows.length };
}

/** A copy of rows [from, to) that outlives the operators' buffers. */
export function sliceBatch(batch: Batch, from: number, to: number): Batch {
  const columns = batch.columns.map((vector) => {
    const values: Datum[] = [];
    for (let row = from; row < to; row++) {
      const value = vector.get(row);
      // Typed values are views into the batch.
      values.push(value instanceof Float32Array || value instanceof Uint8Array ? value.slice() : value);
    }
    return new BoxedVector(values);
  });
  return { columns, rowCount: to - from };
}
