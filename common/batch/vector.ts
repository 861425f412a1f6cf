// One column of a Batch. Vectors are dense (no selection inside), a Batch is at most BATCH_ROWS rows, and a Batch with all
// its Vectors belongs to the caller until the operator's following next().
//
// Numbers live in typed arrays; text as offsets + UTF-8 bytes until a function needs a JavaScript string; everything else
// is boxed. A constant is one value repeated and costs nothing per row. Kernels look at `kind`; whoever does not care calls
// get(row), which boxes.
import { assert } from "../assert.ts";
import type { Datum, VectorKind } from "../types/type.ts";

/** Rows of a full batch: the engine's chunk size, so that a scan batch is one chunk. */
export const BATCH_ROWS = 4096;

const utf8Decoder = new TextDecoder("utf-8");
const utf8Encoder = new TextEncoder();

/** One byte a row, 1 = NULL; undefined = no NULL at all. */
export type Nulls = Uint8Array | undefined;

export class BoolVector {
  readonly kind = "bool";
  readonly values: Uint8Array;
  readonly nulls: Nulls;
  readonly length: number;
  constructor(values: Uint8Array, nulls: Nulls, length: number) {
    this.values = values;
    this.nulls = nulls;
    this.length = length;
  }
  isNull(row: number): boolean {
    return this.nulls !== undefined && this.nulls[row] === 1;
  }
  get(row: number): Datum {
    return this.isNull(row) ? null : this.values[row] === 1;
  }
}

/** int2, int4, date. */
export class Int32Vector {
  readonly kind = "i32";
  readonly values: Int32Array;
  readonly nulls: Nulls;
  readonly length: number;
  constructor(values: Int32Array, nulls: Nulls, length: number) {
    this.values = values;
    this.nulls = nulls;
    this.length = length;
  }
  isNull(row: number): boolean {
    return this.nulls !== undefined && this.nulls[row] === 1;
  }
  get(row: number): Datum {
    return this.isNull(row) ? null : (this.values[row] as number);
  }
}

/**
 * int8, oid, timestamps: a Float64Array while every |value| < 2^53, else `wide`. Exactly one of the two is defined.
 */
export class Int64Vector {
  readonly kind = "i64";
  readonly values: Float64Array | undefined;
  readonly wide: BigInt64Array | undefined;
  readonly nulls: Nulls;
  readonly length: number;
  constructor(
    values: Float64Array | undefined,
    wide: BigInt64Array | undefined,
    nulls: Nulls,
    length: number,
  ) {
    assert((values === undefined) !== (wide === undefined), "an Int64Vector is narrow or wide");
    this.values = values;
    this.wide = wide;
    this.nulls = nulls;
    this.length = length;
  }
  isNull(row: number): boolean {
    return this.nulls !== undefined && this.nulls[row] === 1;
  }
  /** number while it fits 2^53, else bigint. */
  get(row: number): Datum {
    if (this.isNull(row)) return null;
    if (this.values !== undefined) return this.values[row] as number;
    return canonicalInt64((this.wide as BigInt64Array)[row] as bigint);
  }
}

export class Float64Vector {
  readonly kind = "f64";
  readonly values: Float64Array;
  readonly nulls: Nulls;
  readonly length: number;
  constructor(values: Float64Array, nulls: Nulls, length: number) {
    this.values = values;
    this.nulls = nulls;
    this.length = length;
  }
  isNull(row: number): boolean {
    return this.nulls !== undefined && this.nulls[row] === 1;
  }
  get(row: number): Datum {
    return this.isNull(row) ? null : (this.values[row] as number);
  }
}

/** Text types: row i is bytes[offsets[i] .. offsets[i + 1]) in UTF-8. Strings are made at the first get() and kept. */
export class TextVector {
  readonly kind = "text";
  readonly offsets: Uint32Array;
  readonly bytes: Uint8Array;
  readonly nulls: Nulls;
  readonly length: number;
  #strings: (string | undefined)[] | undefined;
  constructor(offsets: Uint32Array, bytes: Uint8Array, nulls: Nulls, length: number) {
    this.offsets = offsets;
    this.bytes = bytes;
    this.nulls = nulls;
    this.length = length;
  }
  isNull(row: number): boolean {
    return this.nulls !== undefined && this.nulls[row] === 1;
  }
  get(row: number): string | null {
    if (this.isNull(row)) return null;
    this.#strings ??= new Array<string | undefined>(this.length);
    let text = this.#strings[row];
    if (text === undefined) {
      text = decodeUtf8(this.bytes, this.offsets[row] as number, this.offsets[row + 1] as number);
      this.#strings[row] = text;
    }
    return text;
  }
}

/** Any type as JavaScript values; null = NULL. Also text that a function produced as strings. */
export class BoxedVector {
  readonly kind = "boxed";
  readonly values: readonly Datum[];
  readonly length: number;
  constructor(values: readonly Datum[]) {
    this.values = values;
    this.length = values.length;
  }
  isNull(row: number): boolean {
    return this.values[row] === null;
  }
  get(row: number): Datum {
    return this.values[row] as Datum;
  }
}

