// pgvector's `sparsevec`: a vector of which only the elements that are not zero are kept. Written `{1:1.5,3:3.5}/5`, index
// (from 1) and value, then the number of dimensions, which is the type modifier too.
// Binary: int32 dimensions, int32 elements, int32 0, the indices (from 0) as int32, the values as float4, all big-endian.
// Storage: int32 dimensions, the indices, the values, little-endian; the number of elements follows from the length.
import { SqlError, SqlState } from "../error.ts";
import { ByteReader, ByteWriter } from "./bytes.ts";
import {
  checkElement,
  checkModifier,
  elementOutOfRange,
  invalidEmbedding,
  isWrittenInfinite,
  scanNumber,
  singleOf,
  skipBlanks,
} from "./embedding.ts";
import { formatFloat4 } from "./float.ts";
import { Oid } from "./oid.ts";
import type { Datum, TypeCodec } from "./type.ts";

/** SPARSEVEC_MAX_DIM. */
export const MAX_SPARSE_DIMENSIONS = 1_000_000_000;
/** SPARSEVEC_MAX_NNZ. */
export const MAX_SPARSE_ELEMENTS = 16_000;

const INT32_MAX = 2_147_483_647;
const TYPE = "sparsevec";

/** Indices from 0, ascending and different; values finite and not zero. Must not be changed. */
export class SparseVector {
  readonly dimensions: number;
  readonly indices: Int32Array;
  readonly values: Float32Array;

  constructor(dimensions: number, indices: Int32Array, values: Float32Array) {
    this.dimensions = dimensions;
    this.indices = indices;
    this.values = values;
  }

  /** Of the elements of a dense vector those that are not zero; the caller has checked them. */
  static fromDense(dense: ArrayLike<number>): SparseVector {
    const indices: number[] = [];
    for (let i = 0; i < dense.length; i++) if (dense[i] !== 0) indices.push(i);
    return new SparseVector(
      dense.length,
      Int32Array.from(indices),
      Float32Array.from(indices, (index) => dense[index] as number),
    );
  }

  toDense(): Float32Array {
    const dense = new Float32Array(this.dimensions);
    this.indices.forEach((index, i) => {
      dense[index] = this.values[i] as number;
    });
    return dense;
  }
}

export function checkSparseDimensions(dimensions: number): void {
  if (dimensions < 1) throw new SqlError(SqlState.dataException, "sparsevec must have at least 1 dimension");
  if (dimensions > MAX_SPARSE_DIMENSIONS) {
    throw new SqlError(
      SqlState.programLimitExceeded,
      `sparsevec cannot have more than ${MAX_SPARSE_DIMENSIONS} dimensions`,
    );
  }
}

function tooManyElements(): SqlError {
  return new SqlError(
    SqlState.programLimitExceeded,
    `sparsevec cannot have more than ${MAX_SPARSE_ELEMENTS} non-zero elements`,
  );
}

function checkElementCount(count: number, dimensions: number): void {
  if (count < 0) {
    throw new SqlError(SqlState.dataException, "sparsevec cannot have negative number of elements");
  }
  if (count > MAX_SPARSE_ELEMENTS) throw tooManyElements();
  if (count > dimensions) {
    throw new SqlError(SqlState.programLimitExceeded, "sparsevec cannot have more elements than dimensions");
  }
}

/** Every index in range and greater than the one before. */
function checkIndices(indices: Int32Array, dimensions: number): void {
  let previous = -1;
  for (const index of indices) {
    if (index < 0 || index >= dimensions)
      throw new SqlError(SqlState.dataException, "sparsevec index out of bounds");
    if (index < previous)
      throw new SqlError(SqlState.dataException, "sparsevec indices must be in ascending order");
    if (index === previous)
      throw new SqlError(SqlState.dataException, "sparsevec indices must not contain duplicates");
    previous = index;
  }
}

interface Element {
  readonly index: number;
  readonly value: number;
}

function parse(text: string, typmod: number): SparseVector {
  let commas = 0;
  for (let i = 0; i < text.length; i++) if (text[i] === ",") commas += 1;
  if (commas >= MAX_SPARSE_ELEMENTS) throw tooManyElements();
  const scanner = new Scanner(text);
  if (!scanner.take("{")) throw invalidEmbedding(TYPE, text, 'Vector contents must start with "{".');
  const elements: Element[] = [];
  if (!scanner.take("}")) {
    do {
      const element = scanner.element();
      // Zeros may be written and are not kept.
      if (element.value !== 0) elements.push(element);
    } while (scanner.take(","));
    scanner.expect("}");
  }
  if (!scanner.take("/")) throw invalidEmbedding(TYPE, text, "Unexpected end of input.");
  const dimensions = scanner.integer();
  if (!scanner.isAtEnd()) throw invalidEmbedding(TYPE, text, "Junk after closing.");
  checkSparseDimensions(dimensions);
  checkModifier(dimensions, typmod);
  elements.sort((a, b) => a.index - b.index);
  const indices = Int32Array.from(elements, (element) => element.index);
  checkIndices(indices, dimensions);
  return new SparseVector(
    dimensions,
    indices,
    Float32Array.from(elements, (element) => element.value),
  );
}

