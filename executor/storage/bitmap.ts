// Sets of row ids: one bit per rid, least significant bit first, as the engine reads them.
import { unreachable } from "../../common/assert.ts";
import type { TableEntry } from "../../catalog/entries.ts";
import type { BitmapSource } from "../../planner/physical/plan.ts";
import type { ExecutionContext } from "../context.ts";
import { evaluateScalar } from "../expression/compile.ts";
import { chain, type MaybePromise } from "../maybe-promise.ts";
import { LentBuffers } from "./column-buffer.ts";
import { indexRanges } from "./index-range.ts";

/** Rows of a table, one bit each. */
export interface RowSet {
  readonly bits: Uint8Array;
  /** How many: exact. */
  readonly count: number;
}

/** The rows a source names: a superset of the rows that match only where the plan says so. */
export function buildBitmap(
  source: BitmapSource,
  table: TableEntry,
  context: ExecutionContext,
): MaybePromise<RowSet> {
  return chain(context.turn(), () => {
    switch (source.kind) {
      case "index":
        return indexBitmap(source, table, context);
      case "text":
        return chain(evaluateScalar(source.query, context), (query) => {
          const bits = emptyBitmap(table, context);
          if (query === null) return { bits, count: 0 };
          const captured = context.textQuery(source.indexStorageId, query as string);
          context.transaction.textBitmap(source.indexStorageId, captured, bits);
          return { bits, count: countBits(bits) };
        });
      case "and":
      case "or":
        return combined(source, table, context);
      default:
        return unreachable(source);
    }
  });
}

function indexBitmap(
  { condition, index }: Extract<BitmapSource, { kind: "index" }>,
  table: TableEntry,
  context: ExecutionContext,
): MaybePromise<RowSet> {
  const buffers = new LentBuffers(context.buffers);
  return chain(indexRanges(condition, index, table, false, context, buffers), (ranges) => {
    const bits = emptyBitmap(table, context);
    let count = 0;
    for (const range of ranges) count += context.transaction.indexBitmap(index.storageId, range, bits);
    buffers.release();
    return { bits, count };
  });
}

async function combined(
  { kind, inputs }: Extract<BitmapSource, { kind: "and" | "or" }>,
  table: TableEntry,
  context: ExecutionContext,
): Promise<RowSet> {
  let bits: Uint8Array | undefined;
  for (const input of inputs) {
    const set = await buildBitmap(input, table, context);
    if (bits === undefined) bits = set.bits;
    else combine(bits, set.bits, kind);
  }
  bits ??= emptyBitmap(table, context);
  return { bits, count: countBits(bits) };
}

export function emptyBitmap(table: TableEntry, context: ExecutionContext): Uint8Array {
  return new Uint8Array((context.transaction.ridLimit(table.storageId) + 7) >> 3);
}

function combine(into: Uint8Array, other: Uint8Array, how: "and" | "or"): void {
  for (let i = 0; i < into.length; i++) {
    const byte = other[i] ?? 0;
    into[i] = how === "and" ? (into[i] as number) & byte : (into[i] as number) | byte;
  }
}

export function setBit(bitmap: Uint8Array, rid: number): void {
  bitmap[rid >> 3] = (bitmap[rid >> 3] as number) | (1 << (rid & 7));
}

export function clearBit(bitmap: Uint8Array, rid: number): void {
  bitmap[rid >> 3] = (bitmap[rid >> 3] as number) & ~(1 << (rid & 7));
}

export function hasBit(bitmap: Uint8Array, rid: number): boolean {
  return ((bitmap[rid >> 3] ?? 0) & (1 << (rid & 7))) !== 0;
}

export function countBits(bitmap: Uint8Array): number {
  let count = 0;
  for (const byte of bitmap) count += BITS_IN_BYTE[byte] as number;
  return count;
}

const BITS_IN_BYTE = Uint8Array.from({ length: 256 }, (_, byte) => {
  let count = 0;
  for (let rest = byte; rest !== 0; rest &= rest - 1) count += 1;
  return count;
});

/** The set rids, ascending, a buffer at a time. */
export class BitmapReader {
  readonly #bitmap: Uint8Array;
  #byte = 0;
  #bit = 0;

  constructor(bitmap: Uint8Array) {
    this.#bitmap = bitmap;
  }

  /** Fills `rids`; returns the count, 0 at the end. */
  next(rids: Uint32Array): number {
    let count = 0;
    while (this.#byte < this.#bitmap.length) {
      const byte = this.#bitmap[this.#byte] as number;
      if (byte === 0) {
        this.#byte += 1;
        continue;
      }
      for (; this.#bit < 8; this.#bit++) {
        if ((byte & (1 << this.#bit)) === 0) continue;
        if (count === rids.length) return count;
        rids[count++] = this.#byte * 8 + this.#bit;
      }
      this.#bit = 0;
      this.#byte += 1;
    }
    return count;
  }
}
