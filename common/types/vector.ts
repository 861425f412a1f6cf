// pgvector's `vector`: up to 16,000 float4 values; the modifier is the dimension. The codec in plain TypeScript; start-up
// may replace it by the native one. Values are Float32Array and must not be changed.
// Binary: int16 dimension, int16 0, dimension big-endian floats. Storage kind `vector` keeps the floats themselves.
import { SqlError, SqlState } from "../error.ts";
import { ByteReader, ByteWriter } from "./bytes.ts";
import { formatFloat4 } from "./float.ts";
import { Oid } from "./oid.ts";
import type { Datum, TypeCodec } from "./type.ts";

/** VECTOR_MAX_DIM. */
export const MAX_DIMENSIONS = 16000;

export function checkDimensions(dimensions: number): void {
  if (dimensions < 1) throw new SqlError(SqlState.dataException, "vector must have at least 1 dimension");
  if (dimensions > MAX_DIMENSIONS) {
    throw new SqlError(
      SqlState.programLimitExceeded,
      `vector cannot have more than ${MAX_DIMENSIONS} dimensions`,
    );
  }
}

/** vector(n): the dimension must be n. */
export function applyVectorModifier(value: Float32Array, typmod: number): Float32Array {
  if (typmod >= 0 && typmod !== value.length) {
    throw new SqlError(SqlState.dataException, `expected ${typmod} dimensions, not ${value.length}`);
  }
  return value;
}

/** NaN and infinities are not allowed in a vector. */
export function checkElement(value: number): void {
  if (Number.isNaN(value)) throw new SqlError(SqlState.dataException, "NaN not allowed in vector");
  if (!Number.isFinite(value))
    throw new SqlError(SqlState.dataException, "infinite value not allowed in vector");
}

function invalid(text: string, detail?: string): SqlError {
  return new SqlError(SqlState.invalidTextRepresentation, `invalid input syntax for type vector: "${text}"`, {
    detail,
  });
}

const ELEMENT =
  /[ \t\n\r\v\f]*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?:nan|inf(?:inity)?))[ \t\n\r\v\f]*/iy;

export function parseVector(text: string): Float32Array {
  const start = /^[ \t\n\r\v\f]*/.exec(text)?.[0].length ?? 0;
  if (text[start] !== "[") throw invalid(text, 'Vector contents must start with "[".');
  let at = start + 1;
  while (/[ \t\n\r\v\f]/.test(text[at] ?? "")) at += 1;
  if (text[at] === "]") throw new SqlError(SqlState.dataException, "vector must have at least 1 dimension");
  const values: number[] = [];
  for (;;) {
    if (values.length === MAX_DIMENSIONS) checkDimensions(MAX_DIMENSIONS + 1);
    const end = numberEnd(text, at);
    if (end > at) {
      values.push(numberValue(text, at, end));
      at = end;
    } else {
      ELEMENT.lastIndex = at;
      const match = ELEMENT.exec(text);
      if (match === null) throw invalid(text);
      values.push(parseElement(match[1] as string));
      at += match[0].length;
    }
    const symbol = text.charCodeAt(at);
    at += 1;
    if (symbol === CLOSE) break;
    if (symbol !== COMMA) throw invalid(text);
  }
  if (/[^ \t\n\r\v\f]/.test(text.slice(at))) throw invalid(text, "Junk after closing right brace.");
  return Float32Array.from(values);
}

const COMMA = 0x2c;
const CLOSE = 0x5d;
const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
/** Digits whose number a double holds exactly, whatever they are. */
const MAX_EXACT_DIGITS = 15;
/** Powers of ten that a double holds exactly. */
const POWERS_OF_TEN = Array.from({ length: 23 }, (_, exponent) => Number(`1e${exponent}`));

/**
 * End of a number written as digits with an optional sign and point, followed by `,` or `]`; `at` when there is no such
 * number. Nearly all elements are of this kind, and scanning them is several times faster than matching ELEMENT.
 */
