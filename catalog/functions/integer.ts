// Arithmetic, bit operations and casts of int2, int4, int8 and oid. Results outside the type are 22003; int8 results that
// leave 53 bits are computed again in BigInt.
import { Float64Vector, Int32Vector, Int64Vector, type Vector } from "../../common/batch/vector.ts";
import { SqlError, SqlState } from "../../common/error.ts";
import { divisionByZero } from "../../common/types/numeric.ts";
import { fitsInt64, int64Datum } from "../../common/types/scalar.ts";
import { byteText, charByte } from "../../common/types/text.ts";
import { type Arithmetic, arithmeticBatch, nullConstant } from "./batch.ts";
import { type BodyTable, binary, unary } from "./body.ts";
import type { FunctionBody, ScalarBody } from "./function.ts";

export type Int8 = number | bigint;
type Width = 2 | 4 | 8;

const NAMES: Readonly<Record<Width, string>> = { 2: "smallint", 4: "integer", 8: "bigint" };
const LIMITS: Readonly<Record<2 | 4, number>> = { 2: 32767, 4: 2147483647 };

export function integerOutOfRange(width: Width): SqlError {
  return new SqlError(SqlState.numericValueOutOfRange, `${NAMES[width]} out of range`);
}

/** `value` when it fits int2 or int4. */
export function checkInteger(value: number, width: 2 | 4): number {
  if (value > LIMITS[width] || value < -LIMITS[width] - 1) throw integerOutOfRange(width);
  return value + 0;
}

export function checkInt8(value: bigint): Int8 {
  if (!fitsInt64(value)) throw integerOutOfRange(8);
  return int64Datum(value);
}

export function addInt8(a: Int8, b: Int8): Int8 {
  if (typeof a === "number" && typeof b === "number") {
    const sum = a + b;
    if (Number.isSafeInteger(sum)) return sum;
  }
  return checkInt8(BigInt(a) + BigInt(b));
}

export function subtractInt8(a: Int8, b: Int8): Int8 {
  if (typeof a === "number" && typeof b === "number") {
    const difference = a - b;
    if (Number.isSafeInteger(difference)) return difference;
  }
  return checkInt8(BigInt(a) - BigInt(b));
}

export function multiplyInt8(a: Int8, b: Int8): Int8 {
  if (typeof a === "number" && typeof b === "number") {
    const product = a * b;
    if (Number.isSafeInteger(product)) return product + 0;
  }
  return checkInt8(BigInt(a) * BigInt(b));
}

export function divideInt8(a: Int8, b: Int8): Int8 {
  if (b === 0) throw divisionByZero();
  // The remainder is exact, and with it taken off so is the quotient.
  if (typeof a === "number" && typeof b === "number") return (a - (a % b)) / b + 0;
  return checkInt8(BigInt(a) / BigInt(b));
}

export function remainderInt8(a: Int8, b: Int8): Int8 {
  if (b === 0) throw divisionByZero();
  if (typeof a === "number" && typeof b === "number") return (a % b) + 0;
  return checkInt8(BigInt(a) % BigInt(b));
}

const add8 = binary<Int8, Int8>(addInt8);
const subtract8 = binary<Int8, Int8>(subtractInt8);
const multiply8 = binary<Int8, Int8>(multiplyInt8);

/** + - * / of two integer types under PostgreSQL's names: int4pl, int48mi ... */
function arithmeticBodies(name: string, width: Width): Record<string, FunctionBody> {
  if (width === 8) {
    return {
      [`${name}pl`]: withBatch(add8, "add", 8),
      [`${name}mi`]: withBatch(subtract8, "subtract", 8),
      [`${name}mul`]: withBatch(multiply8, "multiply", 8),
      [`${name}div`]: binary<Int8, Int8>(divideInt8),
      [`${name}mod`]: binary<Int8, Int8>(remainderInt8),
    };
  }
  return {
    [`${name}pl`]: withBatch(
      binary<number, number>((a, b) => checkInteger(a + b, width)),
      "add",
      width,
    ),
    [`${name}mi`]: withBatch(
      binary<number, number>((a, b) => checkInteger(a - b, width)),
      "subtract",
      width,
    ),
    [`${name}mul`]: withBatch(
      binary<number, number>((a, b) => checkInteger(a * b, width)),
      "multiply",
      width,
    ),
    [`${name}div`]: binary<number, number>((a, b) => {
      if (b === 0) throw divisionByZero();
      return checkInteger(Math.trunc(a / b), width);
    }),
    [`${name}mod`]: binary<number, number>((a, b) => {
      if (b === 0) throw divisionByZero();
      return (a % b) + 0;
    }),
  };
}

