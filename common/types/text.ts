// text, varchar, bpchar, name, "char" and the pseudo-types whose value is a string (unknown, cstring, void, pg_node_tree).
// Values are JavaScript strings; order is byte order of UTF-8 (collation C), which is code point order: not JavaScript's
// order of UTF-16 units. A NUL or broken UTF-8 never becomes a value: 22021.
import { SqlError, SqlState } from "../error.ts";
import { Oid } from "./oid.ts";
import type { Datum, TypeCodec } from "./type.ts";

const encoder = new TextEncoder();
const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const looseDecoder = new TextDecoder("utf-8", { ignoreBOM: true });
/** NAMEDATALEN - 1, in bytes. */
export const MAX_NAME_BYTES = 63;
/** Longest n of char(n) and varchar(n); a larger modifier cannot come from SQL. */
const MAX_CHAR_LENGTH = 10_485_760;

/** UTF-8 bytes from a client as a string; 22021 for broken sequences and NUL. */
export function decodeClientText(bytes: Uint8Array): string {
  if (bytes.includes(0)) {
    throw new SqlError(SqlState.characterNotInRepertoire, 'invalid byte sequence for encoding "UTF8": 0x00');
  }
  try {
    return strictDecoder.decode(bytes);
  } catch {
    throw new SqlError(
      SqlState.characterNotInRepertoire,
      `invalid byte sequence for encoding "UTF8": ${brokenSequence(bytes)}`,
    );
  }
}

/** The first sequence that is not UTF-8, as PostgreSQL prints it: up to as many bytes as its lead byte announces. */
function brokenSequence(bytes: Uint8Array): string {
  let at = 0;
  while (at < bytes.length) {
    const lead = bytes[at] as number;
    const length = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
    const sequence = bytes.subarray(at, Math.min(at + length, bytes.length));
    if (lead >= 0x80 && !isUtf8(sequence)) {
      return [...sequence].map((byte) => `0x${byte.toString(16).padStart(2, "0")}`).join(" ");
    }
    at += length;
  }
  return "";
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    strictDecoder.decode(bytes);
    return true;
  } catch {
    return false;
  }
}

/** Code point order = UTF-8 byte order: differs from `<` only where surrogates meet U+E000..U+FFFF. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    const left = a.charCodeAt(i);
    const right = b.charCodeAt(i);
    if (left !== right) {
      if (left >= 0xd800 && right >= 0xd800) return surrogateRank(left) - surrogateRank(right);
      return left - right;
    }
  }
  return a.length - b.length;
}

/** Moves surrogates above the rest of the basic plane. */
function surrogateRank(unit: number): number {
  return unit >= 0xe000 ? unit - 0x800 : unit + 0x2000;
}

/** Number of characters (code points), what length() and varchar(n) count. */
export function characterCount(text: string): number {
  let count = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 0xd800 && unit <= 0xdbff) count -= 1;
  }
  return count;
}

/** The characters (code points) of a text. */
export function charactersOf(text: string): string[] {
  return Array.from(text);
}

/** The first `count` characters. */
export function firstCharacters(text: string, count: number): string {
  if (text.length <= count) return text;
  let at = 0;
  for (let taken = 0; taken < count && at < text.length; taken++) {
    const unit = text.charCodeAt(at);
    at += unit >= 0xd800 && unit <= 0xdbff ? 2 : 1;
  }
  return text.slice(0, at);
}

/** varchar(n) on assignment: too long is 22001 unless only blanks are cut; on an explicit cast it is cut silently. */
export function applyVarcharModifier(text: string, typmod: number, isExplicit: boolean): string {
  if (typmod < 4) return text;
  const limit = typmod - 4;
  if (text.length <= limit || characterCount(text) <= limit) return text;
  const cut = firstCharacters(text, limit);
  if (!isExplicit && /[^ ]/.test(text.slice(cut.length))) throw tooLong(`character varying(${limit})`);
  return cut;
}

/** char(n): as varchar, then padded with blanks to n characters. */
export function applyBpcharModifier(text: string, typmod: number, isExplicit: boolean): string {
  if (typmod < 4 || typmod > MAX_CHAR_LENGTH + 4) return text;
  const limit = typmod - 4;
  const count = characterCount(text);
  if (count === limit) return text;
  if (count < limit) return text + " ".repeat(limit - count);
  const cut = firstCharacters(text, limit);
  if (!isExplicit && /[^ ]/.test(text.slice(cut.length))) throw tooLong(`character(${limit})`);
  return cut;
}

function tooLong(typeName: string): SqlError {
  return new SqlError(SqlState.stringDataRightTruncation, `value too long for type ${typeName}`);
}

/** char(n) without its padding, as comparison and the cast to text see it. */
export function trimPadding(text: string): string {
  let end = text.length;
  while (end > 0 && text.charCodeAt(end - 1) === 32) end -= 1;
  return text.slice(0, end);
}

