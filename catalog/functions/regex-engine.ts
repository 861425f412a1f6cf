// The seam behind regular expressions: an engine compiles translated patterns. Start-up puts the native linear-time engine
// in; without it (embedded use without the addon, unit tests) JavaScript's own backtracking engine runs the same patterns.
import { SqlError, SqlState } from "../../common/error.ts";

export interface CompiledRegex {
  test(text: string): boolean;
  /** UTF-16 positions [start, end) of the first match at or after `from` and of its groups, -1 where a group did not match. */
  exec(text: string, from: number): Int32Array | undefined;
}

export interface RegexEngine {
  /** `pattern` in the syntax regex-syntax.ts writes. Throws 2201B. */
  compile(pattern: string, caseInsensitive: boolean): CompiledRegex;
}

const javascriptEngine: RegexEngine = {
  compile(pattern, caseInsensitive) {
    const source = pattern
      .replaceAll("(?m:^)", "(?<![^\\n])")
      .replaceAll("(?m:$)", "(?![^\\n])")
      .replaceAll("\\b{start}", "\\b(?=\\w)")
      .replaceAll("\\b{end}", "\\b(?<=\\w)")
      .replace(/\\([&~])/g, "$1");
    let regex: RegExp;
    try {
      regex = new RegExp(source, `dgu${caseInsensitive ? "i" : ""}`);
    } catch (error) {
      throw new SqlError(
        SqlState.invalidRegularExpression,
        `invalid regular expression: ${(error as Error).message}`,
      );
    }
    const exec = (text: string, from: number): Int32Array | undefined => {
      regex.lastIndex = from;
      const match = regex.exec(text);
      if (match === null) return undefined;
      return Int32Array.from(
        (match.indices as (readonly [number, number] | undefined)[]).flatMap((pair) => pair ?? [-1, -1]),
      );
    };
    return { test: (text) => exec(text, 0) !== undefined, exec };
  },
};

let engine = javascriptEngine;
const MAX_CACHED_REGEXES = 128;
const cache = new Map<string, CompiledRegex>();

/** For start-up only. */
export function setRegexEngine(replacement: RegexEngine): void {
  engine = replacement;
  cache.clear();
}

/** Compiles or remembers. */
export function compiledRegex(pattern: string, caseInsensitive: boolean): CompiledRegex {
  const key = `${caseInsensitive ? "i" : "c"}${pattern}`;
  let compiled = cache.get(key);
  if (compiled === undefined) {
    compiled = engine.compile(pattern, caseInsensitive);
    if (cache.size >= MAX_CACHED_REGEXES) cache.clear();
    cache.set(key, compiled);
  }
  return compiled;
}
