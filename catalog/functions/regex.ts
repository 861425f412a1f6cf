// ~, regexp_match and its family, SIMILAR TO: bodies over the translated pattern (regex-syntax.ts) and the engine behind
// regex-engine.ts.
import { SqlError, SqlState } from "../../common/error.ts";
import { SqlArray } from "../../common/types/array.ts";
import { Oid } from "../../common/types/oid.ts";
import { characterCount, charactersOf } from "../../common/types/text.ts";
import type { Datum } from "../../common/types/type.ts";
import { type BodyTable, binary, setReturning, ternary, unary, variadic } from "./body.ts";
import type { FunctionBody } from "./function.ts";
import { invalidEscape } from "./like.ts";
import { type CompiledRegex, compiledRegex } from "./regex-engine.ts";
import { applyFlag, defaultOptions, translateRegex } from "./regex-syntax.ts";

interface Regex {
  readonly compiled: CompiledRegex;
  readonly groupCount: number;
  readonly isGlobal: boolean;
}

const MAX_CACHED_PATTERNS = 128;
const cache = new Map<string, Regex>();

function regexOf(pattern: string, flags: string): Regex {
  const key = `${flags}/${pattern}`;
  let regex = cache.get(key);
  if (regex === undefined) {
    const options = defaultOptions();
    let isGlobal = false;
    for (const flag of flags) {
      if (flag === "g") isGlobal = true;
      else if (!applyFlag(options, flag)) {
        throw new SqlError(SqlState.invalidParameterValue, `invalid regular expression option: "${flag}"`);
      }
    }
    const source = translateRegex(pattern, options);
    regex = {
      compiled: compiledRegex(source.pattern, source.caseInsensitive),
      groupCount: source.groupCount,
      isGlobal,
    };
    if (cache.size >= MAX_CACHED_PATTERNS) cache.clear();
    cache.set(key, regex);
  }
  return regex;
}

/** For functions that find one match: `g` belongs to another function. */
function singleMatch(pattern: string, flags: string, name: string, hint?: string): Regex {
  const regex = regexOf(pattern, flags);
  if (regex.isGlobal) {
    throw new SqlError(SqlState.invalidParameterValue, `${name}() does not support the "global" option`, {
      hint,
    });
  }
  return regex;
}

function test(flags: string, negated: boolean): FunctionBody {
  return binary<string, string>((text, pattern) => regexOf(pattern, flags).compiled.test(text) !== negated);
}

/** Successive matches; an empty one moves on by a character. */
function* matches(regex: Regex, text: string, from = 0): Generator<Int32Array> {
  let at = from;
  while (at <= text.length) {
    const match = regex.compiled.exec(text, at);
    if (match === undefined) return;
    yield match;
    const [start, end] = [match[0] as number, match[1] as number];
    at = end > start ? end : end + (isHighSurrogate(text, end) ? 2 : 1);
  }
}

function isHighSurrogate(text: string, at: number): boolean {
  const unit = text.charCodeAt(at);
  return unit >= 0xd800 && unit <= 0xdbff;
}

function groupText(text: string, match: Int32Array, group: number): string | null {
  const start = match[2 * group];
  return start === undefined || start < 0 ? null : text.slice(start, match[2 * group + 1]);
}

/** The groups of a match, or the whole match where there are none. */
function matchArray(text: string, match: Int32Array, regex: Regex): SqlArray {
  if (regex.groupCount === 0) return SqlArray.of(Oid.text, [groupText(text, match, 0)]);
  return SqlArray.of(
    Oid.text,
    Array.from({ length: regex.groupCount }, (_, i) => groupText(text, match, i + 1)),
  );
}

function regexpMatch(text: string, pattern: string, flags: string): Datum {
  const regex = singleMatch(pattern, flags, "regexp_match", "Use the regexp_matches function instead.");
  const match = regex.compiled.exec(text, 0);
  return match === undefined ? null : matchArray(text, match, regex);
}

function* regexpMatches(text: string, pattern: string, flags: string): Generator<Datum> {
  const regex = regexOf(pattern, flags);
  for (const match of matches(regex, text)) {
    yield matchArray(text, match, regex);
    if (!regex.isGlobal) return;
  }
}

/** \1 .. \9 groups, \& the whole match, \\ a backslash; anything else after a backslash stays as it is. */
function expand(replacement: string, text: string, match: Int32Array): string {
  if (!replacement.includes("\\")) return replacement;
  return replacement.replace(/\\([1-9&\\])/g, (_whole, kind: string) => {
    if (kind === "\\") return "\\";
    return groupText(text, match, kind === "&" ? 0 : Number(kind)) ?? "";
  });
}

/** `which`: 0 = all matches, n = only the nth. */
function replace(text: string, regex: Regex, replacement: string, from: number, which: number): string {
  let out = "";
  let at = 0;
  let count = 0;
  for (const match of matches(regex, text, from)) {
    count += 1;
    if (which !== 0 && count < which) continue;
    out += text.slice(at, match[0]) + expand(replacement, text, match);
    at = match[1] as number;
    if (which !== 0) break;
  }
  return out + text.slice(at);
}

