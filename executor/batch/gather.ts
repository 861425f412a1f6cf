// Picking rows out of Vectors: what filters, joins, sorts and lazy arguments do. Results are new dense Vectors of the
// same representation; values are copied, except boxed ones, which are references.
import { assert, unreachable } from "../../common/assert.ts";
import {
  type Batch,
  BoolVector,
  BoxedVector,
  ConstantVector,
  EmbeddingVector,
  Float64Vector,
  Int32Vector,
  Int64Vector,
  type Nulls,
  TextVector,
  type Vector,
} from "../../common/batch/vector.ts";
import type { Datum } from "../../common/types/type.ts";

/** Row positions, as a filter or a join makes them. Int32Array may hold -1: a row of NULLs (outer joins). */
export type Rows = Uint32Array | Int32Array;

/** The rows `rows[0..rows.length)` of `vector`, in that order. -1 gives NULL. */
export function gather(vector: Vector, rows: Rows): Vector {
  const count = rows.length;
  switch (vector.kind) {
    case "constant":
      return gatherConstant(vector, rows);
    case "bool": {
      const out = new Uint8Array(count);
      for (let i = 0; i < count; i++) out[i] = vector.values[rows[i] as number] as number;
      return new BoolVector(out, gatherNulls(vector.nulls, rows), count);
    }
    case "i32": {
      const out = new Int32Array(count);
      for (let i = 0; i < count; i++) out[i] = vector.values[rows[i] as number] as number;
      return new Int32Vector(out, gatherNulls(vector.nulls, rows), count);
    }
    case "i64":
      return gatherInt64(vector, rows);
    case "f64": {
      const out = new Float64Array(count);
      for (let i = 0; i < count; i++) out[i] = vector.values[rows[i] as number] as number;
      return new Float64Vector(out, gatherNulls(vector.nulls, rows), count);
    }
    case "text":
      return gatherText(vector, rows);
    case "boxed": {
      const out = new Array<Datum>(count);
      for (let i = 0; i < count; i++) {
        const row = rows[i] as number;
        out[i] = row < 0 ? null : vector.get(row);
      }
      return new BoxedVector(out);
    }
    case "embedding": {
      const { dim, values } = vector;
      const out = new Float32Array(count * dim);
      for (let i = 0; i < count; i++) {
        const row = rows[i] as number;
        if (row >= 0) out.set(values.subarray(row * dim, (row + 1) * dim), i * dim);
      }
      return new EmbeddingVector(dim, out, gatherNulls(vector.nulls, rows), count);
    }
    default:
      return unreachable(vector);
  }
}

/** All columns of a batch at `rows`. */
export function gatherBatch(batch: Batch, rows: Rows): Batch {
  return { columns: batch.columns.map((column) => gather(column, rows)), rowCount: rows.length };
}

/** Rows [from, to) of a vector without copying numbers. */
export function slice(vector: Vector, from: number, to: number): Vector {
  const count = to - from;
  assert(from >= 0 && to <= vector.length, "a slice within the vector");
  if (from === 0 && count === vector.length) return vector;
  const nulls = "nulls" in vector ? vector.nulls?.subarray(from, to) : undefined;
  switch (vector.kind) {
    case "constant":
      return new ConstantVector(vector.value, count);
    case "bool":
      return new BoolVector(vector.values.subarray(from, to), nulls, count);
    case "i32":
      return new Int32Vector(vector.values.subarray(from, to), nulls, count);
    case "i64":
      return new Int64Vector(
        vector.values?.subarray(from, to),
        vector.wide?.subarray(from, to),
        nulls,
        count,
      );
    case "f64":
      return new Float64Vector(vector.values.subarray(from, to), nulls, count);
    case "text":
      return new TextVector(vector.offsets.subarray(from, to + 1), vector.bytes, nulls, count);
    case "boxed":
      return new BoxedVector(vector.values.slice(from, to));
    case "embedding": {
      const { dim } = vector;
      return new EmbeddingVector(dim, vector.values.subarray(from * dim, to * dim), nulls, count);
    }
    default:
      return unreachable(vector);
  }
}

export function sliceBatch(batch: Batch, from: number, to: number): Batch {
  if (from === 0 && to === batch.rowCount) return batch;
  return { columns: batch.columns.map((column) => slice(column, from, to)), rowCount: to - from };
}

function gatherNulls(nulls: Nulls, rows: Rows): Nulls {
  const count = rows.length;
  let out: Uint8Array | undefined;
  for (let i = 0; i < count; i++) {
    const row = rows[i] as number;
    if (row < 0 || (nulls !== undefined && nulls[row] === 1)) {
      out ??= new Uint8Array(count);
      out[i] = 1;
    }
  }
  return out;
}

function gatherConstant(vector: ConstantVector, rows: Rows): Vector {
  if (rows instanceof Int32Array && rows.includes(-1)) {
    return new BoxedVector(Array.from(rows, (row) => (row < 0 ? null : vector.value)));
  }
  return new ConstantVector(vector.value, rows.length);
}

function gatherInt64(vector: Int64Vector, rows: Rows): Int64Vector {
  const count = rows.length;
  const nulls = gatherNulls(vector.nulls, rows);
  if (vector.values !== undefined) {
    const out = new Float64Array(count);
    for (let i = 0; i < count; i++) out[i] = vector.values[rows[i] as number] ?? 0;
    return new Int64Vector(out, undefined, nulls, count);
  }
  const wide = vector.wide as BigInt64Array;
  const out = new BigInt64Array(count);
  for (let i = 0; i < count; i++) out[i] = wide[rows[i] as number] ?? 0n;
  return new Int64Vector(undefined, out, nulls, count);
}

function gatherText(vector: TextVector, rows: Rows): TextVector {
  const count = rows.length;
  const offsets = new Uint32Array(count + 1);
  let size = 0;
  for (let i = 0; i < count; i++) {
    const row = rows[i] as number;
    if (row >= 0) size += (vector.offsets[row + 1] as number) - (vector.offsets[row] as number);
    offsets[i + 1] = size;
  }
  const bytes = new Uint8Array(size);
  for (let i = 0; i < count; i++) {
    const row = rows[i] as number;
    if (row < 0) continue;
    copyBytes(
      vector.bytes,
      vector.offsets[row] as number,
      vector.offsets[row + 1] as number,
      bytes,
      offsets[i] as number,
    );
  }
  return new TextVector(offsets, bytes, gatherNulls(vector.nulls, rows), count);
}

/** Below this a loop is quicker than a subarray and set(). */
const SHORT_COPY_BYTES = 32;

export function copyBytes(from: Uint8Array, start: number, end: number, to: Uint8Array, at: number): void {
  if (end - start <= SHORT_COPY_BYTES) {
    for (let i = start; i < end; i++) to[at + i - start] = from[i] as number;
  } else {
    to.set(from.subarray(start, end), at);
  }
}
