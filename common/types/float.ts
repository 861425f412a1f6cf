// float4 and float8. Output is the shortest text that reads back to the same value (extra_float_digits > 0, PostgreSQL's
// default since 12), else %g with 15 (6) + extra_float_digits digits. -0 prints as "-0", NaN sorts above all and equals itself.
import { SqlError, SqlState } from "../error.ts";
import { Oid } from "./oid.ts";
import { fixedView, invalidSyntax } from "./scalar.ts";
import type { Datum, TypeCodec } from "./type.ts";

const FLOAT = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/;
const SPECIAL: ReadonlyMap<string, number> = new Map([
  ["nan", Number.NaN],
  ["inf", Number.POSITIVE_INFINITY],
  ["+inf", Number.POSITIVE_INFINITY],
  ["-inf", Number.NEGATIVE_INFINITY],
  ["infinity", Number.POSITIVE_INFINITY],
  ["+infinity", Number.POSITIVE_INFINITY],
  ["-infinity", Number.NEGATIVE_INFINITY],
]);

/** Text of a float8; `typeName` goes into the 22P02 and 22003 messages. */
export function parseFloat8(text: string, typeName = "double precision"): number {
  const word = trimBlanks(text);
  if (!FLOAT.test(word)) {
    const special = SPECIAL.get(word.toLowerCase()) ?? parseHexFloat(word);
    if (special === undefined) throw invalidSyntax(typeName, text);
    return special;
  }
  const value = Number(word);
  if (!Number.isFinite(value) || (value === 0 && hasNonZeroDigit(word))) throw outOfRange(word, typeName);
  return value;
}

export function parseFloat4(text: string): number {
  const value = parseFloat8(text, "real");
  const single = Math.fround(value);
  if (Number.isFinite(value) && (!Number.isFinite(single) || (single === 0 && value !== 0))) {
    throw outOfRange(trimBlanks(text), "real");
  }
  return single;
}

function outOfRange(text: string, typeName: string): SqlError {
  return new SqlError(SqlState.numericValueOutOfRange, `"${text}" is out of range for type ${typeName}`);
}

function hasNonZeroDigit(text: string): boolean {
  return /[1-9]/.test(text.replace(/[eE].*$/, ""));
}

/** strtod reads hexadecimal floats, so PostgreSQL does too; undefined = not one. */
export function parseHexFloat(text: string): number | undefined {
  const match = /^([+-]?)0[xX]([0-9a-fA-F]+)(?:\.([0-9a-fA-F]*))?(?:[pP]([+-]?\d+))?$/.exec(text);
  if (match === null) return undefined;
  const fraction = match[3] ?? "";
  const magnitude = Number.parseInt((match[2] as string) + fraction, 16);
  const value = magnitude * 2 ** (Number(match[4] ?? 0) - 4 * fraction.length);
  return match[1] === "-" ? -value : value;
}

function trimBlanks(text: string): string {
  return text.replace(/^[ \t\n\r\v\f]+|[ \t\n\r\v\f]+$/g, "");
}

export function formatFloat8(value: number, extraFloatDigits: number): string {
  if (extraFloatDigits <= 0) return formatG(value, Math.max(15 + extraFloatDigits, 1));
  return layoutShortest(value, Number.isFinite(value) ? shortestDouble(value) : undefined, 15);
}

export function formatFloat4(value: number, extraFloatDigits: number): string {
  if (extraFloatDigits <= 0) return formatG(value, Math.max(6 + extraFloatDigits, 1));
  const magnitude = Math.abs(value);
  if (magnitude >= 1e-4 && magnitude < 1e6) return shortestPlain(value, magnitude);
  return layoutShortest(value, Number.isFinite(value) ? shortestSingle(value) : undefined, 6);
}

const POWERS_OF_TEN = Array.from({ length: 16 }, (_, i) => 10 ** i);

/**
 * A float4 in [1e-4, 1e6) by integer arithmetic, many times faster than asking toExponential: what embeddings print with.
 * magnitude x 10^k is exact in a double (24 bits x 28 bits of 5^12), and so is the tie of rounding it; no decimal of nine
 * digits lies half-way between two floats here.
 */
