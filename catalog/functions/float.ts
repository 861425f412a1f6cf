// float4 and float8: arithmetic with PostgreSQL's overflow and underflow errors, rounding, and the mathematical functions.
import { Float64Vector, type Vector } from "../../common/batch/vector.ts";
import { SqlError, SqlState } from "../../common/error.ts";
import { divisionByZero } from "../../common/types/numeric.ts";
import { type Arithmetic, arithmeticBatch, nullConstant } from "./batch.ts";
import { type BodyTable, binary, nullary, unary } from "./body.ts";
import type { FunctionBody, ScalarBody } from "./function.ts";
import { roundHalfEven } from "./integer.ts";

export function floatOverflow(): SqlError {
  return new SqlError(SqlState.numericValueOutOfRange, "value out of range: overflow");
}

export function floatUnderflow(): SqlError {
  return new SqlError(SqlState.numericValueOutOfRange, "value out of range: underflow");
}

function inputOutOfRange(): SqlError {
  return new SqlError(SqlState.numericValueOutOfRange, "input is out of range");
}

type Round = (value: number) => number;
const keep: Round = (value) => value;

function add(round: Round) {
  return (a: number, b: number): number => {
    const result = round(a + b);
    if (!Number.isFinite(result) && Number.isFinite(a) && Number.isFinite(b)) throw floatOverflow();
    return result;
  };
}

function multiply(round: Round) {
  return (a: number, b: number): number => {
    const result = round(a * b);
    if (!Number.isFinite(result) && Number.isFinite(a) && Number.isFinite(b)) throw floatOverflow();
    if (result === 0 && a !== 0 && b !== 0) throw floatUnderflow();
    return result;
  };
}

function divide(round: Round) {
  return (a: number, b: number): number => {
    if (b === 0 && !Number.isNaN(a)) throw divisionByZero();
    const result = round(a / b);
    if (!Number.isFinite(result) && Number.isFinite(a) && Number.isFinite(b)) throw floatOverflow();
    if (result === 0 && a !== 0 && Number.isFinite(b)) throw floatUnderflow();
    return result;
  };
}

function arithmeticBodies(name: string, round: Round): Record<string, FunctionBody> {
  const plus = add(round);
  const bodies: Record<string, ScalarBody> = {
    [`${name}pl`]: binary<number, number>(plus),
    [`${name}mi`]: binary<number, number>((a, b) => plus(a, -b)),
    [`${name}mul`]: binary<number, number>(multiply(round)),
    [`${name}div`]: binary<number, number>(divide(round)),
  };
  if (round !== keep) return bodies;
  return {
    ...bodies,
    [`${name}pl`]: withBatch(bodies[`${name}pl`] as ScalarBody, "add"),
    [`${name}mi`]: withBatch(bodies[`${name}mi`] as ScalarBody, "subtract"),
    [`${name}mul`]: withBatch(bodies[`${name}mul`] as ScalarBody, "multiply"),
  };
}

/** Results that are not finite, and zero products, are judged row by row. */
function withBatch(body: ScalarBody, operation: Arithmetic): ScalarBody {
  return {
    ...body,
    batch: (args, rowCount): Vector | undefined => {
      const absent = nullConstant(args, rowCount);
      if (absent !== undefined) return absent;
      const result = arithmeticBatch(operation, args, rowCount);
      if (result === undefined) return undefined;
      const { values, nulls } = result;
      for (let i = 0; i < rowCount; i++) {
        const value = values[i] as number;
        const isSuspect = value - value !== 0 || (value === 0 && operation === "multiply");
        if (isSuspect && nulls?.[i] !== 1) return undefined;
      }
      return new Float64Vector(values, nulls, rowCount);
    },
  };
}

/** A function of one finite argument; NaN goes through, an infinite result is an overflow. */
function mathematical(fn: (x: number) => number): FunctionBody {
  return unary<number>((x) => {
    if (Number.isNaN(x)) return x;
    const result = fn(x);
    if (!Number.isFinite(result) && Number.isFinite(x)) throw floatOverflow();
    return result;
  });
}

/** Trigonometry of an infinite angle is an error. */
function trigonometric(fn: (x: number) => number): FunctionBody {
  return unary<number>((x) => {
    if (Number.isNaN(x)) return x;
    if (!Number.isFinite(x)) throw inputOutOfRange();
    return fn(x);
  });
}