/** UTF-16 index of a character position from 1. */
function startIndex(text: string, start: number): number {
  if (start < 1) throw invalidParameter("start", start);
  let at = 0;
  for (let i = 1; i < start && at < text.length; i++) at += isHighSurrogate(text, at) ? 2 : 1;
  return start - 1 > characterCount(text) ? text.length + 1 : at;
}

function invalidParameter(name: string, value: number): SqlError {
  return new SqlError(SqlState.invalidParameterValue, `invalid value for parameter "${name}": ${value}`);
}

function split(text: string, pattern: string, flags: string, name: string): string[] {
  const regex = singleMatch(pattern, flags, name);
  const parts: string[] = [];
  let at = 0;
  let previousEnd = 0;
  for (const match of matches(regex, text)) {
    const [start, end] = [match[0] as number, match[1] as number];
    // Matches at the very end, and empty ones at the start or right after another match, split nothing off.
    if (start < text.length && end > previousEnd) {
      parts.push(text.slice(at, start));
      at = end;
    }
    previousEnd = end;
  }
  parts.push(text.slice(at));
  return parts;
}

function nthMatch(text: string, regex: Regex, from: number, n: number): Int32Array | undefined {
  let count = 0;
  for (const match of matches(regex, text, from)) {
    count += 1;
    if (count === n) return match;
  }
  return undefined;
}

const at = <T extends Datum>(args: readonly Datum[], index: number, fallback: T): T =>
  (args[index] ?? fallback) as T;

function instr(args: readonly Datum[]): Datum {
  const text = args[0] as string;
  const start = at(args, 2, 1);
  const n = at(args, 3, 1);
  const endOption = at(args, 4, 0);
  const group = at(args, 6, 0);
  const from = startIndex(text, start);
  if (n < 1) throw invalidParameter("n", n);
  if (endOption !== 0 && endOption !== 1) throw invalidParameter("endoption", endOption);
  if (group < 0) throw invalidParameter("subexpr", group);
  const regex = singleMatch(args[1] as string, at(args, 5, ""), "regexp_instr");
  const match = nthMatch(text, regex, from, n);
  const position = group > regex.groupCount ? -1 : match?.[2 * group + endOption];
  return position === undefined || position < 0 ? 0 : characterCount(text.slice(0, position)) + 1;
}

function substr(args: readonly Datum[]): Datum {
  const text = args[0] as string;
  const from = startIndex(text, at(args, 2, 1));
  const n = at(args, 3, 1);
  const group = at(args, 5, 0);
  if (n < 1) throw invalidParameter("n", n);
  if (group < 0) throw invalidParameter("subexpr", group);
  const regex = singleMatch(args[1] as string, at(args, 4, ""), "regexp_substr");
  const match = nthMatch(text, regex, from, n);
  return match === undefined || group > regex.groupCount ? null : groupText(text, match, group);
}

function count(args: readonly Datum[]): Datum {
  const text = args[0] as string;
  const from = startIndex(text, at(args, 2, 1));
  const regex = singleMatch(args[1] as string, at(args, 3, ""), "regexp_count");
  let total = 0;
  for (const _match of matches(regex, text, from)) total += 1;
  return total;
}

function replaceExtended(args: readonly Datum[]): Datum {
  const text = args[0] as string;
  const from = startIndex(text, args[3] as number);
  const given = args[4] as number | undefined;
  if (given !== undefined && given < 0) throw invalidParameter("n", given);
  const regex = regexOf(args[1] as string, at(args, 5, ""));
  const n = given ?? (regex.isGlobal ? 0 : 1);
  return replace(text, regex, args[2] as string, from, n);
}

/** Flags of regexp_replace: a digit there means the caller wanted a start position. */
function replaceWithFlags(args: readonly Datum[]): Datum {
  const flags = args[3] as string;
  if (/^\d/.test(flags)) {
    throw new SqlError(
      SqlState.invalidParameterValue,
      `invalid regular expression option: "${flags.charAt(0)}"`,
      {
        hint: "If you meant to use regexp_replace() with a start parameter, cast the fourth argument to integer explicitly.",
      },
    );
  }
  const regex = regexOf(args[1] as string, flags);
  return replace(args[0] as string, regex, args[2] as string, 0, regex.isGlobal ? 0 : 1);
}

