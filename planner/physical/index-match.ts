// Which conditions a btree index can answer, and as which bounds. A bound is usable when its other side is the same for the
// whole scan (constant, parameter, another relation's column, stable function) and has exactly the key's type.
//
// What an index answers it answers exactly, NULLs included (a NULL bound matches nothing), so matched conditions need no
// second test.
import { Oid } from "../../common/types/oid.ts";
import type { OperatorClassEntry } from "../../catalog/catalog.ts";
import type { IndexEntry } from "../../catalog/entries.ts";
import type { PlannerContext } from "../context.ts";
import { indexKeys, type UsableIndex } from "../index-keys.ts";
import type { BoundExpression, SortKey } from "../logical/expression.ts";
import { columnsIn } from "../logical/map.ts";
import type { LogicalScan } from "../logical/plan.ts";
import { isVolatile, sameExpression } from "../logical/walk.ts";
import { stripRelabel } from "./selectivity.ts";
import type { IndexCondition } from "./plan.ts";

export interface IndexMatch {
  readonly index: IndexEntry;
  readonly condition: IndexCondition;
  /** Conditions the index answers, as written; empty = whole index. */
  readonly matched: readonly BoundExpression[];
  readonly remaining: readonly BoundExpression[];
  /** Key columns bound by equality: they do not count for order. */
  readonly equalCount: number;
  /** What the key columns compute, over the scan; undefined where the scan does not read it. */
  readonly keys: readonly (BoundExpression | undefined)[];
  /** Conditions that the predicate of a partial index answers. */
  readonly implied: readonly BoundExpression[];
}

const FLIPPED: Readonly<Record<string, string>> = { "=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<=" };

interface KeyTest {
  readonly operator: string;
  readonly value: BoundExpression;
  readonly source: BoundExpression;
}

/** Bounds of a btree index under a scan's conditions; with no usable condition the whole index. */
export function matchIndex(
  planner: PlannerContext,
  scan: LogicalScan,
  { index, implied }: UsableIndex,
): IndexMatch {
  const own = new Set(scan.columns.map((column) => column.id));
  const keys = indexKeys(planner, scan, index);
  const used = new Set<BoundExpression>();
  const equal: BoundExpression[] = [];
  let low: IndexCondition["low"];
  let high: IndexCondition["high"];
  let anyOf: BoundExpression | undefined;
  let nullTest: IndexCondition["nullTest"];
  for (let i = 0; i < index.keyCount; i++) {
    const key = keys[i];
    const opclass = planner.catalog.operatorClassByOid(index.columns[i]?.opclass ?? 0);
    if (key === undefined || opclass === undefined) break;
    const tests = scan.filter.flatMap((condition) => testOf(condition, own, key, opclass));
    const equality = tests.find((test) => test.operator === "=");
    if (equality !== undefined) {
      equal.push(equality.value);
      used.add(equality.source);
      continue;
    }
    if (i === 0) {
      const list = scan.filter.find((condition) => isAnyOf(condition, own, key, opclass));
      if (list?.kind === "scalar-array") {
        anyOf = list.right;
        used.add(list);
        continue;
      }
      const nulls = scan.filter.find((condition) => isNullTest(condition, key));
      if (nulls !== undefined && (nulls.kind === "is-null" || nulls.kind === "is-not-null")) {
        nullTest = nulls.kind;
        used.add(nulls);
        break;
      }
    }
    const below = tests.find((test) => test.operator === "<" || test.operator === "<=");
    const above = tests.find((test) => test.operator === ">" || test.operator === ">=");
    if (below !== undefined) {
      high = { value: below.value, inclusive: below.operator === "<=" };
      used.add(below.source);
    }
    if (above !== undefined) {
      low = { value: above.value, inclusive: above.operator === ">=" };
      used.add(above.source);
    }
    break;
  }
  return {
    index,
    condition: { equal, low, high, anyOf, nullTest },
    matched: scan.filter.filter((condition) => used.has(condition)),
    remaining: scan.filter.filter((condition) => !used.has(condition) && !implied.includes(condition)),
    equalCount: equal.length,
    keys,
    implied,
  };
}