/** SQL vectors of one dimension: rows x dim floats, row-major. */
export class EmbeddingVector {
  readonly kind = "embedding";
  readonly dim: number;
  readonly values: Float32Array;
  readonly nulls: Nulls;
  readonly length: number;
  constructor(dim: number, values: Float32Array, nulls: Nulls, length: number) {
    this.dim = dim;
    this.values = values;
    this.nulls = nulls;
    this.length = length;
  }
  isNull(row: number): boolean {
    return this.nulls !== undefined && this.nulls[row] === 1;
  }
  /** A view, valid as long as the batch is. */
  get(row: number): Datum {
    return this.isNull(row) ? null : this.values.subarray(row * this.dim, (row + 1) * this.dim);
  }
}

/** One value for every row. */
export class ConstantVector {
  readonly kind = "constant";
  readonly value: Datum;
  readonly length: number;
  constructor(value: Datum, length: number) {
    this.value = value;
    this.length = length;
  }
  isNull(_row: number): boolean {
    return this.value === null;
  }
  get(_row: number): Datum {
    return this.value;
  }
}

export type Vector =
  | BoolVector
  | Int32Vector
  | Int64Vector
  | Float64Vector
  | TextVector
  | BoxedVector
  | EmbeddingVector
  | ConstantVector;

/** Columns of equal length. A batch of zero columns still has a row count. */
export interface Batch {
  readonly columns: readonly Vector[];
  readonly rowCount: number;
}

/** An int64 as Datum: number while |v| < 2^53. */
export function canonicalInt64(value: bigint): number | bigint {
  return value >= -9007199254740991n && value <= 9007199254740991n ? Number(value) : value;
}

/** UTF-8 bytes [start, end) as a string; short ASCII without the decoder, which costs more than the loop. */
export function decodeUtf8(bytes: Uint8Array, start: number, end: number): string {
  if (end - start <= 24) {
    let text = "";
    for (let i = start; i < end; i++) {
      const byte = bytes[i] as number;
      if (byte >= 0x80) return utf8Decoder.decode(bytes.subarray(start, end));
      text += String.fromCharCode(byte);
    }
    return text;
  }
  return utf8Decoder.decode(bytes.subarray(start, end));
}

export function encodeUtf8(text: string): Uint8Array {
  return utf8Encoder.encode(text);
}

/** Writes `text` at a place with room for it (three bytes for each UTF-16 unit suffice); the position behind it. */
export function writeUtf8(text: string, bytes: Uint8Array, at: number): number {
  // A short ASCII text is written sooner than a view for the encoder is made.
  if (text.length <= MAX_UNITS_BY_HAND) {
    let i = 0;
    for (; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      if (unit >= 0x80) break;
      bytes[at + i] = unit;
    }
    if (i === text.length) return at + i;
  }
  return at + utf8Encoder.encodeInto(text, bytes.subarray(at)).written;
}

const MAX_UNITS_BY_HAND = 48;

/** A vector of `kind` from boxed values: what row-at-a-time function bodies produce. */
export function vectorOf(kind: VectorKind, values: readonly Datum[]): Vector {
  const length = values.length;
  let nulls: Uint8Array | undefined;
  const markNull = (row: number): void => {
    nulls ??= new Uint8Array(length);
    nulls[row] = 1;
  };
  switch (kind) {
    case "bool": {
      const out = new Uint8Array(length);
      for (let i = 0; i < length; i++) {
        const value = values[i];
        if (value === null) markNull(i);
        else out[i] = value === true ? 1 : 0;
      }
      return new BoolVector(out, nulls, length);
    }
    case "i32": {
      const out = new Int32Array(length);
      for (let i = 0; i < length; i++) {
        const value = values[i];
        if (value === null) markNull(i);
        else out[i] = value as number;
      }
      return new Int32Vector(out, nulls, length);
    }
    case "i64":
      return int64VectorOf(values);
    case "f64": {
      const out = new Float64Array(length);
      for (let i = 0; i < length; i++) {
        const value = values[i];
        if (value === null) markNull(i);
        else out[i] = value as number;
      }
      return new Float64Vector(out, nulls, length);
    }
    case "text":
    case "boxed":
    case "embedding":
      return new BoxedVector(values);
  }
}

function int64VectorOf(values: readonly Datum[]): Int64Vector {
  const length = values.length;
  let nulls: Uint8Array | undefined;
  let isWide = false;
  for (const value of values) {
    if (typeof value === "bigint") isWide = true;
  }
  const narrow = isWide ? undefined : new Float64Array(length);
  const wide = isWide ? new BigInt64Array(length) : undefined;
  for (let i = 0; i < length; i++) {
    const value = values[i] as number | bigint | null;
    if (value === null) {
      nulls ??= new Uint8Array(length);
      nulls[i] = 1;
    } else if (narrow !== undefined) narrow[i] = value as number;
    else if (wide !== undefined) wide[i] = BigInt(value);
  }
  return new Int64Vector(narrow, wide, nulls, length);
}
