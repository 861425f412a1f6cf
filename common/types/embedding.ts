// What pgvector's `vector` and `halfvec` have in common: both are a Float32Array here, written `[1,2.5,3]`, of 1 to 16,000
// finite elements, and the type modifier is the number of dimensions. They differ in the precision of an element.
import { SqlError, SqlState } from "../error.ts";
import { formatFloat4, parseHexFloat } from "./float.ts";
import { roundToHalf } from "./half.ts";

/** VECTOR_MAX_DIM and HALFVEC_MAX_DIM. */
export const MAX_DIMENSIONS = 16000;

export interface EmbeddingKind {
  readonly typeName: "vector" | "halfvec";
  /** A float4 as the type keeps it; infinite where the type's range ends earlier. */
  readonly round: (single: number) => number;
}

export const VECTOR: EmbeddingKind = { typeName: "vector", round: (single) => single };
export const HALFVEC: EmbeddingKind = { typeName: "halfvec", round: roundToHalf };

/** The number of dimensions of a value: 22000 below 1, 54000 above the limit. */
export function checkDimensions(kind: EmbeddingKind, dimensions: number): void {
  if (dimensions < 1) {
    throw new SqlError(SqlState.dataException, `${kind.typeName} must have at least 1 dimension`);
  }
  if (dimensions > MAX_DIMENSIONS) {
    throw new SqlError(
      SqlState.programLimitExceeded,
      `${kind.typeName} cannot have more than ${MAX_DIMENSIONS} dimensions`,
    );
  }
}

/** vector(n), halfvec(n), sparsevec(n): the number of dimensions must be n. */
export function checkModifier(dimensions: number, typmod: number): void {
  if (typmod >= 0 && typmod !== dimensions) {
    throw new SqlError(SqlState.dataException, `expected ${typmod} dimensions, not ${dimensions}`);
  }
}

/** NaN and infinities are not allowed in any of pgvector's types. */
export function checkElement(typeName: string, value: number): void {
  if (Number.isNaN(value)) throw new SqlError(SqlState.dataException, `NaN not allowed in ${typeName}`);
  if (!Number.isFinite(value))
    throw new SqlError(SqlState.dataException, `infinite value not allowed in ${typeName}`);
}

/** A finite number that the type cannot hold. */
export function elementOutOfRange(typeName: string, shown: string): SqlError {
  return new SqlError(SqlState.numericValueOutOfRange, `"${shown}" is out of range for type ${typeName}`);
}

export function invalidEmbedding(typeName: string, text: string, detail?: string): SqlError {
  const message = `invalid input syntax for type ${typeName}: "${text}"`;
  return new SqlError(SqlState.invalidTextRepresentation, message, { detail });
}

/** Blanks as pgvector skips them, from `at` on. */
export function skipBlanks(text: string, at: number): number {
  let end = at;
  while (BLANKS.includes(text.charAt(end)) && end < text.length) end += 1;
  return end;
}

const BLANKS = " \t\n\r\v\f";

/** What strtof takes for a number. */
const NUMBER =
  /[+-]?(?:0[xX][\da-fA-F]+(?:\.[\da-fA-F]*)?(?:[pP][+-]?\d+)?|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|nan|inf(?:inity)?)/iy;

/** The number that starts at `at`, as written; undefined = none does. Leading blanks are the caller's. */
export function scanNumber(text: string, at: number): string | undefined {
  NUMBER.lastIndex = at;
  return NUMBER.exec(text)?.[0];
}

/** A scanned number rounded to float4: what strtof returns, infinite where it is too large. */
export function singleOf(word: string): number {
  const lower = word.toLowerCase().replace(/^[+-]/, "");
  if (lower === "nan") return Number.NaN;
  const sign = word.startsWith("-") ? -1 : 1;
  if (lower.startsWith("inf")) return sign * Number.POSITIVE_INFINITY;
  return Math.fround(parseHexFloat(word) ?? Number(word));
}

/** Whether a scanned number is written as infinite: such a one is refused as infinite and not as out of range. */
export function isWrittenInfinite(word: string): boolean {
  return /^[+-]?inf/i.test(word);
}

/** Reads `[1,2,3]`. 22P02 with pgvector's details, 22000 and 54000 for dimensions and elements, 22003 out of range. */
export function parseEmbedding(kind: EmbeddingKind, text: string): Float32Array {
  const start = skipBlanks(text, 0);
  if (text[start] !== "[") {
    throw invalidEmbedding(kind.typeName, text, 'Vector contents must start with "[".');
  }
  let at = skipBlanks(text, start + 1);
  if (text[at] === "]") checkDimensions(kind, 0);
  const values: number[] = [];
  for (;;) {
    if (values.length === MAX_DIMENSIONS) checkDimensions(kind, MAX_DIMENSIONS + 1);
    const end = plainNumberEnd(text, at);
    if (end > at) {
      values.push(elementOf(kind, plainNumber(text, at, end), text, at, end));
      at = end;
    } else {
      at = skipBlanks(text, at);
      const word = scanNumber(text, at);
      if (word === undefined) throw invalidEmbedding(kind.typeName, text);
      values.push(elementOf(kind, singleOf(word), text, at, at + word.length));
      at = skipBlanks(text, at + word.length);
    }
    const symbol = text.charCodeAt(at);
    at += 1;
    if (symbol === CLOSE) break;
    if (symbol !== COMMA) throw invalidEmbedding(kind.typeName, text);
  }
  if (skipBlanks(text, at) < text.length) {
    throw invalidEmbedding(kind.typeName, text, "Junk after closing right brace.");
  }
  return Float32Array.from(values);
}

/** The element that text[from, end) means, checked. */
function elementOf(kind: EmbeddingKind, single: number, text: string, from: number, end: number): number {
  const value = kind.round(single);
  if (Number.isFinite(value)) return value;
  const word = text.slice(from, end);
  if (!Number.isNaN(value) && !isWrittenInfinite(word)) throw elementOutOfRange(kind.typeName, word);
  checkElement(kind.typeName, value);
  return value;
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
 * number. Nearly all elements are of this kind, and scanning them is several times faster than matching NUMBER.
 */
function plainNumberEnd(text: string, at: number): number {
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
 * The number that plainNumberEnd found, as float4. With few digits it is one division of two exact doubles, which rounds
 * as reading the decimal does.
 */
function plainNumber(text: string, from: number, end: number): number {
  if (end - from > MAX_EXACT_DIGITS) return Math.fround(Number(text.slice(from, end)));
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

/** The shortest texts that read back to the same float4s; a halfvec's elements print as float4, as pgvector has it. */
export function formatEmbedding(value: Float32Array): string {
  let text = "[";
  for (let i = 0; i < value.length; i++) {
    if (i > 0) text += ",";
    text += formatFloat4(value[i] as number, 1);
  }
  return `${text}]`;
}

/** Element by element over the shared length, then the shorter first (vector_cmp_internal). */
export function compareEmbeddings(a: Float32Array, b: Float32Array): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    if ((a[i] as number) < (b[i] as number)) return -1;
    if ((a[i] as number) > (b[i] as number)) return 1;
  }
  return a.length - b.length;
}

/** Equal for equal values: -0 equals 0. */
export function embeddingKey(value: Float32Array): string {
  return value.map((x) => x + 0).join(",");
}
