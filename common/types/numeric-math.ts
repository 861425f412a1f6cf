// Inexact numeric functions: sqrt, exp, ln, log, power, factorial. The display scale of each result is PostgreSQL's (at least 16
// significant digits, numeric.c); the digits are computed in fixed point with guard digits and rounded once.
// Series: ln by 2 atanh((m-1)/(m+1)) after taking out powers of two, exp by Taylor after halving the argument (Brent,
// "Fast multiple-precision evaluation of elementary functions", 1976).
import { SqlError, SqlState } from "../error.ts";
import {
  MAX_DISPLAY_SCALE,
  MIN_SIGNIFICANT_DIGITS,
  Numeric,
  decimalWeight,
  divideRounding,
  divisionByZero,
  groupsOf,
  numericOverflow,
  pow10,
} from "./numeric.ts";

/** Digits computed beyond those shown. */
const GUARD_DIGITS = 12;
/** Above this many digits an integer power is computed through logarithms instead of exactly. */
const MAX_EXACT_POWER_DIGITS = 20_000;
const LOG10_E = Math.LOG10E;
const ZERO_POINT_NINE = Numeric.parse("0.9");
const ONE_POINT_ONE = Numeric.parse("1.1");

function clampScale(scale: number, ...shown: readonly number[]): number {
  return Math.min(Math.max(scale, 0, ...shown), MAX_DISPLAY_SCALE);
}

/** Floor of the square root (Newton). */
function integerSqrt(value: bigint): bigint {
  if (value < 2n) return value;
  let x = 1n << BigInt((value.toString(2).length + 1) >> 1);
  for (;;) {
    const next = (x + value / x) >> 1n;
    if (next >= x) return x;
    x = next;
  }
}

export function numericSqrt(value: Numeric): Numeric {
  if (value.isNaN) return value;
  if (value.sign < 0) {
    throw new SqlError(
      SqlState.invalidArgumentForPowerFunction,
      "cannot take square root of a negative number",
    );
  }
  if (value.isInfinite) return value;
  const weight = groupsOf(value).weight;
  return sqrtToScale(value, clampScale(MIN_SIGNIFICANT_DIGITS - (weight * 2 + 1), value.scale));
}

/** Square root of a value that is not negative, rounded to `scale` digits. */
export function sqrtToScale(value: Numeric, scale: number): Numeric {
  // One digit more, then rounded: a half-way case would need an exact root with that digit, which the floor then has.
  const shift = 2 * (scale + 1) - value.scale;
  const radicand = shift >= 0 ? value.coefficient * pow10(shift) : value.coefficient / pow10(-shift);
  return Numeric.of(divideRounding(integerSqrt(radicand), 10n), scale);
}

const ln2ByDigits = new Map<number, bigint>();

/** ln 2 x 10^digits. */
function ln2(digits: number): bigint {
  let known = ln2ByDigits.get(digits);
  if (known === undefined) {
    known = 2n * atanhFixed(pow10(digits), 3n * pow10(digits), digits);
    if (ln2ByDigits.size > 64) ln2ByDigits.clear();
    ln2ByDigits.set(digits, known);
  }
  return known;
}

/** atanh(numerator / denominator) x 10^digits for a quotient well below 1. */
function atanhFixed(numerator: bigint, denominator: bigint, digits: number): bigint {
  const z = (numerator * pow10(digits)) / denominator;
  const square = (z * z) / pow10(digits);
  let term = z;
  let sum = z;
  for (let n = 3n; term !== 0n; n += 2n) {
    term = (term * square) / pow10(digits);
    sum += term / n;
  }
  return sum;
}

/** ln(value) x 10^digits for a positive value. */
function lnFixed(value: Numeric, digits: number): bigint {
  const extra = digits + 6;
  const one = pow10(extra);
  // value = mantissa x 2^exponent with the mantissa in about [0.7, 1.4].
  const ratio = value.coefficient;
  const unit = pow10(value.scale);
  let exponent = ratio.toString(2).length - unit.toString(2).length;
  let mantissa =
    exponent >= 0 ? (ratio * one) / (unit << BigInt(exponent)) : ((ratio << BigInt(-exponent)) * one) / unit;
  if (mantissa * 10n > one * 14n) {
    mantissa = divideRounding(mantissa, 2n);
    exponent += 1;
  } else if (mantissa * 10n < one * 7n) {
    mantissa *= 2n;
    exponent -= 1;
  }
  const result = 2n * atanhFixed(mantissa - one, mantissa + one, extra) + BigInt(exponent) * ln2(extra);
  return divideRounding(result, pow10(6));
}

