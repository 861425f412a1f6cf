// Functions and operators of arrays: ||, @>, <@, &&, array_append and its family, array_to_string, lengths and bounds.
// Element equality is the element type's btree order, as PostgreSQL takes it from the default operator class.
import { must } from "../../common/assert.ts";
import { SqlError, SqlState } from "../../common/error.ts";
import { MAX_ARRAY_DIMENSIONS, SqlArray, tooManyDimensions } from "../../common/types/array.ts";
import { Oid, elementOidOf } from "../../common/types/oid.ts";
import { codecOf } from "../../common/types/registry.ts";
import type { Datum } from "../../common/types/type.ts";
import { type BodyTable, binary, ternary, unary, variadic } from "./body.ts";
import type { FunctionCall } from "./function.ts";
import { textOf } from "./text.ts";

/** Largest array array_fill makes. */
const MAX_FILL = 10_000_000;

function equality(oid: number): (a: Datum, b: Datum) => boolean {
  const compare = codecOf(oid).compare;
  if (compare === undefined) {
    throw new SqlError(
      SqlState.undefinedFunction,
      `could not identify an equality operator for type ${codecOf(oid).name}`,
    );
  }
  return (a, b) => compare(a, b) === 0;
}

/** NULL and NULL are the same element for array_position and its family. */
function sameElement(oid: number): (a: Datum, b: Datum) => boolean {
  const isEqual = equality(oid);
  return (a, b) => (a === null || b === null ? a === b : isEqual(a, b));
}

function rankError(message: string): SqlError {
  return new SqlError(SqlState.arraySubscriptError, message);
}

function incompatible(detail: string): SqlError {
  return new SqlError(SqlState.arraySubscriptError, "cannot concatenate incompatible arrays", { detail });
}

/** a || b: same rank joins the outer dimension, one rank less is one more row. */
function concat(a: SqlArray | null, b: SqlArray | null): Datum {
  if (a === null || a.dimensions.length === 0) return b ?? a;
  if (b === null || b.dimensions.length === 0) return a;
  const [ra, rb] = [a.dimensions.length, b.dimensions.length];
  if (Math.abs(ra - rb) > 1)
    throw incompatible(`Arrays of ${ra} and ${rb} dimensions are not compatible for concatenation.`);
  const outer = ra >= rb ? a : b;
  const tail = (array: SqlArray): readonly number[] =>
    array.dimensions.length < outer.dimensions.length ? array.dimensions : array.dimensions.slice(1);
  if (tail(a).some((length, i) => length !== tail(b)[i])) {
    const detail =
      ra === rb
        ? "Arrays with differing element dimensions are not compatible for concatenation."
        : "Arrays with differing dimensions are not compatible for concatenation.";
    throw incompatible(detail);
  }
  const rows = (array: SqlArray): number =>
    array.dimensions.length < outer.dimensions.length ? 1 : (array.dimensions[0] as number);
  const dimensions = [rows(a) + rows(b), ...outer.dimensions.slice(1)];
  const bounds = ra < rb ? b.lowerBounds : a.lowerBounds;
  return new SqlArray(a.elementOid, dimensions, bounds, [...a.elements, ...b.elements]);
}

function elementType(call: FunctionCall, array: SqlArray | null, index: number): number {
  if (array !== null) return array.elementOid;
  return elementOidOf(call.argumentTypes[index]?.oid ?? 0) ?? elementOidOf(call.resultType.oid) ?? Oid.text;
}

function oneDimensional(array: SqlArray): void {
  if (array.dimensions.length > 1) {
    throw new SqlError(SqlState.dataException, "argument must be empty or one-dimensional array");
  }
}

function append(array: SqlArray | null, element: Datum, call: FunctionCall): Datum {
  const oid = elementType(call, array, 0);
  if (array === null || array.dimensions.length === 0) return SqlArray.of(oid, [element]);
  oneDimensional(array);
  return new SqlArray(oid, [array.elements.length + 1], array.lowerBounds, [...array.elements, element]);
}

function prepend(element: Datum, array: SqlArray | null, call: FunctionCall): Datum {
  const oid = elementType(call, array, 1);
  if (array === null || array.dimensions.length === 0) return SqlArray.of(oid, [element]);
  oneDimensional(array);
  return new SqlArray(oid, [array.elements.length + 1], array.lowerBounds, [element, ...array.elements]);
}

