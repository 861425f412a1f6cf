// LIKE and ILIKE. A pattern is compiled once and remembered; most are a prefix, a suffix, a part or plain equality and never
// reach the general matcher. Over a text column with a constant pattern those four compare UTF-8 bytes, without strings.
// The general matcher is the usual two-pointer one: on a mismatch go back to the last %, so time is at most text x pattern.
import { BoolVector, type TextVector, type Vector } from "../../common/batch/vector.ts";
import { SqlError, SqlState } from "../../common/error.ts";
import { charactersOf } from "../../common/types/text.ts";
import { nullConstant } from "./batch.ts";
import { type BodyTable, binary } from "./body.ts";
import type { FunctionBody, ScalarBody } from "./function.ts";
import { lower } from "./text.ts";

type Shape = "equal" | "prefix" | "suffix" | "part" | "general";

export interface LikePattern {
  readonly shape: Shape;
  /** The text of the four simple shapes. */
  readonly text: string;
  /** One token a character: a literal, ANY_RUN for %, ANY_ONE for _. */
  readonly tokens: readonly (string | typeof ANY_RUN | typeof ANY_ONE)[];
}

const ANY_RUN = Symbol("%");
const ANY_ONE = Symbol("_");
const MAX_CACHED_PATTERNS = 256;
const cache = new Map<string, LikePattern>();

export function likePattern(pattern: string): LikePattern {
  let compiled = cache.get(pattern);
  if (compiled === undefined) {
    compiled = compile(pattern);
    if (cache.size >= MAX_CACHED_PATTERNS) cache.clear();
    cache.set(pattern, compiled);
  }
  return compiled;
}

function compile(pattern: string): LikePattern {
  const tokens: (string | typeof ANY_RUN | typeof ANY_ONE)[] = [];
  let isEscaped = false;
  for (const symbol of pattern) {
    if (isEscaped) {
      tokens.push(symbol);
      isEscaped = false;
    } else if (symbol === "\\") isEscaped = true;
    else if (symbol === "%") {
      if (tokens.at(-1) !== ANY_RUN) tokens.push(ANY_RUN);
    } else tokens.push(symbol === "_" ? ANY_ONE : symbol);
  }
  if (isEscaped)
    throw new SqlError(SqlState.invalidEscapeSequence, "LIKE pattern must not end with escape character");
  const inner = tokens.slice(
    tokens[0] === ANY_RUN ? 1 : 0,
    tokens.length > 1 && tokens.at(-1) === ANY_RUN ? -1 : undefined,
  );
  const isSimple = inner.every((token) => typeof token === "string");
  if (!isSimple) return { shape: "general", text: "", tokens };
  const startsOpen = tokens[0] === ANY_RUN;
  const endsOpen = tokens.at(-1) === ANY_RUN;
  const shape = startsOpen ? (endsOpen ? "part" : "suffix") : endsOpen ? "prefix" : "equal";
  return { shape, text: inner.join(""), tokens };
}

export function matchesLike(text: string, pattern: LikePattern): boolean {
  switch (pattern.shape) {
    case "equal":
      return text === pattern.text;
    case "prefix":
      return text.startsWith(pattern.text);
    case "suffix":
      return text.endsWith(pattern.text);
    case "part":
      return text.includes(pattern.text);
    case "general":
      return matchGeneral(charactersOf(text), pattern.tokens);
  }
}

function matchGeneral(text: readonly string[], tokens: LikePattern["tokens"]): boolean {
  let t = 0;
  let p = 0;
  let lastRun = -1;
  let runStart = 0;
  while (t < text.length) {
    const token = tokens[p];
    if (token === ANY_RUN) {
      lastRun = p++;
      runStart = t;
    } else if (token === ANY_ONE || (token !== undefined && token === text[t])) {
      t++;
      p++;
    } else if (lastRun >= 0) {
      p = lastRun + 1;
      t = ++runStart;
    } else return false;
  }
  while (tokens[p] === ANY_RUN) p++;
  return p === tokens.length;
}

