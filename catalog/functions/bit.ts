// Functions and operators on bit strings, and pgvector's two distances of them. Positions count from 1 in substring, overlay
// and position, from 0 in get_bit and set_bit, as in PostgreSQL (varbit.c).
import { SqlError, SqlState } from "../../common/error.ts";
import { BitString, bitLengthMismatch, bitTooLong, MAX_BITS } from "../../common/types/bit.ts";
import { Oid } from "../../common/types/oid.ts";
import { int64Datum } from "../../common/types/scalar.ts";
import type { Datum } from "../../common/types/type.ts";
import { aggregate } from "./aggregates.ts";
import { type BodyTable, binary, ternary, unary, variadic } from "./body.ts";
import type { FunctionBody, ScalarBody } from "./function.ts";
import { checkInteger, type Int8 } from "./integer.ts";

type Combine = (a: number, b: number) => number;

const BITS_SET = Uint8Array.from({ length: 256 }, (_, byte) => byte.toString(2).replaceAll("0", "").length);

/** Byte by byte; `word` is the operation in the error of unequal lengths. */
function combined(word: string, fn: Combine, a: BitString, b: BitString): BitString {
  if (a.length !== b.length) {
    const message = `cannot ${word} bit strings of different sizes`;
    throw new SqlError(SqlState.stringDataLengthMismatch, message);
  }
  return new BitString(
    a.length,
    a.bytes.map((byte, i) => fn(byte, b.bytes[i]!)),
  );
}

const bitwise = (word: string, fn: Combine): ScalarBody =>
  binary<BitString, BitString>((a, b) => combined(word, fn, a, b));

function bitwiseAggregate(word: string, fn: Combine): FunctionBody {
  return aggregate<{ value: BitString | undefined }>({
    strict: true,
    init: () => ({ value: undefined }),
    step: (state, args) => {
      const value = args[0] as BitString;
      state.value = state.value === undefined ? value : combined(word, fn, state.value, value);
    },
    finish: (state): Datum => state.value ?? null,
  });
}

/** Towards the start for a positive count; the length stays and zeros come in. */
function shiftLeft(a: BitString, count: number): BitString {
  if (count < 0) return shiftRight(a, -count);
  const kept = Math.min(count, a.length);
  return a.slice(kept, a.length + kept);
}

function shiftRight(a: BitString, count: number): BitString {
  if (count < 0) return shiftLeft(a, -count);
  const zeros = Math.min(count, a.length);
  return BitString.zeros(zeros).concat(a.slice(0, a.length - zeros));
}

function concat(a: BitString, b: BitString): BitString {
  if (a.length + b.length > MAX_BITS) {
    const message = `bit string length exceeds the maximum allowed (${MAX_BITS})`;
    throw new SqlError(SqlState.programLimitExceeded, message);
  }
  return a.concat(b);
}

/** undefined count = to the end. */
function substring(a: BitString, from: number, count: number | undefined): BitString {
  if (count !== undefined && count < 0) {
    throw new SqlError(SqlState.substringError, "negative substring length not allowed");
  }
  const start = Math.max(from, 1);
  const end = count === undefined ? a.length + 1 : Math.min(from + count, a.length + 1);
  return end <= start ? BitString.zeros(0) : a.slice(start - 1, end - 1);
}

function overlay(a: BitString, replacement: BitString, from: number, count: number): BitString {
  if (from <= 0) throw new SqlError(SqlState.substringError, "negative substring length not allowed");
  const rest = checkInteger(from + count, 4);
  return concat(concat(substring(a, 1, from - 1), replacement), substring(a, rest, undefined));
}

/** Where `part` first stands in `whole`, from 1; 0 = nowhere. */
function position(whole: BitString, part: BitString): number {
  if (whole.length === 0 || part.length > whole.length) return 0;
  for (let start = 0; start + part.length <= whole.length; start++) {
    let i = 0;
    while (i < part.length && whole.bit(start + i) === part.bit(i)) i++;
    if (i === part.length) return start + 1;
  }
  return 0;
}

function checkPosition(a: BitString, at: number): void {
  if (at >= 0 && at < a.length) return;
  const message = `bit index ${at} out of valid range (0..${a.length - 1})`;
  throw new SqlError(SqlState.arraySubscriptError, message);
}

function setBit(a: BitString, at: number, bit: number): BitString {
  checkPosition(a, at);
  if (bit !== 0 && bit !== 1) {
    throw new SqlError(SqlState.invalidParameterValue, "new bit must be 0 or 1");
  }
  const bytes = a.bytes.slice();
  const mask = 0x80 >> (at & 7);
  bytes[at >> 3] = bit === 1 ? bytes[at >> 3]! | mask : bytes[at >> 3]! & ~mask;
  return new BitString(a.length, bytes);
}

function bitCount(a: BitString): number {
  let count = 0;
  for (const byte of a.bytes) count += BITS_SET[byte]!;
  return count;
}

