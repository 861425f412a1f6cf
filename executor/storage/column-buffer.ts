// Vectors -> ColumnBuffers: what INSERT, UPDATE, index bounds and text scoring hand to the engine.
import { assert } from "../../common/assert.ts";
import { BoxedVector, type Vector, writeUtf8 } from "../../common/batch/vector.ts";
import { Oid } from "../../common/types/oid.ts";
import { codecOf } from "../../common/types/registry.ts";
import type { Datum, SqlType, TypeCodec } from "../../common/types/type.ts";
import type { ColumnBuffer, ColumnSpec } from "../../native/engine.ts";
import { allocateBuffer, type BufferPool, bytesBufferOver, vectorBufferOver } from "./buffer-pool.ts";
import { columnSpec } from "./column-spec.ts";
import { packedBytes } from "./packed-words.ts";

/** A buffer with rows [from, to) of `vector`, a column of `type`. Shares typed arrays with the vector where forms agree. */
export function toBuffer(vector: Vector, type: SqlType, from: number, to: number): ColumnBuffer {
  return filledBuffer(vector, type, from, to, allocateClean);
}

/** The buffers of one write or look-up: taken from a pool, and given back together once the engine has read them. */
export class LentBuffers {
  readonly #pool: BufferPool;
  readonly #lent: ColumnBuffer[] = [];
  readonly #take = (spec: ColumnSpec, capacity: number): ColumnBuffer => {
    const buffer = this.#pool.takeClean(spec, capacity);
    this.#lent.push(buffer);
    return buffer;
  };

  constructor(pool: BufferPool) {
    this.#pool = pool;
  }

  /** As toBuffer. */
  lend(vector: Vector, type: SqlType, from: number, to: number): ColumnBuffer {
    return filledBuffer(vector, type, from, to, this.#take);
  }

  /** Nobody may look at the buffers afterwards. */
  release(): void {
    this.#pool.release(this.#lent);
    this.#lent.length = 0;
  }
}

type Allocate = (spec: ColumnSpec, capacity: number) => ColumnBuffer;

const allocateClean: Allocate = (spec, capacity) => allocateBuffer(spec.kind, spec.dim, capacity);

function filledBuffer(
  vector: Vector,
  type: SqlType,
  from: number,
  to: number,
  allocate: Allocate,
): ColumnBuffer {
  const spec = columnSpec(type);
  const count = to - from;
  if (spec.kind === "bytes") return bytesBuffer(vector, codecOf(type.oid), from, to, allocate);
  if (vector.kind === "embedding" && type.oid === Oid.vector && vector.dim === spec.dim) {
    const nulls = vector.nulls?.subarray(from, to) ?? new Uint8Array(count);
    return vectorBufferOver(spec.dim, vector.values.subarray(from * spec.dim, to * spec.dim), nulls);
  }
  const buffer = allocate(spec, count);
  const { nulls } = buffer;
  for (let i = 0; i < count; i++) if (vector.isNull(from + i)) nulls[i] = 1;
  switch (spec.kind) {
    case "bool":
      fill(buffer.values as Uint8Array, vector, from, count, (value) => (value === true ? 1 : 0));
      break;
    case "i32":
    case "f64":
      fill(buffer.values as Int32Array | Float64Array, vector, from, count, (value) => value as number);
      break;
    case "i64":
      fillInt64(buffer, vector, from, count);
      break;
    case "vector":
      if (type.oid === Oid.vector) fillEmbeddings(buffer, vector, from, count);
      else fillWords(buffer, vector, type, from, count);
      break;
  }
  return buffer;
}

/** One value as a one-row buffer: initial values of added columns, keys. To be read only. */
export function singleValueBuffer(type: SqlType, value: Datum): ColumnBuffer {
  return toBuffer(new BoxedVector([value]), type, 0, 1);
}

/** Texts as a bytes column; a TextVector lends its own arrays. */
export function textBuffer(texts: Vector, count: number): ColumnBuffer {
  if (texts.kind === "text") {
    const { offsets, bytes } = texts;
    return bytesBufferOver(offsets, bytes, texts.nulls ?? new Uint8Array(count));
  }
  return textsBuffer(texts, 0, count, allocateClean);
}

function bytesBuffer(
  vector: Vector,
  codec: TypeCodec,
  from: number,
  to: number,
  allocate: Allocate,
): ColumnBuffer {
  if (vector.kind === "text" && codec.vectorKind === "text") {
    const { bytes } = vector;
    const offsets = vector.offsets.subarray(from, to + 1);
    const nulls = vector.nulls?.subarray(from, to) ?? new Uint8Array(to - from);
    return bytesBufferOver(offsets, bytes, nulls);
  }
  return codec.vectorKind === "text"
    ? textsBuffer(vector, from, to, allocate)
    : encodedBuffer(vector, from, to, (value) => codec.toStorage(value), allocate);
}

