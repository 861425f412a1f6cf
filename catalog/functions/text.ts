// Functions of text, varchar, bpchar and name. Positions and lengths count characters (code points), as in PostgreSQL; a
// JavaScript string is indexed by UTF-16 unit, so anything outside the basic plane goes through an array of characters.
// Case mapping is Unicode's simple mapping, which is what a C.UTF-8 database shows.
import { quoteIdentifier, quoteLiteral } from "../../common/identifier.ts";
import { createHash } from "node:crypto";
import { SqlError, SqlState, notSupported } from "../../common/error.ts";
import { SqlArray } from "../../common/types/array.ts";
import { encodeHex } from "../../common/types/bytea.ts";
import { Oid } from "../../common/types/oid.ts";
import { codecOf } from "../../common/types/registry.ts";
import {
  applyBpcharModifier,
  applyVarcharModifier,
  characterCount,
  charactersOf,
  firstCharacters,
  parseCharByte,
  trimPadding,
  truncateName,
} from "../../common/types/text.ts";
import type { Datum } from "../../common/types/type.ts";
import { type BodyTable, binary, setReturning, ternary, unary, variadic } from "./body.ts";
import type { FunctionCall } from "./function.ts";
import { checkInteger } from "./integer.ts";

/** Longest text made here, PostgreSQL's 1 GB limit brought down to what a JavaScript string may hold. */
const MAX_TEXT_LENGTH = 256 * 1024 * 1024;

const hasWideCharacters = (text: string): boolean => /[\ud800-\udbff]/.test(text);

/** The characters [start, end) of `text`, positions from 0. */
function slice(text: string, start: number, end: number): string {
  if (!hasWideCharacters(text)) return text.slice(start, end);
  return charactersOf(text).slice(start, end).join("");
}

/** substr(text, from, count): from counts from 1 and may lie before the text. */
export function substring(text: string, from: number, count: number | undefined): string {
  if (count === undefined) return slice(text, Math.max(from - 1, 0), Number.POSITIVE_INFINITY);
  const end = from + count;
  if (end < from) throw new SqlError(SqlState.substringError, "negative substring length not allowed");
  if (end <= 1) return "";
  return slice(text, Math.max(from - 1, 0), end - 1);
}

/** Position of `needle` from 1; 0 = not there. */
function position(text: string, needle: string): number {
  const at = text.indexOf(needle);
  return at < 0 ? 0 : characterCount(text.slice(0, at)) + 1;
}

function left(text: string, count: number): string {
  return count >= 0
    ? firstCharacters(text, count)
    : slice(text, 0, Math.max(characterCount(text) + count, 0));
}

function right(text: string, count: number): string {
  const length = characterCount(text);
  return slice(text, count >= 0 ? Math.max(length - count, 0) : Math.min(-count, length), length);
}

function tooLong(): SqlError {
  return new SqlError(SqlState.programLimitExceeded, "requested length too large");
}

function pad(text: string, length: number, fill: string, isLeft: boolean): string {
  if (length <= 0) return "";
  if (length > MAX_TEXT_LENGTH) throw tooLong();
  const missing = length - characterCount(text);
  if (missing <= 0) return firstCharacters(text, length);
  if (fill === "") return text;
  const symbols = charactersOf(fill);
  const padding = firstCharacters(fill.repeat(Math.ceil(missing / symbols.length)), missing);
  return isLeft ? padding + text : text + padding;
}

function trim(text: string, set: string, sides: "both" | "left" | "right"): string {
  const symbols = new Set(set);
  const characters = hasWideCharacters(text) || hasWideCharacters(set) ? charactersOf(text) : text;
  let start = 0;
  let end = characters.length;
  if (sides !== "right") while (start < end && symbols.has(characters[start] as string)) start++;
  if (sides !== "left") while (end > start && symbols.has(characters[end - 1] as string)) end--;
  return typeof characters === "string"
    ? characters.slice(start, end)
    : characters.slice(start, end).join("");
}

