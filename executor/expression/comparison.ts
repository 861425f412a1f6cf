// IN / ANY / ALL over arrays and row-wise comparison.
import { must } from "../../common/assert.ts";
import { type BoolVector, ConstantVector, type Vector, vectorOf } from "../../common/batch/vector.ts";
import { SqlArray } from "../../common/types/array.ts";
import { elementOidOf } from "../../common/types/oid.ts";
import { lookupCodec } from "../../common/types/registry.ts";
import type { SqlType } from "../../common/types/type.ts";
import type { RowCompareExpression, ScalarArrayExpression } from "../../planner/logical/expression.ts";
import { type HashKey, hashKeyOf } from "../batch/hash-key.ts";
import type { ExecutionContext } from "../context.ts";
import { chain, type MaybePromise, sequence } from "../maybe-promise.ts";
import { type Caller, makeCaller, vectorKindOf } from "./caller.ts";
import { type Compile, type Evaluate, evaluateAll } from "./evaluate.ts";
import { FALSE, fromTruth, TRUE, truthOf, UNKNOWN } from "./truth.ts";

const BOOL: SqlType = { oid: 16, typmod: -1 };

/**
 * left op ANY/ALL (array). Over a constant array with = ANY or <> ALL a hash set answers; otherwise every element is
 * compared by the function. An empty array gives FALSE for ANY and TRUE for ALL, a NULL array gives NULL.
 */
export function compileScalarArray(expression: ScalarArrayExpression, compile: Compile): Evaluate {
  const sides = [compile(expression.left), compile(expression.right)];
  const leftType = expression.left.type;
  const elementType: SqlType = {
    oid: elementOidOf(expression.right.type.oid) ?? expression.right.type.oid,
    typmod: -1,
  };
  const compare = makeCaller(expression.function, [leftType, elementType], BOOL);
  const isAny = expression.quantifier === "any";
  const hashes =
    ((isAny && expression.operator === "=") || (!isAny && expression.operator === "<>")) &&
    sharesHashFamily(leftType, elementType);
  // The set of the last constant array seen. Not execution state: the array itself is the key.
  let lastArray: SqlArray | undefined;
  let lastSet: ElementSet | undefined;
  return (batch, context) =>
    chain(evaluateAll(sides, batch, context), ([left, right]) => {
      const value = must(left, "a left side");
      const arrays = must(right, "a right side");
      const only = arrays.kind === "constant" ? arrays.value : undefined;
      if (only === null) return new ConstantVector(null, batch.rowCount);
      if (hashes && only instanceof SqlArray) {
        if (only !== lastArray || lastSet === undefined) {
          lastSet = elementSet(only, elementType);
          lastArray = only;
        }
        return probe(value, batch.rowCount, lastSet, isAny, leftType);
      }
      return compareElements(value, arrays, batch.rowCount, compare, isAny, elementType, context);
    });
}

interface ElementSet {
  readonly keys: ReadonlySet<HashKey>;
  readonly hasNull: boolean;
  readonly isEmpty: boolean;
}

function elementSet(array: SqlArray, type: SqlType): ElementSet {
  const key = hashKeyOf(type);
  const keys = new Set<HashKey>();
  let hasNull = false;
  for (const element of array.elements) {
    if (element === null) hasNull = true;
    else keys.add(key(element));
  }
  return { keys, hasNull, isEmpty: array.elements.length === 0 };
}

function probe(left: Vector, rowCount: number, set: ElementSet, isAny: boolean, type: SqlType): BoolVector {
  const key = hashKeyOf(type);
  const truth = new Uint8Array(rowCount);
  const found = isAny ? TRUE : FALSE;
  const absent = isAny ? FALSE : TRUE;
  for (let row = 0; row < rowCount; row++) {
    const value = left.get(row);
    if (set.isEmpty) truth[row] = absent;
    else if (value === null) truth[row] = UNKNOWN;
    else if (set.keys.has(key(value))) truth[row] = found;
    else truth[row] = set.hasNull ? UNKNOWN : absent;
  }
  return fromTruth(truth);
}

