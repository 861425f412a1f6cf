// A growing column that owns its values: where operators keep rows beyond the batch that brought them (sort, hash join,
// CTE, DML). Starts in the representation of the first vector and widens when a later one needs it: narrow int64 to
// wide, anything to boxed. Every value is copied out of the batch's memory.
import {
  BoolVector,
  BoxedVector,
  EmbeddingVector,
  Float64Vector,
  Int32Vector,
  Int64Vector,
  TextVector,
  type Vector,
} from "../../common/batch/vector.ts";
import type { Datum } from "../../common/types/type.ts";

const FIRST_CAPACITY = 64;
/** Rough heap size of a boxed value, for memory accounting. */
const BOXED_BYTES = 48;

type Form = "empty" | "bool" | "i32" | "i64" | "wide" | "f64" | "text" | "boxed" | "embedding";

export class ColumnBuilder {
  #form: Form = "empty";
  #length = 0;
  #capacity = 0;
  #bools = new Uint8Array(0);
  #ints = new Int32Array(0);
  #floats = new Float64Array(0);
  #wide = new BigInt64Array(0);
  #nulls: Uint8Array | undefined;
  #offsets = new Uint32Array(1);
  #bytes = new Uint8Array(0);
  #embeddings = new Float32Array(0);
  #dim = 0;
  #boxed: Datum[] = [];

  get length(): number {
    return this.#length;
  }

  /** Memory held, for accounting. */
  get sizeBytes(): number {
    switch (this.#form) {
      case "text":
        return this.#bytes.length + 5 * this.#capacity;
      case "embedding":
        return this.#embeddings.byteLength + this.#capacity;
      case "boxed":
        return this.#length * BOXED_BYTES;
      case "empty":
        return 0;
      default:
        return this.#capacity * 9;
    }
  }

  /** Appends rows [from, to) of `vector`. */
  append(vector: Vector, from: number, to: number): void {
    const count = to - from;
    if (count === 0) return;
    if (
      vector.kind === "constant" &&
      vector.value === null &&
      this.#form !== "empty" &&
      this.#form !== "boxed"
    ) {
      this.#appendNulls(count);
      return;
    }
    this.#prepare(vector);
    this.#reserve(this.#length + count);
    const at = this.#length;
    this.#length += count;
    switch (this.#form) {
      case "bool":
        this.#bools.set((vector as BoolVector).values.subarray(from, to), at);
        break;
      case "i32":
        this.#ints.set((vector as Int32Vector).values.subarray(from, to), at);
        break;
      case "f64":
        this.#floats.set((vector as Float64Vector).values.subarray(from, to), at);
        break;
      case "i64":
        this.#floats.set(((vector as Int64Vector).values as Float64Array).subarray(from, to), at);
        break;
      case "wide":
        this.#appendWide(vector as Int64Vector, from, to, at);
        break;
      case "text":
        this.#appendText(vector as TextVector, from, to, at);
        break;
      case "embedding":
        this.#embeddings.set(
          (vector as EmbeddingVector).values.subarray(from * this.#dim, to * this.#dim),
          at * this.#dim,
        );
        break;
      default:
        for (let row = from; row < to; row++) this.#boxed.push(detach(vector.get(row)));
        return;
    }
    const nulls = (vector as { nulls?: Uint8Array }).nulls;
    if (nulls !== undefined) {
      this.#nulls ??= new Uint8Array(this.#capacity);
      this.#nulls.set(nulls.subarray(from, to), at);
    }
  }

