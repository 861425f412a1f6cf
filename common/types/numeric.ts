// SQL numeric: an exact decimal as bigint coefficient and display scale (value = coefficient / 10^scale), plus NaN and the
// two infinities. Result scales follow PostgreSQL's numeric.c (src/backend/utils/adt/numeric.c of version 15), because the
// scale of a result is visible: 1/3 prints 16 digits after the first significant group, 1.0*1.00 prints three.
// Square root, exp, ln and power are in numeric-math.ts; text, binary and storage forms in numeric-codec.ts.
import { SqlError, SqlState } from "../error.ts";

/** Most digits before the decimal point, NUMERIC_WEIGHT_MAX in decimal digits. */
const MAX_INTEGER_DIGITS = 131072;
/** Below this no counting of digits is needed (3.3 bits a digit). */
const SURELY_FITS = 1n << 400_000n;
/** Kept, because negating a number of 50 KB costs more than everything else of an addition. */
const SURELY_FITS_BELOW = -SURELY_FITS;
/** Most digits after it, NUMERIC_DSCALE_MAX. */
const MAX_SCALE = 16383;
/** NUMERIC_MIN_SIG_DIGITS: significant digits that inexact results have at least. */
export const MIN_SIGNIFICANT_DIGITS = 16;
/** NUMERIC_MAX_DISPLAY_SCALE: what inexact results are cut to. */
export const MAX_DISPLAY_SCALE = 1000;

export type NumericKind = "finite" | "nan" | "infinity" | "-infinity";

export class Numeric {
  readonly kind: NumericKind;
  readonly coefficient: bigint;
  readonly scale: number;

  static readonly nan = new Numeric("nan", 0n, 0);
  static readonly infinity = new Numeric("infinity", 0n, 0);
  static readonly negativeInfinity = new Numeric("-infinity", 0n, 0);
  static readonly zero = new Numeric("finite", 0n, 0);
  static readonly one = new Numeric("finite", 1n, 0);

  private constructor(kind: NumericKind, coefficient: bigint, scale: number) {
    this.kind = kind;
    this.coefficient = coefficient;
    this.scale = scale;
  }

  /** A finite value; 22003 "value overflows numeric format" outside PostgreSQL's range, scale cut to 16383. */
  static of(coefficient: bigint, scale: number): Numeric {
    if (scale > MAX_SCALE)
      return Numeric.of(divideRounding(coefficient, pow10(scale - MAX_SCALE)), MAX_SCALE);
    if ((coefficient > SURELY_FITS || coefficient < SURELY_FITS_BELOW) && isTooLong(coefficient, scale)) {
      throw numericOverflow();
    }
    return new Numeric("finite", coefficient, scale);
  }

  static fromInteger(value: number | bigint): Numeric {
    return new Numeric("finite", BigInt(value), 0);
  }

  /** Text form: sign, digits, point, exponent, NaN, Infinity; surrounding blanks allowed. undefined = not a numeric. */
  static tryParse(text: string): Numeric | undefined {
    const match =
      /^[ \t\n\r\v\f]*([+-]?)(?:(\d+)(?:\.(\d*))?|\.(\d+))(?:[eE]([+-]?\d+))?[ \t\n\r\v\f]*$/.exec(text);
    if (match === null) return parseSpecial(text);
    const integer = match[2] ?? "";
    const fraction = match[3] ?? match[4] ?? "";
    const exponent = match[5] === undefined ? 0 : Number(match[5]);
    if (Math.abs(exponent) > 1_073_741_823) throw numericOverflow();
    let coefficient = BigInt(integer + fraction);
    if (match[1] === "-") coefficient = -coefficient;
    let scale = fraction.length - exponent;
    if (scale < 0) {
      if (coefficient !== 0n) {
        if (integer.length - scale > MAX_INTEGER_DIGITS + 1000) throw numericOverflow();
        coefficient *= pow10(-scale);
      }
      scale = 0;
    }
    if (scale > MAX_SCALE + fraction.length + integer.length) return new Numeric("finite", 0n, MAX_SCALE);
    return Numeric.of(coefficient, scale);
  }

