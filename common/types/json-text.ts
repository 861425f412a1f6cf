// A JSON reader that keeps what JavaScript's loses: exact numbers (as Numeric), every key of an object in its order, and
// PostgreSQL's error details. JSON text of both json and jsonb passes through it.
import { SqlError, SqlState } from "../error.ts";
import { Numeric } from "./numeric.ts";

export type JsonNode = null | boolean | string | Numeric | readonly JsonNode[] | JsonObject;

/** Members in storage order of whoever made it; a Map so that "__proto__" is a key like any other. */
export type JsonObject = ReadonlyMap<string, JsonNode>;

/** Deepest nesting read or printed; PostgreSQL stops at its stack depth, some ten thousand levels. */
const MAX_JSON_DEPTH = 6000;

/** Parses one JSON value with nothing but blanks around it. Objects keep the last of equal keys at the first's place. */
export function parseJson(text: string): JsonNode {
  return new JsonReader(text, true).document();
}

/** Throws 22P02 when `text` is not JSON. */
export function validateJson(text: string): void {
  new JsonReader(text, false).document();
}

class JsonReader {
  readonly #text: string;
  readonly #decode: boolean;
  #at = 0;
  #depth = 0;

  constructor(text: string, decode: boolean) {
    this.#text = text;
    this.#decode = decode;
  }

  document(): JsonNode {
    const value = this.#value("Expected JSON value");
    this.#blanks();
    if (this.#at < this.#text.length) throw this.#unexpected("Expected end of input");
    return value;
  }

  #blanks(): void {
    for (;;) {
      const unit = this.#text.charCodeAt(this.#at);
      if (unit !== 32 && unit !== 10 && unit !== 13 && unit !== 9) return;
      this.#at += 1;
    }
  }

