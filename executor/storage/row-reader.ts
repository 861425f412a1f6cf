// Rows out of the engine: a set of ColumnBuffers for some columns of a relation and the Vectors over them. Filled by a scan
// or a fetch by row id, again and again; each filling invalidates the Vectors of the one before.
import { assert, must } from "../../common/assert.ts";
import {
  BoolVector,
  EmbeddingVector,
  Float64Vector,
  Int32Vector,
  Int64Vector,
  type Nulls,
  TextVector,
  type Vector,
} from "../../common/batch/vector.ts";
import { Oid } from "../../common/types/oid.ts";
import { codecOf } from "../../common/types/registry.ts";
import type { Datum, SqlType } from "../../common/types/type.ts";
import type {
  ColumnBuffer,
  ColumnSpec,
  EngineTransaction,
  RowBlock,
  ScanCursor,
} from "../../native/engine.ts";
import { type BufferPool, growBytes } from "./buffer-pool.ts";
import { columnSpec } from "./column-spec.ts";
import { unpacked } from "./packed-words.ts";
import { BLOCK_ROWS, blockName, grownBlock } from "./row-block.ts";
import { StoredVector } from "./stored-vector.ts";

/** Where the engine says how large a buffer should be: read right after each call, so one is enough for all readers. */
const NEEDED = new Float64Array(1);
/** A batch with embeddings holds at most about this much of them: 4,096 rows of 768 dimensions would be 12 MB. */
const MAX_EMBEDDING_BYTES = 1 << 20;

export class RowReader {
  readonly #types: readonly SqlType[];
  readonly #pool: BufferPool;
  /** Few rows are read through a block, which is this kind of them; else there are buffers alone. */
  readonly #blockName: string | undefined;
  #block: RowBlock | undefined;
  #buffers: readonly ColumnBuffer[];
  readonly rids: Uint32Array;
  readonly capacity: number;
  #isClosed = false;

  /** At most `capacity` rows at a time; fewer where rows are wide. */
  constructor(
    types: readonly SqlType[],
    capacity: number,
    pool: BufferPool,
    specs: readonly ColumnSpec[] = types.map(columnSpec),
  ) {
    this.#types = types;
    this.#pool = pool;
    const embeddingBytes = specs.reduce((sum, spec) => sum + spec.dim * 4, 0);
    const widest =
      embeddingBytes === 0 ? capacity : Math.max(1, Math.floor(MAX_EMBEDDING_BYTES / embeddingBytes));
    const name = capacity <= BLOCK_ROWS ? blockName(specs) : undefined;
    this.#blockName = name;
    this.#block = name === undefined ? undefined : pool.takeBlock(name, specs);
    this.capacity = this.#block === undefined ? Math.min(capacity, widest) : capacity;
    this.#buffers = this.#block?.columns ?? specs.map((spec) => pool.take(spec, this.capacity));
    this.rids = pool.takeRids(this.capacity);
  }

  /** The memory of the last filling, a buffer a column. */
  get buffers(): readonly ColumnBuffer[] {
    return this.#buffers;
  }

  /** The next rows of a scan; 0 at the end. */
  scan(cursor: ScanCursor): number {
    return this.#withRoom(() => cursor.next(this.#buffers, this.rids, NEEDED));
  }

  /** Rows by id, in order, those not visible left out; `rids` of the reader receives the ones found. */
  fetch(
    transaction: EngineTransaction,
    relationId: number,
    columns: Uint16Array,
    rids: Uint32Array,
    from: number,
    count: number,
    newest: boolean,
  ): number {
    assert(count <= this.capacity, "a fetch fits the reader");
    for (;;) {
      const rows = this.#block?.rows ?? this.#buffers;
      const shape = this.#block?.shape;
      const found = transaction.fetchRows(
        relationId,
        rids,
        from,
        count,
        newest,
        columns,
        rows,
        shape,
        this.rids,
        NEEDED,
      );
      if (found >= 0) return found;
      this.#grow(-found - 1);
    }
  }

  /** Whether the first rows of a key can be read with fetchByKey. */
  get takesKeys(): boolean {
    return this.#block !== undefined && this.capacity === BLOCK_ROWS;
  }