/** exp(x / 10^digits) x 10^digits. */
function expFixed(x: bigint, digits: number): bigint {
  const log2 = ln2(digits);
  const doublings = x / log2 - (x < 0n ? 1n : 0n);
  const extra = 8;
  const unit = pow10(digits + extra);
  const halvings = 16n;
  let rest = ((x - doublings * log2) * pow10(extra)) >> halvings;
  let term = unit;
  let sum = unit;
  for (let n = 1n; term !== 0n; n++) {
    term = (term * rest) / unit / n;
    sum += term;
  }
  for (let i = 0n; i < halvings; i++) sum = (sum * sum) / unit;
  rest = divideRounding(sum, pow10(extra));
  return doublings >= 0n ? rest << doublings : rest >> -doublings;
}

/** Decimal weight of ln(value), by PostgreSQL's estimate_ln_dweight. */
function lnWeight(value: Numeric): number {
  if (value.sign <= 0) return 0;
  if (value.compare(ZERO_POINT_NINE) >= 0 && value.compare(ONE_POINT_ONE) <= 0) {
    const difference = value.subtract(Numeric.one);
    return difference.isZero ? 0 : decimalWeight(difference);
  }
  const { weight, digits } = groupsOf(value);
  const first = Number(digits.slice(0, 8));
  const power = (weight - (digits.length > 4 ? 1 : 0)) * 4;
  return Math.trunc(Math.log10(Math.abs(Math.log(first) + power * Math.LN10)));
}

function checkLogarithm(value: Numeric): void {
  if (value.isNaN) return;
  if (value.sign === 0)
    throw new SqlError(SqlState.invalidArgumentForLogarithm, "cannot take logarithm of zero");
  if (value.sign < 0) {
    throw new SqlError(SqlState.invalidArgumentForLogarithm, "cannot take logarithm of a negative number");
  }
}

export function numericLn(value: Numeric): Numeric {
  checkLogarithm(value);
  if (!value.isFinite) return value;
  const scale = clampScale(MIN_SIGNIFICANT_DIGITS - lnWeight(value), value.scale);
  const digits = scale + GUARD_DIGITS;
  return Numeric.of(divideRounding(lnFixed(value, digits), pow10(GUARD_DIGITS)), scale);
}

/** log(base, value). */
export function numericLog(base: Numeric, value: Numeric): Numeric {
  if (base.isNaN || value.isNaN) return Numeric.nan;
  checkLogarithm(base);
  checkLogarithm(value);
  if (base.isInfinite) return value.isInfinite ? Numeric.nan : Numeric.zero;
  if (value.isInfinite) return value;
  const weight = lnWeight(value) - lnWeight(base);
  const scale = clampScale(MIN_SIGNIFICANT_DIGITS - weight, base.scale, value.scale);
  const digits = scale + GUARD_DIGITS + Math.max(0, -lnWeight(base)) * 2 + Math.max(0, weight) + 8;
  const divisor = lnFixed(base, digits);
  if (divisor === 0n) throw divisionByZero();
  return Numeric.of(divideRounding(lnFixed(value, digits) * pow10(scale), divisor), scale);
}

export function numericExp(value: Numeric): Numeric {
  if (!value.isFinite) return value.kind === "-infinity" ? Numeric.zero : value;
  const weight = Math.trunc(Math.min(Math.max(value.toNumber() * LOG10_E, -2000), 2000));
  const scale = clampScale(MIN_SIGNIFICANT_DIGITS - weight, value.scale);
  return expToScale(value, scale);
}

function expToScale(value: Numeric, scale: number): Numeric {
  const estimate = value.toNumber() * LOG10_E;
  if (estimate > 131072) throw numericOverflow();
  if (estimate < -scale - 2) return Numeric.of(0n, scale);
  const digits = scale + Math.max(0, Math.ceil(estimate)) + GUARD_DIGITS;
  const x =
    value.scale <= digits
      ? value.coefficient * pow10(digits - value.scale)
      : divideRounding(value.coefficient, pow10(value.scale - digits));
  return Numeric.of(divideRounding(expFixed(x, digits), pow10(digits - scale)), scale);
}

export function numericPower(base: Numeric, exponent: Numeric): Numeric {
  const special = specialPower(base, exponent);
  if (special !== undefined) return special;
  const whole = exponent.trimZeros(0);
  if (base.isZero && exponent.sign < 0) {
    throw new SqlError(
      SqlState.invalidArgumentForPowerFunction,
      "zero raised to a negative power is undefined",
    );
  }
  if (base.sign < 0 && whole.scale > 0) {
    throw new SqlError(
      SqlState.invalidArgumentForPowerFunction,
      "a negative number raised to a non-integer power yields a complex result",
    );
  }
  const isSmall = whole.scale === 0 && whole.coefficient <= 2147483647n && whole.coefficient >= -2147483648n;
  if (isSmall) return integerPower(base, Number(whole.coefficient));
  if (base.isZero) return Numeric.of(0n, MIN_SIGNIFICANT_DIGITS);
  return generalPower(base, exponent);
}

