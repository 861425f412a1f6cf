// SQL text -> parse tree, by PostgreSQL's own grammar (libpg-query, compiled to WASM). Synchronous after one
// `await initParser()` per thread. Trees are shared between callers through a cache by text: nobody may write to them.
//
// Errors carry PostgreSQL's text, SQLSTATE and 1-based character position. Cost: about 50 us for a short statement and
// roughly in proportion to the text; whoever has bulk data sends it by COPY or as parameters.
import { loadModule, parseSync } from "libpg-query";
import { SqlError, SqlState } from "../common/error.ts";
import { denyNewSyntax } from "./deny-list.ts";
import { offsetMap, translateOffsets } from "./positions.ts";
import type { Node, RawStatement } from "./tree.ts";

/** Deepest nesting of brackets we hand to the grammar: its stack and ours are both finite. */
export const MAX_PARSE_DEPTH = 1000;
/** Statements kept parsed; at most MAX_CACHED_CHARACTERS of text in all, and none longer than MAX_CACHED_STATEMENT. */
const MAX_CACHED_STATEMENTS = 1000;
const MAX_CACHED_CHARACTERS = 4 * 1024 * 1024;
const MAX_CACHED_STATEMENT = 64 * 1024;

let isReady = false;

/** Loads the grammar; once per thread, before the first `parse`. */
export async function initParser(): Promise<void> {
  await loadModule();
  isReady = true;
}

class ParseCache {
  #entries = new Map<string, readonly RawStatement[]>();
  #characters = 0;

  get(text: string): readonly RawStatement[] | undefined {
    const found = this.#entries.get(text);
    if (found !== undefined) {
      // Map keeps insertion order: re-inserting makes the first key the least recently used.
      this.#entries.delete(text);
      this.#entries.set(text, found);
    }
    return found;
  }

  set(text: string, statements: readonly RawStatement[]): void {
    if (text.length > MAX_CACHED_STATEMENT) return;
    this.#entries.set(text, statements);
    this.#characters += text.length;
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= MAX_CACHED_STATEMENTS && this.#characters <= MAX_CACHED_CHARACTERS) break;
      this.#entries.delete(oldest);
      this.#characters -= oldest.length;
    }
  }
}

const cache = new ParseCache();

/**
 * The statements of a query string. Positions in the trees are 0-based character offsets into `sql`; positionOf() makes
 * them the 1-based ones of an ErrorResponse. Throws SqlError 42601 (syntax) and 54001 (nested too deep).
 */
export function parse(sql: string): readonly RawStatement[] {
  const cached = cache.get(sql);
  if (cached !== undefined) return cached;
  if (!isReady) throw new Error("initParser() has not finished on this thread");
  if (bracketDepth(sql) > MAX_PARSE_DEPTH) throw tooDeep();
  const tree = runGrammar(sql);
  denyNewSyntax(tree.stmts, sql);
  const map = offsetMap(sql);
  translateOffsets(tree.stmts, map);
  const totalBytes = map.toUnit(Number.MAX_SAFE_INTEGER) === Number.MAX_SAFE_INTEGER ? sql.length : undefined;
  const statements = (tree.stmts ?? []).map((raw): RawStatement => {
    const startByte = raw.stmt_location ?? 0;
    const length = raw.stmt_len ?? 0;
    const endByte = length > 0 ? startByte + length : (totalBytes ?? Number.MAX_SAFE_INTEGER);
    const location = map.toCharacter(startByte);
    return {
      node: raw.stmt as Node,
      text: sql.slice(map.toUnit(startByte), map.toUnit(endByte)).trim(),
      location,
      length: map.toCharacter(endByte) - location,
    };
  });
  cache.set(sql, statements);
  return statements;
}

interface GrammarResult {
  readonly stmts?: readonly {
    readonly stmt?: unknown;
    readonly stmt_location?: number;
    readonly stmt_len?: number;
  }[];
}

function runGrammar(sql: string): GrammarResult {
  // The WASM side takes a NUL-terminated string and refuses text without a token.
  if (!/\S/.test(sql)) return {};
  try {
    return parseSync(sql);
  } catch (error) {
    throw grammarError(error);
  }
}

function grammarError(thrown: unknown): unknown {
  if (thrown instanceof RangeError) return tooDeep();
  if (!(thrown instanceof Error)) return thrown;
  const details = (thrown as { sqlDetails?: { cursorPosition?: number } }).sqlDetails;
  if (details === undefined) return thrown;
  if (/memory exhausted|stack depth/i.test(thrown.message)) return tooDeep();
  const cursor = details.cursorPosition ?? -1;
  return new SqlError(stateOf(thrown.message), thrown.message, {
    position: cursor >= 0 ? cursor + 1 : undefined,
  });
}

/** libpg-query hands over the message without its SQLSTATE; nearly all of them are plain syntax errors. */
function stateOf(message: string): string {
  if (/invalid Unicode escape|invalid Unicode surrogate|invalid escape string/i.test(message)) {
    return SqlState.invalidEscapeSequence;
  }
  if (/not (yet )?implemented|not supported$/i.test(message) && !/LIMIT #,#/.test(message)) {
    return SqlState.featureNotSupported;
  }
  if (/too long/.test(message)) return SqlState.nameTooLong;
  return SqlState.syntaxError;
}

/** Nesting of ( and [ as an upper bound: signs inside strings and comments count too, which only errs for absurd texts. */
function bracketDepth(sql: string): number {
  let depth = 0;
  let deepest = 0;
  for (let i = 0; i < sql.length; i++) {
    const code = sql.charCodeAt(i);
    if (code === 0x28 || code === 0x5b) deepest = Math.max(deepest, ++depth);
    else if ((code === 0x29 || code === 0x5d) && depth > 0) depth -= 1;
    else if (code === 0x27) i = skipQuoted(sql, i);
  }
  return deepest;
}

function skipQuoted(sql: string, open: number): number {
  const close = sql.indexOf("'", open + 1);
  return close < 0 ? sql.length : close;
}

function tooDeep(): SqlError {
  return new SqlError(SqlState.statementTooComplex, "stack depth limit exceeded", {
    hint: "Simplify the statement: it nests deeper than this server can follow.",
  });
}
