// What the codecs share: byte layouts of numbers, the 22P02 of every input function, number order.
import { SqlError, SqlState } from "../error.ts";
import type { Datum } from "./type.ts";

const INT8_MIN = -9223372036854775808n;
const INT8_MAX = 9223372036854775807n;

/** `invalid input syntax for type x: "text"`, 22P02. */
export function invalidSyntax(typeName: string, text: string): SqlError {
  return new SqlError(
    SqlState.invalidTextRepresentation,
    `invalid input syntax for type ${typeName}: "${text}"`,
  );
}

/** `value "text" is out of range for type x`, 22003. */
export function outOfRangeFor(typeName: string, text: string): SqlError {
  return new SqlError(
    SqlState.numericValueOutOfRange,
    `value "${text}" is out of range for type ${typeName}`,
  );
}

export function invalidBinary(): SqlError {
  return new SqlError(SqlState.invalidBinaryRepresentation, "incorrect binary data format");
}

/** A binary value of a fixed size: 08P01 when short, 22P03 when long, as PostgreSQL's message reader. */
export function fixedView(bytes: Uint8Array, size: number): DataView {
  if (bytes.length < size)
    throw new SqlError(SqlState.protocolViolation, "insufficient data left in message");
  if (bytes.length > size) throw invalidBinary();
  return new DataView(bytes.buffer, bytes.byteOffset, size);
}

/** An int64 as Datum: number while it fits 53 bits. */
export function int64Datum(value: bigint): number | bigint {
  return value >= -9007199254740991n && value <= 9007199254740991n ? Number(value) : value;
}

export function fitsInt64(value: bigint): boolean {
  return value >= INT8_MIN && value <= INT8_MAX;
}

export function int64Bytes(value: Datum): Uint8Array {
  const out = new Uint8Array(8);
  new DataView(out.buffer).setBigInt64(0, BigInt(value as number | bigint));
  return out;
}

export function int64FromBytes(bytes: Uint8Array): number | bigint {
  return int64Datum(fixedView(bytes, 8).getBigInt64(0));
}

export function int32Bytes(value: Datum): Uint8Array {
  const out = new Uint8Array(4);
  new DataView(out.buffer).setInt32(0, value as number);
  return out;
}

export function int32FromBytes(bytes: Uint8Array): number {
  return fixedView(bytes, 4).getInt32(0);
}

/** Order of numbers and bigints mixed; JavaScript compares the two exactly. */
export function compareNumbers(a: Datum, b: Datum): number {
  return (a as number) < (b as number) ? -1 : (a as number) > (b as number) ? 1 : 0;
}

export function numberHashKey(value: Datum): number | bigint {
  return value as number | bigint;
}
