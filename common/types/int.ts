// int2, int4, int8 and the unsigned 32-bit oid, xid and cid. Text is decimal with optional sign and surrounding blanks,
// as PostgreSQL's pg_strtoint32 reads it.
import { ByteWriter } from "./bytes.ts";
import { Oid } from "./oid.ts";
import {
  compareNumbers,
  fitsInt64,
  fixedView,
  int32Bytes,
  int32FromBytes,
  int64Bytes,
  int64FromBytes,
  invalidSyntax,
  numberHashKey,
  outOfRangeFor,
} from "./scalar.ts";
import type { Datum, TypeCodec } from "./type.ts";

const INTEGER = /^[ \t\n\r\v\f]*([+-]?\d+)[ \t\n\r\v\f]*$/;

/** Text of an integer type within [min, max]; `typeName` goes into the messages. */
export function parseInteger(text: string, typeName: string, min: number, max: number): number {
  const match = INTEGER.exec(text);
  if (match === null) throw invalidSyntax(typeName, text);
  const value = Number(match[1]);
  if (value < min || value > max) throw outOfRangeFor(typeName, text);
  return value + 0;
}

export function parseInt8(text: string): number | bigint {
  const match = INTEGER.exec(text);
  if (match === null) throw invalidSyntax("bigint", text);
  const digits = match[1] as string;
  const value = Number(digits);
  if (Number.isSafeInteger(value)) return value + 0;
  const exact = BigInt(digits.startsWith("+") ? digits.slice(1) : digits);
  if (!fitsInt64(exact)) throw outOfRangeFor("bigint", text);
  return exact;
}

const MINUS = 0x2d;
const ZERO = 0x30;
/** So many digits are below 2^53, where numbers are exact, or come out above every limit: rounding leads to no number below it. */
const MAX_PLAIN_DIGITS = 16;

/** An integer within [min, max] from its digits and perhaps a minus; undefined = another text, for the parser to read or refuse. */
function plainInteger(bytes: Uint8Array, min: number, max: number): number | undefined {
  const isNegative = bytes[0] === MINUS;
  const first = isNegative ? 1 : 0;
  const { length } = bytes;
  if (length === first || length - first > MAX_PLAIN_DIGITS) return undefined;
  let value = 0;
  for (let i = first; i < length; i++) {
    const digit = (bytes[i] as number) - ZERO;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  // Not by negation: -0 is no integer of SQL's.
  if (isNegative) value = 0 - value;
  return value < min || value > max ? undefined : value;
}

export const int2Codec: TypeCodec = {
  oid: Oid.int2,
  name: "int2",
  vectorKind: "i32",
  storageKind: "i32",
  keyKind: "int",
  parse: (text) => parseInteger(text, "smallint", -32768, 32767),
  parsePlain: (bytes) => plainInteger(bytes, -32768, 32767),
  format: String,
  receive: (bytes) => fixedView(bytes, 2).getInt16(0),
  send: int2Bytes,
  toStorage: int2Bytes,
  fromStorage: (bytes) => fixedView(bytes, 2).getInt16(0),
  compare: compareNumbers,
  hashKey: numberHashKey,
};

export const int4Codec: TypeCodec = {
  oid: Oid.int4,
  name: "int4",
  vectorKind: "i32",
  storageKind: "i32",
  keyKind: "int",
  parse: (text) => parseInteger(text, "integer", -2147483648, 2147483647),
  parsePlain: (bytes) => plainInteger(bytes, -2147483648, 2147483647),
  format: String,
  receive: int32FromBytes,
  send: int32Bytes,
  toStorage: int32Bytes,
  fromStorage: int32FromBytes,
  compare: compareNumbers,
  hashKey: numberHashKey,
};

export const int8Codec: TypeCodec = {
  oid: Oid.int8,
  name: "int8",
  vectorKind: "i64",
  storageKind: "i64",
  keyKind: "int",
  parse: parseInt8,
  parsePlain: (bytes) => plainInteger(bytes, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
  format: String,
  receive: int64FromBytes,
  send: int64Bytes,
  toStorage: int64Bytes,
  fromStorage: int64FromBytes,
  compare: compareNumbers,
  hashKey: numberHashKey,
};

/** oid, xid, cid: 0 .. 2^32 - 1. Negative text wraps, as PostgreSQL's oidin lets it. */
function unsignedCodec(oid: number, name: string): TypeCodec {
  const fromBytes = (bytes: Uint8Array): number => fixedView(bytes, 4).getUint32(0);
  return {
    oid,
    name,
    vectorKind: "i64",
    storageKind: "i64",
    keyKind: "int",
    parse: (text) => parseUnsigned(text, name),
    format: String,
    receive: fromBytes,
    send: uint32Bytes,
    toStorage: uint32Bytes,
    fromStorage: fromBytes,
    compare: compareNumbers,
    hashKey: numberHashKey,
  };
}

/** An oid-like number in text. */
export function parseUnsigned(text: string, typeName: string): number {
  const match = INTEGER.exec(text);
  if (match === null) throw invalidSyntax(typeName, text);
  const value = Number(match[1]);
  if (value > 4294967295 || value < -2147483648) throw outOfRangeFor(typeName, text);
  return value < 0 ? value + 4294967296 : value + 0;
}

export function uint32Bytes(value: Datum): Uint8Array {
  const out = new Uint8Array(4);
  new DataView(out.buffer).setUint32(0, value as number);
  return out;
}

function int2Bytes(value: Datum): Uint8Array {
  const out = new ByteWriter();
  out.uint16((value as number) & 0xffff);
  return out.finish();
}

export const oidCodec = unsignedCodec(Oid.oid, "oid");
/** xid has equality but no order in PostgreSQL. */
export const xidCodec: TypeCodec = {
  ...unsignedCodec(Oid.xid, "xid"),
  compare: undefined,
  keyKind: undefined,
};
export const cidCodec: TypeCodec = {
  ...unsignedCodec(Oid.cid, "cid"),
  compare: undefined,
  keyKind: undefined,
};
export const xid8Codec: TypeCodec = { ...int8Codec, oid: Oid.xid8, name: "xid8" };