/** Defined on [-1, 1] only. */
function arc(fn: (x: number) => number): FunctionBody {
  return unary<number>((x) => {
    if (Number.isNaN(x)) return x;
    if (x < -1 || x > 1) throw inputOutOfRange();
    return fn(x);
  });
}

const DEGREES = 180 / Math.PI;

/** Exact at the multiples of 30 and 45 degrees, where PostgreSQL promises it. */
function sineOfDegrees(x: number): number {
  let angle = x % 360;
  let sign = 1;
  if (angle < 0) {
    angle = -angle;
    sign = -1;
  }
  if (angle > 180) {
    angle = 360 - angle;
    sign = -sign;
  }
  if (angle > 90) angle = 180 - angle;
  const value = angle === 30 ? 0.5 : angle === 90 ? 1 : angle === 0 ? 0 : Math.sin(angle / DEGREES);
  return sign * value + 0;
}

function cosineOfDegrees(x: number): number {
  let angle = Math.abs(x % 360);
  if (angle > 180) angle = 360 - angle;
  const isNegative = angle > 90;
  if (isNegative) angle = 180 - angle;
  const value = angle === 60 ? 0.5 : angle === 90 ? 0 : angle === 0 ? 1 : Math.cos(angle / DEGREES);
  return isNegative ? -value + 0 : value;
}

function tangentOfDegrees(x: number): number {
  if (Math.abs(x % 180) === 45) return x % 180 > 0 ? 1 : -1;
  if (Math.abs(x % 180) === 135) return x % 180 > 0 ? -1 : 1;
  const cosine = cosineOfDegrees(x);
  if (cosine === 0) return sineOfDegrees(x) > 0 ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
  return sineOfDegrees(x) / cosine + 0;
}

function exactArcDegrees(
  fn: (x: number) => number,
  exact: Readonly<Record<string, number>>,
): (x: number) => number {
  return (x) => exact[String(x)] ?? fn(x) * DEGREES;
}

export function floatPower(base: number, exponent: number): number {
  if (Number.isNaN(base)) return exponent === 0 ? 1 : base;
  if (Number.isNaN(exponent)) return base === 1 ? 1 : exponent;
  if (base === 0 && exponent < 0) {
    throw new SqlError(
      SqlState.invalidArgumentForPowerFunction,
      "zero raised to a negative power is undefined",
    );
  }
  if (base < 0 && Number.isFinite(exponent) && Math.floor(exponent) !== exponent) {
    throw new SqlError(
      SqlState.invalidArgumentForPowerFunction,
      "a negative number raised to a non-integer power yields a complex result",
    );
  }
  // JavaScript gives NaN where C's pow gives 1.
  if (Math.abs(base) === 1 && !Number.isFinite(exponent)) return 1;
  const result = base ** exponent;
  if (Number.isFinite(base) && Number.isFinite(exponent)) {
    if (!Number.isFinite(result)) throw floatOverflow();
    if (result === 0 && base !== 0) throw floatUnderflow();
  }
  return result;
}

function logarithm(fn: (x: number) => number): FunctionBody {
  return unary<number>((x) => {
    if (x === 0) throw new SqlError(SqlState.invalidArgumentForLogarithm, "cannot take logarithm of zero");
    if (x < 0)
      throw new SqlError(SqlState.invalidArgumentForLogarithm, "cannot take logarithm of a negative number");
    return fn(x);
  });
}

function widthBucketError(message: string): SqlError {
  return new SqlError("2201G", message);
}

/** Bucket 1..count of `value` in [low, high), 0 below and count + 1 above; downwards when low > high. */
function widthBucket(value: number, low: number, high: number, count: number): number {
  if (count <= 0) throw widthBucketError("count must be greater than zero");
  if ([value, low, high].some(Number.isNaN))
    throw widthBucketError("operand, lower bound, and upper bound cannot be NaN");
  if (!Number.isFinite(low) || !Number.isFinite(high))
    throw widthBucketError("lower and upper bounds must be finite");
  if (low === high) throw widthBucketError("lower bound cannot equal upper bound");
  const isUpward = low < high;
  if (isUpward ? value < low : value > low) return 0;
  if (isUpward ? value >= high : value <= high) {
    if (count >= 2147483647) throw new SqlError(SqlState.numericValueOutOfRange, "integer out of range");
    return count + 1;
  }
  return Math.min(Math.floor(((value - low) / (high - low)) * count), count - 1) + 1;
}

