// Index conditions as ranges of the engine: values evaluated, encoded as one-row columns of the index columns' types.
import { must } from "../../common/assert.ts";
import { BoxedVector } from "../../common/batch/vector.ts";
import { SqlArray } from "../../common/types/array.ts";
import { Oid } from "../../common/types/oid.ts";
import type { Datum, SqlType } from "../../common/types/type.ts";
import { type IndexEntry, storedAttnum, type TableEntry } from "../../catalog/entries.ts";
import type { ColumnBuffer, IndexRange } from "../../native/engine.ts";
import type { IndexCondition } from "../../planner/physical/plan.ts";
import { compareOf } from "../batch/compare.ts";
import type { ExecutionContext } from "../context.ts";
import { evaluateScalar } from "../expression/compile.ts";
import { chain, type MaybePromise, sequence } from "../maybe-promise.ts";
import type { LentBuffers } from "./column-buffer.ts";
import { columnType } from "./scan-target.ts";

/**
 * The ranges of a condition, in index order of their first column; none when a bound is NULL. Ranges of `anyOf` do not
 * overlap: elements are sorted and repeated ones dropped. The ranges read `buffers` as long as they are used.
 */
export function indexRanges(
  condition: IndexCondition,
  index: IndexEntry,
  table: TableEntry,
  backward: boolean,
  context: ExecutionContext,
  buffers: LentBuffers,
): MaybePromise<IndexRange[]> {
  if (condition.nullTest !== undefined) {
    return [{ ...EVERYTHING, nulls: condition.nullTest === "is-null" ? "only" : "none" }];
  }
  const types = columnTypes(condition, index, table);
  const { equal, low, high } = condition;
  const fixed = sequence(equal.length, (i) => evaluateScalar(must(equal[i], "a condition"), context));
  const anyOf = (): MaybePromise<Datum[]> =>
    elements(condition, index, must(types[0], "an index column"), backward, context);
  if (low === undefined && high === undefined && !(fixed instanceof Promise))
    return rangesOf(condition, { fixed, low, high }, types, buffers, anyOf);
  return chain(fixed, (values) =>
    chain(low === undefined ? undefined : evaluateScalar(low.value, context), (lowValue) =>
      chain(high === undefined ? undefined : evaluateScalar(high.value, context), (highValue) =>
        rangesOf(condition, { fixed: values, low: lowValue, high: highValue }, types, buffers, anyOf),
      ),
    ),
  );
}

/** Types of the index columns: a plan's condition belongs to one index of one version of the table. */
const typesOfConditions = new WeakMap<IndexCondition, readonly SqlType[]>();

function columnTypes(condition: IndexCondition, index: IndexEntry, table: TableEntry): readonly SqlType[] {
  let types = typesOfConditions.get(condition);
  if (types === undefined) {
    types = index.columns.map((column) => columnType(table, storedAttnum(column)));
    typesOfConditions.set(condition, types);
  }
  return types;
}

/** The values of a condition's expressions. */
interface ConditionValues {
  readonly fixed: readonly Datum[];
  readonly low: Datum | undefined;
  readonly high: Datum | undefined;
}

function rangesOf(
  condition: IndexCondition,
  { fixed, low, high }: ConditionValues,
  types: readonly SqlType[],
  buffers: LentBuffers,
  anyOf: () => MaybePromise<Datum[]>,
): MaybePromise<IndexRange[]> {
  if (fixed.includes(null) || low === null || high === null) return [];
  const first = condition.anyOf === undefined ? 0 : 1;
  if (fixed.some((value, i) => outside(value, types[first + i]) !== 0)) return [];
  const ranged = types[first + fixed.length];
  // `int4_column < 3000000000`: a bound beyond the column's range holds for all values, or for none.
  if (low !== undefined && outside(low, ranged) > 0) return [];
  if (high !== undefined && outside(high, ranged) < 0) return [];
  const lowBound = bound(low, condition.low?.inclusive, ranged);
  const highBound = bound(high, condition.high?.inclusive, ranged);
  if (condition.anyOf === undefined) return [range(fixed, lowBound, highBound, types, buffers)];
  return chain(anyOf(), (values) =>
    values.map((element) => range([element, ...fixed], lowBound, highBound, types, buffers)),
  );
}

interface RangeBound {
  readonly value: Datum;
  readonly inclusive: boolean;
}

/** A bound of another integer type, brought into the column's range. */
function bound(
  value: Datum | undefined,
  inclusive: boolean | undefined,
  type: SqlType | undefined,
): RangeBound | undefined {
  if (value === undefined) return undefined;
  const side = outside(value, type);
  const limits = INTEGER_LIMITS.get(type?.oid ?? 0);
  if (side === 0 || limits === undefined) return { value, inclusive: inclusive ?? true };
  return { value: side < 0 ? limits[0] : limits[1], inclusive: true };
}

/** -1 below, 1 above the range of an integer column; 0 within. An int4 column can be compared with an int8 value. */
function outside(value: Datum, type: SqlType | undefined): -1 | 0 | 1 {
  const limits = INTEGER_LIMITS.get(type?.oid ?? 0);
  if (limits === undefined || (typeof value !== "number" && typeof value !== "bigint")) return 0;
  return value < limits[0] ? -1 : value > limits[1] ? 1 : 0;
}

/** Whether no value of the type equals this one. */
export function isOutside(value: Datum, type: SqlType | undefined): boolean {
  return outside(value, type) !== 0;
}

const INTEGER_LIMITS: ReadonlyMap<number, readonly [number, number]> = new Map([
  [Oid.int2, [-32768, 32767]],
  [Oid.int4, [-2147483648, 2147483647]],
]);

const EVERYTHING: IndexRange = { low: undefined, lowInclusive: true, high: undefined, highInclusive: true };

function range(
  prefix: readonly Datum[],
  low: RangeBound | undefined,
  high: RangeBound | undefined,
  types: readonly SqlType[],
  buffers: LentBuffers,
): IndexRange {
  const columns = (end: RangeBound | undefined): ColumnBuffer[] | undefined => {
    const values = end === undefined ? prefix : [...prefix, end.value];
    if (values.length === 0) return undefined;
    return values.map((value, i) =>
      buffers.lend(new BoxedVector([value]), must(types[i], "a bound per index column"), 0, 1),
    );
  };
  const lowColumns = columns(low);
  return {
    low: lowColumns,
    lowInclusive: low?.inclusive ?? true,
    // An equality is one array twice, which the engine reads once.
    high: low === undefined && high === undefined ? lowColumns : columns(high),
    highInclusive: high?.inclusive ?? true,
  };
}

/** Distinct non-NULL elements of `column = ANY(array)`, in the order in which the index is walked. */
function elements(
  condition: IndexCondition,
  index: IndexEntry,
  type: SqlType,
  backward: boolean,
  context: ExecutionContext,
): MaybePromise<Datum[]> {
  return chain(evaluateScalar(must(condition.anyOf, "an array"), context), (array) => {
    if (!(array instanceof SqlArray)) return [];
    const compare = compareOf(type);
    const descending = (index.columns[0]?.descending ?? false) !== backward;
    const sorted = array.elements
      .filter((element) => element !== null && outside(element, type) === 0)
      .toSorted((a, b) => (descending ? compare(b, a) : compare(a, b)));
    return sorted.filter((element, i) => i === 0 || compare(element, sorted[i - 1] as Datum) !== 0);
  });
}
