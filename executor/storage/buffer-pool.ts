// ColumnBuffers: the memory through which rows pass between the engine and Vectors. Reused from batch to batch and,
// through the pool, from statement to statement, because allocating and zeroing them costs more than filling them.
import {
  type ColumnBuffer,
  type ColumnSpec,
  type RowBlock,
  SearchStat,
  type StorageKind,
} from "../../native/engine.ts";
import { allocateBlock, BLOCK_ROWS } from "./row-block.ts";

/** Buffers kept per shape; more concurrent scans than this allocate. */
const MAX_POOLED_PER_SHAPE = 16;
/** A buffer with more bytes than this is not kept: one wide row must not pin memory for good. */
const MAX_POOLED_BYTES = 1 << 20;
/** Above every vector's dimension. */
const MAX_DIM = 1 << 16;
/** Rows of an index scan's first look. */
export const POOLED_RIDS = BLOCK_ROWS;
/** Rankings up to this length are kept. */
export const MAX_POOLED_RANKING = 128;
/** Shapes of blocks that a session keeps at once; a session with more kinds of rows begins anew. */
const MAX_BLOCK_SHAPES = 256;
const NO_WIDE = new BigInt64Array(0);
const NO_OFFSETS = new Uint32Array(0);
const NO_BYTES = new Uint8Array(0);
/** The flag of kinds that have no wide form; nobody writes it. */
const NOT_WIDE = new Uint8Array(1);
const FIRST_BYTES_PER_ROW = 16;

/** A fresh buffer of `capacity` rows. */
export function allocateBuffer(kind: StorageKind, dim: number, capacity: number): ColumnBuffer {
  const base = { kind, dim, isWide: NOT_WIDE, nulls: new Uint8Array(capacity) };
  switch (kind) {
    case "bool":
      return {
        ...base,
        values: new Uint8Array(capacity),
        wide: NO_WIDE,
        offsets: NO_OFFSETS,
        bytes: NO_BYTES,
      };
    case "i32":
      return {
        ...base,
        values: new Int32Array(capacity),
        wide: NO_WIDE,
        offsets: NO_OFFSETS,
        bytes: NO_BYTES,
      };
    case "i64": {
      const values = new Float64Array(capacity);
      return {
        ...base,
        isWide: new Uint8Array(1),
        values,
        wide: new BigInt64Array(values.buffer),
        offsets: NO_OFFSETS,
        bytes: NO_BYTES,
      };
    }
    case "f64":
      return {
        ...base,
        values: new Float64Array(capacity),
        wide: NO_WIDE,
        offsets: NO_OFFSETS,
        bytes: NO_BYTES,
      };
    case "vector":
      return {
        ...base,
        values: new Float32Array(capacity * dim),
        wide: NO_WIDE,
        offsets: NO_OFFSETS,
        bytes: NO_BYTES,
      };
    case "bytes":
      return {
        ...base,
        values: NO_BYTES,
        wide: NO_WIDE,
        offsets: new Uint32Array(capacity + 1),
        bytes: new Uint8Array(capacity * FIRST_BYTES_PER_ROW),
      };
  }
}

/** A `bytes` buffer over arrays that somebody else owns, to be read. */
export function bytesBufferOver(offsets: Uint32Array, bytes: Uint8Array, nulls: Uint8Array): ColumnBuffer {
  return { kind: "bytes", dim: 0, isWide: NOT_WIDE, nulls, values: NO_BYTES, wide: NO_WIDE, offsets, bytes };
}

/** A `vector` buffer over floats that somebody else owns, to be read. */
export function vectorBufferOver(dim: number, values: Float32Array, nulls: Uint8Array): ColumnBuffer {
  return {
    kind: "vector",
    dim,
    isWide: NOT_WIDE,
    nulls,
    values,
    wide: NO_WIDE,
    offsets: NO_OFFSETS,
    bytes: NO_BYTES,
  };
}

/** Makes room for `size` bytes in a `bytes` buffer; what it held is lost. */
export function growBytes(buffer: ColumnBuffer, size: number): void {
  if (buffer.bytes.length < size) buffer.bytes = new Uint8Array(Math.max(size, buffer.bytes.length * 2));
}

/** Room for what one search finds. */
export interface RankingBuffer {
  readonly rids: Uint32Array;
  readonly values: Float64Array;
  /** Slots of SearchStat. */
  readonly stats: Float64Array;
}

