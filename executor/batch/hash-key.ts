// Keys for hash tables over SQL values: a JavaScript primitive that is equal exactly when the SQL values are equal
// (codec.hashKey), several columns joined into one string. Map and Set compare with SameValueZero, so NaN meets NaN
// and -0 meets 0, as PostgreSQL's float equality has it.
import { SqlError, SqlState } from "../../common/error.ts";
import type { Vector } from "../../common/batch/vector.ts";
import { lookupCodec } from "../../common/types/registry.ts";
import type { Datum, SqlType } from "../../common/types/type.ts";

export type HashKey = string | number | boolean | bigint;

/** Separates the parts of a composite key; lengths make it unambiguous. */
const NULL_PART = "n";

/** The key function of one column; 42883 when the type has no equality. */
export function hashKeyOf(type: SqlType): (value: Datum) => HashKey {
  const hashKey = lookupCodec(type.oid)?.hashKey;
  if (hashKey !== undefined) return hashKey;
  throw new SqlError(
    SqlState.undefinedFunction,
    `could not identify an equality operator for type ${lookupCodec(type.oid)?.name ?? type.oid}`,
  );
}

/** Key of row `row` over `columns`; undefined = some part is NULL (an equality join never matches it). */
export type RowKey = (columns: readonly Vector[], row: number) => HashKey | undefined;

/** NULL parts make the whole key undefined: joins and IN. */
export function strictRowKey(types: readonly SqlType[]): RowKey {
  const parts = types.map(hashKeyOf);
  if (parts.length === 1) {
    const only = parts[0] as (value: Datum) => HashKey;
    return (columns, row) => {
      const value = (columns[0] as Vector).get(row);
      return value === null ? undefined : only(value);
    };
  }
  return (columns, row) => {
    let key = "";
    for (let i = 0; i < parts.length; i++) {
      const value = (columns[i] as Vector).get(row);
      if (value === null) return undefined;
      key += part((parts[i] as (value: Datum) => HashKey)(value));
    }
    return key;
  };
}

/** NULL equals NULL: GROUP BY, DISTINCT, set operations. Never undefined. */
export function groupingRowKey(
  types: readonly SqlType[],
): (columns: readonly Vector[], row: number) => HashKey {
  const parts = types.map(hashKeyOf);
  if (parts.length === 1) {
    const only = parts[0] as (value: Datum) => HashKey;
    // A symbol would do for NULL, but Map keys of one primitive family are quicker; the text cannot clash with
    // another key because string keys get a prefix.
    return (columns, row) => {
      const value = (columns[0] as Vector).get(row);
      if (value === null) return NULL_PART;
      const key = only(value);
      return typeof key === "string" ? `s${key}` : key;
    };
  }
  return (columns, row) => {
    let key = "";
    for (let i = 0; i < parts.length; i++) {
      const value = (columns[i] as Vector).get(row);
      key += value === null ? NULL_PART : part((parts[i] as (value: Datum) => HashKey)(value));
    }
    return key;
  };
}

function part(key: HashKey): string {
  if (typeof key === "string") return `s${key.length}:${key}`;
  // -0 and 0 are one value; String() prints both as 0. A number and a bigint of one value cannot both occur.
  return `${typeof key === "boolean" ? (key ? "t" : "f") : String(key)};`;
}
