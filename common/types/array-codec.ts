// Text and binary forms, order and hash of arrays of any element type.
//
// Text: [l:u]...={a,b,{...}} with quoting where an element is empty, NULL-like or has a special character.
// Binary: int32 dimensions, int32 has-nulls, int32 element oid, per dimension int32 length and lower bound, then per element
// int32 size (-1 = NULL) and its binary form. Storage is the binary form.
import { SqlError, SqlState } from "../error.ts";
import { MAX_ARRAY_DIMENSIONS, SqlArray, tooManyDimensions } from "./array.ts";
import { ByteReader, ByteWriter } from "./bytes.ts";
import { Oid } from "./oid.ts";
import type { Datum, TypeCodec, TypeContext } from "./type.ts";

/** PostgreSQL's MaxArraySize: more elements than this is 54000. */
const MAX_ARRAY_ELEMENTS = 134217727;

export type CodecLookup = (oid: number) => TypeCodec;

/** `elementOid` Oid.any = each value by its own element type (anyarray columns). */
export function arrayCodec(oid: number, name: string, elementOid: number, lookup: CodecLookup): TypeCodec {
  const isPolymorphic = elementOid === Oid.any;
  const send = (value: Datum): Uint8Array => sendArray(value as SqlArray, lookup);
  const receive = (bytes: Uint8Array): Datum =>
    receiveArray(bytes, isPolymorphic ? undefined : elementOid, lookup);
  const element = isPolymorphic ? undefined : lookupLater(elementOid, lookup);
  return {
    oid,
    name,
    vectorKind: "boxed",
    storageKind: "bytes",
    keyKind: undefined,
    parse: (text, typmod, context) =>
      parseArray(text, isPolymorphic ? Oid.text : elementOid, typmod, context, lookup),
    format: (value, context) => formatArray(value as SqlArray, context, lookup),
    receive,
    send,
    toStorage: send,
    fromStorage: receive,
    get compare() {
      return element !== undefined && element().compare === undefined
        ? undefined
        : (a: Datum, b: Datum): number => compareArrays(a as SqlArray, b as SqlArray, lookup);
    },
    get hashKey() {
      return element !== undefined && element().hashKey === undefined
        ? undefined
        : (value: Datum): string => hashArray(value as SqlArray, lookup);
    },
  };
}

function lookupLater(oid: number, lookup: CodecLookup): () => TypeCodec {
  return () => lookup(oid);
}

/** Element separator: box uses ';', and there is no box here. */
const SEPARATOR = ",";

export function formatArray(array: SqlArray, context: TypeContext, lookup: CodecLookup): string {
  if (array.elements.length === 0) return "{}";
  const codec = lookup(array.elementOid);
  let position = 0;
  const level = (depth: number): string => {
    const parts: string[] = [];
    for (let i = 0; i < (array.dimensions[depth] as number); i++) {
      if (depth + 1 < array.dimensions.length) parts.push(level(depth + 1));
      else {
        const element = array.elements[position++] as Datum;
        parts.push(element === null ? "NULL" : quoteElement(codec.format(element, context)));
      }
    }
    return `{${parts.join(SEPARATOR)}}`;
  };
  const body = level(0);
  if (array.lowerBounds.every((bound) => bound === 1)) return body;
  const bounds = array.dimensions.map((length, i) => {
    const low = array.lowerBounds[i] as number;
    return `[${low}:${low + length - 1}]`;
  });
  return `${bounds.join("")}=${body}`;
}