export class BufferPool {
  readonly #free = new Map<number, ColumnBuffer[]>();
  readonly #freeRids: Uint32Array[] = [];
  readonly #freeFlags: Uint8Array[] = [];
  /** By length. */
  readonly #freeRankings: RankingBuffer[][] = [];
  /** By blockName. */
  readonly #freeBlocks = new Map<string, RowBlock[]>();

  take(spec: ColumnSpec, capacity: number): ColumnBuffer {
    return (
      this.#free.get(shape(spec.kind, spec.dim, capacity))?.pop() ??
      allocateBuffer(spec.kind, spec.dim, capacity)
    );
  }

  /** As take, with no NULLs and narrow: to be filled by us, where the engine would set both. */
  takeClean(spec: ColumnSpec, capacity: number): ColumnBuffer {
    const buffer = this.take(spec, capacity);
    buffer.nulls.fill(0);
    if (buffer.isWide !== NOT_WIDE) buffer.isWide[0] = 0;
    return buffer;
  }

  /** A block for a few rows of these columns, whose blockName is `name`. Its contents are those of its last user. */
  takeBlock(name: string, specs: readonly ColumnSpec[]): RowBlock {
    return this.#freeBlocks.get(name)?.pop() ?? allocateBlock(specs);
  }

  /** Gives a block back; nobody may look at it (or at Vectors over it) afterwards. */
  releaseBlock(name: string, block: RowBlock): void {
    if (block.rows.length > MAX_POOLED_BYTES) return;
    let free = this.#freeBlocks.get(name);
    if (free === undefined) {
      if (this.#freeBlocks.size >= MAX_BLOCK_SHAPES) this.#freeBlocks.clear();
      free = [];
      this.#freeBlocks.set(name, free);
    }
    if (free.length < MAX_POOLED_PER_SHAPE) free.push(block);
  }

  /** Room for the row ids of a small look-up; larger ones are not worth keeping. */
  takeRids(count: number): Uint32Array {
    return (count === POOLED_RIDS ? this.#freeRids.pop() : undefined) ?? new Uint32Array(count);
  }

  /** Gives row ids back; nobody may look at them afterwards. */
  releaseRids(rids: Uint32Array): void {
    if (rids.length === POOLED_RIDS && this.#freeRids.length < MAX_POOLED_PER_SHAPE)
      this.#freeRids.push(rids);
  }

  /** As takeRids, a byte for each. */
  takeFlags(count: number): Uint8Array {
    return (count === POOLED_RIDS ? this.#freeFlags.pop() : undefined) ?? new Uint8Array(count);
  }

  releaseFlags(flags: Uint8Array): void {
    if (flags.length === POOLED_RIDS && this.#freeFlags.length < MAX_POOLED_PER_SHAPE)
      this.#freeFlags.push(flags);
  }

  /** Room for exactly `count` ranked rows: small typed arrays cost most where they are made. */
  takeRanking(count: number): RankingBuffer {
    const free = this.#freeRankings[count]?.pop();
    if (free === undefined) {
      const stats = new Float64Array(SearchStat.size);
      return { rids: new Uint32Array(count), values: new Float64Array(count), stats };
    }
    free.stats.fill(0);
    return free;
  }

  /** Gives a ranking back; nobody may look at it afterwards. */
  releaseRanking(ranking: RankingBuffer): void {
    const { length } = ranking.rids;
    if (length > MAX_POOLED_RANKING) return;
    const free = (this.#freeRankings[length] ??= []);
    if (free.length < MAX_POOLED_PER_SHAPE) free.push(ranking);
  }

  /** Gives buffers back; nobody may look at them (or at Vectors over them) afterwards. */
  release(buffers: readonly ColumnBuffer[]): void {
    for (const buffer of buffers) {
      if (buffer.bytes.length + buffer.values.byteLength > MAX_POOLED_BYTES) continue;
      const key = shape(buffer.kind, buffer.dim, buffer.nulls.length);
      let free = this.#free.get(key);
      if (free === undefined) {
        free = [];
        this.#free.set(key, free);
      }
      if (free.length < MAX_POOLED_PER_SHAPE) free.push(buffer);
    }
  }
}

const KIND_NUMBERS: Readonly<Record<StorageKind, number>> = {
  bool: 0,
  i32: 1,
  i64: 2,
  f64: 3,
  bytes: 4,
  vector: 5,
};

/** Buffers with the same number are alike. */
function shape(kind: StorageKind, dim: number, capacity: number): number {
  return (capacity * MAX_DIM + dim) * 8 + KIND_NUMBERS[kind];
}