function contains(a: SqlArray, b: SqlArray): boolean {
  const isEqual = equality(a.elementOid);
  return b.elements.every(
    (wanted) => wanted !== null && a.elements.some((element) => element !== null && isEqual(element, wanted)),
  );
}

function overlaps(a: SqlArray, b: SqlArray): boolean {
  const isEqual = equality(a.elementOid);
  return b.elements.some(
    (wanted) => wanted !== null && a.elements.some((element) => element !== null && isEqual(element, wanted)),
  );
}

function oneDimensionalSearch(array: SqlArray): void {
  if (array.dimensions.length > 1) {
    throw new SqlError(
      SqlState.featureNotSupported,
      "searching for elements in multidimensional arrays is not supported",
    );
  }
}

function position(array: SqlArray | null, wanted: Datum, start: number | null | undefined): Datum {
  if (array === null) return null;
  if (start === null) throw new SqlError(SqlState.nullValueNotAllowed, "initial position must not be null");
  oneDimensionalSearch(array);
  const low = array.lowerBounds[0] ?? 1;
  const isSame = sameElement(array.elementOid);
  for (let i = Math.max((start ?? low) - low, 0); i < array.elements.length; i++) {
    if (isSame(array.elements[i] as Datum, wanted)) return i + low;
  }
  return null;
}

function positions(array: SqlArray | null, wanted: Datum): Datum {
  if (array === null) return null;
  oneDimensionalSearch(array);
  const low = array.lowerBounds[0] ?? 1;
  const isSame = sameElement(array.elementOid);
  const found = array.elements.flatMap((element, i) => (isSame(element, wanted) ? [i + low] : []));
  return SqlArray.of(Oid.int4, found);
}

function remove(array: SqlArray | null, unwanted: Datum): Datum {
  if (array === null) return null;
  if (array.dimensions.length > 1) {
    throw new SqlError(
      SqlState.featureNotSupported,
      "removing elements from multidimensional arrays is not supported",
    );
  }
  const isSame = sameElement(array.elementOid);
  const kept = array.elements.filter((element) => !isSame(element, unwanted));
  return kept.length === 0
    ? SqlArray.of(array.elementOid, [])
    : new SqlArray(array.elementOid, [kept.length], array.lowerBounds, kept);
}

function replace(array: SqlArray | null, from: Datum, to: Datum): Datum {
  if (array === null) return null;
  const isSame = sameElement(array.elementOid);
  return new SqlArray(
    array.elementOid,
    array.dimensions,
    array.lowerBounds,
    array.elements.map((element) => (isSame(element, from) ? to : element)),
  );
}

function toText(array: SqlArray, separator: string, nullText: string | null, call: FunctionCall): string {
  const parts: string[] = [];
  for (const element of array.elements) {
    if (element !== null) parts.push(textOf(element, array.elementOid, call));
    else if (nullText !== null) parts.push(nullText);
  }
  return parts.join(separator);
}

function fill(
  value: Datum,
  lengths: SqlArray | null,
  bounds: SqlArray | null | undefined,
  call: FunctionCall,
): Datum {
  if (lengths === null || bounds === null) {
    throw new SqlError(SqlState.nullValueNotAllowed, "dimension array or low bound array cannot be null");
  }
  if (lengths.dimensions.length > 1) {
    throw new SqlError(SqlState.arraySubscriptError, "wrong number of array subscripts", {
      detail: "Dimension array must be one dimensional.",
    });
  }
  if (lengths.elements.includes(null))
    throw new SqlError(SqlState.nullValueNotAllowed, "dimension values cannot be null");
  const dimensions = lengths.elements as readonly number[];
  if (dimensions.length > MAX_ARRAY_DIMENSIONS) throw tooManyDimensions(dimensions.length);
  const total = dimensions.reduce((product, length) => product * length, dimensions.length === 0 ? 0 : 1);
  if (total > MAX_FILL || dimensions.some((length) => length < 0)) {
    throw new SqlError(SqlState.programLimitExceeded, `array size exceeds the maximum allowed (${MAX_FILL})`);
  }
  const oid = elementOidOf(call.resultType.oid) ?? call.argumentTypes[0]?.oid ?? Oid.text;
  if (total === 0) return SqlArray.of(oid, []);
  const lowerBounds = (bounds?.elements as readonly number[] | undefined) ?? dimensions.map(() => 1);
  if (lowerBounds.length !== dimensions.length) {
    throw new SqlError(SqlState.arraySubscriptError, "wrong number of array subscripts", {
      detail: "Low bound array has different size than dimensions array.",
    });
  }
  return new SqlArray(oid, dimensions, lowerBounds, new Array<Datum>(total).fill(value));
}

