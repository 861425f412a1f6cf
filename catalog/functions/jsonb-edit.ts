// jsonb operators that test or change: @> <@ ? ?| ?& || - #- jsonb_set jsonb_insert jsonb_strip_nulls jsonb_pretty.
// Trees are shared and never changed; edits copy the nodes along the path.
import { SqlError, SqlState } from "../../common/error.ts";
import type { SqlArray } from "../../common/types/array.ts";
import { type JsonNode, quoteJson } from "../../common/types/json-text.ts";
import { isContainer, jsonbText, jsonbTree, sortedKeys } from "../../common/types/jsonb.ts";
import { Numeric } from "../../common/types/numeric.ts";
import type { Datum } from "../../common/types/type.ts";
import { type BodyTable, binary, unary, variadic } from "./body.ts";
import { type JsonbObject, pathIndex } from "./json.ts";

/** Contains: objects by members, arrays as sets, scalars by equality; an array contains a scalar at the top only. */
function contains(a: JsonNode, b: JsonNode, isTop: boolean): boolean {
  if (b instanceof Map) {
    if (!(a instanceof Map)) return false;
    for (const [key, value] of b as JsonbObject) {
      const own = (a as JsonbObject).get(key);
      if (own === undefined || !contains(own, value, false)) return false;
    }
    return true;
  }
  if (Array.isArray(b)) {
    if (!Array.isArray(a)) return false;
    return (b as readonly JsonNode[]).every((wanted) =>
      (a as readonly JsonNode[]).some((own) => contains(own, wanted, false)),
    );
  }
  if (isTop && Array.isArray(a))
    return (a as readonly JsonNode[]).some((own) => !isContainer(own) && sameScalar(own, b));
  return !isContainer(a) && sameScalar(a, b);
}

function sameScalar(a: JsonNode, b: JsonNode): boolean {
  if (a instanceof Numeric) return b instanceof Numeric && a.compare(b) === 0;
  return a === b;
}

/** Key of an object, string element of an array, or the string itself. */
function exists(node: JsonNode, key: string): boolean {
  if (node instanceof Map) return node.has(key);
  return Array.isArray(node) ? node.includes(key) : node === key;
}

function concat(a: JsonNode, b: JsonNode): JsonNode {
  if (a instanceof Map && b instanceof Map) return new Map([...(a as JsonbObject), ...(b as JsonbObject)]);
  // A scalar, or an object beside an array, becomes an element.
  const list = (node: JsonNode): readonly JsonNode[] =>
    Array.isArray(node) ? (node as readonly JsonNode[]) : [node];
  return [...list(a), ...list(b)];
}

function cannotDelete(node: JsonNode): void {
  if (!isContainer(node)) throw new SqlError(SqlState.invalidParameterValue, "cannot delete from scalar");
}

function deleteKeys(node: JsonNode, keys: ReadonlySet<Datum>): JsonNode {
  cannotDelete(node);
  if (node instanceof Map) return new Map([...(node as JsonbObject)].filter(([key]) => !keys.has(key)));
  return (node as readonly JsonNode[]).filter(
    (element) => !(typeof element === "string" && keys.has(element)),
  );
}

function deleteIndex(node: JsonNode, index: number): JsonNode {
  cannotDelete(node);
  if (node instanceof Map)
    throw new SqlError(SqlState.invalidParameterValue, "cannot delete from object using integer index");
  const elements = node as readonly JsonNode[];
  const at = index < 0 ? elements.length + index : index;
  return elements.filter((_, i) => i !== at);
}

type Edit =
  | { readonly kind: "delete" }
  | { readonly kind: "set"; readonly value: JsonNode; readonly create: boolean }
  | { readonly kind: "insert"; readonly value: JsonNode; readonly after: boolean };

/** The steps as they are: a NULL is an error when it is reached. */
function pathSteps(path: SqlArray): readonly (string | null)[] {
  if (path.dimensions.length > 1)
    throw new SqlError(SqlState.arraySubscriptError, "wrong number of array subscripts");
  return path.elements as readonly (string | null)[];
}