function withBatch(body: ScalarBody, operation: Arithmetic, width: Width): ScalarBody {
  return { ...body, batch: (args, rowCount) => integerBatch(operation, width, args, rowCount) };
}

/** int2 and int4 results overflow here; an int8 result beyond 53 bits sends the batch to the row body. */
function integerBatch(
  operation: Arithmetic,
  width: Width,
  args: readonly Vector[],
  rowCount: number,
): Vector | undefined {
  const absent = nullConstant(args, rowCount);
  if (absent !== undefined) return absent;
  const result = arithmeticBatch(operation, args, rowCount);
  if (result === undefined) return undefined;
  const { values, nulls } = result;
  const limit = width === 8 ? Number.MAX_SAFE_INTEGER : LIMITS[width];
  const low = width === 8 ? -limit : -limit - 1;
  for (let i = 0; i < rowCount; i++) {
    const value = values[i] as number;
    if ((value > limit || value < low) && nulls?.[i] !== 1) {
      if (width === 8) return undefined;
      throw integerOutOfRange(width);
    }
  }
  if (width === 8) {
    if (operation === "multiply") for (let i = 0; i < rowCount; i++) values[i] = (values[i] as number) + 0;
    return new Int64Vector(values, undefined, nulls, rowCount);
  }
  return new Int32Vector(new Int32Array(values), nulls, rowCount);
}