/** Row by row: the left value as a constant against the elements as a column. */
function compareElements(
  left: Vector,
  arrays: Vector,
  rowCount: number,
  compare: Caller,
  isAny: boolean,
  elementType: SqlType,
  context: ExecutionContext,
): MaybePromise<Vector> {
  const kind = vectorKindOf(elementType);
  const decisive = isAny ? TRUE : FALSE;
  const rowTruth = (row: number): MaybePromise<number> => {
    const array = arrays.get(row);
    if (!(array instanceof SqlArray)) return UNKNOWN;
    const count = array.elements.length;
    if (count === 0) return isAny ? FALSE : TRUE;
    const args = [new ConstantVector(left.get(row), count), vectorOf(kind, array.elements)];
    return chain(compare(args, count, context), (result) => {
      let outcome = isAny ? FALSE : TRUE;
      for (const truth of truthOf(result, count)) {
        if (truth === decisive) return decisive;
        if (truth === UNKNOWN) outcome = UNKNOWN;
      }
      return outcome;
    });
  };
  return chain(sequence(rowCount, rowTruth), (truths) => fromTruth(Uint8Array.from(truths)));
}

/** Types whose values have comparable hash keys: one type, or one family whose codecs print keys alike. */
export function sharesHashFamily(a: SqlType, b: SqlType): boolean {
  if (lookupCodec(a.oid)?.hashKey === undefined || lookupCodec(b.oid)?.hashKey === undefined) return false;
  return a.oid === b.oid || HASH_FAMILIES.some((family) => family.includes(a.oid) && family.includes(b.oid));
}

/** int2, int4, int8, oid; float4, float8; text, varchar, name. (bpchar compares without padding: by itself only.) */
const HASH_FAMILIES: readonly (readonly number[])[] = [
  [21, 23, 20, 26],
  [700, 701],
  [25, 1043, 19],
];

/** (a, b) op (c, d). Equality is an AND over the fields; order looks at the first fields that differ. */
export function compileRowCompare(expression: RowCompareExpression, compile: Compile): Evaluate {
  const count = expression.left.length;
  const sides = [...expression.left, ...expression.right].map(compile);
  const types = expression.left.map((left, i): [SqlType, SqlType] => [
    left.type,
    must(expression.right[i], "as many fields on the right").type,
  ]);
  const equals = expression.equals.map((entry, i) => makeCaller(entry, types[i] as [SqlType, SqlType], BOOL));
  const less = expression.less.map((entry, i) =>
    entry === undefined ? undefined : makeCaller(entry, types[i] as [SqlType, SqlType], BOOL),
  );
  const { operator } = expression;
  const isEquality = operator === "=" || operator === "<>";
  return (batch, context) =>
    chain(evaluateAll(sides, batch, context), (vectors) => {
      const pair = (i: number): Vector[] => [vectors[i] as Vector, vectors[i + count] as Vector];
      const callField = (caller: Caller | undefined, i: number): MaybePromise<Uint8Array> =>
        caller === undefined
          ? new Uint8Array(batch.rowCount)
          : chain(caller(pair(i), batch.rowCount, context), (vector) => truthOf(vector, batch.rowCount));
      return chain(
        sequence(count, (i) => callField(equals[i], i)),
        (same) => {
          if (isEquality) return combineEquality(same, batch.rowCount, operator === "<>");
          return chain(
            sequence(count, (i) => callField(less[i], i)),
            (below) => combineOrder(same, below, batch.rowCount, operator),
          );
        },
      );
    });
}

function combineEquality(same: readonly Uint8Array[], rowCount: number, negated: boolean): BoolVector {
  const truth = new Uint8Array(rowCount);
  for (let row = 0; row < rowCount; row++) {
    let all = TRUE;
    for (const field of same) {
      if (field[row] === FALSE) {
        all = FALSE;
        break;
      }
      if (field[row] === UNKNOWN) all = UNKNOWN;
    }
    truth[row] = all === UNKNOWN ? UNKNOWN : negated ? 1 - all : all;
  }
  return fromTruth(truth);
}

function combineOrder(
  same: readonly Uint8Array[],
  below: readonly Uint8Array[],
  rowCount: number,
  operator: string,
): BoolVector {
  const truth = new Uint8Array(rowCount);
  const wantsLess = operator.startsWith("<");
  for (let row = 0; row < rowCount; row++) {
    // All equal: only the operators with "=" hold.
    let result = operator.endsWith("=") ? TRUE : FALSE;
    for (let i = 0; i < same.length; i++) {
      const equal = (same[i] as Uint8Array)[row];
      if (equal === TRUE) continue;
      const isLess = (below[i] as Uint8Array)[row] === TRUE;
      result = equal === UNKNOWN ? UNKNOWN : isLess === wantsLess ? TRUE : FALSE;
      break;
    }
    truth[row] = result;
  }
  return fromTruth(truth);
}
