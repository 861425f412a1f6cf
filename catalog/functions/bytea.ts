// bytea functions, encode and decode, conversions between text and bytes.
import { SqlError, SqlState } from "../../common/error.ts";
import { decodeHex, encodeHex, escapeBytea, parseBytea } from "../../common/types/bytea.ts";
import { decodeClientText } from "../../common/types/text.ts";
import { type BodyTable, binary, ternary, unary } from "./body.ts";
import { type Int8, checkInteger } from "./integer.ts";

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const out = new Uint8Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
}

function substring(bytes: Uint8Array, from: number, count: number | undefined): Uint8Array {
  if (count === undefined) return bytes.subarray(Math.max(from - 1, 0));
  if (count < 0) throw new SqlError(SqlState.substringError, "negative substring length not allowed");
  const end = from + count;
  return end <= 1 ? bytes.subarray(0, 0) : bytes.subarray(Math.max(from - 1, 0), end - 1);
}

function position(bytes: Uint8Array, needle: Uint8Array): number {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf(needle) + 1;
}

/** Base64 in lines of 76 characters, as PostgreSQL (and MIME) writes it. */
function encodeBase64(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString("base64");
  return (text.match(/.{1,76}/g) ?? []).join("\n");
}

function decodeBase64(text: string): Uint8Array {
  const body = text.replace(/[ \t\n\r]/g, "");
  const wrong = /[^A-Za-z0-9+/=]/.exec(body);
  if (wrong !== null) {
    throw new SqlError(
      SqlState.invalidParameterValue,
      `invalid symbol "${wrong[0]}" found while decoding base64 sequence`,
    );
  }
  if (body.length % 4 !== 0) {
    throw new SqlError(SqlState.invalidParameterValue, "invalid base64 end sequence", {
      hint: "Input data is missing padding, is truncated, or is otherwise corrupted.",
    });
  }
  return new Uint8Array(Buffer.from(body, "base64"));
}

function unknownEncoding(name: string): SqlError {
  return new SqlError(SqlState.invalidParameterValue, `unrecognized encoding: "${name}"`);
}

function encode(bytes: Uint8Array, name: string): string {
  switch (name.toLowerCase()) {
    case "hex":
      return encodeHex(bytes);
    case "base64":
      return encodeBase64(bytes);
    case "escape":
      // Here only zero and high bytes are escaped, unlike bytea's own escape output.
      return [...bytes]
        .map((byte) =>
          byte === 0 || byte > 127
            ? escapeBytea(Uint8Array.of(byte))
            : byte === 92
              ? "\\\\"
              : String.fromCharCode(byte),
        )
        .join("");
    default:
      throw unknownEncoding(name);
  }
}

function decode(text: string, name: string): Uint8Array {
  switch (name.toLowerCase()) {
    case "hex":
      return decodeHex(text);
    case "base64":
      return decodeBase64(text);
    case "escape":
      return parseBytea(text.startsWith("\\x") ? `\\\\${text.slice(1)}` : text);
    default:
      throw unknownEncoding(name);
  }
}

function checkUtf8(name: string): void {
  if (!/^utf-?8$|^unicode$/i.test(name)) {
    throw new SqlError(
      SqlState.featureNotSupported,
      `conversion between UTF8 and encoding "${name}" is not supported`,
    );
  }
}

function indexError(index: Int8, length: number): SqlError {
  return new SqlError(SqlState.arraySubscriptError, `index ${index} out of valid range, 0..${length - 1}`);
}

function getByte(bytes: Uint8Array, index: number): number {
  const byte = bytes[index];
  if (byte === undefined) throw indexError(index, bytes.length);
  return byte;
}

function trim(bytes: Uint8Array, set: Uint8Array, sides: "both" | "left" | "right"): Uint8Array {
  const members = new Set(set);
  let start = 0;
  let end = bytes.length;
  if (sides !== "right") while (start < end && members.has(bytes[start] as number)) start++;
  if (sides !== "left") while (end > start && members.has(bytes[end - 1] as number)) end--;
  return bytes.subarray(start, end);
}

function overlay(bytes: Uint8Array, replacement: Uint8Array, start: number, count: number): Uint8Array {
  if (start <= 0) throw new SqlError(SqlState.substringError, "negative substring length not allowed");
  checkInteger(start + count, 4);
  return concat(
    concat(bytes.subarray(0, start - 1), replacement),
    substring(bytes, start + count, undefined),
  );
}

function withByte(bytes: Uint8Array, index: number, change: (byte: number) => number): Uint8Array {
  const out = bytes.slice();
  out[index] = change(out[index] as number);
  return out;
}

function bitAt(bytes: Uint8Array, index: Int8): { readonly byte: number; readonly bit: number } {
  if (index < 0 || index >= bytes.length * 8) throw indexError(index, bytes.length * 8);
  return { byte: Number(index) >> 3, bit: Number(index) & 7 };
}

export const byteaFunctions: BodyTable = {
  byteacat: binary<Uint8Array, Uint8Array>(concat),
  byteaoctetlen: unary<Uint8Array>((bytes) => bytes.length),
  bytea_substr: ternary<Uint8Array, number, number>(substring),
  bytea_substr_no_len: binary<Uint8Array, number>((bytes, from) => substring(bytes, from, undefined)),
  byteapos: binary<Uint8Array, Uint8Array>(position),
  byteaoverlay: {
    kind: "scalar",
    row: (args) =>
      overlay(args[0] as Uint8Array, args[1] as Uint8Array, args[2] as number, args[3] as number),
  },
  byteaoverlay_no_len: ternary<Uint8Array, Uint8Array, number>((bytes, replacement, start) =>
    overlay(bytes, replacement, start, replacement.length),
  ),
  byteatrim: binary<Uint8Array, Uint8Array>((bytes, set) => trim(bytes, set, "both")),
  bytealtrim: binary<Uint8Array, Uint8Array>((bytes, set) => trim(bytes, set, "left")),
  byteartrim: binary<Uint8Array, Uint8Array>((bytes, set) => trim(bytes, set, "right")),
  byteaGetByte: binary<Uint8Array, number>(getByte),
  byteaSetByte: ternary<Uint8Array, number, number>((bytes, index, value) => {
    getByte(bytes, index);
    return withByte(bytes, index, () => value & 0xff);
  }),
  byteaGetBit: binary<Uint8Array, Int8>((bytes, index) => {
    const { byte, bit } = bitAt(bytes, index);
    return ((bytes[byte] as number) >> bit) & 1;
  }),
  byteaSetBit: ternary<Uint8Array, Int8, number>((bytes, index, value) => {
    const { byte, bit } = bitAt(bytes, index);
    if (value !== 0 && value !== 1)
      throw new SqlError(SqlState.invalidParameterValue, "new bit must be 0 or 1");
    return withByte(bytes, byte, (old) => (value === 1 ? old | (1 << bit) : old & ~(1 << bit)));
  }),
  bytea_bit_count: unary<Uint8Array>((bytes) => {
    let count = 0;
    for (const byte of bytes) for (let rest = byte; rest !== 0; rest &= rest - 1) count++;
    return count;
  }),
  binary_encode: binary<Uint8Array, string>(encode),
  binary_decode: binary<string, string>(decode),
  pg_convert_from: binary<Uint8Array, string>((bytes, name) => {
    checkUtf8(name);
    return decodeClientText(bytes);
  }),
  pg_convert_to: binary<string, string>((text, name) => {
    checkUtf8(name);
    return new Uint8Array(Buffer.from(text));
  }),
};