/** rint(): half to even, as casts from float to integer round. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest < 0.5) return floor;
  if (rest > 0.5) return floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

export function floatToInteger(value: number, width: 2 | 4): number {
  const rounded = roundHalfEven(value);
  if (Number.isNaN(rounded)) throw integerOutOfRange(width);
  return checkInteger(rounded, width);
}

export function floatToInt8(value: number): Int8 {
  const rounded = roundHalfEven(value);
  if (!(rounded >= -9223372036854775808 && rounded < 9223372036854775808)) throw integerOutOfRange(8);
  return int64Datum(BigInt(rounded));
}

function bitBodies(name: string): Record<string, FunctionBody> {
  return {
    [`${name}and`]: binary<number, number>((a, b) => a & b),
    [`${name}or`]: binary<number, number>((a, b) => a | b),
    [`${name}xor`]: binary<number, number>((a, b) => a ^ b),
    [`${name}not`]: unary<number>((a) => ~a),
  };
}

function negateBodies(name: string, width: 2 | 4): Record<string, FunctionBody> {
  return {
    [`${name}um`]: unary<number>((a) => checkInteger(-a, width)),
    [`${name}up`]: unary<number>((a) => a),
    [`${name}abs`]: unary<number>((a) => checkInteger(Math.abs(a), width)),
  };
}

function gcd(a: bigint, b: bigint): bigint {
  let [x, y] = [a < 0n ? -a : a, b < 0n ? -b : b];
  while (y !== 0n) [x, y] = [y, x % y];
  return x;
}

function lcm(a: bigint, b: bigint): bigint {
  if (a === 0n || b === 0n) return 0n;
  const value = (a / gcd(a, b)) * b;
  return value < 0n ? -value : value;
}

function checkInt4FromBigint(value: bigint): number {
  if (value > 2147483647n || value < -2147483648n) throw integerOutOfRange(4);
  return Number(value);
}

export const integerFunctions: BodyTable = {
  ...arithmeticBodies("int2", 2),
  ...arithmeticBodies("int4", 4),
  ...arithmeticBodies("int24", 4),
  ...arithmeticBodies("int42", 4),
  ...arithmeticBodies("int8", 8),
  ...arithmeticBodies("int28", 8),
  ...arithmeticBodies("int82", 8),
  ...arithmeticBodies("int48", 8),
  ...arithmeticBodies("int84", 8),
  ...bitBodies("int2"),
  ...bitBodies("int4"),
  ...negateBodies("int2", 2),
  ...negateBodies("int4", 4),
  // The shift count is taken modulo the machine word, as the hardware that PostgreSQL runs on does.
  int2shl: binary<number, number>((a, b) => ((a << (b & 31)) << 16) >> 16),
  int2shr: binary<number, number>((a, b) => a >> (b & 31)),
  int4shl: binary<number, number>((a, b) => a << (b & 31)),
  int4shr: binary<number, number>((a, b) => a >> (b & 31)),
  int8and: binary<Int8, Int8>((a, b) => int64Datum(BigInt(a) & BigInt(b))),
  int8or: binary<Int8, Int8>((a, b) => int64Datum(BigInt(a) | BigInt(b))),
  int8xor: binary<Int8, Int8>((a, b) => int64Datum(BigInt(a) ^ BigInt(b))),
  int8not: unary<Int8>((a) => int64Datum(~BigInt(a))),
  int8shl: binary<Int8, number>((a, b) => int64Datum(BigInt.asIntN(64, BigInt(a) << BigInt(b & 63)))),
  int8shr: binary<Int8, number>((a, b) => int64Datum(BigInt(a) >> BigInt(b & 63))),
  int8um: unary<Int8>((a) => (typeof a === "number" ? -a + 0 : checkInt8(-a))),
  int8up: unary<Int8>((a) => a),
  int8abs: unary<Int8>((a) => (typeof a === "number" ? Math.abs(a) : checkInt8(a < 0n ? -a : a))),
  int4inc: unary<number>((a) => checkInteger(a + 1, 4)),
  int8inc: unary<Int8>((a) => addInt8(a, 1)),
  int8dec: unary<Int8>((a) => subtractInt8(a, 1)),
  int4gcd: binary<number, number>((a, b) => checkInt4FromBigint(gcd(BigInt(a), BigInt(b)))),
  int4lcm: binary<number, number>((a, b) => checkInt4FromBigint(lcm(BigInt(a), BigInt(b)))),
  int8gcd: binary<Int8, Int8>((a, b) => checkInt8(gcd(BigInt(a), BigInt(b)))),
  int8lcm: binary<Int8, Int8>((a, b) => checkInt8(lcm(BigInt(a), BigInt(b)))),

  // Casts. Widening ones have batch forms where the representation changes.
  i2toi4: { ...unary<number>((a) => a), batch: (args) => (args[0]?.kind === "i32" ? args[0] : undefined) },
  i4toi2: unary<number>((a) => checkInteger(a, 2)),
  int48: { ...unary<number>((a) => a), batch: widenToInt8 },
  int28: { ...unary<number>((a) => a), batch: widenToInt8 },
  int84: unary<Int8>((a) => narrowInt8(a, 4)),
  int82: unary<Int8>((a) => narrowInt8(a, 2)),
  i4tod: { ...unary<number>((a) => a), batch: widenToFloat8 },
  i2tod: { ...unary<number>((a) => a), batch: widenToFloat8 },
  i4tof: unary<number>((a) => Math.fround(a)),
  i2tof: unary<number>((a) => Math.fround(a)),
  i8tod: unary<Int8>((a) => Number(a)),
  i8tof: unary<Int8>((a) => Math.fround(Number(a))),
  dtoi2: unary<number>((a) => floatToInteger(a, 2)),
  dtoi4: unary<number>((a) => floatToInteger(a, 4)),
  dtoi8: unary<number>(floatToInt8),
  ftoi2: unary<number>((a) => floatToInteger(a, 2)),
  ftoi4: unary<number>((a) => floatToInteger(a, 4)),
  ftoi8: unary<number>(floatToInt8),
  i8tooid: unary<Int8>((a) => {
    if (a < 0 || a > 4294967295) throw new SqlError(SqlState.numericValueOutOfRange, "OID out of range");
    return a;
  }),
  oidtoi8: unary<number>((a) => a),
  int4_bool: unary<number>((a) => a !== 0),
  bool_int4: unary<boolean>((a) => (a ? 1 : 0)),
  // "char" is a signed byte here.
  chartoi4: unary<string>((a) => (charByte(a) << 24) >> 24),
  i4tochar: unary<number>((a) => {
    if (a < -128 || a > 127) throw new SqlError(SqlState.numericValueOutOfRange, '"char" out of range');
    return byteText(a & 0xff);
  }),
  to_hex32: unary<number>((a) => (a >>> 0).toString(16)),
  to_hex64: unary<Int8>((a) => BigInt.asUintN(64, BigInt(a)).toString(16)),
};

function narrowInt8(value: Int8, width: 2 | 4): number {
  if (typeof value === "bigint") throw integerOutOfRange(width);
  return checkInteger(value, width);
}

function widenToInt8(args: readonly Vector[], rowCount: number): Vector | undefined {
  const arg = args[0];
  if (arg?.kind !== "i32") return undefined;
  return new Int64Vector(new Float64Array(arg.values.subarray(0, rowCount)), undefined, arg.nulls, rowCount);
}

function widenToFloat8(args: readonly Vector[], rowCount: number): Vector | undefined {
  const arg = args[0];
  if (arg?.kind !== "i32") return undefined;
  return new Float64Vector(new Float64Array(arg.values.subarray(0, rowCount)), arg.nulls, rowCount);
}