/** width_bucket(operand, thresholds): how many of the sorted thresholds are not above the operand. */
function widthBucket(operand: Datum, thresholds: SqlArray): number {
  if (thresholds.dimensions.length > 1) throw rankError("thresholds must be one-dimensional array");
  if (thresholds.elements.includes(null)) {
    throw new SqlError(SqlState.nullValueNotAllowed, "thresholds array must not contain NULLs");
  }
  const compare = must(codecOf(thresholds.elementOid).compare, "width_bucket is for ordered types");
  let low = 0;
  let high = thresholds.elements.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compare(operand, thresholds.elements[middle] as Datum) < 0) high = middle;
    else low = middle + 1;
  }
  return low;
}

function trimEnd(array: SqlArray, count: number): SqlArray {
  const length = array.dimensions[0] ?? 0;
  if (count < 0 || count > length) {
    throw new SqlError(
      SqlState.arraySubscriptError,
      `number of elements to trim must be between 0 and ${length}`,
    );
  }
  if (length - count === 0) return SqlArray.of(array.elementOid, []);
  const perRow = array.elements.length / length;
  return new SqlArray(
    array.elementOid,
    [length - count, ...array.dimensions.slice(1)],
    array.lowerBounds.map(() => 1),
    array.elements.slice(0, (length - count) * perRow),
  );
}

export const arrayFunctions: BodyTable = {
  array_cat: binary<SqlArray | null, SqlArray | null>(concat),
  array_append: binary<SqlArray | null, Datum>(append),
  array_prepend: binary<Datum, SqlArray | null>(prepend),
  arraycontains: binary<SqlArray, SqlArray>(contains),
  arraycontained: binary<SqlArray, SqlArray>((a, b) => contains(b, a)),
  arrayoverlap: binary<SqlArray, SqlArray>(overlaps),
  array_length: binary<SqlArray, number>((array, dimension) => array.dimensions[dimension - 1] ?? null),
  array_lower: binary<SqlArray, number>((array, dimension) => array.lowerBounds[dimension - 1] ?? null),
  array_upper: binary<SqlArray, number>((array, dimension) => {
    const length = array.dimensions[dimension - 1];
    return length === undefined ? null : (array.lowerBounds[dimension - 1] as number) + length - 1;
  }),
  array_ndims: unary<SqlArray>((array) => array.dimensions.length || null),
  array_dims: unary<SqlArray>((array) => {
    if (array.dimensions.length === 0) return null;
    return array.dimensions
      .map((length, i) => `[${array.lowerBounds[i]}:${(array.lowerBounds[i] as number) + length - 1}]`)
      .join("");
  }),
  array_cardinality: unary<SqlArray>((array) => array.elements.length),
  array_position: binary<SqlArray | null, Datum>((array, wanted) => position(array, wanted, undefined)),
  array_position_start: ternary<SqlArray | null, Datum, number | null>(position),
  array_positions: binary<SqlArray | null, Datum>(positions),
  array_remove: binary<SqlArray | null, Datum>(remove),
  array_replace: ternary<SqlArray | null, Datum, Datum>(replace),
  array_to_text: binary<SqlArray, string>((array, separator, call) => toText(array, separator, null, call)),
  array_to_text_null: ternary<SqlArray | null, string | null, string | null>(
    (array, separator, nullText, call) =>
      array === null || separator === null ? null : toText(array, separator, nullText, call),
  ),
  array_fill: binary<Datum, SqlArray | null>((value, lengths, call) => fill(value, lengths, undefined, call)),
  array_fill_with_lower_bounds: ternary<Datum, SqlArray | null, SqlArray | null>(fill),
  trim_array: binary<SqlArray, number>(trimEnd),
  width_bucket_array: binary<Datum, SqlArray>(widthBucket),
  oidvectortypes: variadic((args, call) => {
    const types = args[0] as SqlArray;
    const names = call.context.types.names;
    return types.elements
      .map((oid) => names?.format("regtype", oid as number) ?? `${oid as number}`)
      .join(", ");
  }),
};