function quoteElement(text: string): string {
  if (text !== "" && !/[{}",\\\s]/.test(text) && text.toLowerCase() !== "null") return text;
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}

function malformed(text: string, detail?: string): SqlError {
  return new SqlError(SqlState.invalidTextRepresentation, `malformed array literal: "${text}"`, { detail });
}

/** Text input. The type modifier applies to each element. */
export function parseArray(
  text: string,
  elementOid: number,
  typmod: number,
  context: TypeContext,
  lookup: CodecLookup,
): SqlArray {
  const codec = lookup(elementOid);
  const parser = new ArrayParser(text);
  const { bounds, raw, dimensions } = parser.parse();
  const elements = raw.map((word) => (word === null ? null : codec.parse(word, typmod, context)));
  if (elements.length === 0) return SqlArray.of(elementOid, []);
  if (bounds !== undefined) {
    const fits =
      bounds.length === dimensions.length &&
      bounds.every(({ lower, upper }, i) => upper - lower + 1 === dimensions[i]);
    if (!fits) throw malformed(text, "Specified array dimensions do not match array contents.");
  }
  const lowerBounds = bounds === undefined ? dimensions.map(() => 1) : bounds.map(({ lower }) => lower);
  return new SqlArray(elementOid, dimensions, lowerBounds, elements);
}

interface Bound {
  readonly lower: number;
  readonly upper: number;
}

class ArrayParser {
  readonly #text: string;
  #at = 0;
  readonly #raw: (string | null)[] = [];
  readonly #dimensions: number[] = [];
  /** Depth at which elements stand; set by the first element. */
  #leafDepth = -1;

  constructor(text: string) {
    this.#text = text;
  }

  parse(): {
    bounds: readonly Bound[] | undefined;
    raw: readonly (string | null)[];
    dimensions: readonly number[];
  } {
    this.#blanks();
    const bounds = this.#text[this.#at] === "[" ? this.#bounds() : undefined;
    this.#blanks();
    if (this.#text[this.#at] !== "{") {
      throw malformed(
        this.#text,
        bounds === undefined
          ? 'Array value must start with "{" or dimension information.'
          : 'Array contents must start with "{".',
      );
    }
    this.#level(0);
    this.#blanks();
    if (this.#at < this.#text.length) throw malformed(this.#text, "Junk after closing right brace.");
    return { bounds, raw: this.#raw, dimensions: this.#dimensions };
  }

  #blanks(): void {
    while (/[ \t\n\r\v\f]/.test(this.#text[this.#at] ?? "")) this.#at += 1;
  }

  #bounds(): Bound[] {
    const bounds: Bound[] = [];
    for (;;) {
      this.#blanks();
      if (this.#text[this.#at] !== "[") break;
      const match = /^\[([+-]?\d+)(?::([+-]?\d+))?\]/.exec(this.#text.slice(this.#at, this.#at + 40));
      if (match === null)
        throw malformed(this.#text, '"[" must introduce explicitly-specified array dimensions.');
      const lower = match[2] === undefined ? 1 : Number(match[1]);
      const upper = Number(match[2] ?? match[1]);
      if (upper < lower) {
        throw new SqlError(SqlState.arraySubscriptError, "upper bound cannot be less than lower bound");
      }
      bounds.push({ lower, upper });
      if (bounds.length > MAX_ARRAY_DIMENSIONS) throw tooManyDimensions(bounds.length);
      this.#at += match[0].length;
    }
    if (this.#text[this.#at] !== "=") throw malformed(this.#text, 'Missing "=" after array dimensions.');
    this.#at += 1;
    return bounds;
  }

  /** Reads {...} at `depth`; returns its number of items. */
  #level(depth: number): number {
    if (depth >= MAX_ARRAY_DIMENSIONS) throw tooManyDimensions(depth + 1);
    this.#at += 1;
    let count = 0;
    this.#blanks();
    if (this.#text[this.#at] === "}") {
      this.#at += 1;
      // {} is the empty array; an empty sub-array is not allowed beside other things.
      if (depth > 0) throw malformed(this.#text, 'Unexpected "}" character.');
      return 0;
    }
    for (;;) {
      this.#blanks();
      if (this.#text[this.#at] === "{") {
        if (this.#leafDepth >= 0 && this.#leafDepth <= depth) throw this.#unexpected("{");
        this.#level(depth + 1);
      } else {
        if (this.#leafDepth < 0) this.#leafDepth = depth;
        if (this.#leafDepth !== depth) throw this.#ragged();
        this.#raw.push(this.#element());
      }
      count += 1;
      this.#blanks();
      const symbol = this.#text[this.#at];
      this.#at += 1;
      if (symbol === "}") break;
      if (symbol === undefined) throw malformed(this.#text, "Unexpected end of input.");
      if (symbol !== SEPARATOR) throw malformed(this.#text, "Unexpected array element.");
    }
    const known = this.#dimensions[depth];
    if (known === undefined) this.#dimensions[depth] = count;
    else if (known !== count) throw this.#ragged();
    return count;
  }

  #ragged(): SqlError {
    return malformed(this.#text, "Multidimensional arrays must have sub-arrays with matching dimensions.");
  }

  #unexpected(symbol: string): SqlError {
    return malformed(this.#text, `Unexpected "${symbol}" character.`);
  }

  #element(): string | null {
    if (this.#text[this.#at] === '"') return this.#quoted();
    let word = "";
    let keep = 0;
    for (; this.#at < this.#text.length; this.#at++) {
      const symbol = this.#text[this.#at] as string;
      if (symbol === "," || symbol === "}") break;
      if (symbol === "{") throw this.#unexpected("{");
      if (symbol === '"') throw malformed(this.#text, "Unexpected array element.");
      if (symbol === "\\") {
        this.#at += 1;
        if (this.#at >= this.#text.length) break;
        word += this.#text[this.#at];
        keep = word.length;
      } else {
        word += symbol;
        if (!/[ \t\n\r\v\f]/.test(symbol)) keep = word.length;
      }
    }
    if (this.#at >= this.#text.length) throw malformed(this.#text, "Unexpected end of input.");
    if (keep === 0) throw this.#unexpected(this.#text[this.#at] as string);
    word = word.slice(0, keep);
    return word.toLowerCase() === "null" && !this.#text.slice(this.#at - 5, this.#at).includes("\\")
      ? null
      : word;
  }

  #quoted(): string {
    let word = "";
    this.#at += 1;
    for (; this.#at < this.#text.length; this.#at++) {
      const symbol = this.#text[this.#at] as string;
      if (symbol === '"') {
        this.#at += 1;
        return word;
      }
      if (symbol === "\\") this.#at += 1;
      word += this.#text[this.#at] ?? "";
    }
    throw malformed(this.#text, "Unexpected end of input.");
  }
}

export function sendArray(array: SqlArray, lookup: CodecLookup): Uint8Array {
  const codec = lookup(array.elementOid);
  const out = new ByteWriter();
  out.int32(array.dimensions.length);
  out.int32(array.elements.includes(null) ? 1 : 0);
  out.int32(array.elementOid);
  for (let d = 0; d < array.dimensions.length; d++) {
    out.int32(array.dimensions[d] as number);
    out.int32(array.lowerBounds[d] as number);
  }
  for (const element of array.elements) {
    if (element === null) {
      out.int32(-1);
      continue;
    }
    const bytes = codec.send(element);
    out.int32(bytes.length);
    out.bytes(bytes);
  }
  return out.finish();
}

/** `elementOid` undefined = whatever the bytes say. */
export function receiveArray(
  bytes: Uint8Array,
  elementOid: number | undefined,
  lookup: CodecLookup,
): SqlArray {
  const reader = new ByteReader(bytes, "array");
  const rank = reader.int32();
  if (rank < 0) {
    throw new SqlError(SqlState.invalidBinaryRepresentation, `invalid number of dimensions: ${rank}`);
  }
  if (rank > MAX_ARRAY_DIMENSIONS) throw tooManyDimensions(rank);
  const flags = reader.int32();
  if (flags !== 0 && flags !== 1)
    throw new SqlError(SqlState.invalidBinaryRepresentation, "invalid array flags");
  const sentOid = reader.int32() >>> 0;
  if (elementOid !== undefined && sentOid !== elementOid) {
    throw new SqlError(
      SqlState.datatypeMismatch,
      `binary data has array element type ${sentOid} instead of expected ${elementOid}`,
    );
  }
  const codec = lookup(sentOid);
  const dimensions: number[] = [];
  const lowerBounds: number[] = [];
  let count = rank === 0 ? 0 : 1;
  for (let d = 0; d < rank; d++) {
    const length = reader.int32();
    dimensions.push(length);
    lowerBounds.push(reader.int32());
    count *= length;
    if (length < 0 || count > MAX_ARRAY_ELEMENTS) {
      throw new SqlError(
        SqlState.programLimitExceeded,
        `array size exceeds the maximum allowed (${MAX_ARRAY_ELEMENTS})`,
      );
    }
  }
  const elements: Datum[] = [];
  for (let i = 0; i < count; i++) {
    const size = reader.int32();
    elements.push(size === -1 ? null : codec.receive(reader.bytes(size), -1, NO_CONTEXT));
  }
  reader.end();
  return count === 0 ? SqlArray.of(sentOid, []) : new SqlArray(sentOid, dimensions, lowerBounds, elements);
}

/** Binary formats do not depend on settings. */
const NO_CONTEXT: TypeContext = {
  dateStyle: { format: "ISO", order: "MDY" },
  intervalStyle: "postgres",
  timeZone: "UTC",
  extraFloatDigits: 1,
  byteaOutput: "hex",
  now: () => 0,
};

/** btree order: element by element (NULLs last and equal), then number of elements, dimensions, bounds. */
export function compareArrays(a: SqlArray, b: SqlArray, lookup: CodecLookup): number {
  const compare = lookup(a.elementOid).compare;
  if (compare === undefined) throw noComparison(a.elementOid, lookup);
  const shared = Math.min(a.elements.length, b.elements.length);
  for (let i = 0; i < shared; i++) {
    const left = a.elements[i] as Datum;
    const right = b.elements[i] as Datum;
    if (left === null || right === null) {
      if (left !== right) return left === null ? 1 : -1;
      continue;
    }
    const order = compare(left, right);
    if (order !== 0) return order;
  }
  if (a.elements.length !== b.elements.length) return a.elements.length - b.elements.length;
  if (a.dimensions.length !== b.dimensions.length) return a.dimensions.length - b.dimensions.length;
  for (let d = 0; d < a.dimensions.length; d++) {
    const order = (a.dimensions[d] as number) - (b.dimensions[d] as number);
    if (order !== 0) return order;
  }
  for (let d = 0; d < a.lowerBounds.length; d++) {
    const order = (a.lowerBounds[d] as number) - (b.lowerBounds[d] as number);
    if (order !== 0) return order;
  }
  return 0;
}

function noComparison(elementOid: number, lookup: CodecLookup): SqlError {
  return new SqlError(
    SqlState.undefinedFunction,
    `could not identify a comparison function for type ${lookup(elementOid).name}`,
  );
}

function hashArray(array: SqlArray, lookup: CodecLookup): string {
  const hash = lookup(array.elementOid).hashKey;
  if (hash === undefined) {
    throw new SqlError(
      SqlState.undefinedFunction,
      `could not identify a hash function for type ${lookup(array.elementOid).name}`,
    );
  }
  const parts = array.elements.map((element) =>
    element === null ? "" : lengthPrefixed(String(hash(element))),
  );
  return `${array.dimensions.join("x")}|${array.lowerBounds.join(":")}|${parts.join(",")}`;
}

/** Makes concatenated keys unambiguous. */
function lengthPrefixed(key: string): string {
  return `${key.length}:${key}`;
}