  /** As tryParse, for text known to be right; 22P02 otherwise. */
  static parse(text: string): Numeric {
    const value = Numeric.tryParse(text);
    if (value === undefined) {
      throw new SqlError(
        SqlState.invalidTextRepresentation,
        `invalid input syntax for type numeric: "${text}"`,
      );
    }
    return value;
  }

  /** float8 -> numeric with 15 significant digits, as PostgreSQL's float8_numeric prints with %.15g. */
  static fromFloat(value: number, significantDigits = 15): Numeric {
    if (Number.isNaN(value)) return Numeric.nan;
    if (value === Number.POSITIVE_INFINITY) return Numeric.infinity;
    if (value === Number.NEGATIVE_INFINITY) return Numeric.negativeInfinity;
    const rounded = value.toPrecision(significantDigits);
    const parsed = Numeric.parse(rounded);
    return parsed.trimZeros(0);
  }

  get isFinite(): boolean {
    return this.kind === "finite";
  }
  get isNaN(): boolean {
    return this.kind === "nan";
  }
  get isInfinite(): boolean {
    return this.kind === "infinity" || this.kind === "-infinity";
  }
  get isZero(): boolean {
    return this.kind === "finite" && this.coefficient === 0n;
  }
  /** -1, 0, 1; NaN counts as 1. */
  get sign(): number {
    if (this.kind === "finite") return this.coefficient < 0n ? -1 : this.coefficient > 0n ? 1 : 0;
    return this.kind === "-infinity" ? -1 : 1;
  }

  toString(): string {
    switch (this.kind) {
      case "nan":
        return "NaN";
      case "infinity":
        return "Infinity";
      case "-infinity":
        return "-Infinity";
      case "finite":
        break;
    }
    if (this.scale === 0) return this.coefficient.toString();
    const isNegative = this.coefficient < 0n;
    const digits = (isNegative ? -this.coefficient : this.coefficient)
      .toString()
      .padStart(this.scale + 1, "0");
    const point = digits.length - this.scale;
    return `${isNegative ? "-" : ""}${digits.slice(0, point)}.${digits.slice(point)}`;
  }

  toNumber(): number {
    switch (this.kind) {
      case "nan":
        return Number.NaN;
      case "infinity":
        return Number.POSITIVE_INFINITY;
      case "-infinity":
        return Number.NEGATIVE_INFINITY;
      case "finite":
        return Number(this.toString());
    }
  }

  /** Rounded half away from zero to an integer. Finite values only. */
  toBigInt(): bigint {
    return this.scale === 0 ? this.coefficient : divideRounding(this.coefficient, pow10(this.scale));
  }

  negate(): Numeric {
    if (this.kind === "infinity") return Numeric.negativeInfinity;
    if (this.kind === "-infinity") return Numeric.infinity;
    return this.kind === "nan" ? this : new Numeric("finite", -this.coefficient, this.scale);
  }

  abs(): Numeric {
    if (this.kind === "-infinity") return Numeric.infinity;
    return this.coefficient < 0n ? this.negate() : this;
  }

  add(other: Numeric): Numeric {
    if (this.kind !== "finite" || other.kind !== "finite") return addSpecial(this, other);
    const scale = Math.max(this.scale, other.scale);
    return Numeric.of(rescaled(this, scale) + rescaled(other, scale), scale);
  }

  subtract(other: Numeric): Numeric {
    return this.add(other.negate());
  }

  multiply(other: Numeric): Numeric {
    if (this.kind !== "finite" || other.kind !== "finite") return multiplySpecial(this, other);
    return Numeric.of(this.coefficient * other.coefficient, this.scale + other.scale);
  }

  /** Scale of the quotient by PostgreSQL's select_div_scale. 22012 for a zero divisor. */
  divide(other: Numeric): Numeric {
    if (this.kind !== "finite" || other.kind !== "finite") return divideSpecial(this, other);
    if (other.coefficient === 0n) throw divisionByZero();
    return this.divideToScale(other, divisionScale(this, other));
  }

  /** Quotient rounded half away from zero to `scale` digits. Both finite, divisor not zero. */
  divideToScale(other: Numeric, scale: number): Numeric {
    const shift = scale + other.scale - this.scale;
    const dividend = shift > 0 ? this.coefficient * pow10(shift) : this.coefficient;
    const divisor = shift < 0 ? other.coefficient * pow10(-shift) : other.coefficient;
    return Numeric.of(divideRounding(dividend, divisor), scale);
  }