  /** The column so far; valid while nothing more is appended. */
  finish(): Vector {
    const length = this.#length;
    const nulls = this.#nulls?.subarray(0, length);
    switch (this.#form) {
      case "bool":
        return new BoolVector(this.#bools.subarray(0, length), nulls, length);
      case "i32":
        return new Int32Vector(this.#ints.subarray(0, length), nulls, length);
      case "f64":
        return new Float64Vector(this.#floats.subarray(0, length), nulls, length);
      case "i64":
        return new Int64Vector(this.#floats.subarray(0, length), undefined, nulls, length);
      case "wide":
        return new Int64Vector(undefined, this.#wide.subarray(0, length), nulls, length);
      case "text":
        return new TextVector(this.#offsets.subarray(0, length + 1), this.#bytes, nulls, length);
      case "embedding":
        return new EmbeddingVector(
          this.#dim,
          this.#embeddings.subarray(0, length * this.#dim),
          nulls,
          length,
        );
      default:
        return new BoxedVector(this.#boxed);
    }
  }

  /** Brings the form to one that holds `vector` too. */
  #prepare(vector: Vector): void {
    const wanted: Form =
      vector.kind === "constant"
        ? "boxed"
        : vector.kind === "i64" && vector.wide !== undefined
          ? "wide"
          : vector.kind;
    if (this.#form === "empty") {
      this.#form = wanted;
      if (vector.kind === "embedding") this.#dim = vector.dim;
      return;
    }
    const sameDimension = vector.kind !== "embedding" || vector.dim === this.#dim;
    if (this.#form === wanted && sameDimension) return;
    if (this.#form === "wide" && wanted === "i64") return;
    if (this.#form === "i64" && wanted === "wide") this.#widen();
    else this.#box();
  }

  #widen(): void {
    this.#wide = new BigInt64Array(this.#capacity);
    for (let i = 0; i < this.#length; i++) this.#wide[i] = BigInt(this.#floats[i] as number);
    this.#floats = new Float64Array(0);
    this.#form = "wide";
  }

  #box(): void {
    if (this.#form === "boxed") return;
    const column = this.finish();
    this.#boxed = [];
    for (let i = 0; i < this.#length; i++) this.#boxed.push(detach(column.get(i)));
    this.#form = "boxed";
    this.#nulls = undefined;
    this.#bools = new Uint8Array(0);
    this.#ints = new Int32Array(0);
    this.#floats = new Float64Array(0);
    this.#wide = new BigInt64Array(0);
    this.#bytes = new Uint8Array(0);
    this.#embeddings = new Float32Array(0);
  }

  #reserve(rows: number): void {
    if (rows <= this.#capacity || this.#form === "boxed") return;
    const capacity = Math.max(FIRST_CAPACITY, this.#capacity * 2, rows);
    this.#capacity = capacity;
    if (this.#nulls !== undefined) this.#nulls = grown(this.#nulls, new Uint8Array(capacity));
    switch (this.#form) {
      case "bool":
        this.#bools = grown(this.#bools, new Uint8Array(capacity));
        break;
      case "i32":
        this.#ints = grown(this.#ints, new Int32Array(capacity));
        break;
      case "wide":
        this.#wide = grown(this.#wide, new BigInt64Array(capacity));
        break;
      case "text":
        this.#offsets = grown(this.#offsets, new Uint32Array(capacity + 1));
        break;
      case "embedding":
        this.#embeddings = grown(this.#embeddings, new Float32Array(capacity * this.#dim));
        break;
      default:
        this.#floats = grown(this.#floats, new Float64Array(capacity));
    }
  }

  /** NULLs need no representation of their own: outer joins pad typed columns with them. */
  #appendNulls(count: number): void {
    this.#reserve(this.#length + count);
    const at = this.#length;
    this.#length += count;
    this.#nulls ??= new Uint8Array(this.#capacity);
    this.#nulls.fill(1, at, at + count);
    if (this.#form === "text") this.#offsets.fill(this.#offsets[at] as number, at + 1, at + count + 1);
  }

  #appendWide(vector: Int64Vector, from: number, to: number, at: number): void {
    if (vector.wide !== undefined) {
      this.#wide.set(vector.wide.subarray(from, to), at);
      return;
    }
    const values = vector.values as Float64Array;
    for (let row = from; row < to; row++) {
      this.#wide[at + row - from] = vector.isNull(row) ? 0n : BigInt(values[row] as number);
    }
  }

  #appendText(vector: TextVector, from: number, to: number, at: number): void {
    const start = vector.offsets[from] as number;
    const end = vector.offsets[to] as number;
    const base = this.#offsets[at] as number;
    const size = base + end - start;
    if (size > this.#bytes.length) {
      this.#bytes = grown(this.#bytes, new Uint8Array(Math.max(1024, this.#bytes.length * 2, size)));
    }
    this.#bytes.set(vector.bytes.subarray(start, end), base);
    for (let row = from; row < to; row++) {
      this.#offsets[at + row - from + 1] = base + (vector.offsets[row + 1] as number) - start;
    }
  }
}

function grown<T extends { set(source: T): void }>(old: T, target: T): T {
  target.set(old);
  return target;
}

/** A value that does not point into batch memory. */
export function detach(value: Datum): Datum {
  return value instanceof Float32Array || value instanceof Uint8Array ? value.slice() : value;
}