/** Cut to 63 bytes at a character border, as PostgreSQL truncates identifiers. */
export function truncateName(text: string): string {
  if (text.length * 3 <= MAX_NAME_BYTES) return text;
  const bytes = encoder.encode(text);
  if (bytes.length <= MAX_NAME_BYTES) return text;
  let end = MAX_NAME_BYTES;
  while (((bytes[end] as number) & 0xc0) === 0x80) end -= 1;
  return looseDecoder.decode(bytes.subarray(0, end));
}

const textCodecBase: TypeCodec = {
  oid: Oid.text,
  name: "text",
  vectorKind: "text",
  storageKind: "bytes",
  keyKind: "bytes",
  parse: (text) => text,
  format: (value) => value as string,
  receive: (bytes) => decodeClientText(bytes),
  send: (value) => encoder.encode(value as string),
  toStorage: (value) => encoder.encode(value as string),
  fromStorage: (bytes) => looseDecoder.decode(bytes),
  compare: (a, b) => compareText(a as string, b as string),
  hashKey: (value) => value as string,
};

export const textCodec = textCodecBase;

export const varcharCodec: TypeCodec = {
  ...textCodecBase,
  oid: Oid.varchar,
  name: "varchar",
  parse: (text, typmod) => applyVarcharModifier(text, typmod, false),
  receive: (bytes, typmod) => applyVarcharModifier(decodeClientText(bytes), typmod, false),
};

/**
 * Values keep their padding and comparison ignores it. The engine compares the padded bytes, which is the same order except
 * for control characters below the blank.
 */
export const bpcharCodec: TypeCodec = {
  ...textCodecBase,
  oid: Oid.bpchar,
  name: "bpchar",
  parse: (text, typmod) => applyBpcharModifier(text, typmod, false),
  receive: (bytes, typmod) => applyBpcharModifier(decodeClientText(bytes), typmod, false),
  compare: (a, b) => compareText(trimPadding(a as string), trimPadding(b as string)),
  hashKey: (value) => trimPadding(value as string),
};

export const nameCodec: TypeCodec = {
  ...textCodecBase,
  oid: Oid.name,
  name: "name",
  parse: (text) => truncateName(text),
  receive: (bytes) => {
    if (bytes.length > MAX_NAME_BYTES) {
      throw new SqlError(SqlState.nameTooLong, "identifier too long", {
        detail: "Identifier must be less than 64 characters.",
      });
    }
    return decodeClientText(bytes);
  },
};

/** One byte. A byte above 0x7f prints as \ooo, the empty string is byte 0. */
export const charCodec: TypeCodec = {
  ...textCodecBase,
  oid: Oid.char,
  name: "char",
  parse: (text) => parseCharByte(text),
  receive: (bytes) => byteText(bytes[0] ?? 0),
  send: (value) => Uint8Array.of(charByte(value as string)),
  // Unsigned bytes.
  compare: (a, b) => charByte(a as string) - charByte(b as string),
};

/** "char" value of input text: its first byte, or \ooo. */
export function parseCharByte(text: string): string {
  const octal = /^\\([0-3][0-7][0-7])$/.exec(text);
  if (octal !== null) return byteText(Number.parseInt(octal[1] as string, 8));
  return byteText(encoder.encode(text)[0] ?? 0);
}

/** The byte behind a "char" value. */
export function charByte(value: string): number {
  if (value.length === 4) return Number.parseInt(value.slice(1), 8);
  return value === "" ? 0 : value.charCodeAt(0);
}

/** The "char" value of a byte. */
export function byteText(byte: number): string {
  if (byte === 0) return "";
  return byte < 0x80 ? String.fromCharCode(byte) : `\\${byte.toString(8).padStart(3, "0")}`;
}

/** A string-valued type without order of its own. */
export function opaqueTextCodec(oid: number, name: string): TypeCodec {
  return { ...textCodecBase, oid, name, keyKind: undefined, compare: undefined };
}

export const unknownCodec: TypeCodec = { ...textCodecBase, oid: Oid.unknown, name: "unknown" };
export const cstringCodec = opaqueTextCodec(Oid.cstring, "cstring");
export const nodeTreeCodec = opaqueTextCodec(Oid.pg_node_tree, "pg_node_tree");
/** The words of a text search, behind the name of an index and a colon where one is named. */
export const bm25queryCodec = opaqueTextCodec(Oid.bm25query, "bm25query");
export const refcursorCodec = opaqueTextCodec(Oid.refcursor, "refcursor");

/** void prints as the empty string. */
export const voidCodec: TypeCodec = {
  ...opaqueTextCodec(Oid.void, "void"),
  format: (_value: Datum) => "",
  send: () => new Uint8Array(0),
};