/** Reads the pieces of the text form; blanks may stand before each. */
class Scanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** Whether `symbol` comes next; if so it is read. */
  take(symbol: string): boolean {
    this.#at = skipBlanks(this.#text, this.#at);
    if (this.#text[this.#at] !== symbol) return false;
    this.#at += 1;
    return true;
  }

  expect(symbol: string): void {
    if (!this.take(symbol)) throw invalidEmbedding(TYPE, this.#text);
  }

  isAtEnd(): boolean {
    return skipBlanks(this.#text, this.#at) === this.#text.length;
  }

  /** `3:1.5`; the index in it counts from 1. */
  element(): Element {
    const index = this.integer();
    this.expect(":");
    this.#at = skipBlanks(this.#text, this.#at);
    const word = scanNumber(this.#text, this.#at);
    if (word === undefined) throw invalidEmbedding(TYPE, this.#text);
    this.#at += word.length;
    const value = singleOf(word);
    const isTooLarge = !Number.isFinite(value) && !Number.isNaN(value) && !isWrittenInfinite(word);
    const isTooSmall = value === 0 && /^[^eEpP]*[1-9a-fA-F]/.test(word.replace(/0[xX]/, ""));
    if (isTooLarge || isTooSmall) throw elementOutOfRange(TYPE, word);
    checkElement(TYPE, value);
    return { index: Math.max(index, -INT32_MAX) - 1, value };
  }

  /** An integer as strtol reads it, kept within int32 so that a later check says what is wrong with it. */
  integer(): number {
    this.#at = skipBlanks(this.#text, this.#at);
    INTEGER.lastIndex = this.#at;
    const word = INTEGER.exec(this.#text)?.[0];
    if (word === undefined) throw invalidEmbedding(TYPE, this.#text);
    this.#at += word.length;
    return Math.max(Math.min(Number(word), INT32_MAX), -INT32_MAX - 1);
  }
}

const INTEGER = /[+-]?\d+/y;

function format(value: Datum): string {
  const { dimensions, indices, values } = value as SparseVector;
  let text = "{";
  for (let i = 0; i < indices.length; i++) {
    if (i > 0) text += ",";
    text += `${(indices[i] as number) + 1}:${formatFloat4(values[i] as number, 1)}`;
  }
  return `${text}}/${dimensions}`;
}

function receive(bytes: Uint8Array, typmod: number): SparseVector {
  const reader = new ByteReader(bytes, TYPE);
  const dimensions = reader.int32();
  const count = reader.int32();
  const unused = reader.int32();
  checkSparseDimensions(dimensions);
  checkElementCount(count, dimensions);
  checkModifier(dimensions, typmod);
  if (unused !== 0) throw new SqlError(SqlState.dataException, `expected unused to be 0, not ${unused}`);
  const indices = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    indices[i] = reader.int32();
    checkIndices(indices.subarray(Math.max(i - 1, 0), i + 1), dimensions);
  }
  const values = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    const value = reader.float32();
    checkElement(TYPE, value);
    if (value === 0) {
      const message = "binary representation of sparsevec cannot contain zero values";
      throw new SqlError(SqlState.dataException, message);
    }
    values[i] = value;
  }
  reader.end();
  return new SparseVector(dimensions, indices, values);
}

function send(value: Datum): Uint8Array {
  const { dimensions, indices, values } = value as SparseVector;
  const out = new ByteWriter();
  out.int32(dimensions);
  out.int32(indices.length);
  out.int32(0);
  for (const index of indices) out.int32(index);
  for (const element of values) out.float32(element);
  return out.finish();
}

const ELEMENT_BYTES = 8;
const DIMENSION_BYTES = 4;

function toStorage(value: Datum): Uint8Array {
  const { dimensions, indices, values } = value as SparseVector;
  const count = indices.length;
  const out = new Uint8Array(DIMENSION_BYTES + count * ELEMENT_BYTES);
  const view = new DataView(out.buffer);
  view.setInt32(0, dimensions, true);
  for (let i = 0; i < count; i++) {
    view.setInt32(DIMENSION_BYTES + i * 4, indices[i] as number, true);
    view.setFloat32(DIMENSION_BYTES + (count + i) * 4, values[i] as number, true);
  }
  return out;
}

function fromStorage(bytes: Uint8Array): SparseVector {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = (bytes.length - DIMENSION_BYTES) / ELEMENT_BYTES;
  const indices = new Int32Array(count);
  const values = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    indices[i] = view.getInt32(DIMENSION_BYTES + i * 4, true);
    values[i] = view.getFloat32(DIMENSION_BYTES + (count + i) * 4, true);
  }
  return new SparseVector(view.getInt32(0, true), indices, values);
}

/**
 * The order of the dense vectors (sparsevec_cmp_internal): at the first index where they differ, what is left out is zero;
 * one that ends there is the smaller.
 */
export function compareSparse(a: SparseVector, b: SparseVector): number {
  const shared = Math.min(a.indices.length, b.indices.length);
  for (let i = 0; i < shared; i++) {
    const [ai, bi] = [a.indices[i] as number, b.indices[i] as number];
    const [ax, bx] = [a.values[i] as number, b.values[i] as number];
    if (ai < bi) return ax < 0 ? -1 : 1;
    if (ai > bi) return bx < 0 ? 1 : -1;
    if (ax !== bx) return ax < bx ? -1 : 1;
  }
  const [nextA, nextB] = [a.indices[shared], b.indices[shared]];
  if (nextB !== undefined && nextB < a.dimensions) return (b.values[shared] as number) < 0 ? 1 : -1;
  if (nextA !== undefined && nextA < b.dimensions) return (a.values[shared] as number) < 0 ? -1 : 1;
  return a.dimensions - b.dimensions;
}

export const sparsevecCodec: TypeCodec = {
  oid: Oid.sparsevec,
  name: TYPE,
  vectorKind: "boxed",
  storageKind: "bytes",
  keyKind: "sparsevec",
  parse,
  format,
  receive: (bytes, typmod) => receive(bytes, typmod),
  send,
  toStorage,
  fromStorage,
  compare: (a, b) => compareSparse(a as SparseVector, b as SparseVector),
  hashKey: format,
};
