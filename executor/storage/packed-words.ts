// Halves and bits as rows of 32-bit words, and back: what vector columns hold of types that are not floats. The words are
// moved as bytes, never as floats, for some of them would be NaNs that do not survive a load.
import { BitString } from "../../common/types/bit.ts";
import { Oid } from "../../common/types/oid.ts";
import { codecOf } from "../../common/types/registry.ts";
import type { Datum, SqlType } from "../../common/types/type.ts";

/** The bytes of a value, at most as many as the row's words have; what is behind them stays zero. */
export function packedBytes(type: SqlType, value: Datum): Uint8Array {
  return value instanceof BitString ? value.bytes : codecOf(type.oid).toStorage(value);
}

/** The value in the bytes of a row. */
export function unpacked(type: SqlType, row: Uint8Array): Datum {
  if (type.oid === Oid.bit) return BitString.of(type.typmod, row.slice());
  return codecOf(type.oid).fromStorage(row.slice(0, type.typmod * 2));
}

/** One value as the words an index is asked with. */
export function packedWords(type: SqlType, value: Datum, words: number): Float32Array {
  const row = new Float32Array(words);
  new Uint8Array(row.buffer).set(packedBytes(type, value));
  return row;
}
