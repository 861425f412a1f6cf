// How the engine stores a SQL type. Vectors of a declared dimension live in vector segments, as rows of 32-bit words that
// mean different things:
//
//   vector(n)      n floats
//   halfvec(n)     n halves, two to a word
//   bit(n)         n bits, in whole pairs of words
//   sparsevec(n)   how many elements, their indices, their values; a buffer has room for the most an index takes, the engine
//                  keeps what is there
//
// The last two only where an index needs them: in a hidden column, SqlType.isPacked.
//
// One without a dimension has rows of any length and is kept as bytes, which no index can use (pgvector: "column does not
// have dimensions").
import { Oid } from "../../common/types/oid.ts";
import { codecOf } from "../../common/types/registry.ts";
import type { SqlType } from "../../common/types/type.ts";
import type { ColumnSpec, VectorForm } from "../../native/engine.ts";

/** HNSW_MAX_NNZ of pgvector: elements other than zero of a sparse vector in an index. */
export const MAX_INDEXED_ELEMENTS = 1000;

export function columnSpec(type: SqlType): ColumnSpec {
  const packing = packingOf(type);
  return packing === undefined
    ? { kind: codecOf(type.oid).storageKind === "vector" ? "bytes" : codecOf(type.oid).storageKind, dim: 0 }
    : { kind: "vector", dim: packing.words, isCounted: packing.form === "sparse" };
}

/** The vectors in a vector column. */
export interface VectorPacking {
  readonly form: VectorForm;
  /** Elements of a vector. */
  readonly dimensions: number;
  /** Words of a row, or the most of them (form "sparse"). */
  readonly words: number;
}

/** undefined for columns that are not in vector segments. */
export function packingOf({ oid, typmod, isPacked }: SqlType): VectorPacking | undefined {
  if (typmod <= 0) return undefined;
  if (oid === Oid.vector) return { form: "f32", dimensions: typmod, words: typmod };
  if (oid === Oid.halfvec) return { form: "f16", dimensions: typmod, words: (typmod + 1) >> 1 };
  if (isPacked !== true) return undefined;
  if (oid === Oid.bit) return { form: "bits", dimensions: typmod, words: 2 * ((typmod + 63) >> 6) };
  return { form: "sparse", dimensions: typmod, words: 1 + 2 * Math.min(typmod, MAX_INDEXED_ELEMENTS) };
}