function shortestPlain(value: number, magnitude: number): string {
  let exponent = Math.floor(Math.log10(magnitude));
  if (magnitude >= (POWERS_OF_TEN[exponent + 1] ?? 10 ** (exponent + 1))) exponent += 1;
  let places = Math.max(6 - exponent, 0);
  let digits = decimalDigits(magnitude, places);
  while (digits === undefined && places < 13) digits = decimalDigits(magnitude, ++places);
  while (digits !== undefined && places > 0) {
    const shorter = decimalDigits(magnitude, places - 1);
    if (shorter === undefined) break;
    digits = shorter;
    places -= 1;
  }
  if (digits === undefined) return layoutShortest(value, shortestSingle(value), 6);
  const sign = value < 0 ? "-" : "";
  if (places === 0) return sign + digits;
  const text = digits.toString().padStart(places + 1, "0");
  return `${sign}${text.slice(0, -places)}.${text.slice(-places)}`;
}

/** The nearest decimal with `places` places as an integer, when it reads back to `magnitude`. */
function decimalDigits(magnitude: number, places: number): number | undefined {
  const power = POWERS_OF_TEN[places] as number;
  const scaled = magnitude * power;
  const floor = Math.floor(scaled);
  const rest = scaled - floor;
  const digits = rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
  return Math.fround(digits / power) === magnitude ? digits : undefined;
}

interface Decimal {
  readonly digits: string;
  /** Value = d.ddd x 10^exponent. */
  readonly exponent: number;
}

function shortestDigits(exponential: string): Decimal {
  const [mantissa, exponent] = exponential
    .replace("-", (_sign, at: number) => (at === 0 ? "" : "-"))
    .split("e");
  return { digits: (mantissa as string).replace(".", ""), exponent: Number(exponent) };
}

/**
 * Shortest digits strictly inside the interval that reads back to `value`. JavaScript also accepts the interval's ends, which are
 * decimals half-way between two floats; PostgreSQL's Ryu does not. Such decimals exist only above 2^53.
 */
function shortestDouble(value: number): Decimal {
  const shortest = value.toExponential();
  if (Math.abs(value) < 2 ** 53 || !isHalfWay(value, shortest)) return shortestDigits(shortest);
  for (let digits = 0; digits < 17; digits++) {
    const text = value.toExponential(digits);
    if (Number(text) === value && !isHalfWay(value, text)) return shortestDigits(trimMantissa(text));
  }
  return shortestDigits(shortest);
}

/** Whether the decimal lies exactly between `value` and a neighbour: then twice the way to it ends on that neighbour. */
function isHalfWay(value: number, text: string): boolean {
  const { digits, exponent } = shortestDigits(text);
  const places = exponent - (digits.length - 1);
  if (places < 0) return false;
  const decimal = BigInt(digits) * 10n ** BigInt(places);
  const exact = BigInt(Math.abs(value));
  const mirrored = 2n * decimal - exact;
  return decimal !== exact && BigInt(Number(mirrored)) === mirrored;
}

/** As shortestDouble for float4: at most nine digits are ever needed. */
function shortestSingle(value: number): Decimal {
  // Most floats need seven to nine digits; more digits never read back worse, so the search may start in the middle.
  let digits = 6;
  let found = singleText(value, digits);
  while (found === undefined && digits < 8) found = singleText(value, ++digits);
  for (; found !== undefined && digits > 0; digits--) {
    const shorter = singleText(value, digits - 1);
    if (shorter === undefined) break;
    found = shorter;
  }
  if (found === undefined) return shortestDigits(value.toExponential());
  return shortestDigits(trimMantissa(halfToEven(value, found)));
}

/** `value` with 1 + `digits` digits when that reads back to it. */
function singleText(value: number, digits: number): string | undefined {
  const text = value.toExponential(digits);
  const decimal = Number(text);
  if (Math.fround(decimal) !== value) return undefined;
  const mirrored = 2 * decimal - value;
  if (decimal !== value && Math.fround(mirrored) === mirrored) return undefined;
  return trimMantissa(text);
}

