// Row order by sort keys over kept columns. Comparators look at typed arrays where the column has one and fall back to the
// type's own compare; the result is the same order either way (NaN greatest, -0 = 0, text by UTF-8 bytes).
import { must } from "../../common/assert.ts";
import { SqlError, SqlState } from "../../common/error.ts";
import type { Vector } from "../../common/batch/vector.ts";
import { lookupCodec } from "../../common/types/registry.ts";
import type { Datum, SqlType } from "../../common/types/type.ts";

export interface SortOrder {
  readonly type: SqlType;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
}

export type RowCompare = (a: number, b: number) => number;

/** The order of a type; 42883 when it has none. */
export function compareOf(type: SqlType): (a: Datum, b: Datum) => number {
  const compare = lookupCodec(type.oid)?.compare;
  if (compare !== undefined) return compare;
  throw new SqlError(
    SqlState.undefinedFunction,
    `could not identify an ordering operator for type ${lookupCodec(type.oid)?.name ?? type.oid}`,
    { hint: "Use an explicit ordering operator or modify the query." },
  );
}

/** Compares rows `a` and `b` of `columns` (one column per key). 0 = equal on all keys. */
export function rowComparator(columns: readonly Vector[], orders: readonly SortOrder[]): RowCompare {
  const compares = columns.map((column, i) => columnComparator(column, must(orders[i], "an order per key")));
  if (compares.length === 1) return compares[0] as RowCompare;
  return (a, b) => {
    for (const compare of compares) {
      const order = compare(a, b);
      if (order !== 0) return order;
    }
    return 0;
  };
}

function columnComparator(column: Vector, order: SortOrder): RowCompare {
  const sign = order.descending ? -1 : 1;
  const nullOrder = order.nullsFirst ? -1 : 1;
  const values = valueComparator(column, order.type);
  return (a, b) => {
    const aNull = column.isNull(a);
    const bNull = column.isNull(b);
    if (aNull || bNull) return aNull && bNull ? 0 : aNull ? nullOrder : -nullOrder;
    return sign * values(a, b);
  };
}

function valueComparator(column: Vector, type: SqlType): RowCompare {
  switch (column.kind) {
    case "i32":
    case "bool": {
      const { values } = column;
      return (a, b) => (values[a] as number) - (values[b] as number);
    }
    case "i64": {
      if (column.values === undefined) break;
      const { values } = column;
      return (a, b) => (values[a] as number) - (values[b] as number);
    }
    case "f64": {
      const { values } = column;
      return (a, b) => compareFloats(values[a] as number, values[b] as number);
    }
    default:
      break;
  }
  const compare = compareOf(type);
  return (a, b) => compare(column.get(a), column.get(b));
}

/** float8 order: NaN is equal to itself and greater than everything else. */
export function compareFloats(a: number, b: number): number {
  if (a < b) return -1;
  if (a > b) return 1;
  if (a === b) return 0;
  return Number.isNaN(a) ? (Number.isNaN(b) ? 0 : 1) : -1;
}
