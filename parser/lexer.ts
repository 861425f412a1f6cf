// A small lexer for SQL text: just enough to find literals, words and brackets. It reads what PostgreSQL's scan.l reads, but says
// "other" where details do not matter, and refuses (undefined) what it is not sure of.

export type TokenKind =
  | "word"
  | "quoted-word"
  | "string"
  | "special-string"
  | "number"
  | "parameter"
  | "operator"
  | "punctuation";

export interface Token {
  readonly kind: TokenKind;
  /** The token as written. */
  readonly text: string;
  /** Offsets in UTF-16 units. */
  readonly start: number;
  readonly end: number;
}

const OPERATOR_CHARACTERS = "+-*/<>=~!@#%^&|`?:";

/** Tokens without white space and comments; undefined for text that ends inside a literal or a comment. */
export function tokenize(sql: string): readonly Token[] | undefined {
  const tokens: Token[] = [];
  let at = 0;
  while (at < sql.length) {
    const skipped = skipSpace(sql, at);
    if (skipped === undefined) return undefined;
    at = skipped;
    if (at >= sql.length) break;
    const token = readToken(sql, at);
    if (token === undefined) return undefined;
    tokens.push(token);
    at = token.end;
  }
  return tokens;
}

function skipSpace(sql: string, from: number): number | undefined {
  let at = from;
  for (;;) {
    while (at < sql.length && /\s/.test(sql[at] as string)) at += 1;
    if (sql.startsWith("--", at)) {
      const end = sql.indexOf("\n", at);
      at = end < 0 ? sql.length : end + 1;
    } else if (sql.startsWith("/*", at)) {
      const end = skipComment(sql, at);
      if (end === undefined) return undefined;
      at = end;
    } else return at;
  }
}

/** Comments nest. */
function skipComment(sql: string, from: number): number | undefined {
  let depth = 0;
  for (let at = from; at < sql.length; at++) {
    if (sql.startsWith("/*", at)) {
      depth += 1;
      at += 1;
    } else if (sql.startsWith("*/", at)) {
      depth -= 1;
      at += 1;
      if (depth === 0) return at + 1;
    }
  }
  return undefined;
}

function readToken(sql: string, start: number): Token | undefined {
  const make = (kind: TokenKind, end: number | undefined): Token | undefined =>
    end === undefined ? undefined : { kind, text: sql.slice(start, end), start, end };
  const first = sql[start] as string;
  if (first === "'") return make("string", quotedEnd(sql, start, "'", false));
  if (first === '"') return make("quoted-word", quotedEnd(sql, start, '"', false));
  if (first === "$") return readDollar(sql, start, make);
  if (/[0-9]/.test(first) || (first === "." && /[0-9]/.test(sql[start + 1] ?? "")))
    return make("number", numberEnd(sql, start));
  if (/[\p{L}_]/u.test(first) || first.charCodeAt(0) > 0x7f) return readWord(sql, start, make);
  if (OPERATOR_CHARACTERS.includes(first)) return make("operator", operatorEnd(sql, start));
  return make("punctuation", start + 1);
}

type Make = (kind: TokenKind, end: number | undefined) => Token | undefined;

/** Words, and the prefixed strings E'..', B'..', X'..', N'..', U&'..', U&"..". */
function readWord(sql: string, start: number, make: Make): Token | undefined {
  const prefix = /^(?:[eEbBxXnN]'|[uU]&['"])/.exec(sql.slice(start, start + 3))?.[0];
  if (prefix !== undefined) {
    const quote = prefix.at(-1) as string;
    const end = quotedEnd(sql, start + prefix.length - 1, quote, /^[eE]/.test(prefix));
    return make(quote === "'" ? "special-string" : "quoted-word", end);
  }
  let end = start + 1;
  while (end < sql.length && /[\p{L}\p{N}_$]/u.test(sql[end] as string)) end += 1;
  // Surrogate pairs are letters to PostgreSQL whatever they are to Unicode.
  while (end < sql.length && sql.charCodeAt(end) > 0x7f) end += 1;
  return make("word", end);
}

/** End behind the closing quote; doubled quotes are part of the literal, and in E'' strings backslashes protect. */
function quotedEnd(sql: string, open: number, quote: string, hasEscapes: boolean): number | undefined {
  for (let at = open + 1; at < sql.length; at++) {
    const sign = sql[at];
    if (hasEscapes && sign === "\\") at += 1;
    else if (sign === quote) {
      if (sql[at + 1] !== quote) return at + 1;
      at += 1;
    }
  }
  return undefined;
}

function readDollar(sql: string, start: number, make: Make): Token | undefined {
  const parameter = /^\$[0-9]+/.exec(sql.slice(start, start + 8));
  if (parameter !== null) return make("parameter", start + parameter[0].length);
  const tag = /^\$(?:[\p{L}_][\p{L}\p{N}_]*)?\$/u.exec(sql.slice(start, start + 70))?.[0];
  if (tag === undefined) return make("punctuation", start + 1);
  const close = sql.indexOf(tag, start + tag.length);
  return make("special-string", close < 0 ? undefined : close + tag.length);
}

function numberEnd(sql: string, start: number): number {
  const match = /^(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?/.exec(sql.slice(start, start + 400));
  return start + (match?.[0].length ?? 1);
}

function operatorEnd(sql: string, start: number): number {
  let end = start + 1;
  while (end < sql.length && OPERATOR_CHARACTERS.includes(sql[end] as string)) {
    if (sql.startsWith("--", end) || sql.startsWith("/*", end)) break;
    end += 1;
  }
  // A sign before a number is an operator of its own: `=-5` reads as `=` and `-`, as PostgreSQL's scanner cuts it.
  const text = sql.slice(start, end);
  if (end - start > 1 && /[+-]$/.test(text) && !/[~!@#%^&|`?]/.test(text))
    return start + text.replace(/[+-]+$/, "").length || start + 1;
  return end;
}
