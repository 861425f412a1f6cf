// Index conditions as ranges of the engine: values evaluated, encoded as one-row columns of the index columns' types.
import { must } from "../../common/assert.ts";
import { SqlArray } from "../../common/types/array.ts";
import type { Datum, SqlType } from "../../common/types/type.ts";
import type { IndexEntry, TableEntry } from "../../catalog/entries.ts";
import type { ColumnBuffer, IndexRange } from "../../native/engine.ts";
import type { IndexCondition } from "../../planner/physical/plan.ts";
import { compareOf } from "../batch/compare.ts";
import type { ExecutionContext } from "../context.ts";
import { evaluateScalar } from "../expression/compile.ts";
import { singleValueBuffer } from "./column-buffer.ts";
import { columnType } from "./scan-target.ts";

/**
 * The ranges of a condition, in index order of their first column; none when a bound is NULL. Ranges of `anyOf` do not
 * overlap: elements are sorted and repeated ones dropped.
 */
export async function indexRanges(
  condition: IndexCondition,
  index: IndexEntry,
  table: TableEntry,
  backward: boolean,
  context: ExecutionContext,
): Promise<IndexRange[]> {
  if (condition.nullTest !== undefined) {
    return [{ ...EVERYTHING, nulls: condition.nullTest === "is-null" ? "only" : "none" }];
  }
  const types = index.columns.map((column) => columnType(table, column.attnum));
  const fixed: Datum[] = [];
  for (const expression of condition.equal) fixed.push(await evaluateScalar(expression, context));
  if (fixed.includes(null)) return [];
  const low = condition.low === undefined ? undefined : await evaluateScalar(condition.low.value, context);
  const high = condition.high === undefined ? undefined : await evaluateScalar(condition.high.value, context);
  if (low === null || high === null) return [];
  const prefixes =
    condition.anyOf === undefined
      ? [fixed]
      : (await elements(condition, index, must(types[0], "an index column"), backward, context)).map(
          (element) => [element, ...fixed],
        );
  return prefixes.map((prefix) => range(prefix, low, high, condition, types));
}

const EVERYTHING: IndexRange = { low: undefined, lowInclusive: true, high: undefined, highInclusive: true };

function range(
  prefix: readonly Datum[],
  low: Datum | undefined,
  high: Datum | undefined,
  condition: IndexCondition,
  types: readonly SqlType[],
): IndexRange {
  const bound = (end: Datum | undefined): ColumnBuffer[] | undefined => {
    const values = end === undefined ? prefix : [...prefix, end];
    if (values.length === 0) return undefined;
    return values.map((value, i) => singleValueBuffer(must(types[i], "a bound per index column"), value));
  };
  const onlyRange = prefix.length === 0 && (low !== undefined || high !== undefined);
  return {
    low: bound(low),
    lowInclusive: condition.low?.inclusive ?? true,
    high: bound(high),
    highInclusive: condition.high?.inclusive ?? true,
    // A one-sided range never matches a NULL in the column.
    ...(onlyRange ? { nulls: "none" as const } : {}),
  };
}

/** Distinct non-NULL elements of `column = ANY(array)`, in the order in which the index is walked. */
async function elements(
  condition: IndexCondition,
  index: IndexEntry,
  type: SqlType,
  backward: boolean,
  context: ExecutionContext,
): Promise<Datum[]> {
  const array = await evaluateScalar(must(condition.anyOf, "an array"), context);
  if (!(array instanceof SqlArray)) return [];
  const compare = compareOf(type);
  const descending = (index.columns[0]?.descending ?? false) !== backward;
  const sorted = array.elements
    .filter((element) => element !== null)
    .toSorted((a, b) => (descending ? compare(b, a) : compare(a, b)));
  return sorted.filter((element, i) => i === 0 || compare(element, sorted[i - 1] as Datum) !== 0);
}