export const floatFunctions: BodyTable = {
  ...arithmeticBodies("float8", keep),
  ...arithmeticBodies("float48", keep),
  ...arithmeticBodies("float84", keep),
  ...arithmeticBodies("float4", Math.fround),
  float8um: unary<number>((a) => -a),
  float4um: unary<number>((a) => -a),
  float8up: unary<number>((a) => a),
  float4up: unary<number>((a) => a),
  float8abs: unary<number>(Math.abs),
  float4abs: unary<number>(Math.abs),
  ftod: unary<number>((a) => a),
  dtof: unary<number>((a) => {
    const single = Math.fround(a);
    if (!Number.isFinite(single) && Number.isFinite(a)) throw floatOverflow();
    if (single === 0 && a !== 0) throw floatUnderflow();
    return single;
  }),
  dround: unary<number>(roundHalfEven),
  dtrunc: unary<number>(Math.trunc),
  dceil: unary<number>(Math.ceil),
  dfloor: unary<number>(Math.floor),
  dsign: unary<number>((a) => (a > 0 ? 1 : a < 0 ? -1 : 0)),
  dsqrt: unary<number>((a) => {
    if (a < 0) {
      throw new SqlError(
        SqlState.invalidArgumentForPowerFunction,
        "cannot take square root of a negative number",
      );
    }
    return Math.sqrt(a);
  }),
  dcbrt: mathematical(Math.cbrt),
  dpow: binary<number, number>(floatPower),
  dexp: unary<number>((a) => {
    const result = Math.exp(a);
    if (!Number.isFinite(result) && Number.isFinite(a)) throw floatOverflow();
    if (result === 0 && Number.isFinite(a)) throw floatUnderflow();
    return result;
  }),
  dlog1: logarithm(Math.log),
  dlog10: logarithm(Math.log10),
  dsin: trigonometric(Math.sin),
  dcos: trigonometric(Math.cos),
  dtan: trigonometric(Math.tan),
  dcot: trigonometric((x) => 1 / Math.tan(x)),
  dasin: arc(Math.asin),
  dacos: arc(Math.acos),
  datan: unary<number>(Math.atan),
  datan2: binary<number, number>(Math.atan2),
  dsind: trigonometric(sineOfDegrees),
  dcosd: trigonometric(cosineOfDegrees),
  dtand: trigonometric(tangentOfDegrees),
  dcotd: trigonometric((x) => 1 / tangentOfDegrees(x)),
  dasind: arc(exactArcDegrees(Math.asin, { 0: 0, 0.5: 30, "-0.5": -30, 1: 90, "-1": -90 })),
  dacosd: arc(exactArcDegrees(Math.acos, { 0: 90, 0.5: 60, "-0.5": 120, 1: 0, "-1": 180 })),
  datand: unary<number>(exactArcDegrees(Math.atan, { 0: 0, 1: 45, "-1": -45 })),
  datan2d: binary<number, number>((y, x) => exactArcDegrees(() => Math.atan2(y, x), {})(0)),
  dsinh: unary<number>(Math.sinh),
  dcosh: unary<number>(Math.cosh),
  dtanh: unary<number>(Math.tanh),
  dasinh: unary<number>(Math.asinh),
  dacosh: unary<number>((x) => {
    if (x < 1) throw inputOutOfRange();
    return Math.acosh(x);
  }),
  datanh: arc(Math.atanh),
  degrees: mathematical((x) => x / (Math.PI / 180)),
  radians: mathematical((x) => x * (Math.PI / 180)),
  dpi: nullary(() => Math.PI),
  drandom: nullary((call) => call.context.session.random()),
  setseed: unary<number>((seed, call) => {
    if (!(seed >= -1 && seed <= 1)) {
      throw new SqlError(
        SqlState.invalidParameterValue,
        `setseed parameter ${seed} is out of allowed range [-1,1]`,
      );
    }
    call.context.session.setSeed(seed);
    return "";
  }),
  width_bucket_float8: {
    kind: "scalar",
    row: (args) => widthBucket(args[0] as number, args[1] as number, args[2] as number, args[3] as number),
  },
};
