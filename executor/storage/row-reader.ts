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
import type { ColumnBuffer, ColumnSpec, EngineTransaction, ScanCursor } from "../../native/engine.ts";
import { type BufferPool, growBytes } from "./buffer-pool.ts";
import { columnSpec } from "./column-spec.ts";
import { unpacked } from "./packed-words.ts";
import { StoredVector } from "./stored-vector.ts";

/** Where the engine says how large a buffer should be: read right after each call, so one is enough for all readers. */
const NEEDED = new Float64Array(1);
/** A batch with embeddings holds at most about this much of them: 4,096 rows of 768 dimensions would be 12 MB. */
const MAX_EMBEDDING_BYTES = 1 << 20;

export class RowReader {
  readonly #types: readonly SqlType[];
  readonly #pool: BufferPool;
  readonly buffers: readonly ColumnBuffer[];
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
    this.capacity = Math.min(capacity, widest);
    this.buffers = specs.map((spec) => pool.take(spec, this.capacity));
    this.rids = pool.takeRids(this.capacity);
  }

  /** The next rows of a scan; 0 at the end. */
  scan(cursor: ScanCursor): number {
    return this.#withRoom(() => cursor.next(this.buffers, this.rids, NEEDED));
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
    return this.#withRoom(() =>
      transaction.fetchRows(relationId, rids, from, count, newest, columns, this.buffers, this.rids, NEEDED),
    );
  }

  /** The columns of the last filling. */
  vectors(rowCount: number): Vector[] {
    return this.buffers.map((buffer, i) =>
      vectorFrom(buffer, must(this.#types[i], "a type per buffer"), rowCount),
    );
  }

  close(): void {
    // Twice in the pool they would be two readers' at once.
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#pool.release(this.buffers);
    this.#pool.releaseRids(this.rids);
  }

  /** Repeats `read` with a larger bytes buffer as long as the engine asks for one. */
  #withRoom(read: () => number): number {
    for (;;) {
      const count = read();
      if (count >= 0) return count;
      growBytes(must(this.buffers[-count - 1], "the engine names one of the buffers"), NEEDED[0] ?? 0);
    }
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