/** Bytes of a column against one of the simple shapes. */
function matchColumn(column: TextVector, pattern: LikePattern, out: Uint8Array): void {
  const wanted = Buffer.from(pattern.text);
  const { offsets, bytes } = column;
  if (pattern.shape === "part") return markParts(column, wanted, out);
  for (let row = 0; row < column.length; row++) {
    const start = offsets[row] as number;
    const length = (offsets[row + 1] as number) - start;
    if (pattern.shape === "equal" ? length !== wanted.length : length < wanted.length) continue;
    const at = pattern.shape === "suffix" ? start + length - wanted.length : start;
    let i = 0;
    while (i < wanted.length && bytes[at + i] === wanted[i]) i++;
    out[row] = i === wanted.length ? 1 : 0;
  }
}

/** One search through the whole block of bytes; hits that cross a row's end do not count. */
function markParts(column: TextVector, wanted: Buffer, out: Uint8Array): void {
  const { offsets, bytes, length } = column;
  if (wanted.length === 0) {
    out.fill(1, 0, length);
    return;
  }
  const block = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  let row = 0;
  let at = block.indexOf(wanted, offsets[0]);
  while (at >= 0 && row < length) {
    while (row < length && (offsets[row + 1] as number) <= at) row++;
    if (row === length) return;
    const end = offsets[row + 1] as number;
    if (at + wanted.length <= end) {
      out[row] = 1;
      at = block.indexOf(wanted, end);
      row++;
    } else at = block.indexOf(wanted, at + 1);
  }
}

function likeBatch(negated: boolean): NonNullable<ScalarBody["batch"]> {
  return (args, rowCount): Vector | undefined => {
    const absent = nullConstant(args, rowCount);
    if (absent !== undefined) return absent;
    const [column, pattern] = args;
    if (column?.kind !== "text" || pattern?.kind !== "constant") return undefined;
    const compiled = likePattern(pattern.value as string);
    const out = new Uint8Array(rowCount);
    if (compiled.shape === "general") {
      for (let row = 0; row < rowCount; row++) {
        const text = column.get(row);
        out[row] = text !== null && matchesLike(text, compiled) ? 1 : 0;
      }
    } else matchColumn(column, compiled, out);
    if (negated) for (let row = 0; row < rowCount; row++) out[row] = 1 - (out[row] as number);
    return new BoolVector(out, column.nulls, rowCount);
  };
}

function like(negated: boolean): FunctionBody {
  return {
    ...binary<string, string>((text, pattern) => matchesLike(text, likePattern(pattern)) !== negated),
    batch: likeBatch(negated),
  };
}

function ilike(negated: boolean): FunctionBody {
  return binary<string, string>(
    (text, pattern) => matchesLike(lower(text), likePattern(lower(pattern))) !== negated,
  );
}

/** Bytes as Latin-1 characters: LIKE on bytea compares bytes. */
function byteLike(negated: boolean): FunctionBody {
  const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");
  return binary<Uint8Array, Uint8Array>(
    (bytes, pattern) => matchesLike(latin1(bytes), likePattern(latin1(pattern))) !== negated,
  );
}

/** LIKE ... ESCAPE: rewrites the pattern to use a backslash. */
function likeEscape(pattern: string, escape: string): string {
  if (escape === "") return pattern.replaceAll("\\", "\\\\");
  if (charactersOf(escape).length > 1) throw invalidEscape();
  if (escape === "\\") return pattern;
  let out = "";
  let isEscaped = false;
  for (const symbol of pattern) {
    if (isEscaped) {
      out += `\\${symbol}`;
      isEscaped = false;
    } else if (symbol === escape) isEscaped = true;
    else out += symbol === "\\" ? "\\\\" : symbol;
  }
  // An escape with nothing behind it stays an error of the match.
  return isEscaped ? `${out}\\` : out;
}

export function invalidEscape(): SqlError {
  return new SqlError(SqlState.invalidEscapeSequence, "invalid escape string", {
    hint: "Escape string must be empty or one character.",
  });
}

export const likeFunctions: BodyTable = {
  textlike: like(false),
  textnlike: like(true),
  namelike: like(false),
  namenlike: like(true),
  texticlike: ilike(false),
  texticnlike: ilike(true),
  nameiclike: ilike(false),
  nameicnlike: ilike(true),
  bytealike: byteLike(false),
  byteanlike: byteLike(true),
  like_escape: binary<string, string>(likeEscape),
  like_escape_bytea: binary<Uint8Array, Uint8Array>(
    (pattern, escape) =>
      new Uint8Array(
        Buffer.from(
          likeEscape(Buffer.from(pattern).toString("latin1"), Buffer.from(escape).toString("latin1")),
          "latin1",
        ),
      ),
  ),
};