  /** div(): the integer quotient, truncated. */
  divideTruncating(other: Numeric): Numeric {
    if (this.kind !== "finite" || other.kind !== "finite") return divideSpecial(this, other);
    if (other.coefficient === 0n) throw divisionByZero();
    const scale = Math.max(this.scale, other.scale);
    return Numeric.of(rescaled(this, scale) / rescaled(other, scale), 0);
  }

  /** Remainder with the sign of the dividend. */
  remainder(other: Numeric): Numeric {
    if (this.isNaN || other.isNaN) return Numeric.nan;
    if (this.isInfinite) {
      if (other.isZero) throw divisionByZero();
      return Numeric.nan;
    }
    if (other.isInfinite) return this;
    if (other.coefficient === 0n) throw divisionByZero();
    const scale = Math.max(this.scale, other.scale);
    return Numeric.of(rescaled(this, scale) % rescaled(other, scale), scale);
  }

  /** Rounded half away from zero; `scale` may be negative (tens, hundreds ...), then the result has scale 0. */
  round(scale: number): Numeric {
    if (this.kind !== "finite") return this;
    const wanted = Math.min(Math.max(scale, -MAX_INTEGER_DIGITS), MAX_SCALE);
    if (wanted >= this.scale) return Numeric.of(rescaled(this, wanted), wanted);
    const rounded = divideRounding(this.coefficient, pow10(this.scale - wanted));
    return wanted >= 0 ? Numeric.of(rounded, wanted) : Numeric.of(rounded * pow10(-wanted), 0);
  }

  truncate(scale: number): Numeric {
    if (this.kind !== "finite") return this;
    const wanted = Math.min(Math.max(scale, -MAX_INTEGER_DIGITS), MAX_SCALE);
    if (wanted >= this.scale) return Numeric.of(rescaled(this, wanted), wanted);
    const cut = this.coefficient / pow10(this.scale - wanted);
    return wanted >= 0 ? Numeric.of(cut, wanted) : Numeric.of(cut * pow10(-wanted), 0);
  }

  floor(): Numeric {
    if (this.kind !== "finite") return this;
    const unit = pow10(this.scale);
    const cut = this.coefficient / unit;
    return Numeric.of(this.coefficient < 0n && cut * unit !== this.coefficient ? cut - 1n : cut, 0);
  }

  ceil(): Numeric {
    return this.negate().floor().negate();
  }

  /** Fewest digits after the point that keep the value, but not fewer than `minScale`. */
  trimZeros(minScale: number): Numeric {
    if (this.kind !== "finite") return this;
    let { coefficient, scale } = this;
    while (scale > minScale && coefficient % 10n === 0n) {
      coefficient /= 10n;
      scale -= 1;
    }
    return scale === this.scale ? this : new Numeric("finite", coefficient, scale);
  }

  /** btree order: -Infinity < finite < Infinity < NaN, NaN equal to NaN. Scale does not count. */
  compare(other: Numeric): number {
    if (this.kind !== "finite" || other.kind !== "finite") return specialRank(this) - specialRank(other);
    if (this.scale === other.scale) return compareBigint(this.coefficient, other.coefficient);
    const scale = Math.max(this.scale, other.scale);
    return compareBigint(rescaled(this, scale), rescaled(other, scale));
  }
}

/** 10^exponent, the small ones remembered. */
export function pow10(exponent: number): bigint {
  return POWERS[exponent] ?? 10n ** BigInt(exponent);
}
const POWERS: readonly bigint[] = Array.from({ length: 64 }, (_, i) => 10n ** BigInt(i));

/** Quotient rounded half away from zero. */
export function divideRounding(dividend: bigint, divisor: bigint): bigint {
  const quotient = dividend / divisor;
  const remainder = dividend - quotient * divisor;
  if (remainder === 0n) return quotient;
  const doubled = (remainder < 0n ? -remainder : remainder) * 2n;
  if (doubled < (divisor < 0n ? -divisor : divisor)) return quotient;
  return dividend < 0n !== divisor < 0n ? quotient - 1n : quotient + 1n;
}

