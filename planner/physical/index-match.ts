// Which conditions a btree index can answer, and as which bounds. A bound is usable when its other side is the same for the
// whole scan (constant, parameter, another relation's column, stable function) and has exactly the key's type.
//
// What an index answers it answers exactly, NULLs included (a NULL bound matches nothing), so matched conditions need no
// second test.
import { Oid } from "../../common/types/oid.ts";
import type { OperatorClassEntry } from "../../catalog/catalog.ts";
import type { IndexEntry } from "../../catalog/entries.ts";
import type { PlannerContext } from "../context.ts";
import type { BoundExpression } from "../logical/expression.ts";
import { columnsIn } from "../logical/map.ts";
import type { LogicalScan } from "../logical/plan.ts";
import { isVolatile } from "../logical/walk.ts";
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
}

const FLIPPED: Readonly<Record<string, string>> = { "=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<=" };

interface KeyTest {
  readonly attnum: number;
  readonly operator: string;
  readonly value: BoundExpression;
  readonly source: BoundExpression;
}

/** Bounds of a btree index under a scan's conditions; with no usable condition the whole index. */
export function matchIndex(planner: PlannerContext, scan: LogicalScan, index: IndexEntry): IndexMatch {
  const own = new Map(scan.columns.map((column) => [column.id, column.attnum]));
  const used = new Set<BoundExpression>();
  const equal: BoundExpression[] = [];
  let low: IndexCondition["low"];
  let high: IndexCondition["high"];
  let anyOf: BoundExpression | undefined;
  let nullTest: IndexCondition["nullTest"];
  for (let i = 0; i < index.keyCount; i++) {
    const key = index.columns[i];
    const opclass = key === undefined ? undefined : planner.catalog.operatorClassByOid(key.opclass);
    if (key === undefined || opclass === undefined) break;
    const tests = scan.filter.flatMap((condition) => testOf(condition, own, key.attnum, opclass));
    const equality = tests.find((test) => test.operator === "=");
    if (equality !== undefined) {
      equal.push(equality.value);
      used.add(equality.source);
      continue;
    }
    if (i === 0) {
      const list = scan.filter.find((condition) => isAnyOf(condition, own, key.attnum, opclass));
      if (list?.kind === "scalar-array") {
        anyOf = list.right;
        used.add(list);
        continue;
      }
      const nulls = scan.filter.find((condition) => isNullTest(condition, own, key.attnum));
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
    remaining: scan.filter.filter((condition) => !used.has(condition)),
    equalCount: equal.length,
  };
}

/** A condition as `key operator value`, operand order settled; empty when it is something else. */
function testOf(
  e: BoundExpression,
  own: ReadonlyMap<number, number>,
  attnum: number,
  opclass: OperatorClassEntry,
): readonly KeyTest[] {
  // A bare boolean column is a test for true.
  if (e.kind === "column" || (e.kind === "not" && e.input.kind === "column")) {
    const column = e.kind === "not" ? e.input : e;
    if (column.kind !== "column" || own.get(column.index) !== attnum || opclass.inputType !== Oid.bool)
      return [];
    const value: BoundExpression = {
      kind: "constant",
      value: e.kind === "column",
      type: column.type,
      collation: 0,
      position: 0,
    };
    return [{ attnum, operator: "=", value, source: e }];
  }
  if (e.kind !== "call" || e.operator === undefined || e.args.length !== 2 || !(e.operator in FLIPPED))
    return [];
  const [left, right] = e.args as [BoundExpression, BoundExpression];
  const isLeft = isKey(left, own, attnum);
  const isRight = isKey(right, own, attnum);
  if (isLeft === isRight) return [];
  const value = boundValue(isLeft ? right : left, own, opclass.inputType, (isLeft ? left : right).type.oid);
  if (value === undefined) return [];
  return [{ attnum, operator: isLeft ? e.operator : (FLIPPED[e.operator] as string), value, source: e }];
}

function isKey(e: BoundExpression, own: ReadonlyMap<number, number>, attnum: number): boolean {
  const column = stripRelabel(e);
  return column.kind === "column" && own.get(column.index) === attnum;
}

function isConstantForScan(e: BoundExpression, own: ReadonlyMap<number, number>): boolean {
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
  own: ReadonlyMap<number, number>,
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
  own: ReadonlyMap<number, number>,
  attnum: number,
  opclass: OperatorClassEntry,
): boolean {
  return (
    e.kind === "scalar-array" &&
    e.quantifier === "any" &&
    e.operator === "=" &&
    isKey(e.left, own, attnum) &&
    e.left.type.oid === opclass.inputType &&
    isConstantForScan(e.right, own)
  );
}

function isNullTest(e: BoundExpression, own: ReadonlyMap<number, number>, attnum: number): boolean {
  return (e.kind === "is-null" || e.kind === "is-not-null") && isKey(e.input, own, attnum);
}

/** Whether reading the index gives the order of `keys` (attnums with directions); undefined = no. */
export function indexOrder(
  index: IndexEntry,
  equalCount: number,
  keys: readonly { readonly attnum: number; readonly descending: boolean; readonly nullsFirst: boolean }[],
): "forward" | "backward" | undefined {
  let direction: "forward" | "backward" | undefined;
  let place = 0;
  for (const key of keys) {
    // A column bound to one value may stand anywhere in the order.
    if (index.columns.slice(0, equalCount).some((column) => column.attnum === key.attnum)) continue;
    const column = index.columns[equalCount + place];
    if (column === undefined || equalCount + place >= index.keyCount || column.attnum !== key.attnum)
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