  /** The first rows with a key, as EngineTransaction.fetchByKey gives them. */
  fetchByKey(
    transaction: EngineTransaction,
    indexId: number,
    key: RowBlock,
    backward: boolean,
    relationId: number,
    columns: Uint16Array,
  ): number {
    for (;;) {
      const block = must(this.#block, "a reader that takes keys");
      const found = transaction.fetchByKey(
        indexId,
        key.rows,
        key.shape,
        backward,
        relationId,
        columns,
        block.rows,
        block.shape,
        this.rids,
        NEEDED,
      );
      if (found >= 0) return found;
      this.#grow(-found - 1);
    }
  }

  /** The columns of the last filling. */
  vectors(rowCount: number): Vector[] {
    const vectors: Vector[] = [];
    for (let i = 0; i < this.#buffers.length; i++) {
      const buffer = this.#buffers[i] as ColumnBuffer;
      vectors.push(vectorFrom(buffer, must(this.#types[i], "a type per buffer"), rowCount));
    }
    return vectors;
  }

  close(): void {
    // Twice in the pool they would be two readers' at once.
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#block === undefined || this.#blockName === undefined) this.#pool.release(this.#buffers);
    else this.#pool.releaseBlock(this.#blockName, this.#block);
    this.#pool.releaseRids(this.rids);
  }

  /** Repeats `read` with a larger bytes buffer as long as the engine asks for one. */
  #withRoom(read: () => number): number {
    for (;;) {
      const count = read();
      if (count >= 0) return count;
      this.#grow(-count - 1);
    }
  }

  /** Makes room for what the last call needed in a bytes column. */
  #grow(column: number): void {
    const size = NEEDED[0] ?? 0;
    if (this.#block === undefined) {
      growBytes(must(this.#buffers[column], "the engine names one of the buffers"), size);
      return;
    }
    this.#block = grownBlock(this.#block, column, size);
    this.#buffers = this.#block.columns;
  }
}

/** `rowCount` rows of a buffer as a Vector over the same memory; values without a typed form are decoded when asked for. */
export function vectorFrom(buffer: ColumnBuffer, type: SqlType, rowCount: number): Vector {
  const nulls = nullsFrom(buffer, rowCount);
  switch (buffer.kind) {
    case "bool":
      return new BoolVector(buffer.values as Uint8Array, nulls, rowCount);
    case "i32":
      return new Int32Vector(buffer.values as Int32Array, nulls, rowCount);
    case "i64":
      return buffer.isWide[0] === 1
        ? new Int64Vector(undefined, buffer.wide, nulls, rowCount)
        : new Int64Vector(buffer.values as Float64Array, undefined, nulls, rowCount);
    case "f64":
      return new Float64Vector(buffer.values as Float64Array, nulls, rowCount);
    case "vector":
      return type.oid === Oid.vector
        ? new EmbeddingVector(buffer.dim, buffer.values as Float32Array, nulls, rowCount)
        : packedVector(buffer, type, nulls, rowCount);
    case "bytes":
      return bytesVector(buffer, type, nulls, rowCount);
  }
}

function bytesVector(buffer: ColumnBuffer, type: SqlType, nulls: Nulls, rowCount: number): Vector {
  const codec = codecOf(type.oid);
  const { offsets, bytes } = buffer;
  if (codec.vectorKind === "text") return new TextVector(offsets, bytes, nulls, rowCount);
  // A copy, because the value may keep pointing at its bytes (bytea).
  const decode = (row: number): Datum => codec.fromStorage(bytes.slice(offsets[row], offsets[row + 1]));
  return new StoredVector(decode, nulls, rowCount);
}

function packedVector(buffer: ColumnBuffer, type: SqlType, nulls: Nulls, rowCount: number): Vector {
  const { values } = buffer;
  const rowBytes = buffer.dim * 4;
  const bytes = new Uint8Array(values.buffer, values.byteOffset, rowCount * rowBytes);
  const decode = (row: number): Datum => unpacked(type, bytes.subarray(row * rowBytes, (row + 1) * rowBytes));
  return new StoredVector(decode, nulls, rowCount);
}

function nullsFrom(buffer: ColumnBuffer, rowCount: number): Nulls {
  const { nulls } = buffer;
  for (let row = 0; row < rowCount; row++) if (nulls[row] === 1) return nulls;
  return undefined;
}