/** Coefficient of a finite `value` at a scale that is not smaller than its own. */
export function rescaled(value: Numeric, scale: number): bigint {
  return scale === value.scale ? value.coefficient : value.coefficient * pow10(scale - value.scale);
}

/** Position of the first significant decimal digit: 0 for 1..9, -1 for 0.1..0.9; 0 for zero. */
export function decimalWeight(value: Numeric): number {
  if (value.coefficient === 0n) return 0;
  const digits = value.coefficient.toString();
  return digits.length - (value.coefficient < 0n ? 1 : 0) - 1 - value.scale;
}

/**
 * The base-10000 view that PostgreSQL's scale rules are written in: `weight` is the position of the first non-zero group
 * and `digits` the groups' decimal digits as text, a multiple of four long.
 */
export function groupsOf(value: Numeric): { readonly weight: number; readonly digits: string } {
  if (value.coefficient === 0n) return { weight: 0, digits: "" };
  const text = (value.coefficient < 0n ? -value.coefficient : value.coefficient).toString();
  const exponent = text.length - 1 - value.scale;
  const weight = Math.floor(exponent / 4);
  const padded = "0".repeat(3 - (exponent - weight * 4)) + text;
  const digits = padded.padEnd(Math.ceil(padded.length / 4) * 4, "0");
  let end = digits.length;
  while (end > 4 && digits.endsWith("0000", end)) end -= 4;
  return { weight, digits: digits.slice(0, end) };
}

function divisionScale(dividend: Numeric, divisor: Numeric): number {
  const left = groupsOf(dividend);
  const right = groupsOf(divisor);
  let quotientWeight = left.weight - right.weight;
  if (Number(left.digits.slice(0, 4)) <= Number(right.digits.slice(0, 4))) quotientWeight -= 1;
  const scale = Math.max(MIN_SIGNIFICANT_DIGITS - quotientWeight * 4, dividend.scale, divisor.scale, 0);
  return Math.min(scale, MAX_DISPLAY_SCALE);
}

function isTooLong(coefficient: bigint, scale: number): boolean {
  const digits = coefficient.toString().length - (coefficient < 0n ? 1 : 0);
  return digits - scale > MAX_INTEGER_DIGITS;
}

function parseSpecial(text: string): Numeric | undefined {
  switch (text.trim().toLowerCase()) {
    case "nan":
      return Numeric.nan;
    case "infinity":
    case "+infinity":
    case "inf":
    case "+inf":
      return Numeric.infinity;
    case "-infinity":
    case "-inf":
      return Numeric.negativeInfinity;
    default:
      return undefined;
  }
}

function addSpecial(a: Numeric, b: Numeric): Numeric {
  if (a.isNaN || b.isNaN) return Numeric.nan;
  if (a.isInfinite && b.isInfinite) return a.kind === b.kind ? a : Numeric.nan;
  return a.isInfinite ? a : b;
}

function multiplySpecial(a: Numeric, b: Numeric): Numeric {
  if (a.isNaN || b.isNaN || a.isZero || b.isZero) return Numeric.nan;
  return a.sign * b.sign > 0 ? Numeric.infinity : Numeric.negativeInfinity;
}

function divideSpecial(a: Numeric, b: Numeric): Numeric {
  if (a.isNaN || b.isNaN) return Numeric.nan;
  if (a.isInfinite) {
    if (b.isInfinite) return Numeric.nan;
    if (b.isZero) throw divisionByZero();
    return a.sign * b.sign > 0 ? Numeric.infinity : Numeric.negativeInfinity;
  }
  return Numeric.zero;
}

function specialRank(value: Numeric): number {
  switch (value.kind) {
    case "-infinity":
      return -1;
    case "finite":
      return 0;
    case "infinity":
      return 1;
    case "nan":
      return 2;
  }
}

function compareBigint(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

export function numericOverflow(): SqlError {
  return new SqlError(SqlState.numericValueOutOfRange, "value overflows numeric format");
}

export function divisionByZero(): SqlError {
  return new SqlError(SqlState.divisionByZero, "division by zero");
}
