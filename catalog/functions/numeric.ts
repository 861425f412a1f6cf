// numeric operators, functions and casts; the arithmetic itself is in common/types/numeric.ts and numeric-math.ts.
import { SqlError, SqlState } from "../../common/error.ts";
import { applyNumericModifier } from "../../common/types/numeric-codec.ts";
import {
  factorial,
  numericExp,
  numericLn,
  numericLog,
  numericPower,
  numericSqrt,
} from "../../common/types/numeric-math.ts";
import { Numeric, rescaled } from "../../common/types/numeric.ts";
import { fitsInt64, int64Datum } from "../../common/types/scalar.ts";
import { type BodyTable, binary, unary } from "./body.ts";
import { type Int8, integerOutOfRange } from "./integer.ts";

function checkConvertible(value: Numeric, typeName: string): void {
  if (value.isNaN) throw new SqlError(SqlState.featureNotSupported, `cannot convert NaN to ${typeName}`);
  if (value.isInfinite)
    throw new SqlError(SqlState.featureNotSupported, `cannot convert infinity to ${typeName}`);
}

function toInteger(value: Numeric, width: 2 | 4): number {
  checkConvertible(value, width === 2 ? "smallint" : "integer");
  const rounded = value.toBigInt();
  const limit = width === 2 ? 32768n : 2147483648n;
  if (rounded >= limit || rounded < -limit) throw integerOutOfRange(width);
  return Number(rounded);
}

export function numericToInt8(value: Numeric): Int8 {
  checkConvertible(value, "bigint");
  const rounded = value.toBigInt();
  if (!fitsInt64(rounded)) throw integerOutOfRange(8);
  return int64Datum(rounded);
}

export function numericToFloat8(value: Numeric): number {
  const result = value.toNumber();
  if (value.isFinite && !Number.isFinite(result)) {
    throw new SqlError(
      SqlState.numericValueOutOfRange,
      `"${value.toString()}" is out of range for type double precision`,
    );
  }
  return result;
}

function gcd(a: bigint, b: bigint): bigint {
  let [x, y] = [a < 0n ? -a : a, b < 0n ? -b : b];
  while (y !== 0n) [x, y] = [y, x % y];
  return x;
}

function numericGcd(a: Numeric, b: Numeric): Numeric {
  if (a.isNaN || b.isNaN || (!a.isFinite && !b.isFinite)) return Numeric.nan;
  if (!a.isFinite || !b.isFinite) return Numeric.nan;
  const scale = Math.max(a.scale, b.scale);
  return Numeric.of(gcd(rescaled(a, scale), rescaled(b, scale)), scale);
}

function numericLcm(a: Numeric, b: Numeric): Numeric {
  if (!a.isFinite || !b.isFinite) return Numeric.nan;
  const scale = Math.max(a.scale, b.scale);
  const [x, y] = [rescaled(a, scale), rescaled(b, scale)];
  if (x === 0n || y === 0n) return Numeric.of(0n, scale);
  const value = (x / gcd(x, y)) * y;
  return Numeric.of(value < 0n ? -value : value, scale);
}

/** Bucket 1..count of `value` in [low, high); exact. */
function widthBucket(value: Numeric, low: Numeric, high: Numeric, count: number): number {
  const fail = (message: string): SqlError => new SqlError("2201G", message);
  if (count <= 0) throw fail("count must be greater than zero");
  if (value.isNaN || low.isNaN || high.isNaN)
    throw fail("operand, lower bound, and upper bound cannot be NaN");
  if (low.isInfinite || high.isInfinite) throw fail("lower and upper bounds must be finite");
  const direction = low.compare(high);
  if (direction === 0) throw fail("lower bound cannot equal upper bound");
  const isUpward = direction < 0;
  if (isUpward ? value.compare(low) < 0 : value.compare(low) > 0) return 0;
  if (isUpward ? value.compare(high) >= 0 : value.compare(high) <= 0) {
    if (count >= 2147483647) throw integerOutOfRange(4);
    return count + 1;
  }
  const scaled = value.subtract(low).multiply(Numeric.fromInteger(count));
  return Number(scaled.divideTruncating(high.subtract(low)).toBigInt()) + 1;
}

const UNITS = ["bytes", "kB", "MB", "GB", "TB", "PB"] as const;

/** 10 units of the next size are the limit, then halves are rounded up (pg_size_pretty). */
export function sizePretty(size: bigint): string {
  const sign = size < 0n ? "-" : "";
  let value = size < 0n ? -size : size;
  if (value < 10240n) return `${sign}${value} bytes`;
  // Halves are counted while shifting, so that the last shift can round.
  value >>= 9n;
  let unit = 1;
  while (value >= 20479n && unit < UNITS.length - 1) {
    value >>= 10n;
    unit += 1;
  }
  return `${sign}${(value + 1n) / 2n} ${UNITS[unit]}`;
}

/** As sizePretty, but small sizes keep their fraction. */
function numericSizePretty(size: Numeric): string {
  if (!size.isFinite) return `${size.toString()} PB`;
  if (size.abs().compare(Numeric.fromInteger(10240)) < 0) return `${size.toString()} bytes`;
  return sizePretty(size.truncate(0).coefficient);
}

