// Statements that differ in their constants only should share a parse tree and a plan. This makes (key, literals) out of a text:
// literals in safe places become $1, $2, ... in the key, which is SQL again and is what gets parsed and planned.
//
// A literal stays in the key where it means more than its value: positions in ORDER BY and GROUP BY, type modifiers
// (varchar(3)), typed and interval literals (date '..', interval '1' day), FETCH FIRST 5, escapes, numbers beyond int4. The
// types of string literals are open (the context decides, as it does for 'literals'), integers are int4, decimals numeric.
//
// The caller plans the key with literalTypes(); where that fails for any reason it plans the exact text instead, so errors
// keep their texts and positions. Only for standard_conforming_strings = on (a string with a backslash is left alone).
import { tokenize, type Token } from "./lexer.ts";

/** Longer texts are mostly bulk VALUES lists, whose keys repeat too rarely to be worth keeping. */
const MAX_NORMALIZED_CHARACTERS = 64 * 1024;
const MAX_LITERALS = 256;

export interface Literal {
  readonly kind: "string" | "int4" | "numeric";
  /** The value's text: quotes taken off. */
  readonly text: string;
}

export interface NormalizedStatement {
  /** SQL with $n in the place of literals. */
  readonly key: string;
  /** By parameter number - 1. */
  readonly literals: readonly Literal[];
}

/** Statements worth it: the ones the planner plans. */
const FIRST_WORDS: ReadonlySet<string> = new Set(["select", "with", "insert", "update", "delete", "values"]);

/** Words after which an expression begins, so that a literal there is a value and nothing else. */
const BEFORE_VALUE: ReadonlySet<string> = new Set([
  "select",
  "where",
  "and",
  "or",
  "not",
  "on",
  "having",
  "when",
  "then",
  "else",
  "case",
  "between",
  "symmetric",
  "like",
  "ilike",
  "returning",
  "limit",
  "offset",
  "from",
  "for",
  "in",
  "all",
]);

/** Words that end an ORDER BY or GROUP BY list at their level. */
const AFTER_BY: ReadonlySet<string> = new Set([
  "having",
  "limit",
  "offset",
  "fetch",
  "for",
  "union",
  "intersect",
  "except",
  "select",
  "where",
  "window",
  "returning",
]);

/** One level of brackets. */
interface Level {
  /** Inside ORDER BY or GROUP BY, where a lone integer is a position. */
  isBy: boolean;
  /** Type modifiers: everything stays. */
  isTypmod: boolean;
}

/** undefined = not worth it or not safe: plan the exact text. */
export function normalize(sql: string): NormalizedStatement | undefined {
  if (sql.length > MAX_NORMALIZED_CHARACTERS) return undefined;
  const tokens = tokenize(sql);
  const first = tokens?.[0];
  if (tokens === undefined || first === undefined || !FIRST_WORDS.has(first.text.toLowerCase()))
    return undefined;
  const found = findLiterals(tokens);
  if (found === undefined || found.length === 0 || found.length > MAX_LITERALS) return undefined;
  return assemble(sql, tokens, found);
}

/** Parameter types for the planner: 0 = infer. */
export function literalTypes(literals: readonly Literal[]): readonly number[] {
  return literals.map((literal) => (literal.kind === "int4" ? 23 : literal.kind === "numeric" ? 1700 : 0));
}

/** The tokens that may become parameters; undefined where the text has something that forbids it. */
function findLiterals(tokens: readonly Token[]): readonly Token[] | undefined {
  const levels: Level[] = [{ isBy: false, isTypmod: false }];
  const found: Token[] = [];
  let isType = false;
  for (const [i, token] of tokens.entries()) {
    const level = levels.at(-1) as Level;
    const previous = tokens[i - 1];
    switch (token.kind) {
      case "parameter":
        // Numbers would have to be shifted around the client's own.
        return undefined;
      case "word": {
        const word = token.text.toLowerCase();
        if (word === "by") level.isBy = true;
        else if (AFTER_BY.has(word)) level.isBy = false;
        if (word === "as") isType = true;
        break;
      }
      case "punctuation":
        if (token.text === "(" || token.text === "[")
          levels.push({ isBy: false, isTypmod: isType && previous?.kind === "word" });
        else if ((token.text === ")" || token.text === "]") && levels.length > 1) levels.pop();
        else if (token.text === ";" && i < tokens.length - 1) return undefined;
        if (token.text !== ".") isType = false;
        break;
      case "operator":
        isType = token.text === "::";
        break;
      case "string":
        // Two strings in a row are one, written over two lines.
        if (previous?.kind === "string" || previous?.kind === "special-string") return undefined;
        if (isValue(token, previous, level)) found.push(token);
        isType = false;
        break;
      case "number":
        if (isValue(token, previous, level)) found.push(token);
        isType = false;
        break;
      default:
        break;
    }
  }
  return found;
}

function isValue(token: Token, previous: Token | undefined, level: Level): boolean {
  if (level.isTypmod || previous === undefined || token.text.includes("\\")) return false;
  if (token.kind === "number" && literalOf(token) === undefined) return false;
  // Directly after BY or a comma of its list a constant is a position (or an error to be reported).
  if (level.isBy && (previous.text === "," || previous.text.toLowerCase() === "by")) return false;
  switch (previous.kind) {
    case "operator":
      return previous.text !== "::";
    case "punctuation":
      return previous.text === "(" || previous.text === "," || previous.text === "[";
    case "word":
      return BEFORE_VALUE.has(previous.text.toLowerCase());
    default:
      return false;
  }
}

const INT4_MAX = 2_147_483_647;

function literalOf(token: Token): Literal | undefined {
  if (token.kind === "string") return { kind: "string", text: token.text.slice(1, -1).replaceAll("''", "'") };
  if (!/^[0-9]+$/.test(token.text)) return { kind: "numeric", text: token.text };
  return token.text.length <= 10 && Number(token.text) <= INT4_MAX
    ? { kind: "int4", text: token.text }
    : undefined;
}

/**
 * Equal literals share a parameter where the planner has to see that two expressions are the same one: under GROUP BY and
 * DISTINCT, and for embeddings, which stand in the select list and in ORDER BY.
 */
function mustShare(token: Token, isGrouped: boolean): boolean {
  return isGrouped || token.text.startsWith("'[") || token.text.length > 24;
}

function assemble(sql: string, tokens: readonly Token[], found: readonly Token[]): NormalizedStatement {
  const isInsert = tokens[0]?.text.toLowerCase() === "insert";
  const isGrouped = tokens.some(
    (token) => token.kind === "word" && /^(group|distinct|by|hybrid_rrf)$/i.test(token.text),
  );
  const literals: Literal[] = [];
  const numbers = new Map<string, number>();
  const parts: string[] = [];
  let from = 0;
  for (const token of found) {
    const literal = literalOf(token);
    if (literal === undefined) continue;
    const shared = isInsert || !mustShare(token, isGrouped) ? undefined : numbers.get(token.text);
    const number = shared ?? literals.push(literal);
    if (shared === undefined) numbers.set(token.text, number);
    parts.push(sql.slice(from, token.start), `$${number}`);
    // A word directly behind a literal would otherwise run into the number.
    if (/^[\p{L}\p{N}_$]/u.test(sql.slice(token.end, token.end + 1))) parts.push(" ");
    from = token.end;
  }
  parts.push(sql.slice(from));
  return { key: parts.join("").trim(), literals };
}
