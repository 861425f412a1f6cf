// Row ids with an order value, ascending: what a search branch gives. NaN and NULL are not in it; see branch.ts.
import { BitmapReader, hasBit } from "../storage/bitmap.ts";
import type { TableEntry } from "../../catalog/entries.ts";
import type { ExecutionContext } from "../context.ts";
import { targetReader } from "../storage/scan-target.ts";
import { sortRows } from "../batch/sort-rows.ts";
import { compareFloats } from "../batch/compare.ts";

/** Sorted by (value, rid). */
export interface Ranking {
  readonly rids: Uint32Array;
  readonly values: Float64Array;
}

/** Collected pairs are thinned to the best ones when there are this many times the wanted ones. */
const THIN_FACTOR = 2;
const MIN_THIN_ROWS = 8192;

/** Keeps the `wanted` best of the pairs it is given. */
export class TopRanking {
  readonly #wanted: number;
  readonly #context: ExecutionContext;
  #rids = new Uint32Array(1024);
  #values = new Float64Array(1024);
  #count = 0;

  constructor(wanted: number, context: ExecutionContext) {
    this.#wanted = wanted;
    this.#context = context;
  }

  /** Adds one pair; NaN is left out. */
  add(rid: number, value: number): void {
    if (Number.isNaN(value)) return;
    if (this.#count === this.#rids.length) this.#grow();
    this.#rids[this.#count] = rid;
    this.#values[this.#count++] = value;
  }

  /** To be called between batches. */
  async thin(): Promise<void> {
    if (this.#count > Math.max(MIN_THIN_ROWS, this.#wanted * THIN_FACTOR)) await this.#cut();
  }

  async finish(): Promise<Ranking> {
    await this.#cut();
    return { rids: this.#rids.slice(0, this.#count), values: this.#values.slice(0, this.#count) };
  }

  async #cut(): Promise<void> {
    const rids = this.#rids;
    const values = this.#values;
    const order = await sortRows(
      this.#count,
      (a, b) =>
        compareFloats(values[a] as number, values[b] as number) || (rids[a] as number) - (rids[b] as number),
      this.#context,
    );
    const kept = order.subarray(0, Math.min(this.#wanted, order.length));
    this.#rids = Uint32Array.from(kept, (row) => rids[row] as number);
    this.#values = Float64Array.from(kept, (row) => values[row] as number);
    this.#count = kept.length;
  }

  #grow(): void {
    const length = Math.max(1024, this.#rids.length * 2);
    this.#context.growMemory((length - this.#rids.length) * 12);
    const rids = new Uint32Array(length);
    rids.set(this.#rids);
    this.#rids = rids;
    const values = new Float64Array(length);
    values.set(this.#values);
    this.#values = values;
  }
}

/**
 * Visits the visible rows of a table that are in `filter` (all when undefined) and not in `except`, ascending within each
 * batch. The rids array is reused.
 */
export async function forEachRid(
  table: TableEntry,
  filter: Uint8Array | undefined,
  except: Uint8Array | undefined,
  context: ExecutionContext,
  visit: (rids: Uint32Array, count: number) => void | Promise<void>,
): Promise<void> {
  const rids = new Uint32Array(context.batchRows);
  const read = filter === undefined ? scanRids(table, context) : bitmapRids(filter);
  try {
    for (let count = read.next(rids); count > 0; count = read.next(rids)) {
      let kept = count;
      if (except !== undefined) {
        kept = 0;
        for (let i = 0; i < count; i++) {
          const rid = rids[i] as number;
          if (!hasBit(except, rid)) rids[kept++] = rid;
        }
      }
      if (kept > 0) await visit(rids, kept);
      const pause = context.turn();
      if (pause !== undefined) await pause;
    }
  } finally {
    read.close();
  }
}

interface RidReader {
  next(rids: Uint32Array): number;
  close(): void;
}

function bitmapRids(filter: Uint8Array): RidReader {
  const reader = new BitmapReader(filter);
  return { next: (rids) => reader.next(rids), close: () => {} };
}

/** A scan that reads no columns. */
function scanRids(table: TableEntry, context: ExecutionContext): RidReader {
  const target = { table, alias: table.name, attnums: [], withRid: true };
  const reader = targetReader(target, context.batchRows, context.buffers);
  const cursor = context.transaction.openScan(table.storageId, new Uint16Array(0), 0);
  return {
    next: (rids) => {
      const count = reader.scan(cursor);
      rids.set(reader.rids.subarray(0, count));
      return count;
    },
    close: () => {
      cursor.close();
      reader.close();
    },
  };
}
