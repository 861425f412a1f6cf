// Operators and functions that read json (by its text) and jsonb (by its tree): -> ->> #> #>>, each, elements, keys,
// lengths, types, casts from jsonb. Those that change jsonb are in jsonb-edit.ts.
import { SqlError, SqlState } from "../../common/error.ts";
import type { SqlArray } from "../../common/types/array.ts";
import type { JsonNode } from "../../common/types/json-text.ts";
import { isContainer, jsonbText, jsonbTree, sortedKeys } from "../../common/types/jsonb.ts";
import { Numeric } from "../../common/types/numeric.ts";
import type { Datum } from "../../common/types/type.ts";
import { type BodyTable, binary, setReturning, unary, variadic } from "./body.ts";
import type { FunctionBody } from "./function.ts";
import {
  type JsonKind,
  arrayElements,
  element,
  jsonKind,
  member,
  memberText,
  objectMembers,
} from "./json-scan.ts";
import { checkInteger } from "./integer.ts";
import { numericToFloat8, numericToInt8 } from "./numeric.ts";

export type JsonbObject = ReadonlyMap<string, JsonNode>;

export function nodeKind(node: JsonNode): JsonKind {
  if (node === null) return "null";
  if (typeof node === "string") return "string";
  if (typeof node === "boolean") return "boolean";
  if (node instanceof Numeric) return "number";
  return Array.isArray(node) ? "array" : "object";
}

export function nodeText(node: JsonNode | undefined): string | null {
  if (node === undefined || node === null) return null;
  return typeof node === "string" ? node : jsonbText(node);
}

/** Member or element; undefined = none. */
export function childOf(node: JsonNode, key: string | number): JsonNode | undefined {
  if (typeof key === "string") return node instanceof Map ? (node as JsonbObject).get(key) : undefined;
  if (!Array.isArray(node)) return undefined;
  return (node as readonly JsonNode[])[key < 0 ? node.length + key : key];
}

/** As childOf, but a bare scalar is stored as an array of one, and `->` sees that. */
function elementOf(node: JsonNode, index: number): JsonNode | undefined {
  if (!isContainer(node)) return index === 0 || index === -1 ? node : undefined;
  return childOf(node, index);
}

/** A path step on an array must be an integer. */
export function pathIndex(step: string): number | undefined {
  return /^\s*[+-]?\d+\s*$/.test(step) ? Number(step) : undefined;
}

/** NULL steps find nothing. */
function followTree(node: JsonNode, path: SqlArray): JsonNode | undefined {
  let current: JsonNode | undefined = node;
  for (const step of path.elements) {
    if (step === null || current === undefined) return undefined;
    if (Array.isArray(current)) {
      const index = pathIndex(step as string);
      current = index === undefined ? undefined : childOf(current, index);
    } else current = childOf(current, step as string);
  }
  return current;
}

function followText(text: string, path: SqlArray): string | undefined {
  let current: string | undefined = text;
  for (const step of path.elements) {
    if (step === null || current === undefined) return undefined;
    if (jsonKind(current) === "array") {
      const index = pathIndex(step as string);
      current = index === undefined ? undefined : element(current, index);
    } else current = member(current, step as string);
  }
  return current;
}

const orNull = (text: string | undefined): Datum => text ?? null;
const asText = (text: string | undefined): Datum => (text === undefined ? null : memberText(text));
const asJsonb = (node: JsonNode | undefined): Datum => (node === undefined ? null : jsonbText(node));

function wrongKind(message: string): SqlError {
  return new SqlError(SqlState.invalidParameterValue, message);
}

function elementsOf(kind: JsonKind, name: string): void {
  if (kind === "object")
    throw wrongKind(
      `cannot ${name === "json" ? "call" : "extract elements from"} ${name === "json" ? "json_array_elements on a non-array" : "an object"}`,
    );
  if (kind !== "array")
    throw wrongKind(
      name === "json"
        ? "cannot call json_array_elements on a scalar"
        : "cannot extract elements from a scalar",
    );
}

function lengthOf(kind: JsonKind): void {
  if (kind === "object") throw wrongKind("cannot get array length of a non-array");
  if (kind !== "array") throw wrongKind("cannot get array length of a scalar");
}

function textElements(name: string, convert: (text: string) => Datum): FunctionBody {
  return setReturning(function* (args) {
    const text = args[0] as string;
    const kind = jsonKind(text);
    if (kind !== "array")
      throw wrongKind(`cannot call ${name} on a ${kind === "object" ? "non-array" : "scalar"}`);
    for (const item of arrayElements(text)) yield convert(item);
  });
}

function treeElements(convert: (node: JsonNode) => Datum): FunctionBody {
  return setReturning(function* (args) {
    const tree = jsonbTree(args[0] as string);
    elementsOf(nodeKind(tree), "jsonb");
    for (const node of tree as readonly JsonNode[]) yield convert(node);
  });
}

function textEach(name: string, convert: (text: string) => Datum): FunctionBody {
  return setReturning(function* (args) {
    const text = args[0] as string;
    const kind = jsonKind(text);
    if (kind !== "object")
      throw wrongKind(
        kind === "array" ? `cannot deconstruct an array as an object` : `cannot deconstruct a scalar`,
      );
    for (const item of objectMembers(text)) yield [item.key, convert(item.text)];
    return name;
  });
}

