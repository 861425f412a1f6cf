// Sets of distinct keys in the types of a referenced table, and their look-up in its unique index.
import { must } from "../../common/assert.ts";
import { BoxedVector, type Vector } from "../../common/batch/vector.ts";
import { Oid } from "../../common/types/oid.ts";
import type { Datum, SqlType } from "../../common/types/type.ts";
import type { TableEntry } from "../../catalog/entries.ts";
import type { ForeignKeyRules } from "../../planner/physical/plan.ts";
import { type HashKey, strictRowKey } from "../batch/hash-key.ts";
import type { ExecutionContext } from "../context.ts";
import { toBuffer } from "../storage/column-buffer.ts";
import { columnType } from "../storage/scan-target.ts";
import type { Key } from "./events.ts";

/** Types of the referenced columns, in the constraint's order. */
export function parentTypes(rules: ForeignKeyRules): readonly SqlType[] {
  return rules.reference.columns.map((attnum) => columnType(rules.parent, attnum));
}

/** Distinct keys without NULL, each with the number under which it was added first. */
export class KeySet {
  readonly keys: Key[] = [];
  readonly #rowKey: ReturnType<typeof strictRowKey>;
  readonly #positions = new Map<HashKey, number>();

  constructor(types: readonly SqlType[]) {
    this.#rowKey = strictRowKey(types);
  }

  /** Adds a key; gives its position, or undefined when it is there already or has a NULL. */
  add(key: Key): number | undefined {
    const hash = this.#hash(key);
    if (hash === undefined || this.#positions.has(hash)) return undefined;
    this.#positions.set(hash, this.keys.length);
    return this.keys.push(key) - 1;
  }

  /** Position of the key in row `row` of `columns`; undefined = not in the set. */
  find(columns: readonly Vector[], row: number): number | undefined {
    const hash = this.#rowKey(columns, row);
    return hash === undefined ? undefined : this.#positions.get(hash);
  }

  #hash(key: Key): HashKey | undefined {
    return this.#rowKey(
      key.map((value) => new BoxedVector([value])),
      0,
    );
  }
}

/** The visible row of the referenced table for each key; NO_ROW where there is none. */
export function lookupParents(
  rules: ForeignKeyRules,
  keys: readonly Key[],
  context: ExecutionContext,
): Uint32Array {
  const { parent, parentIndex, reference } = rules;
  const attnums = parentIndex.columns.slice(0, parentIndex.keyCount).map((column) => column.attnum);
  const positions = attnums.map((attnum) => reference.columns.indexOf(attnum));
  const rids = new Uint32Array(keys.length);
  for (let from = 0; from < keys.length; from += context.batchRows) {
    const part = keys.slice(from, from + context.batchRows);
    const isKnown = part.map((key) => fits(key, rules));
    const columns = attnums.map((attnum, i) => {
      const position = must(positions[i], "a position per column");
      const values = part.map((key, row) => (isKnown[row] === true ? (key[position] ?? null) : null));
      return toBuffer(new BoxedVector(values), columnType(parent, attnum), 0, values.length);
    });
    const found = new Uint32Array(part.length);
    context.transaction.lookupKeys(parentIndex.storageId, columns, part.length, found);
    rids.set(found, from);
  }
  return rids;
}

function fits(key: Key, rules: ForeignKeyRules): boolean {
  return key.every((value, i) => fitsType(value, parentColumnType(rules.parent, rules.reference.columns[i])));
}

function parentColumnType(parent: TableEntry, attnum: number | undefined): SqlType {
  return columnType(parent, must(attnum, "a referenced column"));
}

const INTEGER_LIMITS: ReadonlyMap<number, readonly [number, number]> = new Map([
  [Oid.int2, [-32768, 32767]],
  [Oid.int4, [-2147483648, 2147483647]],
]);

/** Whether a value of another integer type is one that `type` can hold; such a value is equal to nothing otherwise. */
export function fitsType(value: Datum, type: SqlType): boolean {
  const limits = INTEGER_LIMITS.get(type.oid);
  if (limits === undefined || (typeof value !== "number" && typeof value !== "bigint")) return true;
  return value >= limits[0] && value <= limits[1];
}
