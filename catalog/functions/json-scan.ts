// Finds the parts of a json text without changing them: `->` on json must give the very characters of the member, blanks
// and number forms included. The text is known to be valid JSON (the type's input function saw to it).
import { parseJson } from "../../common/types/json-text.ts";

export interface JsonMember {
  readonly key: string;
  /** The member's own text, without surrounding blanks. */
  readonly text: string;
}

export type JsonKind = "object" | "array" | "string" | "number" | "boolean" | "null";

export function jsonKind(text: string): JsonKind {
  switch (text[skipBlanks(text, 0)]) {
    case "{":
      return "object";
    case "[":
      return "array";
    case '"':
      return "string";
    case "t":
    case "f":
      return "boolean";
    case "n":
      return "null";
    default:
      return "number";
  }
}

function skipBlanks(text: string, at: number): number {
  let position = at;
  while (position < text.length && /[ \t\n\r]/.test(text[position] as string)) position += 1;
  return position;
}

/** Position behind the value that starts at `at`. */
function valueEnd(text: string, at: number): number {
  const first = text[at];
  if (first === '"') return stringEnd(text, at);
  if (first !== "{" && first !== "[") {
    let end = at;
    while (end < text.length && !/[,\]}\s]/.test(text[end] as string)) end += 1;
    return end;
  }
  let depth = 0;
  for (let i = at; i < text.length; i++) {
    const symbol = text[i];
    if (symbol === '"') i = stringEnd(text, i) - 1;
    else if (symbol === "{" || symbol === "[") depth += 1;
    else if (symbol === "}" || symbol === "]") {
      depth -= 1;
      if (depth === 0) return i + 1;
    }
  }
  return text.length;
}

function stringEnd(text: string, at: number): number {
  let end = at + 1;
  while (end < text.length && text[end] !== '"') end += text[end] === "\\" ? 2 : 1;
  return end + 1;
}

/** Members of an object in their order, duplicates included. */
export function* objectMembers(text: string): Generator<JsonMember> {
  let at = skipBlanks(text, skipBlanks(text, 0) + 1);
  while (text[at] === '"') {
    const keyEnd = stringEnd(text, at);
    const key = decodeString(text.slice(at, keyEnd));
    const start = skipBlanks(text, skipBlanks(text, keyEnd) + 1);
    const end = valueEnd(text, start);
    yield { key, text: text.slice(start, end) };
    at = skipBlanks(text, end);
    if (text[at] !== ",") return;
    at = skipBlanks(text, at + 1);
  }
}

export function* arrayElements(text: string): Generator<string> {
  let at = skipBlanks(text, skipBlanks(text, 0) + 1);
  while (at < text.length && text[at] !== "]") {
    const end = valueEnd(text, at);
    yield text.slice(at, end);
    at = skipBlanks(text, end);
    if (text[at] !== ",") return;
    at = skipBlanks(text, at + 1);
  }
}

/** A string literal's value. */
export function decodeString(literal: string): string {
  return literal.includes("\\") ? (parseJson(literal) as string) : literal.slice(1, -1);
}

/** Text of a member as `->>` shows it: strings decoded, null = NULL, everything else as written. */
export function memberText(text: string): string | null {
  const trimmed = text.trim();
  if (trimmed === "null") return null;
  return trimmed.startsWith('"') ? decodeString(trimmed) : trimmed;
}

/** The member of an object (the last of equal keys) or the element of an array; undefined = none. */
export function member(text: string, key: string): string | undefined {
  if (jsonKind(text) !== "object") return undefined;
  let found: string | undefined;
  for (const item of objectMembers(text)) if (item.key === key) found = item.text;
  return found;
}

/** Element by position from 0, or from the end when negative. */
export function element(text: string, index: number): string | undefined {
  if (jsonKind(text) !== "array") return undefined;
  const elements = [...arrayElements(text)];
  return elements[index < 0 ? elements.length + index : index];
}