function editPath(node: JsonNode, steps: readonly (string | null)[], depth: number, edit: Edit): JsonNode {
  if (depth >= steps.length) return node;
  const step = steps[depth] ?? null;
  if (step === null) {
    throw new SqlError(SqlState.nullValueNotAllowed, `path element at position ${depth + 1} is null`);
  }
  if (!isContainer(node)) return node;
  const isLast = depth === steps.length - 1;
  if (node instanceof Map) return editObject(node as JsonbObject, step, isLast, steps, depth, edit);
  return editArray(node as readonly JsonNode[], step, isLast, steps, depth, edit);
}

function editObject(
  node: JsonbObject,
  key: string,
  isLast: boolean,
  steps: readonly (string | null)[],
  depth: number,
  edit: Edit,
): JsonNode {
  const own = node.get(key);
  const copy = new Map(node);
  if (!isLast) {
    if (own === undefined) return node;
    return copy.set(key, editPath(own, steps, depth + 1, edit));
  }
  switch (edit.kind) {
    case "delete":
      copy.delete(key);
      return copy;
    case "set":
      return own === undefined && !edit.create ? node : copy.set(key, edit.value);
    case "insert":
      if (own !== undefined) {
        throw new SqlError(SqlState.invalidParameterValue, "cannot replace existing key", {
          hint: "Try using the function jsonb_set to replace key value.",
        });
      }
      return copy.set(key, edit.value);
  }
}

function editArray(
  node: readonly JsonNode[],
  step: string,
  isLast: boolean,
  steps: readonly (string | null)[],
  depth: number,
  edit: Edit,
): JsonNode {
  const index = pathIndex(step);
  if (index === undefined) {
    throw new SqlError(
      SqlState.invalidTextRepresentation,
      `path element at position ${depth + 1} is not an integer: "${step}"`,
    );
  }
  const at = index < 0 ? node.length + index : index;
  const isInside = at >= 0 && at < node.length;
  const copy = [...node];
  if (!isLast) {
    if (!isInside) return node;
    copy[at] = editPath(node[at] as JsonNode, steps, depth + 1, edit);
    return copy;
  }
  switch (edit.kind) {
    case "delete":
      return isInside ? copy.filter((_, i) => i !== at) : node;
    case "set":
      if (isInside) copy[at] = edit.value;
      else if (edit.create) copy.splice(at < 0 ? 0 : copy.length, 0, edit.value);
      return copy;
    case "insert": {
      const position = at < 0 ? 0 : Math.min(isInside && edit.after ? at + 1 : at, copy.length);
      copy.splice(position, 0, edit.value);
      return copy;
    }
  }
}

function isEmpty(node: JsonNode): boolean {
  return node instanceof Map ? node.size === 0 : (node as readonly JsonNode[]).length === 0;
}

function checkEditable(node: JsonNode, action: string): void {
  if (!isContainer(node)) throw new SqlError(SqlState.invalidParameterValue, `cannot ${action} in scalar`);
}

function set(args: readonly Datum[]): Datum {
  const [text, path, value, create] = args as readonly [string, SqlArray, string, boolean | undefined];
  const steps = pathSteps(path);
  const tree = jsonbTree(text);
  checkEditable(tree, "set path");
  return jsonbText(
    editPath(tree, steps, 0, { kind: "set", value: jsonbTree(value), create: create ?? true }),
  );
}

/** jsonb_set with a choice of what a NULL value means. */
function setLax(args: readonly Datum[]): Datum {
  const [text, path, value, create, treatment] = args;
  if (text === null || path === null || create === null) return null;
  if (treatment === null || treatment === undefined) throw nullTreatment();
  if (value !== null) return set([text as Datum, path as Datum, value as Datum, create as Datum]);
  switch (treatment) {
    case "raise_exception":
      throw new SqlError(SqlState.nullValueNotAllowed, "JSON value must not be null", {
        detail: 'Exception was raised because null_value_treatment is "raise_exception".',
        hint: "To avoid, either change the null_value_treatment argument or ensure that an SQL NULL is not passed.",
      });
    case "use_json_null":
      return set([text as Datum, path as Datum, "null", create as Datum]);
    case "delete_key":
      return deletePath(text as string, path as SqlArray);
    case "return_target":
      return text as Datum;
    default:
      throw nullTreatment();
  }
}

