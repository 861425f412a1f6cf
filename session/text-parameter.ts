// Text parameters come as bytes in UTF-8: checked once, here, so that every string inside is valid (22021 otherwise).
import { isUtf8 } from "node:buffer";
import { decodeUtf8 } from "../common/batch/vector.ts";
import { SqlError, SqlState } from "../common/error.ts";

export function readTextParameter(bytes: Uint8Array): string {
  if (!isUtf8(bytes)) throw invalidUtf8(bytes);
  if (bytes.includes(0)) throw invalidBytes([0]);
  return decodeUtf8(bytes, 0, bytes.length);
}

/** 22021 naming the first offending bytes as PostgreSQL does: the sequence its lead byte announces, cut at the end. */
export function invalidUtf8(bytes: Uint8Array): SqlError {
  let at = 0;
  while (at < bytes.length) {
    const length = sequenceLength(bytes[at] as number);
    if (at + length > bytes.length || !isUtf8(bytes.subarray(at, at + length))) break;
    at += length;
  }
  const end = Math.min(bytes.length, at + sequenceLength(bytes[at] ?? 0));
  return invalidBytes(Array.from(bytes.subarray(at, end)));
}

function invalidBytes(bytes: readonly number[]): SqlError {
  const hex = bytes.map((byte) => `0x${byte.toString(16).padStart(2, "0")}`).join(" ");
  return new SqlError(SqlState.characterNotInRepertoire, `invalid byte sequence for encoding "UTF8": ${hex}`);
}

/** Bytes of the sequence a lead byte announces; PostgreSQL takes one that announces nothing as alone. */
function sequenceLength(lead: number): number {
  if ((lead & 0xe0) === 0xc0) return 2;
  if ((lead & 0xf0) === 0xe0) return 3;
  if ((lead & 0xf8) === 0xf0) return 4;
  return 1;
}