  #value(expectation: string): JsonNode {
    this.#blanks();
    switch (this.#text[this.#at]) {
      case "{":
        return this.#nested(() => this.#object());
      case "[":
        return this.#nested(() => this.#array());
      case '"':
        return this.#string();
      case undefined:
      case "}":
      case "]":
      case ",":
      case ":":
        throw this.#unexpected(expectation);
      default:
        return this.#word();
    }
  }

  #nested(read: () => JsonNode): JsonNode {
    this.#depth += 1;
    if (this.#depth > MAX_JSON_DEPTH) {
      throw new SqlError(SqlState.statementTooComplex, "stack depth limit exceeded");
    }
    const value = read();
    this.#depth -= 1;
    return value;
  }

  #object(): JsonNode {
    const members = new Map<string, JsonNode>();
    this.#at += 1;
    this.#blanks();
    if (this.#text[this.#at] === "}") {
      this.#at += 1;
      return members;
    }
    for (let expectation = 'Expected string or "}"'; ; expectation = "Expected string") {
      this.#blanks();
      if (this.#text[this.#at] !== '"') throw this.#unexpected(expectation);
      const key = this.#string();
      this.#blanks();
      if (this.#text[this.#at] !== ":") throw this.#unexpected('Expected ":"');
      this.#at += 1;
      members.set(key, this.#value("Expected JSON value"));
      this.#blanks();
      if (this.#text[this.#at] === "}") break;
      if (this.#text[this.#at] !== ",") throw this.#unexpected('Expected "," or "}"');
      this.#at += 1;
    }
    this.#at += 1;
    return members;
  }

  #array(): JsonNode {
    const elements: JsonNode[] = [];
    this.#at += 1;
    this.#blanks();
    if (this.#text[this.#at] === "]") {
      this.#at += 1;
      return elements;
    }
    for (;;) {
      elements.push(this.#value("Expected JSON value"));
      this.#blanks();
      if (this.#text[this.#at] === "]") break;
      if (this.#text[this.#at] !== ",") throw this.#unexpected('Expected "," or "]"');
      this.#at += 1;
    }
    this.#at += 1;
    return elements;
  }

  #string(): string {
    const start = this.#at + 1;
    let text = "";
    let from = start;
    for (let at = start; ; at++) {
      const unit = this.#text.charCodeAt(at);
      if (Number.isNaN(unit)) {
        this.#at = start - 1;
        throw this.#error(`Token "${this.#text.slice(start - 1)}" is invalid.`, this.#text.length);
      }
      if (unit === 34) {
        text += this.#text.slice(from, at);
        this.#at = at + 1;
        return text;
      }
      if (unit < 32) {
        const hex = unit.toString(16).padStart(2, "0");
        throw this.#error(`Character with value 0x${hex} must be escaped.`, at);
      }
      if (unit === 92) {
        text += this.#text.slice(from, at);
        const escape = this.#escape(at);
        text += escape.text;
        at = escape.end - 1;
        from = escape.end;
      }
    }
  }

  #escape(at: number): { readonly text: string; readonly end: number } {
    const letter = this.#text[at + 1];
    if (letter === "u") return this.#unicodeEscape(at);
    const index = letter === undefined ? -1 : '"\\/bfnrt'.indexOf(letter);
    if (index < 0) {
      if (letter === undefined)
        throw this.#error(`Token "${this.#text.slice(this.#at)}" is invalid.`, at + 1);
      const symbol = String.fromCodePoint(this.#text.codePointAt(at + 1) as number);
      throw this.#error(`Escape sequence "\\${symbol}" is invalid.`, at + 1 + symbol.length);
    }
    return { text: '"\\/\b\f\n\r\t'[index] as string, end: at + 2 };
  }

  #unicodeEscape(at: number): { readonly text: string; readonly end: number } {
    const code = this.#hex4(at);
    let end = at + 6;
    if (!this.#decode) return { text: "", end };
    if (code === 0) {
      throw new SqlError(SqlState.untranslatableCharacter, "unsupported Unicode escape sequence", {
        detail: "\\u0000 cannot be converted to text.",
        where: this.#where(end),
      });
    }
    if (code >= 0xdc00 && code <= 0xdfff)
      throw this.#error("Unicode low surrogate must follow a high surrogate.", end);
    if (code < 0xd800 || code > 0xdbff) return { text: String.fromCharCode(code), end };
    if (!this.#text.startsWith("\\u", end)) {
      throw this.#error("Unicode low surrogate must follow a high surrogate.", end);
    }
    const low = this.#hex4(end);
    end += 6;
    if (low >= 0xd800 && low <= 0xdbff) {
      throw this.#error("Unicode high surrogate must not follow a high surrogate.", end);
    }
    if (low < 0xdc00 || low > 0xdfff)
      throw this.#error("Unicode low surrogate must follow a high surrogate.", end);
    return { text: String.fromCharCode(code, low), end };
  }

  #hex4(at: number): number {
    const digits = this.#text.slice(at + 2, at + 6);
    if (!/^[0-9a-fA-F]{4}$/.test(digits)) {
      throw this.#error(
        '"\\u" must be followed by four hexadecimal digits.',
        Math.min(at + 6, this.#text.length),
      );
    }
    return Number.parseInt(digits, 16);
  }

  /** true, false, null or a number. */
  #word(): JsonNode {
    const token = this.#token();
    this.#at += token.length;
    switch (token) {
      case "true":
        return true;
      case "false":
        return false;
      case "null":
        return null;
      default:
        break;
    }
    if (!/^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(token)) {
      throw this.#error(`Token "${token}" is invalid.`, this.#at);
    }
    return this.#decode ? Numeric.parse(token) : null;
  }

  /** The token at the position as PostgreSQL's lexer cuts it: a run of letters, digits and +-._ or one character. */
  #token(): string {
    const rest = this.#text.slice(this.#at, this.#at + 1000);
    const run = /^[A-Za-z0-9_+\-.$\u0080-\uffff]+/.exec(rest);
    return run === null ? String.fromCodePoint(rest.codePointAt(0) as number) : run[0];
  }

  #unexpected(expectation: string): SqlError {
    if (this.#at >= this.#text.length) {
      return this.#error("The input string ended unexpectedly.", this.#text.length);
    }
    let token = this.#token();
    if (token === '"') {
      const start = this.#at;
      this.#string();
      token = this.#text.slice(start, this.#at);
      return this.#error(`${expectation}, but found "${token}".`, start + token.length);
    }
    const isWord = /^[A-Za-z0-9_+\-.$\u0080-\uffff]/.test(token);
    const isKnown = !isWord
      ? "{}[],:".includes(token)
      : /^(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)$/.test(token);
    const detail = isKnown ? `${expectation}, but found "${token}".` : `Token "${token}" is invalid.`;
    return this.#error(detail, this.#at + token.length);
  }

  #error(detail: string, end: number): SqlError {
    return new SqlError(SqlState.invalidTextRepresentation, "invalid input syntax for type json", {
      detail,
      where: this.#where(end),
    });
  }

  /** PostgreSQL's CONTEXT line: the line up to the offending token, shortened to about fifty characters. */
  #where(end: number): string {
    const before = this.#text.slice(0, end);
    const lineNumber = before.split("\n").length;
    let from = before.lastIndexOf("\n") + 1;
    let prefix = "";
    if (end - from >= 50) {
      from = end - 47;
      prefix = "...";
    }
    const isCut = end < this.#text.length && this.#text[end] !== "\n" && this.#text[end] !== "\r";
    return `JSON data, line ${lineNumber}: ${prefix}${this.#text.slice(from, end)}${isCut ? "..." : ""}`;
  }
}

/** A JSON string literal with PostgreSQL's escapes (escape_json). */
export function quoteJson(text: string): string {
  // oxlint-disable-next-line no-control-regex -- they are what must be escaped
  if (!/["\\\u0000-\u001f]/.test(text)) return `"${text}"`;
  let out = '"';
  for (const symbol of text) {
    const unit = symbol.charCodeAt(0);
    const index = '"\\\b\f\n\r\t'.indexOf(symbol);
    if (index >= 0) out += `\\${'"\\bfnrt'[index]}`;
    else out += unit < 32 ? `\\u${unit.toString(16).padStart(4, "0")}` : symbol;
  }
  return `${out}"`;
}
