// IEEE 754 half-precision floats (binary16): 1 sign bit, 5 exponent bits, 10 bits of fraction. JavaScript on Node 20 has
// none, so they live as float4 numbers that a half holds exactly, and as 16 bits on the wire and in storage.

const SIGN = 0x8000;
const INFINITY_BITS = 0x7c00;
const QUIET_NAN = 0x7e00;
/** Bits of the float4s where the ranges of halves begin. */
const FLOAT_INFINITY = 0x7f80_0000;
/** 65520: halfway between the largest half and what would follow it, so it rounds to infinity. */
const FIRST_INFINITE = 0x477f_f000;
/** 2^-14, the smallest normal half. */
const FIRST_NORMAL = 0x3880_0000;
/** 2^-25: halfway between zero and the smallest half, rounds to the even one of them, zero. */
const LAST_ZERO = 0x3300_0000;
/** Difference of the two exponent biases, in place. */
const BIAS_DIFFERENCE = (127 - 15) << 23;

const singles = new Float32Array(1);
const singleBits = new Uint32Array(singles.buffer);
let decoded: Float32Array | undefined;

/** Bits of the half nearest to `value` (first rounded to float4), ties to even; beyond 65504 by half a step = infinity. */
export function halfBits(value: number): number {
  singles[0] = value;
  const bits = singleBits[0] as number;
  const sign = (bits >>> 16) & SIGN;
  const magnitude = bits & 0x7fff_ffff;
  if (magnitude > FLOAT_INFINITY) return sign | QUIET_NAN;
  if (magnitude >= FIRST_INFINITE) return sign | INFINITY_BITS;
  if (magnitude >= FIRST_NORMAL) {
    const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
    return sign | ((rounded - BIAS_DIFFERENCE) >>> 13);
  }
  return magnitude <= LAST_ZERO ? sign : sign | subnormalBits(magnitude);
}

/** Below 2^-14 a half counts steps of 2^-24. */
function subnormalBits(magnitude: number): number {
  const fraction = (magnitude & 0x7f_ffff) | 0x80_0000;
  const shift = 126 - (magnitude >>> 23);
  const steps = fraction >>> shift;
  const rest = fraction & ((1 << shift) - 1);
  const middle = 1 << (shift - 1);
  return rest > middle || (rest === middle && (steps & 1) === 1) ? steps + 1 : steps;
}

/** The float4 of every half, by its bits: 256 KB, made when first needed. Not to be changed. */
export function halfTable(): Float32Array {
  decoded ??= Float32Array.from({ length: 0x1_0000 }, (_, bits) => decodeHalf(bits));
  return decoded;
}

function decodeHalf(bits: number): number {
  const sign = (bits & SIGN) === 0 ? 1 : -1;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** The half nearest to `value`, as a number. */
export function roundToHalf(value: number): number {
  return halfTable()[halfBits(value)] as number;
}