function treeEach(name: string, convert: (node: JsonNode) => Datum): FunctionBody {
  return setReturning(function* (args) {
    const tree = jsonbTree(args[0] as string);
    if (!(tree instanceof Map)) throw wrongKind(`cannot call ${name} on a non-object`);
    for (const key of sortedKeys(tree)) yield [key, convert(tree.get(key) as JsonNode)];
  });
}

/** jsonb -> number: the tree must be a number. */
function jsonbNumber(typeName: string, convert: (value: Numeric) => Datum): FunctionBody {
  return unary<string>((text) => {
    const node = jsonbTree(text);
    if (!(node instanceof Numeric)) throw cannotCast(node, typeName);
    return convert(node);
  });
}

function cannotCast(node: JsonNode, typeName: string): SqlError {
  const names: Readonly<Record<JsonKind, string>> = {
    null: "null",
    string: "string",
    number: "numeric",
    boolean: "boolean",
    array: "array",
    object: "object",
  };
  return wrongKind(`cannot cast jsonb ${names[nodeKind(node)]} to type ${typeName}`);
}

export const jsonFunctions: BodyTable = {
  json_object_field: binary<string, string>((text, key) => orNull(member(text, key))),
  json_object_field_text: binary<string, string>((text, key) => asText(member(text, key))),
  json_array_element: binary<string, number>((text, index) => orNull(element(text, index))),
  json_array_element_text: binary<string, number>((text, index) => asText(element(text, index))),
  json_extract_path: binary<string, SqlArray>((text, path) => orNull(followText(text, path))),
  json_extract_path_text: binary<string, SqlArray>((text, path) => asText(followText(text, path))),
  jsonb_object_field: binary<string, string>((text, key) => asJsonb(childOf(jsonbTree(text), key))),
  jsonb_object_field_text: binary<string, string>((text, key) => nodeText(childOf(jsonbTree(text), key))),
  jsonb_array_element: binary<string, number>((text, index) => asJsonb(elementOf(jsonbTree(text), index))),
  jsonb_array_element_text: binary<string, number>((text, index) =>
    nodeText(elementOf(jsonbTree(text), index)),
  ),
  jsonb_extract_path: binary<string, SqlArray>((text, path) => asJsonb(followTree(jsonbTree(text), path))),
  jsonb_extract_path_text: binary<string, SqlArray>((text, path) =>
    nodeText(followTree(jsonbTree(text), path)),
  ),

  json_array_length: unary<string>((text) => {
    lengthOf(jsonKind(text));
    return [...arrayElements(text)].length;
  }),
  jsonb_array_length: unary<string>((text) => {
    const tree = jsonbTree(text);
    lengthOf(nodeKind(tree));
    return (tree as readonly JsonNode[]).length;
  }),
  json_typeof: unary<string>(jsonKind),
  jsonb_typeof: unary<string>((text) => nodeKind(jsonbTree(text))),

  json_array_elements: textElements("json_array_elements", (text) => text),
  json_array_elements_text: textElements("json_array_elements_text", memberText),
  jsonb_array_elements: treeElements(jsonbText),
  jsonb_array_elements_text: treeElements(nodeText),
  json_each: textEach("json_each", (text) => text),
  json_each_text: textEach("json_each_text", memberText),
  jsonb_each: treeEach("jsonb_each", jsonbText),
  jsonb_each_text: treeEach("jsonb_each_text", nodeText),
  json_object_keys: setReturning(function* (args) {
    const kind = jsonKind(args[0] as string);
    if (kind !== "object")
      throw wrongKind(`cannot call json_object_keys on ${kind === "array" ? "an array" : "a scalar"}`);
    for (const item of objectMembers(args[0] as string)) yield item.key;
  }),
  jsonb_object_keys: setReturning(function* (args) {
    const tree = jsonbTree(args[0] as string);
    if (!(tree instanceof Map))
      throw wrongKind(`cannot call jsonb_object_keys on ${Array.isArray(tree) ? "an array" : "a scalar"}`);
    yield* sortedKeys(tree);
  }),

  jsonb_bool: unary<string>((text) => {
    const node = jsonbTree(text);
    if (typeof node !== "boolean") throw cannotCast(node, "boolean");
    return node;
  }),
  jsonb_numeric: jsonbNumber("numeric", (value) => value),
  jsonb_int2: jsonbNumber("smallint", (value) => checkInteger(Number(numericToInt8(value)), 2)),
  jsonb_int4: jsonbNumber("integer", (value) => checkInteger(Number(numericToInt8(value)), 4)),
  jsonb_int8: jsonbNumber("bigint", numericToInt8),
  jsonb_float4: jsonbNumber("real", (value) => Math.fround(value.toNumber())),
  jsonb_float8: jsonbNumber("double precision", numericToFloat8),
  json_strip_nulls: variadic((args) => stripTextNulls(args[0] as string)),
};

/** Removes null members of objects, at any depth; the result has no blanks, as PostgreSQL rebuilds it. */
function stripTextNulls(text: string): string {
  switch (jsonKind(text)) {
    case "object": {
      const parts: string[] = [];
      for (const item of objectMembers(text)) {
        if (item.text !== "null") parts.push(`${JSON.stringify(item.key)}:${stripTextNulls(item.text)}`);
      }
      return `{${parts.join(",")}}`;
    }
    case "array":
      return `[${[...arrayElements(text)].map(stripTextNulls).join(",")}]`;
    default:
      return text.trim();
  }
}
