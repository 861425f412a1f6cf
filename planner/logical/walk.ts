// Walking and rewriting bound expressions. Sub-select plans inside expressions are not entered here; logical/map.ts does
// that where plans and expressions meet. The two position-counting parts (SubqueryExpression.test,
// ArrayCastExpression.element) are never visited.
import { unreachable } from "../../common/assert.ts";
import type { BoundExpression, SortKey } from "./expression.ts";

/** The expressions directly inside one. */
export function childrenOf(e: BoundExpression): readonly BoundExpression[] {
  switch (e.kind) {
    case "constant":
    case "parameter":
    case "column":
    case "outer":
      return [];
    case "call":
    case "and":
    case "or":
    case "coalesce":
    case "greatest":
    case "least":
      return e.args;
    case "relabel":
    case "io-cast":
    case "array-cast":
    case "not":
    case "is-null":
    case "is-not-null":
    case "boolean-test":
    case "field":
      return [e.input];
    case "distinct":
    case "nullif":
    case "scalar-array":
      return [e.left, e.right];
    case "case":
      return [...e.whens.flatMap((w) => [w.condition, w.result]), ...optional(e.otherwise)];
    case "array":
      return e.elements;
    case "row":
      return e.fields;
    case "subscript":
      return [e.input, ...e.subscripts.flatMap((s) => [...optional(s.lower), ...optional(s.upper)])];
    case "row-compare":
      return [...e.left, ...e.right];
    case "subquery":
      return [...e.testArgs, ...e.bindings.map((binding) => binding.value)];
    case "text-score":
      return [e.text, e.query];
    case "hybrid-rrf":
      return [...e.branches, ...optional(e.weights), ...optional(e.k), ...optional(e.candidates)];
    default:
      return unreachable(e);
  }
}

function optional(e: BoundExpression | undefined): readonly BoundExpression[] {
  return e === undefined ? [] : [e];
}

/** The same expression with `f` applied to each direct child; the same object where nothing changed. */
export function mapChildren(
  e: BoundExpression,
  f: (child: BoundExpression) => BoundExpression,
): BoundExpression {
  const list = (items: readonly BoundExpression[]): readonly BoundExpression[] => mapList(items, f);
  const maybe = (item: BoundExpression | undefined): BoundExpression | undefined =>
    item === undefined ? undefined : f(item);
  switch (e.kind) {
    case "constant":
    case "parameter":
    case "column":
    case "outer":
      return e;
    case "call":
    case "and":
    case "or":
    case "coalesce":
    case "greatest":
    case "least": {
      const args = list(e.args);
      return args === e.args ? e : { ...e, args };
    }
    case "relabel":
    case "io-cast":
    case "array-cast":
    case "not":
    case "is-null":
    case "is-not-null":
    case "boolean-test":
    case "field": {
      const input = f(e.input);
      return input === e.input ? e : { ...e, input };
    }
    case "distinct":
    case "nullif":
    case "scalar-array": {
      const left = f(e.left);
      const right = f(e.right);
      return left === e.left && right === e.right ? e : { ...e, left, right };
    }
    case "case":
      return {
        ...e,
        whens: e.whens.map((w) => ({ condition: f(w.condition), result: f(w.result) })),
        otherwise: maybe(e.otherwise),
      };
    case "array": {
      const elements = list(e.elements);
      return elements === e.elements ? e : { ...e, elements };
    }
    case "row": {
      const fields = list(e.fields);
      return fields === e.fields ? e : { ...e, fields };
    }
    case "subscript":
      return {
        ...e,
        input: f(e.input),
        subscripts: e.subscripts.map((s) => ({ ...s, lower: maybe(s.lower), upper: maybe(s.upper) })),
      };
    case "row-compare":
      return { ...e, left: list(e.left), right: list(e.right) };
    case "subquery":
      return {
        ...e,
        testArgs: list(e.testArgs),
        bindings: e.bindings.map((binding) => ({ id: binding.id, value: f(binding.value) })),
      };
    case "text-score":
      return { ...e, text: f(e.text), query: f(e.query) };
    case "hybrid-rrf":
      return {
        ...e,
        branches: list(e.branches),
        weights: maybe(e.weights),
        k: maybe(e.k),
        candidates: maybe(e.candidates),
      };
    default:
      return unreachable(e);
  }
}

/** Array.map that gives the same array when `f` changed nothing. */
export function mapList<T>(items: readonly T[], f: (item: T) => T): readonly T[] {
  let isChanged = false;
  const mapped = items.map((item) => {
    const next = f(item);
    if (next !== item) isChanged = true;
    return next;
  });
  return isChanged ? mapped : items;
}

/** Rewrites bottom-up: children first, then the node itself. */
export function mapExpression(
  e: BoundExpression,
  f: (node: BoundExpression) => BoundExpression,
): BoundExpression {
  return f(mapChildren(e, (child) => mapExpression(child, f)));
}

/** Whether `test` holds for the expression or anything inside it (sub-select plans excluded). */
export function someExpression(e: BoundExpression, test: (node: BoundExpression) => boolean): boolean {
  return test(e) || childrenOf(e).some((child) => someExpression(child, test));
}

export function mapSortKeys(
  keys: readonly SortKey[],
  f: (e: BoundExpression) => BoundExpression,
): readonly SortKey[] {
  return mapList(keys, (key) => {
    const expression = f(key.expression);
    return expression === key.expression ? key : { ...key, expression };
  });
}

/** Volatile functions anywhere inside: such an expression must run exactly where it was written. */
export function isVolatile(e: BoundExpression): boolean {
  return someExpression(e, (node) => node.kind === "call" && node.function.volatility === "v");
}

export function returnsSet(e: BoundExpression): boolean {
  return someExpression(e, (node) => node.kind === "call" && node.function.returnsSet);
}

export function hasSubquery(e: BoundExpression): boolean {
  return someExpression(e, (node) => node.kind === "subquery");
}

/** What says how an expression was written, not what it computes. */
const WRITTEN: ReadonlySet<string> = new Set(["position", "name", "cast"]);

/**
 * Equal in all but the position in the text, and whether casts were written or inserted. Functions, plans and catalogue entries compare by identity, which is
 * right within one statement: one snapshot hands them out.
 */
export function sameExpression(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return Object.is(a, b);
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, i) => sameExpression(item, b[i]));
  }
  if (isElements(a)) {
    return isElements(b) && a.length === b.length && a.every((x: number, i: number) => Object.is(x, b[i]));
  }
  const left = a as Record<string, unknown>;
  const right = b as Record<string, unknown>;
  if ("oid" in left && "source" in left) return left.oid === right.oid && left.source === right.source;
  const keys = Object.keys(left);
  if (keys.length !== Object.keys(right).length) return false;
  return keys.every((key) => WRITTEN.has(key) || (key in right && sameExpression(left[key], right[key])));
}

/** The memory of a bytea, vector, halfvec, sparsevec or bit string. */
function isElements(value: object): value is Uint8Array | Float32Array | Int32Array {
  return value instanceof Uint8Array || value instanceof Float32Array || value instanceof Int32Array;
}

/** The conjuncts of a condition: `a AND (b AND c)` gives three. */
export function conjuncts(e: BoundExpression): readonly BoundExpression[] {
  return e.kind === "and" ? e.args.flatMap(conjuncts) : [e];
}