/** A condition as `key operator value`, operand order settled; empty when it is something else. */
function testOf(
  e: BoundExpression,
  own: ReadonlySet<number>,
  key: BoundExpression,
  opclass: OperatorClassEntry,
): readonly KeyTest[] {
  // A bare boolean is a test for true.
  const tested = e.kind === "not" ? e.input : e;
  if (opclass.inputType === Oid.bool && isKey(tested, key)) {
    const value: BoundExpression = {
      kind: "constant",
      value: e.kind !== "not",
      type: tested.type,
      collation: 0,
      position: 0,
    };
    return [{ operator: "=", value, source: e }];
  }
  if (e.kind !== "call" || e.operator === undefined || e.args.length !== 2 || !(e.operator in FLIPPED))
    return [];
  const [left, right] = e.args as [BoundExpression, BoundExpression];
  const isLeft = isKey(left, key);
  const isRight = isKey(right, key);
  if (isLeft === isRight) return [];
  const value = boundValue(isLeft ? right : left, own, opclass.inputType, (isLeft ? left : right).type.oid);
  if (value === undefined) return [];
  return [{ operator: isLeft ? e.operator : (FLIPPED[e.operator] as string), value, source: e }];
}

function isKey(e: BoundExpression, key: BoundExpression): boolean {
  // A column under a cast that changes no bytes is the column; an expression brings its own casts.
  const bare = stripRelabel(e);
  if (key.kind === "column") return bare.kind === "column" && bare.index === key.index;
  return sameExpression(e, key) || sameExpression(bare, key);
}

function isConstantForScan(e: BoundExpression, own: ReadonlySet<number>): boolean {
  return !isVolatile(e) && ![...columnsIn(e)].some((id) => own.has(id));
}

/** The integer family: values of one compare with keys of another, and the executor brings a bound into the key's range. */
const INTEGERS: ReadonlySet<number> = new Set([Oid.int2, Oid.int4, Oid.int8]);

/**
 * The value as a bound of the key; undefined when its type is another one. Comparisons are chosen by both sides' types
 * (int4 = int8, as drivers send small numbers as int2), a key is stored as one of them.
 */
function boundValue(
  value: BoundExpression,
  own: ReadonlySet<number>,
  keyType: number,
  columnType: number,
): BoundExpression | undefined {
  if (!isConstantForScan(value, own)) return undefined;
  if (value.type.oid === keyType) return value;
  if (value.type.oid === columnType) return columnType === keyType ? value : undefined;
  return INTEGERS.has(value.type.oid) && INTEGERS.has(keyType) ? value : undefined;
}

function isAnyOf(
  e: BoundExpression,
  own: ReadonlySet<number>,
  key: BoundExpression,
  opclass: OperatorClassEntry,
): boolean {
  return (
    e.kind === "scalar-array" &&
    e.quantifier === "any" &&
    e.operator === "=" &&
    isKey(e.left, key) &&
    e.left.type.oid === opclass.inputType &&
    isConstantForScan(e.right, own)
  );
}

function isNullTest(e: BoundExpression, key: BoundExpression): boolean {
  return (e.kind === "is-null" || e.kind === "is-not-null") && isKey(e.input, key);
}

/** Whether reading the index gives the order of `keys`; undefined = no. */
export function indexOrder(
  { index, equalCount, keys: own }: IndexMatch,
  keys: readonly SortKey[],
): "forward" | "backward" | undefined {
  let direction: "forward" | "backward" | undefined;
  let place = 0;
  for (const key of keys) {
    // A column bound to one value may stand anywhere in the order.
    if (own.slice(0, equalCount).some((bound) => sameExpression(bound, key.expression))) continue;
    const column = index.columns[equalCount + place];
    const computed = own[equalCount + place];
    if (column === undefined || computed === undefined || !sameExpression(computed, key.expression))
      return undefined;
    const isForward = column.descending === key.descending && column.nullsFirst === key.nullsFirst;
    const isBackward = column.descending !== key.descending && column.nullsFirst !== key.nullsFirst;
    const wanted = isForward ? "forward" : isBackward ? "backward" : undefined;
    if (wanted === undefined || (direction !== undefined && direction !== wanted)) return undefined;
    direction = wanted;
    place += 1;
  }
  return direction ?? "forward";
}