function translate(text: string, from: string, to: string): string {
  const targets = charactersOf(to);
  const map = new Map<string, string>();
  charactersOf(from).forEach((symbol, i) => {
    if (!map.has(symbol)) map.set(symbol, targets[i] ?? "");
  });
  let out = "";
  for (const symbol of text) out += map.get(symbol) ?? symbol;
  return out;
}

/** Simple case mapping: one character to one, so ß stays (JavaScript's upper case makes SS of it). */
export function upper(text: string): string {
  const mapped = text.toUpperCase();
  return mapped.length === text.length ? mapped : mapEach(text, (symbol) => symbol.toUpperCase());
}

export function lower(text: string): string {
  // The final sigma depends on its neighbours in JavaScript, not in PostgreSQL.
  if (!/[\u0130\u03a3]/.test(text)) return text.toLowerCase();
  return mapEach(text, (symbol) => symbol.toLowerCase());
}

function mapEach(text: string, fn: (symbol: string) => string): string {
  let out = "";
  for (const symbol of text) {
    const mapped = fn(symbol);
    out += characterCount(mapped) === 1 ? mapped : symbol;
  }
  return out;
}

function initcap(text: string): string {
  let out = "";
  let isInWord = false;
  for (const symbol of text) {
    out += isInWord ? lower(symbol) : upper(symbol);
    isInWord = /[\p{L}\p{N}]/u.test(symbol);
  }
  return out;
}

function splitPart(text: string, separator: string, field: number): string {
  if (field === 0) throw new SqlError(SqlState.invalidParameterValue, "field position must not be zero");
  if (text === "") return "";
  if (separator === "") return field === 1 || field === -1 ? text : "";
  const parts = text.split(separator);
  return parts[field > 0 ? field - 1 : parts.length + field] ?? "";
}

/** string_to_array and string_to_table: NULL separator = every character, empty separator = the whole text. */
function splitText(text: string, separator: string | null, nullText: string | null): (string | null)[] {
  if (text === "") return [];
  const parts = separator === null ? charactersOf(text) : separator === "" ? [text] : text.split(separator);
  return nullText === null ? parts : parts.map((part) => (part === nullText ? null : part));
}

function overlay(text: string, replacement: string, start: number, count: number): string {
  if (start <= 0) throw new SqlError(SqlState.substringError, "negative substring length not allowed");
  const end = checkInteger(start + count, 4);
  return substring(text, 1, start - 1) + replacement + substring(text, end, undefined);
}

/** Text of any value, as a cast to text gives it. */
export function textOf(value: Datum, typeOid: number, call: FunctionCall): string {
  if (typeOid === Oid.bool) return value === true ? "t" : "f";
  return codecOf(typeOid).format(value, call.context.types);
}

function argumentText(args: readonly Datum[], index: number, call: FunctionCall): string | undefined {
  const value = args[index];
  if (value === undefined || value === null) return undefined;
  return textOf(value, call.argumentTypes[index]?.oid ?? Oid.text, call);
}

/** VARIADIC array calls arrive as one array. */
function spread(args: readonly Datum[], from: number, call: FunctionCall): (string | undefined)[] {
  const last = args[from];
  if (args.length === from + 1 && last instanceof SqlArray) {
    return last.elements.map((element) =>
      element === null ? undefined : textOf(element, last.elementOid, call),
    );
  }
  return args.slice(from).map((_, i) => argumentText(args, from + i, call));
}

