// Halves, bits and sparse vectors as rows of 32-bit words, and back: what vector columns hold of types that are not floats. The words are
// moved as bytes, never as floats, for some of them would be NaNs that do not survive a load.
import { SqlError, SqlState } from "../../common/error.ts";
import { BitString } from "../../common/types/bit.ts";
import { Oid } from "../../common/types/oid.ts";
import { codecOf } from "../../common/types/registry.ts";
import { SparseVector } from "../../common/types/sparsevec.ts";
import type { Datum, SqlType } from "../../common/types/type.ts";
import { MAX_INDEXED_ELEMENTS } from "./column-spec.ts";

/**
 * The bytes of a value, at most as many as the row's words have; what is behind them stays zero. 54000 for a sparse vector
 * with more elements than an index takes.
 */
export function packedBytes(type: SqlType, value: Datum): Uint8Array {
  if (value instanceof SparseVector) return packedSparse(value);
  return value instanceof BitString ? value.bytes : codecOf(type.oid).toStorage(value);
}

function packedSparse({ indices, values }: SparseVector): Uint8Array {
  const count = indices.length;
  if (count > MAX_INDEXED_ELEMENTS) {
    throw new SqlError(
      SqlState.programLimitExceeded,
      `sparsevec cannot have more than ${MAX_INDEXED_ELEMENTS} non-zero elements for hnsw index`,
    );
  }
  const words = new Int32Array(1 + 2 * count);
  words[0] = count;
  words.set(indices, 1);
  words.set(new Int32Array(values.buffer, values.byteOffset, count), 1 + count);
  return new Uint8Array(words.buffer);
}

/** The value in the bytes of a row. */
export function unpacked(type: SqlType, row: Uint8Array): Datum {
  if (type.oid === Oid.bit) return BitString.of(type.typmod, row.slice());
  if (type.oid === Oid.sparsevec) {
    const { buffer } = row.slice();
    const count = new Int32Array(buffer, 0, 1)[0] ?? 0;
    return new SparseVector(
      type.typmod,
      new Int32Array(buffer, 4, count),
      new Float32Array(buffer, 4 + 4 * count, count),
    );
  }
  return codecOf(type.oid).fromStorage(row.slice(0, type.typmod * 2));
}

/** One value as the words an index is asked with. */
export function packedWords(type: SqlType, value: Datum, words: number): Float32Array {
  const row = new Float32Array(words);
  new Uint8Array(row.buffer).set(packedBytes(type, value));
  return row;
}
