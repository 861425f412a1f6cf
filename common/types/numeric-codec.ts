// numeric's text, binary and storage forms, and its type modifier.
//
// Storage: order-preserving bytes, then the display scale as 2 bytes big-endian. The engine strips those two for keys, so
// 1.0 and 1.00 are one key. The ordered part is a class byte and, for finite values but zero, the position of the first digit and
// the digits without trailing zeros, two to a byte; negative values store all of that complemented:
//   0x01 -Infinity   0x02 negative   0x03 zero   0x04 positive   0x05 Infinity   0x06 NaN
//   positive: 0x04, (decimal weight + 0x800000) as 3 bytes big-endian, digit pairs as (10 a + b + 1), 0x00
//   negative: 0x02, then the bytes above complemented (255 - byte), so that the end mark is 0xff
// Digit pairs are 1..100, so the end mark sorts below (above, when complemented) every further digit.
import { SqlError, SqlState } from "../error.ts";
import { ByteReader, ByteWriter } from "./bytes.ts";
import { Numeric, decimalWeight, groupsOf, pow10 } from "./numeric.ts";
import { Oid } from "./oid.ts";
import type { Datum, TypeCodec } from "./type.ts";

const SIGN_NEGATIVE = 0x4000;
const SIGN_NAN = 0xc000;
const SIGN_INFINITY = 0xd000;
const SIGN_NEGATIVE_INFINITY = 0xf000;
const WEIGHT_BIAS = 0x800000;

/** Precision and scale of a typmod made by numeric(p, s); undefined = unconstrained. */
export function numericModifier(
  typmod: number,
): { readonly precision: number; readonly scale: number } | undefined {
  if (typmod < 4) return undefined;
  const packed = typmod - 4;
  // The scale is an 11-bit two's complement number since PostgreSQL 15 (numeric(2,-3) is legal).
  return { precision: (packed >> 16) & 0xffff, scale: ((packed & 0x7ff) ^ 1024) - 1024 };
}

/** numeric(p, s) as pg_attribute.atttypmod keeps it. */
export function packNumericModifier(precision: number, scale: number): number {
  return ((precision << 16) | (scale & 0x7ff)) + 4;
}

/** Rounds to the modifier's scale; 22003 with PostgreSQL's DETAIL when the integer part does not fit. */
export function applyNumericModifier(value: Numeric, typmod: number): Numeric {
  const modifier = numericModifier(typmod);
  if (modifier === undefined || value.isNaN) return value;
  const { precision, scale } = modifier;
  if (value.isInfinite) {
    throw new SqlError(SqlState.numericValueOutOfRange, "numeric field overflow", {
      detail: `A field with precision ${precision}, scale ${scale} cannot hold an infinite value.`,
    });
  }
  const rounded = value.round(scale);
  const limit = pow10(Math.max(precision - scale, 0) + rounded.scale);
  const isTooBig =
    precision >= scale
      ? rounded.coefficient >= limit || rounded.coefficient <= -limit
      : decimalWeight(rounded) >= precision - scale && !rounded.isZero;
  if (isTooBig) {
    const digits = precision - scale;
    const bound = digits === 0 ? "1" : `10^${digits}`;
    throw new SqlError(SqlState.numericValueOutOfRange, "numeric field overflow", {
      detail: `A field with precision ${precision}, scale ${scale} must round to an absolute value less than ${bound}.`,
    });
  }
  return rounded;
}

export const numericCodec: TypeCodec = {
  oid: Oid.numeric,
  name: "numeric",
  vectorKind: "boxed",
  storageKind: "bytes",
  keyKind: "numeric",
  parse: (text, typmod) => applyNumericModifier(Numeric.parse(text), typmod),
  format: (value) => (value as Numeric).toString(),
  receive: (bytes, typmod) => applyNumericModifier(receiveNumeric(bytes), typmod),
  send: (value) => sendNumeric(value as Numeric),
  toStorage: (value) => encodeNumeric(value as Numeric),
  fromStorage: (bytes) => decodeNumeric(bytes),
  compare: (a, b) => (a as Numeric).compare(b as Numeric),
  hashKey: numericHashKey,
};

function numericHashKey(value: Datum): string {
  return (value as Numeric).trimZeros(0).toString();
}