/** toExponential rounds a tie up, Ryu to the even digit: a tie is an exact expansion of one more digit, and that a 5. */
function halfToEven(value: number, text: string): string {
  const [exact, exponent] = trimMantissa(value.toExponential(20)).split("e") as [string, string];
  const count = (mantissa: string): number => mantissa.replace(/[-.]/g, "").length;
  const isTie = exact.endsWith("5") && count(exact) === count(text.split("e")[0] as string) + 1;
  const down = exact.slice(0, -1);
  return isTie && /[02468]\.?$/.test(down) ? `${down}e${exponent}` : text;
}

function trimMantissa(text: string): string {
  return text.includes(".") ? text.replace(/\.?0+e/, "e") : text;
}

/** Ryu's layout: plain while -5 < exponent < `plainLimit`, else d.ddde+XX with at least two exponent digits. */
function layoutShortest(value: number, decimal: Decimal | undefined, plainLimit: number): string {
  if (decimal === undefined) return Number.isNaN(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
  const sign = value < 0 || Object.is(value, -0) ? "-" : "";
  const { digits, exponent } = decimal;
  if (value === 0) return `${sign}0`;
  if (exponent < -4 || exponent >= plainLimit) {
    const fraction = digits.length > 1 ? `.${digits.slice(1)}` : "";
    return `${sign}${digits[0]}${fraction}e${exponentText(exponent)}`;
  }
  if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${digits}`;
  if (digits.length <= exponent + 1) return sign + digits.padEnd(exponent + 1, "0");
  return `${sign}${digits.slice(0, exponent + 1)}.${digits.slice(exponent + 1)}`;
}

function exponentText(exponent: number): string {
  return `${exponent < 0 ? "-" : "+"}${Math.abs(exponent).toString().padStart(2, "0")}`;
}

/** C's %.*g. */
export function formatG(value: number, precision: number): string {
  if (!Number.isFinite(value)) return layoutShortest(value, undefined, 0);
  if (value === 0) return Object.is(value, -0) ? "-0" : "0";
  const decimal = shortestDigits(trimMantissa(value.toExponential(precision - 1)));
  return layoutShortest(value, decimal, precision);
}

/** btree order of floats: NaN above everything, equal to itself; -0 = 0. */
export function compareFloats(a: Datum, b: Datum): number {
  const left = a as number;
  const right = b as number;
  if (left < right) return -1;
  if (left > right) return 1;
  if (left === right) return 0;
  return (Number.isNaN(left) ? 1 : 0) - (Number.isNaN(right) ? 1 : 0);
}

/** -0 and 0 are one key, all NaNs are one key. */
function floatHashKey(value: Datum): number {
  return (value as number) + 0 === 0 ? 0 : (value as number);
}

function receive8(bytes: Uint8Array): number {
  return fixedView(bytes, 8).getFloat64(0);
}

function send8(value: Datum): Uint8Array {
  const out = new Uint8Array(8);
  new DataView(out.buffer).setFloat64(0, value as number);
  return out;
}

function receive4(bytes: Uint8Array): number {
  return fixedView(bytes, 4).getFloat32(0);
}

function send4(value: Datum): Uint8Array {
  const out = new Uint8Array(4);
  new DataView(out.buffer).setFloat32(0, value as number);
  return out;
}

export const float8Codec: TypeCodec = {
  oid: Oid.float8,
  name: "float8",
  vectorKind: "f64",
  storageKind: "f64",
  keyKind: "float",
  parse: (text) => parseFloat8(text),
  format: (value, context) => formatFloat8(value as number, context.extraFloatDigits),
  receive: receive8,
  send: send8,
  toStorage: send8,
  fromStorage: receive8,
  compare: compareFloats,
  hashKey: floatHashKey,
};

export const float4Codec: TypeCodec = {
  ...float8Codec,
  oid: Oid.float4,
  name: "float4",
  parse: (text) => parseFloat4(text),
  format: (value, context) => formatFloat4(value as number, context.extraFloatDigits),
  receive: receive4,
  send: send4,
  toStorage: send4,
  fromStorage: receive4,
};