/** format(): %s, %I, %L, %% with argument positions, '-' and widths (also *). */
function format(pattern: string, values: readonly (string | undefined)[]): string {
  let next = 0;
  const take = (index: number): string | undefined => {
    if (index >= values.length)
      throw new SqlError(SqlState.invalidParameterValue, "too few arguments for format()");
    return values[index];
  };
  const specifier = /%(?:(%)|(?:(\d+)\$)?(-)?(?:(\d+)|\*(?:(\d+)\$)?()?)?(.|$))/gsu;
  return pattern.replace(
    specifier,
    (
      match,
      percent?: string,
      argument?: string,
      minus?: string,
      width?: string,
      starAt?: string,
      _star?: string,
      kind?: string,
    ) => {
      if (percent !== undefined) return "%";
      if (kind === undefined || kind === "") {
        throw new SqlError(SqlState.invalidParameterValue, "unterminated format() type specifier", {
          hint: 'For a single "%" use "%%".',
        });
      }
      let fieldWidth = width === undefined ? 0 : Number(width);
      let isLeft = minus !== undefined;
      if (match.includes("*")) {
        fieldWidth = Number(take(starAt === undefined ? next++ : Number(starAt) - 1) ?? 0);
        if (fieldWidth < 0) {
          isLeft = true;
          fieldWidth = -fieldWidth;
        }
      }
      if (kind !== "s" && kind !== "I" && kind !== "L") {
        throw new SqlError(SqlState.invalidParameterValue, `unrecognized format() type specifier "${kind}"`, {
          hint: 'For a single "%" use "%%".',
        });
      }
      if (argument !== undefined) {
        if (Number(argument) === 0) {
          throw new SqlError(
            SqlState.invalidParameterValue,
            "format specifies argument 0, but arguments are numbered from 1",
          );
        }
        next = Number(argument) - 1;
      }
      const value = take(next++);
      const text = formatValue(kind, value);
      return isLeft ? text.padEnd(fieldWidth) : text.padStart(fieldWidth);
    },
  );
}

function formatValue(kind: string, value: string | undefined): string {
  if (value === undefined) {
    if (kind === "I")
      throw new SqlError(
        SqlState.nullValueNotAllowed,
        "null values cannot be formatted as an SQL identifier",
      );
    return kind === "L" ? "NULL" : "";
  }
  return kind === "I" ? quoteIdentifier(value) : kind === "L" ? quoteLiteral(value) : value;
}

function chr(code: number): string {
  if (code === 0) throw new SqlError(SqlState.programLimitExceeded, "null character not permitted");
  if (code < 0) throw new SqlError(SqlState.invalidParameterValue, "character number must be positive");
  if (code > 0x10ffff)
    throw new SqlError(SqlState.programLimitExceeded, `requested character too large for encoding: ${code}`);
  if (code >= 0xd800 && code <= 0xdfff) {
    throw new SqlError(SqlState.programLimitExceeded, `requested character not valid for encoding: ${code}`);
  }
  return String.fromCodePoint(code);
}

function digest(algorithm: string): (data: string | Uint8Array) => Uint8Array {
  return (data) => new Uint8Array(createHash(algorithm).update(data).digest());
}

/** a.b."C" -> {a,b,C}. */
function parseIdentifier(text: string, isStrict: boolean): SqlArray {
  const parts: string[] = [];
  const item = /\s*(?:"((?:[^"]|"")+)"|([A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*))\s*/y;
  const fail = (detail?: string): SqlError =>
    new SqlError(SqlState.invalidParameterValue, `string is not a valid identifier: "${text}"`, { detail });
  let at = 0;
  for (;;) {
    item.lastIndex = at;
    const match = item.exec(text);
    if (match === null) {
      if (text[at] === "." || (at >= text.length && parts.length === 0))
        throw fail(parts.length === 0 ? undefined : 'No valid identifier before ".".');
      throw fail(parts.length > 0 ? 'No valid identifier after ".".' : undefined);
    }
    parts.push(match[1] === undefined ? lower(match[2] as string) : match[1].replaceAll('""', '"'));
    at += match[0].length;
    if (text[at] !== ".") break;
    at += 1;
  }
  if (at < text.length && isStrict) throw fail();
  return SqlArray.of(Oid.text, parts);
}

function normalize(text: string, form: string): string {
  const name = form.toUpperCase();
  if (name !== "NFC" && name !== "NFD" && name !== "NFKC" && name !== "NFKD") {
    throw new SqlError(SqlState.invalidParameterValue, `invalid normalization form: ${form}`);
  }
  return text.normalize(name);
}

