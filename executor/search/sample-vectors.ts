// Stored vectors from all over a table, to be asked for their neighbours when an index is measured.
import { setImmediate } from "node:timers/promises";
import { must } from "../../common/assert.ts";
import type { TableEntry } from "../../catalog/entries.ts";
import type { EngineTransaction } from "../../native/engine.ts";
import { BufferPool } from "../storage/buffer-pool.ts";
import { packingOf } from "../storage/column-spec.ts";
import { RowReader } from "../storage/row-reader.ts";

/** Rows read at once. */
const BATCH = 256;

export interface SampledVector {
  readonly rid: number;
  /** In the words of a row; the caller's to keep. */
  readonly words: Float32Array;
}

/** At most `count` vectors of a column of known dimension, the same for the same rows. Gives way to others after each. */
export async function* sampleVectors(
  transaction: EngineTransaction,
  table: TableEntry,
  attnum: number,
  count: number,
): AsyncGenerator<SampledVector> {
  const { type } = must(table.columns[attnum - 1], "the sampled column");
  const { words } = must(packingOf(type), "vectors of a known dimension");
  const rowLimit = transaction.ridLimit(table.storageId);
  const reader = new RowReader([type], Math.min(count, BATCH), new BufferPool());
  const columns = Uint16Array.of(attnum - 1);
  const order = scattered(rowLimit);
  let given = 0;
  try {
    for (let from = 0; from < rowLimit && given < count; from += reader.capacity) {
      const size = Math.min(reader.capacity, rowLimit - from);
      const wanted = Uint32Array.from({ length: size }, (_, i) => order(from + i));
      const rows = reader.fetch(transaction, table.storageId, columns, wanted, 0, size, false);
      const { values, nulls } = must(reader.buffers[0], "one column");
      for (let row = 0; row < rows && given < count; row++) {
        if (nulls[row] === 1) continue;
        given += 1;
        const rid = must(reader.rids[row], "a row id");
        yield { rid, words: (values as Float32Array).slice(row * words, (row + 1) * words) };
        await setImmediate();
      }
    }
  } finally {
    reader.close();
  }
}

/** A permutation of 0 ... count - 1 that visits all parts alike and follows no period of the data. */
function scattered(count: number): (position: number) => number {
  const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));
  let stride = Math.max(1, Math.floor(count * 0.6180339887));
  while (gcd(stride, count) > 1) stride += 1;
  return (position) => (position * stride) % count;
}