/** The last `length` bits of a two's complement integer, its sign repeated in front where there are more. */
function fromInteger(value: Int8, typmod: number): BitString {
  const length = typmod <= 0 || typmod > MAX_BITS ? 1 : typmod;
  const bytes = new Uint8Array((length + 7) >> 3);
  let rest = BigInt(value) << BigInt(-length & 7);
  for (let i = bytes.length - 1; i >= 0; i--) {
    bytes[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return BitString.of(length, bytes);
}

function toInteger(a: BitString, width: 32 | 64): bigint {
  if (a.length > width) {
    const message = width === 32 ? "integer out of range" : "bigint out of range";
    throw new SqlError(SqlState.numericValueOutOfRange, message);
  }
  let value = 0n;
  for (const byte of a.bytes) value = (value << 8n) | BigInt(byte);
  return BigInt.asIntN(width, value >> BigInt(-a.length & 7));
}

/** bit(n): an explicit cast cuts or fills up with zeros, an assignment must fit. */
function toLength(a: BitString, length: number, isExplicit: boolean): BitString {
  if (length <= 0 || length > MAX_BITS || length === a.length) return a;
  if (!isExplicit) throw bitLengthMismatch(a.length, length);
  return a.slice(0, length);
}

function toLengthAtMost(a: BitString, length: number, isExplicit: boolean): BitString {
  if (length <= 0 || length >= a.length) return a;
  if (!isExplicit) throw bitTooLong(length);
  return a.slice(0, length);
}

function checkSameLength(a: BitString, b: BitString): void {
  if (a.length !== b.length) {
    throw new SqlError(SqlState.dataException, `different bit lengths ${a.length} and ${b.length}`);
  }
}

/** Bits in which the two differ. */
function hammingDistance(a: BitString, b: BitString): number {
  checkSameLength(a, b);
  let count = 0;
  for (let i = 0; i < a.bytes.length; i++) count += BITS_SET[a.bytes[i]! ^ b.bytes[i]!]!;
  return count;
}

/** One less the bits set in both as a part of those set in either; 1 when none is set in both. */
function jaccardDistance(a: BitString, b: BitString): number {
  checkSameLength(a, b);
  let both = 0;
  let either = 0;
  for (let i = 0; i < a.bytes.length; i++) {
    both += BITS_SET[a.bytes[i]! & b.bytes[i]!]!;
    either += BITS_SET[a.bytes[i]! | b.bytes[i]!]!;
  }
  return both === 0 ? 1 : 1 - both / either;
}

export const bitFunctions: BodyTable = {
  bit_and: bitwise("AND", (a, b) => a & b),
  bit_or: bitwise("OR", (a, b) => a | b),
  bitxor: bitwise("XOR", (a, b) => a ^ b),
  bitnot: unary<BitString>((a) =>
    BitString.of(
      a.length,
      a.bytes.map((byte) => ~byte),
    ),
  ),
  bitshiftleft: binary<BitString, number>(shiftLeft),
  bitshiftright: binary<BitString, number>(shiftRight),
  bitcat: binary<BitString, BitString>(concat),
  [`sql:bit_length:${Oid.bit}`]: unary<BitString>((a) => a.length),
  bitlength: unary<BitString>((a) => a.length),
  bitoctetlength: unary<BitString>((a) => a.bytes.length),
  bitsubstr: ternary<BitString, number, number>(substring),
  bitsubstr_no_len: binary<BitString, number>((a, from) => substring(a, from, undefined)),
  bitoverlay: variadic((args) =>
    overlay(args[0] as BitString, args[1] as BitString, args[2] as number, args[3] as number),
  ),
  bitoverlay_no_len: ternary<BitString, BitString, number>((a, replacement, from) =>
    overlay(a, replacement, from, replacement.length),
  ),
  bitposition: binary<BitString, BitString>(position),
  bitgetbit: binary<BitString, number>((a, at) => {
    checkPosition(a, at);
    return a.bit(at);
  }),
  bitsetbit: ternary<BitString, number, number>(setBit),
  bit_bit_count: unary<BitString>(bitCount),
  bitfromint4: binary<Int8, number>(fromInteger),
  bitfromint8: binary<Int8, number>(fromInteger),
  bittoint4: unary<BitString>((a) => Number(toInteger(a, 32))),
  bittoint8: unary<BitString>((a) => int64Datum(toInteger(a, 64))),
  bit: ternary<BitString, number, boolean>(toLength),
  varbit: ternary<BitString, number, boolean>(toLengthAtMost),
  [`agg:bit_and:${Oid.bit}`]: bitwiseAggregate("AND", (a, b) => a & b),
  [`agg:bit_or:${Oid.bit}`]: bitwiseAggregate("OR", (a, b) => a | b),
  [`agg:bit_xor:${Oid.bit}`]: bitwiseAggregate("XOR", (a, b) => a ^ b),
  hamming_distance: binary<BitString, BitString>(hammingDistance),
  jaccard_distance: binary<BitString, BitString>(jaccardDistance),
};