function sendNumeric(value: Numeric): Uint8Array {
  const out = new ByteWriter();
  if (!value.isFinite) {
    const sign = value.isNaN ? SIGN_NAN : value.sign > 0 ? SIGN_INFINITY : SIGN_NEGATIVE_INFINITY;
    out.uint16(0);
    out.uint16(0);
    out.uint16(sign);
    out.uint16(0);
    return out.finish();
  }
  const { weight, digits } = groupsOf(value);
  out.uint16(digits.length / 4);
  out.uint16(weight & 0xffff);
  out.uint16(value.coefficient < 0n ? SIGN_NEGATIVE : 0);
  out.uint16(value.scale);
  for (let i = 0; i < digits.length; i += 4) out.uint16(Number(digits.slice(i, i + 4)));
  return out.finish();
}

function receiveNumeric(bytes: Uint8Array): Numeric {
  const reader = new ByteReader(bytes, "numeric");
  const count = reader.uint16();
  const weight = reader.int16();
  const sign = reader.uint16();
  const scale = reader.uint16();
  if (sign === SIGN_NAN) return Numeric.nan;
  if (sign === SIGN_INFINITY) return Numeric.infinity;
  if (sign === SIGN_NEGATIVE_INFINITY) return Numeric.negativeInfinity;
  if (sign !== 0 && sign !== SIGN_NEGATIVE) throw invalidExternal("sign");
  if (scale > 0x3fff) throw invalidExternal("scale");
  let digits = "";
  for (let i = 0; i < count; i++) {
    const group = reader.uint16();
    if (group > 9999) throw invalidExternal("digit");
    digits += group.toString().padStart(4, "0");
  }
  reader.end();
  // digits / 10^(4 * (count - 1 - weight)), then cut to the display scale.
  const magnitude = digits === "" ? 0n : BigInt(digits);
  const ownScale = 4 * (count - 1 - weight);
  const value = ownScale >= 0 ? Numeric.of(magnitude, ownScale) : Numeric.of(magnitude * pow10(-ownScale), 0);
  const shown = value.truncate(scale);
  return sign === SIGN_NEGATIVE ? shown.negate() : shown;
}

function invalidExternal(part: string): SqlError {
  return new SqlError(SqlState.invalidBinaryRepresentation, `invalid ${part} in external "numeric" value`);
}

function encodeNumeric(value: Numeric): Uint8Array {
  if (!value.isFinite || value.isZero) {
    const code = value.isNaN ? 6 : value.isInfinite ? (value.sign > 0 ? 5 : 1) : 3;
    return Uint8Array.of(code, value.scale >> 8, value.scale & 0xff);
  }
  const isNegative = value.coefficient < 0n;
  let digits = (isNegative ? -value.coefficient : value.coefficient).toString();
  const weight = digits.length - 1 - value.scale + WEIGHT_BIAS;
  let end = digits.length;
  while (digits.charCodeAt(end - 1) === 48) end -= 1;
  digits = digits.slice(0, end + (end & 1)).padEnd(end + (end & 1), "0");
  const pairs = digits.length / 2;
  const out = new Uint8Array(4 + pairs + 1 + 2);
  out[0] = isNegative ? 2 : 4;
  out[1] = (weight >> 16) & 0xff;
  out[2] = (weight >> 8) & 0xff;
  out[3] = weight & 0xff;
  for (let i = 0; i < pairs; i++) {
    out[4 + i] = (digits.charCodeAt(2 * i) - 48) * 10 + (digits.charCodeAt(2 * i + 1) - 48) + 1;
  }
  out[4 + pairs] = 0;
  if (isNegative) for (let i = 1; i <= 4 + pairs; i++) out[i] = 255 - (out[i] as number);
  out[out.length - 2] = value.scale >> 8;
  out[out.length - 1] = value.scale & 0xff;
  return out;
}

function decodeNumeric(bytes: Uint8Array): Numeric {
  const scale = ((bytes[bytes.length - 2] as number) << 8) | (bytes[bytes.length - 1] as number);
  switch (bytes[0]) {
    case 1:
      return Numeric.negativeInfinity;
    case 3:
      return Numeric.of(0n, scale);
    case 5:
      return Numeric.infinity;
    case 6:
      return Numeric.nan;
    default:
      break;
  }
  const flip = bytes[0] === 2 ? 255 : 0;
  const at = (i: number): number => (bytes[i] as number) ^ flip;
  const weight = ((at(1) << 16) | (at(2) << 8) | at(3)) - WEIGHT_BIAS;
  let digits = "";
  for (let i = 4; i < bytes.length - 3; i++) digits += (at(i) - 1).toString().padStart(2, "0");
  const shift = weight + 1 - digits.length + scale;
  const magnitude = shift >= 0 ? BigInt(digits) * pow10(shift) : BigInt(digits) / pow10(-shift);
  return Numeric.of(flip === 0 ? magnitude : -magnitude, scale);
}