const SIZE_MULTIPLIERS: Readonly<Record<string, bigint>> = {
  bytes: 1n,
  b: 1n,
  kb: 1024n,
  mb: 1024n ** 2n,
  gb: 1024n ** 3n,
  tb: 1024n ** 4n,
  pb: 1024n ** 5n,
};

/** "1.5 GB" -> bytes. */
function sizeBytes(text: string): Int8 {
  const match = /^\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([a-zA-Z]*)\s*$/.exec(text);
  if (match === null) {
    throw new SqlError(SqlState.invalidParameterValue, `invalid size: "${text}"`);
  }
  const unit = (match[2] as string).toLowerCase();
  const multiplier = unit === "" ? 1n : SIZE_MULTIPLIERS[unit];
  if (multiplier === undefined) {
    throw new SqlError(SqlState.invalidParameterValue, `invalid size: "${text}"`, {
      detail: `Invalid size unit: "${match[2]}".`,
      hint: 'Valid units are "bytes", "B", "kB", "MB", "GB", "TB", and "PB".',
    });
  }
  return numericToInt8(Numeric.parse(match[1] as string).multiply(Numeric.fromInteger(multiplier)));
}

export const numericFunctions: BodyTable = {
  numeric_add: binary<Numeric, Numeric>((a, b) => a.add(b)),
  numeric_sub: binary<Numeric, Numeric>((a, b) => a.subtract(b)),
  numeric_mul: binary<Numeric, Numeric>((a, b) => a.multiply(b)),
  numeric_div: binary<Numeric, Numeric>((a, b) => a.divide(b)),
  numeric_div_trunc: binary<Numeric, Numeric>((a, b) => a.divideTruncating(b)),
  numeric_mod: binary<Numeric, Numeric>((a, b) => a.remainder(b)),
  numeric_uminus: unary<Numeric>((a) => a.negate()),
  numeric_uplus: unary<Numeric>((a) => a),
  numeric_abs: unary<Numeric>((a) => a.abs()),
  numeric_sign: unary<Numeric>((a) => (a.isNaN ? a : Numeric.fromInteger(a.sign))),
  numeric_inc: unary<Numeric>((a) => a.add(Numeric.one)),
  numeric_round: binary<Numeric, number>((a, scale) => a.round(scale)),
  numeric_trunc: binary<Numeric, number>((a, scale) => a.truncate(scale)),
  "sql:round:1700": unary<Numeric>((a) => a.round(0)),
  "sql:trunc:1700": unary<Numeric>((a) => a.truncate(0)),
  numeric_ceil: unary<Numeric>((a) => a.ceil()),
  numeric_floor: unary<Numeric>((a) => a.floor()),
  numeric_sqrt: unary<Numeric>(numericSqrt),
  numeric_exp: unary<Numeric>(numericExp),
  numeric_ln: unary<Numeric>(numericLn),
  numeric_log: binary<Numeric, Numeric>(numericLog),
  "sql:log:1700": unary<Numeric>((a) => numericLog(Numeric.fromInteger(10), a)),
  "sql:log10:1700": unary<Numeric>((a) => numericLog(Numeric.fromInteger(10), a)),
  numeric_power: binary<Numeric, Numeric>(numericPower),
  numeric_fac: unary<Int8>((a) => factorial(BigInt(a))),
  numeric_gcd: binary<Numeric, Numeric>(numericGcd),
  numeric_lcm: binary<Numeric, Numeric>(numericLcm),
  numeric_scale: unary<Numeric>((a) => (a.isFinite ? a.scale : null)),
  numeric_min_scale: unary<Numeric>((a) => (a.isFinite ? a.trimZeros(0).scale : null)),
  numeric_trim_scale: unary<Numeric>((a) => a.trimZeros(0)),
  width_bucket_numeric: {
    kind: "scalar",
    row: (args) => widthBucket(args[0] as Numeric, args[1] as Numeric, args[2] as Numeric, args[3] as number),
  },
  pg_size_pretty: unary<Int8>((a) => sizePretty(BigInt(a))),
  pg_size_pretty_numeric: unary<Numeric>(numericSizePretty),
  pg_size_bytes: unary<string>(sizeBytes),

  numeric: binary<Numeric, number>((a, typmod) => applyNumericModifier(a, typmod)),
  int2_numeric: unary<number>((a) => Numeric.fromInteger(a)),
  int4_numeric: unary<number>((a) => Numeric.fromInteger(a)),
  int8_numeric: unary<Int8>((a) => Numeric.fromInteger(a)),
  float4_numeric: unary<number>((a) => Numeric.fromFloat(a, 6)),
  float8_numeric: unary<number>((a) => Numeric.fromFloat(a)),
  numeric_int2: unary<Numeric>((a) => toInteger(a, 2)),
  numeric_int4: unary<Numeric>((a) => toInteger(a, 4)),
  numeric_int8: unary<Numeric>(numericToInt8),
  numeric_float8: unary<Numeric>(numericToFloat8),
  numeric_float4: unary<Numeric>((a) => {
    const result = Math.fround(a.toNumber());
    if (a.isFinite && !Number.isFinite(result)) {
      throw new SqlError(SqlState.numericValueOutOfRange, `"${a.toString()}" is out of range for type real`);
    }
    return result;
  }),
};