/** Strings in UTF-8, without an array for each. */
function textsBuffer(vector: Vector, from: number, to: number, allocate: Allocate): ColumnBuffer {
  const buffer = allocate(BYTES, to - from);
  let size = 0;
  buffer.offsets[0] = 0;
  for (let i = 0; i < to - from; i++) {
    const value = vector.get(from + i);
    if (value === null) buffer.nulls[i] = 1;
    else {
      const text = value as string;
      // The exact count is only worth a pass over the text when three bytes a unit would waste memory.
      makeRoom(buffer, size, text.length <= 1024 ? text.length * 3 : Buffer.byteLength(text));
      size = writeUtf8(text, buffer.bytes, size);
    }
    buffer.offsets[i + 1] = size;
  }
  return buffer;
}

/** Makes room for `count` bytes behind the first `size`. */
function makeRoom(buffer: ColumnBuffer, size: number, count: number): void {
  if (size + count <= buffer.bytes.length) return;
  const larger = new Uint8Array(Math.max(256, buffer.bytes.length * 2, size + count));
  larger.set(buffer.bytes.subarray(0, size));
  buffer.bytes = larger;
}

function encodedBuffer(
  vector: Vector,
  from: number,
  to: number,
  encode: (value: Datum) => Uint8Array,
  allocate: Allocate,
): ColumnBuffer {
  const count = to - from;
  const buffer = allocate(BYTES, count);
  let size = 0;
  buffer.offsets[0] = 0;
  for (let i = 0; i < count; i++) {
    const value = vector.get(from + i);
    if (value === null) buffer.nulls[i] = 1;
    else {
      const encoded = encode(value);
      makeRoom(buffer, size, encoded.length);
      buffer.bytes.set(encoded, size);
      size += encoded.length;
    }
    buffer.offsets[i + 1] = size;
  }
  return buffer;
}

const BYTES: ColumnSpec = { kind: "bytes", dim: 0 };

function fill(
  target: Uint8Array | Int32Array | Float64Array,
  vector: Vector,
  from: number,
  count: number,
  convert: (value: Datum) => number,
): void {
  if (vector.kind === "i32" || vector.kind === "f64" || vector.kind === "bool") {
    target.set(vector.values.subarray(from, from + count));
    return;
  }
  for (let i = 0; i < count; i++) {
    const value = vector.get(from + i);
    if (value !== null) target[i] = convert(value);
  }
}

function fillInt64(buffer: ColumnBuffer, vector: Vector, from: number, count: number): void {
  if (vector.kind === "i64") {
    if (vector.values !== undefined)
      (buffer.values as Float64Array).set(vector.values.subarray(from, from + count));
    else {
      buffer.isWide[0] = 1;
      buffer.wide.set((vector.wide as BigInt64Array).subarray(from, from + count));
    }
    return;
  }
  const values: (number | bigint | null)[] = [];
  for (let i = 0; i < count; i++) values.push(vector.get(from + i) as number | bigint | null);
  if (values.some((value) => typeof value === "bigint")) {
    buffer.isWide[0] = 1;
    for (let i = 0; i < count; i++) buffer.wide[i] = BigInt(values[i] ?? 0);
    return;
  }
  for (let i = 0; i < count; i++) (buffer.values as Float64Array)[i] = (values[i] as number | null) ?? 0;
}

function fillEmbeddings(buffer: ColumnBuffer, vector: Vector, from: number, count: number): void {
  const { dim } = buffer;
  const target = buffer.values as Float32Array;
  for (let i = 0; i < count; i++) {
    const value = vector.get(from + i);
    if (value === null) continue;
    assert(value instanceof Float32Array && value.length === dim, "an embedding of the column's dimension");
    target.set(value, i * dim);
  }
}

function fillWords(buffer: ColumnBuffer, vector: Vector, type: SqlType, from: number, count: number): void {
  const { values, dim } = buffer;
  const rowBytes = dim * 4;
  // Buffers are reused, and a value may be shorter than its row.
  const target = new Uint8Array(values.buffer, values.byteOffset, count * rowBytes).fill(0);
  for (let i = 0; i < count; i++) {
    const value = vector.get(from + i);
    if (value !== null) target.set(packedBytes(type, value), i * rowBytes);
  }
}