function nullTreatment(): SqlError {
  return new SqlError(
    SqlState.invalidParameterValue,
    'null_value_treatment must be "delete_key", "return_target", "use_json_null", or "raise_exception"',
  );
}

function insert(args: readonly Datum[]): Datum {
  const [text, path, value, after] = args as readonly [string, SqlArray, string, boolean | undefined];
  const steps = pathSteps(path);
  const tree = jsonbTree(text);
  checkEditable(tree, "set path");
  return jsonbText(
    editPath(tree, steps, 0, { kind: "insert", value: jsonbTree(value), after: after ?? false }),
  );
}

function deletePath(text: string, path: SqlArray): Datum {
  const steps = pathSteps(path);
  const tree = jsonbTree(text);
  checkEditable(tree, "delete path");
  if (isEmpty(tree)) return text;
  return jsonbText(editPath(tree, steps, 0, { kind: "delete" }));
}

function stripNulls(node: JsonNode): JsonNode {
  if (Array.isArray(node)) return (node as readonly JsonNode[]).map(stripNulls);
  if (!(node instanceof Map)) return node;
  const out = new Map<string, JsonNode>();
  for (const [key, value] of node as JsonbObject) if (value !== null) out.set(key, stripNulls(value));
  return out;
}

function pretty(node: JsonNode, indent: string): string {
  const inner = `${indent}    `;
  if (Array.isArray(node)) {
    if (node.length === 0) return `[\n${indent}]`;
    return `[\n${(node as readonly JsonNode[]).map((element) => inner + pretty(element, inner)).join(",\n")}\n${indent}]`;
  }
  if (!(node instanceof Map)) return jsonbText(node);
  const object = node as JsonbObject;
  if (object.size === 0) return `{\n${indent}}`;
  const members = sortedKeys(object).map(
    (key) => `${inner}${quoteJson(key)}: ${pretty(object.get(key) as JsonNode, inner)}`,
  );
  return `{\n${members.join(",\n")}\n${indent}}`;
}

export const jsonbEditFunctions: BodyTable = {
  jsonb_contains: binary<string, string>((a, b) => contains(jsonbTree(a), jsonbTree(b), true)),
  jsonb_contained: binary<string, string>((a, b) => contains(jsonbTree(b), jsonbTree(a), true)),
  jsonb_exists: binary<string, string>((text, key) => exists(jsonbTree(text), key)),
  jsonb_exists_any: binary<string, SqlArray>((text, keys) =>
    keys.elements.some((key) => key !== null && exists(jsonbTree(text), key as string)),
  ),
  jsonb_exists_all: binary<string, SqlArray>((text, keys) =>
    keys.elements.every((key) => key === null || exists(jsonbTree(text), key as string)),
  ),
  jsonb_concat: binary<string, string>((a, b) => jsonbText(concat(jsonbTree(a), jsonbTree(b)))),
  jsonb_delete: binary<string, string>((text, key) => jsonbText(deleteKeys(jsonbTree(text), new Set([key])))),
  jsonb_delete_array: binary<string, SqlArray>((text, keys) =>
    jsonbText(deleteKeys(jsonbTree(text), new Set(keys.elements))),
  ),
  jsonb_delete_idx: binary<string, number>((text, index) => jsonbText(deleteIndex(jsonbTree(text), index))),
  jsonb_delete_path: binary<string, SqlArray>(deletePath),
  jsonb_set: variadic(set),
  jsonb_set_lax: variadic(setLax),
  jsonb_insert: variadic(insert),
  jsonb_strip_nulls: unary<string>((text) => jsonbText(stripNulls(jsonbTree(text)))),
  jsonb_pretty: unary<string>((text) => pretty(jsonbTree(text), "")),
};
