// bit(n) and bit varying(n): strings of bits, the first one written first. The modifier is the length: exact for bit, the
// most for varbit. Values are BitString and must not be changed.
// Binary: int32 length in bits, the bits packed from the high end of each byte, the unused low ones zero. Storage: the same
// with the length little-endian.
import { SqlError, SqlState } from "../error.ts";
import { ByteReader, compareBytes } from "./bytes.ts";
import { Oid } from "./oid.ts";
import type { Datum, TypeCodec } from "./type.ts";

/** VARBITMAXLEN. */
export const MAX_BITS = 2_147_483_640;
const HEADER_BYTES = 4;

export class BitString {
  /** In bits. */
  readonly length: number;
  /** Packed from the high end; bits beyond `length` are zero. */
  readonly bytes: Uint8Array;

  constructor(length: number, bytes: Uint8Array) {
    this.length = length;
    this.bytes = bytes;
  }

  /** `length` zero bits. */
  static zeros(length: number): BitString {
    return new BitString(length, new Uint8Array((length + 7) >> 3));
  }

  /** The first `length` bits of `bytes`, which is taken over; what follows them in the last byte is cleared. */
  static of(length: number, bytes: Uint8Array): BitString {
    const used = bytes.subarray(0, (length + 7) >> 3);
    const spare = -length & 7;
    if (spare > 0) used[used.length - 1]! &= 0xff << spare;
    return new BitString(length, used);
  }

  /** The bit at `position` (from 0, below `length`): 0 or 1. */
  bit(position: number): number {
    return ((this.bytes[position >> 3] as number) >> (7 - (position & 7))) & 1;
  }

  /** Bits [start, end), 0 <= start <= end; zeros where the string has ended. */
  slice(start: number, end: number): BitString {
    const out = new Uint8Array((end - start + 7) >> 3);
    const first = start >> 3;
    const shift = start & 7;
    for (let i = 0; i < out.length; i++) {
      const high = this.bytes[first + i] ?? 0;
      const low = this.bytes[first + i + 1] ?? 0;
      out[i] = (high << shift) | (low >> (8 - shift));
    }
    return BitString.of(end - start, out);
  }

  /** This string followed by `other`. */
  concat(other: BitString): BitString {
    const out = BitString.zeros(this.length + other.length);
    out.bytes.set(this.bytes);
    const first = this.length >> 3;
    const shift = this.length & 7;
    for (let i = 0; i < other.bytes.length; i++) {
      const byte = other.bytes[i] as number;
      out.bytes[first + i]! |= byte >> shift;
      if (shift > 0 && first + i + 1 < out.bytes.length) out.bytes[first + i + 1] = byte << (8 - shift);
    }
    return out;
  }
}

/** Bytes from the left, then the shorter first (bit_cmp). */
export function compareBits(a: BitString, b: BitString): number {
  const shared = Math.min(a.bytes.length, b.bytes.length);
  return compareBytes(a.bytes.subarray(0, shared), b.bytes.subarray(0, shared)) || a.length - b.length;
}

export function formatBits(value: BitString): string {
  let text = "";
  for (const byte of value.bytes) text += byte.toString(2).padStart(8, "0");
  return text.slice(0, value.length);
}

/** The bits of a literal, `101`, `b101` or `x1F`, of any length. 22P02 for other symbols. */
export function parseBits(text: string): BitString {
  const mark = text.charAt(0).toLowerCase();
  if (mark === "x") return parseHex(text.slice(1));
  const digits = mark === "b" ? text.slice(1) : text;
  const out = BitString.zeros(digits.length);
  for (let i = 0; i < digits.length; i++) {
    const code = digits.charCodeAt(i);
    if (code === ONE) out.bytes[i >> 3]! |= 0x80 >> (i & 7);
    else if (code !== ZERO) throw invalidDigit(digits, i, "binary");
  }
  return out;
}

const ZERO = 0x30;
const ONE = 0x31;

function parseHex(digits: string): BitString {
  const out = BitString.zeros(digits.length * 4);
  for (let i = 0; i < digits.length; i++) {
    const value = "0123456789abcdef".indexOf(digits.charAt(i).toLowerCase());
    if (value < 0) throw invalidDigit(digits, i, "hexadecimal");
    out.bytes[i >> 1]! |= i % 2 === 0 ? value << 4 : value;
  }
  return out;
}

function invalidDigit(digits: string, at: number, base: string): SqlError {
  const symbol = String.fromCodePoint(digits.codePointAt(at) as number);
  return new SqlError(SqlState.invalidTextRepresentation, `"${symbol}" is not a valid ${base} digit`);
}

export function bitLengthMismatch(length: number, wanted: number): SqlError {
  const message = `bit string length ${length} does not match type bit(${wanted})`;
  return new SqlError(SqlState.stringDataLengthMismatch, message);
}

export function bitTooLong(wanted: number): SqlError {
  const message = `bit string too long for type bit varying(${wanted})`;
  return new SqlError(SqlState.stringDataRightTruncation, message);
}

type Fit = (value: BitString, typmod: number) => BitString;

const fitBit: Fit = (value, typmod) => {
  if (typmod > 0 && value.length !== typmod) throw bitLengthMismatch(value.length, typmod);
  return value;
};

const fitVarbit: Fit = (value, typmod) => {
  if (typmod > 0 && value.length > typmod) throw bitTooLong(typmod);
  return value;
};

function receive(bytes: Uint8Array, typmod: number, fit: Fit): BitString {
  const reader = new ByteReader(bytes, "bit");
  const length = reader.int32();
  if (length < 0 || length > MAX_BITS) {
    const message = "invalid length in external bit string";
    throw new SqlError(SqlState.invalidBinaryRepresentation, message);
  }
  // The length is judged before the bits are read, so the check looks at the length alone.
  fit(new BitString(length, NO_BYTES), typmod);
  const value = BitString.of(length, reader.bytes((length + 7) >> 3).slice());
  reader.end();
  return value;
}

const NO_BYTES = new Uint8Array(0);

function encode(value: Datum, isLittleEndian: boolean): Uint8Array {
  const { length, bytes } = value as BitString;
  const out = new Uint8Array(HEADER_BYTES + bytes.length);
  new DataView(out.buffer).setInt32(0, length, isLittleEndian);
  out.set(bytes, HEADER_BYTES);
  return out;
}

function fromStorage(bytes: Uint8Array): BitString {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getInt32(0, true);
  return new BitString(length, bytes.slice(HEADER_BYTES));
}

function codec(oid: number, name: string, fit: Fit): TypeCodec {
  return {
    oid,
    name,
    vectorKind: "boxed",
    storageKind: "bytes",
    keyKind: "bits",
    parse: (text, typmod) => fit(parseBits(text), typmod),
    format: (value) => formatBits(value as BitString),
    receive: (bytes, typmod) => receive(bytes, typmod, fit),
    send: (value) => encode(value, false),
    toStorage: (value) => encode(value, true),
    fromStorage,
    compare: (a, b) => compareBits(a as BitString, b as BitString),
    hashKey: (value) => formatBits(value as BitString),
  };
}

export const bitCodec = codec(Oid.bit, "bit", fitBit);
export const varbitCodec = codec(Oid.varbit, "varbit", fitVarbit);
