// bytea: hex (\x...) and escape (\ooo, \\) text forms; bytes as they are on the wire and in storage.
import { SqlError, SqlState } from "../error.ts";
import { compareBytes } from "./bytes.ts";
import { Oid } from "./oid.ts";
import type { Datum, TypeCodec } from "./type.ts";

const encoder = new TextEncoder();

/** Hex digits, blanks allowed between pairs as PostgreSQL's hex_decode allows them. 22023 otherwise. */
export function decodeHex(text: string): Uint8Array {
  const out = new Uint8Array(text.length >> 1);
  let length = 0;
  for (let i = 0; i < text.length; ) {
    const unit = text.charCodeAt(i);
    if (unit === 32 || unit === 10 || unit === 9 || unit === 13) {
      i += 1;
      continue;
    }
    const high = hexDigit(text, i);
    if (i + 1 >= text.length) {
      throw new SqlError(SqlState.invalidParameterValue, "invalid hexadecimal data: odd number of digits");
    }
    out[length] = high * 16 + hexDigit(text, i + 1);
    length += 1;
    i += 2;
  }
  return out.subarray(0, length);
}

function hexDigit(text: string, at: number): number {
  const value = "0123456789abcdef".indexOf(text.charAt(at).toLowerCase());
  if (value < 0) {
    const symbol = String.fromCodePoint(text.codePointAt(at) as number);
    throw new SqlError(SqlState.invalidParameterValue, `invalid hexadecimal digit: "${symbol}"`);
  }
  return value;
}

export function encodeHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex");
}

export function parseBytea(text: string): Uint8Array {
  if (text.startsWith("\\x")) return decodeHex(text.slice(2));
  const bytes = encoder.encode(text);
  const out = new Uint8Array(bytes.length);
  let length = 0;
  for (let i = 0; i < bytes.length; ) {
    const byte = bytes[i] as number;
    if (byte !== 0x5c) {
      out[length++] = byte;
      i += 1;
    } else if (bytes[i + 1] === 0x5c) {
      out[length++] = 0x5c;
      i += 2;
    } else {
      const octal = /^[0-3][0-7][0-7]/.exec(String.fromCharCode(...bytes.subarray(i + 1, i + 4)));
      if (octal === null)
        throw new SqlError(SqlState.invalidTextRepresentation, "invalid input syntax for type bytea");
      out[length++] = Number.parseInt(octal[0], 8);
      i += 4;
    }
  }
  return out.subarray(0, length);
}

/** The `escape` output: bytes outside printable ASCII as \ooo, the backslash doubled. */
export function escapeBytea(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) {
    if (byte === 0x5c) text += "\\\\";
    else if (byte < 0x20 || byte > 0x7e) text += `\\${byte.toString(8).padStart(3, "0")}`;
    else text += String.fromCharCode(byte);
  }
  return text;
}

export const byteaCodec: TypeCodec = {
  oid: Oid.bytea,
  name: "bytea",
  vectorKind: "boxed",
  storageKind: "bytes",
  keyKind: "bytes",
  parse: (text) => parseBytea(text),
  format: (value, context) =>
    context.byteaOutput === "hex" ? `\\x${encodeHex(value as Uint8Array)}` : escapeBytea(value as Uint8Array),
  // Copied: the caller's buffer is a network frame or a batch that will be reused.
  receive: (bytes) => bytes.slice(),
  send: (value) => value as Uint8Array,
  toStorage: (value) => value as Uint8Array,
  fromStorage: (bytes) => bytes.slice(),
  compare: (a, b) => compareBytes(a as Uint8Array, b as Uint8Array),
  hashKey: (value: Datum) => encodeHex(value as Uint8Array),
};