/** SIMILAR TO's pattern as an ARE: % and _ as in LIKE, | * + ? {} () [] as in regular expressions, all of the text. */
function similarToRegex(pattern: string, escape: string | undefined): string {
  if (escape !== undefined && charactersOf(escape).length > 1) throw invalidEscape();
  const escapeSymbol = escape ?? "\\";
  let out = "";
  let isEscaped = false;
  let isInBracket = false;
  for (const symbol of pattern) {
    if (isEscaped) {
      // Any character may be escaped, which also lets the ARE's own classes such as \d through.
      out += `\\${symbol}`;
      isEscaped = false;
    } else if (escapeSymbol !== "" && symbol === escapeSymbol) isEscaped = true;
    else if (isInBracket) {
      if (symbol === "\\") out += "\\";
      out += symbol;
      if (symbol === "]") isInBracket = false;
    } else if (symbol === "[") {
      out += symbol;
      isInBracket = true;
    } else if (symbol === "%") out += ".*";
    else if (symbol === "_") out += ".";
    else if (symbol === "(") out += "(?:";
    else out += /[\\.^$]/.test(symbol) ? `\\${symbol}` : symbol;
  }
  return `^(?:${out})$`;
}

const noFlags = (args: readonly Datum[]): [string, string] => [args[0] as string, args[1] as string];

export const regexFunctions: BodyTable = {
  textregexeq: test("", false),
  textregexne: test("", true),
  texticregexeq: test("i", false),
  texticregexne: test("i", true),
  nameregexeq: test("", false),
  nameregexne: test("", true),
  nameicregexeq: test("i", false),
  nameicregexne: test("i", true),
  regexp_like: ternary<string, string, string>((text, pattern, flags) =>
    singleMatch(pattern, flags, "regexp_like").compiled.test(text),
  ),
  regexp_like_no_flags: test("", false),
  regexp_match: ternary<string, string, string>(regexpMatch),
  regexp_match_no_flags: binary<string, string>((text, pattern) => regexpMatch(text, pattern, "")),
  regexp_matches: setReturning((args) => regexpMatches(...noFlags(args), args[2] as string)),
  regexp_matches_no_flags: setReturning((args) => regexpMatches(...noFlags(args), "")),
  regexp_split_to_array: ternary<string, string, string>((text, pattern, flags) =>
    SqlArray.of(Oid.text, split(text, pattern, flags, "regexp_split_to_array")),
  ),
  regexp_split_to_array_no_flags: binary<string, string>((text, pattern) =>
    SqlArray.of(Oid.text, split(text, pattern, "", "regexp_split_to_array")),
  ),
  regexp_split_to_table: setReturning((args) =>
    split(...noFlags(args), args[2] as string, "regexp_split_to_table"),
  ),
  regexp_split_to_table_no_flags: setReturning((args) =>
    split(...noFlags(args), "", "regexp_split_to_table"),
  ),
  textregexsubstr: binary<string, string>((text, pattern) => {
    const regex = regexOf(pattern, "");
    const match = regex.compiled.exec(text, 0);
    return match === undefined ? null : groupText(text, match, regex.groupCount > 0 ? 1 : 0);
  }),
  textregexreplace_noopt: ternary<string, string, string>((text, pattern, replacement) =>
    replace(text, regexOf(pattern, ""), replacement, 0, 1),
  ),
  textregexreplace: variadic(replaceWithFlags),
  textregexreplace_extended: variadic(replaceExtended),
  textregexreplace_extended_no_flags: variadic(replaceExtended),
  textregexreplace_extended_no_n: variadic(replaceExtended),
  regexp_count: variadic(count),
  regexp_count_no_flags: variadic(count),
  regexp_count_no_start: variadic(count),
  regexp_instr: variadic(instr),
  regexp_instr_no_endoption: variadic(instr),
  regexp_instr_no_flags: variadic(instr),
  regexp_instr_no_n: variadic(instr),
  regexp_instr_no_start: variadic(instr),
  regexp_instr_no_subexpr: variadic(instr),
  regexp_substr: variadic(substr),
  regexp_substr_no_flags: variadic(substr),
  regexp_substr_no_n: variadic(substr),
  regexp_substr_no_start: variadic(substr),
  regexp_substr_no_subexpr: variadic(substr),
  similar_to_escape_1: unary<string>((pattern) => similarToRegex(pattern, undefined)),
  similar_to_escape_2: binary<string, string>(similarToRegex),
  similar_escape: binary<string | null, string | null>((pattern, escape) =>
    pattern === null ? null : similarToRegex(pattern, escape ?? undefined),
  ),
  "sql:substring:25,25,25": ternary<string, string, string>((text, pattern, escape) =>
    similarSubstring(text, pattern, escape),
  ),
};

/** substring(text SIMILAR pattern ESCAPE '#'): the part between #" and #". */
function similarSubstring(text: string, pattern: string, escape: string): Datum {
  const parts = pattern.split(`${escape}"`);
  if (parts.length !== 3 && parts.length !== 1) {
    throw new SqlError(
      "2200C",
      "SQL regular expression may not contain more than two escape-double-quote separators",
    );
  }
  const inner = (part: string): string => similarToRegex(part, escape).slice(1, -1);
  const source =
    parts.length === 1
      ? `^(${inner(pattern)})$`
      : `^${inner(parts[0] as string)}(${inner(parts[1] as string)})${inner(parts[2] as string)}$`;
  const regex = regexOf(source, "");
  const match = regex.compiled.exec(text, 0);
  return match === undefined ? null : groupText(text, match, 1);
}