function specialPower(base: Numeric, exponent: Numeric): Numeric | undefined {
  if (base.isFinite && exponent.isFinite) return undefined;
  if (base.isNaN) return exponent.isZero ? Numeric.one : Numeric.nan;
  if (exponent.isNaN) return base.compare(Numeric.one) === 0 ? Numeric.one : Numeric.nan;
  if (exponent.isZero || base.compare(Numeric.one) === 0) return Numeric.one;
  if (base.isFinite) {
    if (base.isZero && exponent.sign < 0) {
      throw new SqlError(
        SqlState.invalidArgumentForPowerFunction,
        "zero raised to a negative power is undefined",
      );
    }
    const magnitude = base.abs().compare(Numeric.one);
    if (magnitude === 0) return Numeric.one;
    return magnitude > 0 === exponent.sign > 0 ? Numeric.infinity : Numeric.zero;
  }
  if (exponent.sign < 0) return Numeric.zero;
  if (base.sign > 0) return Numeric.infinity;
  const whole = exponent.isFinite ? exponent.trimZeros(0) : undefined;
  if (whole === undefined) return Numeric.infinity;
  if (whole.scale > 0) {
    throw new SqlError(
      SqlState.invalidArgumentForPowerFunction,
      "a negative number raised to a non-integer power yields a complex result",
    );
  }
  return whole.coefficient % 2n === 0n ? Numeric.infinity : Numeric.negativeInfinity;
}

/** Integer powers show 16 digits after the point, or the base's scale (power_var of PostgreSQL 15). */
function integerPower(base: Numeric, exponent: number): Numeric {
  const scale = clampScale(MIN_SIGNIFICANT_DIGITS, base.scale);
  if (!base.isZero) {
    const weight = exponent * (lnApproximate(base.abs()) * LOG10_E);
    if (weight > 131072) throw numericOverflow();
    if (weight + 1 < -scale) return Numeric.of(0n, scale);
  }
  const digits = base.coefficient.toString().length * Math.abs(exponent);
  if (digits > MAX_EXACT_POWER_DIGITS) {
    const isNegative = base.sign < 0 && exponent % 2 !== 0;
    const result = powerToScale(base.abs(), Numeric.fromInteger(exponent), scale);
    return isNegative ? result.negate() : result;
  }
  const power = base.coefficient ** BigInt(Math.abs(exponent));
  const powerScale = base.scale * Math.abs(exponent);
  if (exponent >= 0) {
    const rounded =
      powerScale > scale
        ? divideRounding(power, pow10(powerScale - scale))
        : power * pow10(scale - powerScale);
    return Numeric.of(rounded, scale);
  }
  return Numeric.of(divideRounding(pow10(powerScale + scale), power), scale);
}

/** ln of a positive value to about 17 digits. */
function lnApproximate(value: Numeric): number {
  return Number(lnFixed(value, 20)) / 1e20;
}

function generalPower(base: Numeric, exponent: Numeric): Numeric {
  const isNegative = base.sign < 0 && exponent.trimZeros(0).coefficient % 2n !== 0n;
  const magnitude = base.abs();
  const estimate = lnApproximate(magnitude);
  const weight = estimate * exponent.toNumber();
  if (Math.abs(weight) > 2000 * 3.01 * 25) {
    if (weight > 0) throw numericOverflow();
    return Numeric.of(0n, MAX_DISPLAY_SCALE);
  }
  const scale = clampScale(MIN_SIGNIFICANT_DIGITS - Math.trunc(weight * LOG10_E), base.scale, exponent.scale);
  const result = powerToScale(magnitude, exponent, scale);
  return isNegative ? result.negate() : result;
}

function powerToScale(base: Numeric, exponent: Numeric, scale: number): Numeric {
  const estimate = lnApproximate(base) * exponent.toNumber() * LOG10_E;
  if (estimate > 131072) throw numericOverflow();
  const digits =
    scale + Math.max(0, Math.ceil(estimate)) + Math.max(0, decimalWeight(exponent)) + GUARD_DIGITS + 8;
  const logarithm = Numeric.of(lnFixed(base, digits), digits).multiply(exponent).round(digits);
  return expToScale(logarithm, scale);
}

export function factorial(n: bigint): Numeric {
  if (n < 0n) {
    throw new SqlError(SqlState.numericValueOutOfRange, "factorial of a negative number is undefined");
  }
  if (n > 32177n) throw numericOverflow();
  let product = 1n;
  for (let i = 2n; i <= n; i++) product *= i;
  return Numeric.of(product, 0);
}