function unistr(text: string): string {
  return text.replace(
    /\\(?:(\\)|([0-9a-fA-F]{4})|\+([0-9a-fA-F]{6})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|)/g,
    (match, slash?: string, ...codes: unknown[]) => {
      if (slash !== undefined) return "\\";
      const code = codes.slice(0, 4).find((item) => typeof item === "string");
      if (code === undefined || match === "\\") {
        throw new SqlError(SqlState.syntaxError, "invalid Unicode escape", {
          hint: "Unicode escapes must be \\XXXX, \\+XXXXXX, \\uXXXX, or \\UXXXXXXXX.",
        });
      }
      return String.fromCharCode(Number.parseInt(code, 16));
    },
  );
}

function concatenate(values: readonly (string | undefined)[]): string {
  return values.map((value) => value ?? "").join("");
}

export const textFunctions: BodyTable = {
  textcat: binary<string, string>((a, b) => a + b),
  "sql:textanycat:25,2776": binary<string, Datum>((a, b, call) => a + castText(b, 1, call)),
  "sql:anytextcat:2776,25": binary<Datum, string>((a, b, call) => castText(a, 0, call) + b),
  textlen: unary<string>(characterCount),
  bpcharlen: unary<string>((text) => characterCount(trimPadding(text))),
  textoctetlen: unary<string>((text) => Buffer.byteLength(text)),
  bpcharoctetlen: unary<string>((text) => Buffer.byteLength(text)),
  "sql:bit_length:25": unary<string>((text) => Buffer.byteLength(text) * 8),
  "sql:bit_length:17": unary<Uint8Array>((bytes) => bytes.length * 8),
  lower: unary<string>(lower),
  upper: unary<string>(upper),
  initcap: unary<string>(initcap),
  text_substr: ternary<string, number, number>(substring),
  text_substr_no_len: binary<string, number>((text, from) => substring(text, from, undefined)),
  textpos: binary<string, string>(position),
  text_left: binary<string, number>(left),
  text_right: binary<string, number>(right),
  lpad: ternary<string, number, string>((text, length, fill) => pad(text, length, fill, true)),
  rpad: ternary<string, number, string>((text, length, fill) => pad(text, length, fill, false)),
  "sql:lpad:25,23": binary<string, number>((text, length) => pad(text, length, " ", true)),
  "sql:rpad:25,23": binary<string, number>((text, length) => pad(text, length, " ", false)),
  btrim: binary<string, string>((text, set) => trim(text, set, "both")),
  btrim1: unary<string>((text) => trim(text, " ", "both")),
  ltrim: binary<string, string>((text, set) => trim(text, set, "left")),
  ltrim1: unary<string>((text) => trim(text, " ", "left")),
  rtrim: binary<string, string>((text, set) => trim(text, set, "right")),
  rtrim1: unary<string>((text) => trim(text, " ", "right")),
  replace_text: ternary<string, string, string>((text, from, to) =>
    from === "" ? text : text.replaceAll(from, () => to),
  ),
  translate: ternary<string, string, string>(translate),
  repeat: binary<string, number>((text, count) => {
    if (count <= 0 || text === "") return "";
    if (text.length * count > MAX_TEXT_LENGTH) throw tooLong();
    return text.repeat(count);
  }),
  text_reverse: unary<string>((text) => charactersOf(text).reverse().join("")),
  ascii: unary<string>((text) => text.codePointAt(0) ?? 0),
  chr: unary<number>(chr),
  split_part: ternary<string, string, number>(splitPart),
  text_starts_with: binary<string, string>((text, prefix) => text.startsWith(prefix)),
  textoverlay: {
    kind: "scalar",
    row: (args) => overlay(args[0] as string, args[1] as string, args[2] as number, args[3] as number),
  },
  textoverlay_no_len: ternary<string, string, number>((text, replacement, start) =>
    overlay(text, replacement, start, characterCount(replacement)),
  ),
  text_to_array: binary<string | null, string | null>((text, separator) =>
    text === null ? null : SqlArray.of(Oid.text, splitText(text, separator, null)),
  ),
  text_to_array_null: ternary<string | null, string | null, string | null>((text, separator, nullText) =>
    text === null ? null : SqlArray.of(Oid.text, splitText(text, separator, nullText)),
  ),
  text_to_table: setReturning((args) =>
    args[0] === null ? [] : splitText(args[0] as string, args[1] as string | null, null),
  ),
  text_to_table_null: setReturning((args) =>
    args[0] === null ? [] : splitText(args[0] as string, args[1] as string | null, args[2] as string | null),
  ),
  quote_ident: unary<string>(quoteIdentifier),
  quote_literal: unary<string>(quoteLiteral),
  quote_nullable: unary<string | null>((text) => (text === null ? "NULL" : quoteLiteral(text))),
  "sql:quote_literal:2283": unary<Datum>((value, call) => quoteLiteral(castText(value, 0, call))),
  "sql:quote_nullable:2283": unary<Datum>((value, call) =>
    value === null ? "NULL" : quoteLiteral(castText(value, 0, call)),
  ),
  text_concat: variadic((args, call) => concatenate(spread(args, 0, call))),
  text_concat_ws: variadic((args, call) => {
    if (args[0] === null) return null;
    return spread(args, 1, call)
      .filter((value) => value !== undefined)
      .join(args[0] as string);
  }),
  text_format: variadic((args, call) =>
    args[0] === null ? null : format(args[0] as string, spread(args, 1, call)),
  ),
  text_format_nv: variadic((args) => (args[0] === null ? null : format(args[0] as string, []))),
  md5_text: unary<string>((text) => encodeHex(digest("md5")(text))),
  md5_bytea: unary<Uint8Array>((bytes) => encodeHex(digest("md5")(bytes))),
  sha224_bytea: unary<Uint8Array>((bytes) => digest("sha224")(bytes)),
  sha256_bytea: unary<Uint8Array>((bytes) => digest("sha256")(bytes)),
  sha384_bytea: unary<Uint8Array>((bytes) => digest("sha384")(bytes)),
  sha512_bytea: unary<Uint8Array>((bytes) => digest("sha512")(bytes)),
  parse_ident: binary<string, boolean>(parseIdentifier),
  unicode_normalize_func: binary<string, string>(normalize),
  unicode_is_normalized: binary<string, string>((text, form) => normalize(text, form) === text),
  unistr: unary<string>(unistr),
  to_ascii_default: unary<string>(() => {
    throw notSupported("to_ascii for encoding UTF8");
  }),

  // Casts. varchar(n) and char(n) get (value, typmod, is explicit).
  varchar: ternary<string, number, boolean>(applyVarcharModifier),
  bpchar: ternary<string, number, boolean>(applyBpcharModifier),
  text_name: unary<string>(truncateName),
  name_text: unary<string>((name) => name),
  name_bpchar: unary<string>((name) => name),
  bpchar_name: unary<string>((text) => truncateName(trimPadding(text))),
  char_text: unary<string>((symbol) => symbol),
  char_bpchar: unary<string>((symbol) => symbol),
  text_char: unary<string>(parseCharByte),
  booltext: unary<boolean>((value) => (value ? "true" : "false")),
  nameconcatoid: binary<string, number>((name, oid) => {
    const suffix = `_${oid}`;
    let head = name;
    while (Buffer.byteLength(head) + suffix.length > 63)
      head = firstCharacters(head, characterCount(head) - 1);
    return head + suffix;
  }),
};

/** A value cast to text: booleans are words there. */
function castText(value: Datum, index: number, call: FunctionCall): string {
  const oid = call.argumentTypes[index]?.oid ?? Oid.text;
  if (oid === Oid.bool) return value === true ? "true" : "false";
  if (oid === Oid.bpchar) return trimPadding(value as string);
  return codecOf(oid).format(value, call.context.types);
}