function numberEnd(text: string, at: number): number {
  let end = at;
  if (text.charCodeAt(end) === MINUS) end += 1;
  const wholeEnd = digitsEnd(text, end);
  let digits = wholeEnd - end;
  end = wholeEnd;
  if (text.charCodeAt(end) === POINT) {
    const fractionEnd = digitsEnd(text, end + 1);
    digits += fractionEnd - end - 1;
    end = fractionEnd;
  }
  const symbol = text.charCodeAt(end);
  return digits > 0 && (symbol === COMMA || symbol === CLOSE) ? end : at;
}

function digitsEnd(text: string, at: number): number {
  let end = at;
  for (let code = text.charCodeAt(end); code >= ZERO && code <= ZERO + 9; code = text.charCodeAt(end))
    end += 1;
  return end;
}

/**
 * The number that numberEnd found, as float4. With few digits it is one division of two exact doubles, which rounds as
 * reading the decimal does.
 */
function numberValue(text: string, from: number, end: number): number {
  if (end - from > MAX_EXACT_DIGITS) {
    const single = Math.fround(Number(text.slice(from, end)));
    return Number.isFinite(single) ? single : parseElement(text.slice(from, end));
  }
  let digits = 0;
  let scale = 0;
  const isNegative = text.charCodeAt(from) === MINUS;
  for (let at = isNegative ? from + 1 : from; at < end; at++) {
    const code = text.charCodeAt(at);
    if (code === POINT) scale = end - at - 1;
    else digits = digits * 10 + (code - ZERO);
  }
  const value = digits / (POWERS_OF_TEN[scale] as number);
  return Math.fround(isNegative ? -value : value);
}

function parseElement(word: string): number {
  const lower = word.toLowerCase().replace(/^[+-]/, "");
  if (lower === "nan") checkElement(Number.NaN);
  if (lower.startsWith("inf")) checkElement(Number.POSITIVE_INFINITY);
  const single = Math.fround(Number(word));
  if (!Number.isFinite(single)) {
    throw new SqlError(SqlState.numericValueOutOfRange, `"${word}" is out of range for type vector`);
  }
  return single;
}

export function formatVector(value: Float32Array): string {
  let text = "[";
  for (let i = 0; i < value.length; i++) {
    if (i > 0) text += ",";
    text += formatFloat4(value[i] as number, 1);
  }
  return `${text}]`;
}

function receive(bytes: Uint8Array): Float32Array {
  const reader = new ByteReader(bytes, "vector");
  const dimensions = reader.int16();
  const unused = reader.int16();
  checkDimensions(dimensions);
  if (unused !== 0) throw new SqlError(SqlState.dataException, `expected unused to be 0, not ${unused}`);
  const payload = reader.bytes(dimensions * 4);
  reader.end();
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const out = new Float32Array(dimensions);
  for (let i = 0; i < dimensions; i++) {
    const value = view.getFloat32(i * 4);
    checkElement(value);
    out[i] = value;
  }
  return out;
}

function send(value: Datum): Uint8Array {
  const floats = value as Float32Array;
  const out = new ByteWriter();
  out.uint16(floats.length);
  out.uint16(0);
  const payload = new Uint8Array(floats.length * 4);
  const view = new DataView(payload.buffer);
  for (let i = 0; i < floats.length; i++) view.setFloat32(i * 4, floats[i] as number);
  out.bytes(payload);
  return out.finish();
}

/** Element by element over the shared length, then the shorter first (vector_cmp_internal). */
export function compareVectors(a: Float32Array, b: Float32Array): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    if ((a[i] as number) < (b[i] as number)) return -1;
    if ((a[i] as number) > (b[i] as number)) return 1;
  }
  return a.length - b.length;
}

export const vectorCodec: TypeCodec = {
  oid: Oid.vector,
  name: "vector",
  vectorKind: "embedding",
  storageKind: "vector",
  keyKind: undefined,
  parse: (text, typmod) => applyVectorModifier(parseVector(text), typmod),
  format: (value) => formatVector(value as Float32Array),
  receive: (bytes, typmod) => applyVectorModifier(receive(bytes), typmod),
  send,
  toStorage: send,
  fromStorage: receive,
  compare: (a, b) => compareVectors(a as Float32Array, b as Float32Array),
  // -0 equals 0.
  hashKey: (value) => (value as Float32Array).map((x) => x + 0).join(","),
};
