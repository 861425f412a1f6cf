// The key of an index look-up: a condition that is nothing but equalities, its values packed for fetchByKey. Everything else
// about index conditions is index-range.ts's.
import { must } from "../../common/assert.ts";
import type { Vector } from "../../common/batch/vector.ts";
import { type IndexEntry, storedAttnum, type TableEntry } from "../../catalog/entries.ts";
import type { IndexRange, RowBlock } from "../../native/engine.ts";
import type { IndexCondition } from "../../planner/physical/plan.ts";
import type { ExecutionContext } from "../context.ts";
import { compileAll, ONE_ROW } from "../expression/compile.ts";
import { type Evaluate, evaluateAll } from "../expression/evaluate.ts";
import { chain, type MaybePromise } from "../maybe-promise.ts";
import { isOutside } from "./index-range.ts";
import { LentRows, type RowShape, rowShape } from "./lent-rows.ts";
import { columnType } from "./scan-target.ts";

interface KeyShape {
  readonly values: readonly Evaluate[];
  readonly shape: RowShape;
}

/** A condition belongs to one index of one version of the table. undefined: it is more than equalities. */
const shapes = new WeakMap<IndexCondition, KeyShape | null>();

function keyShape(condition: IndexCondition, index: IndexEntry, table: TableEntry): KeyShape | null {
  let known = shapes.get(condition);
  if (known === undefined) {
    known = isKey(condition) ? makeShape(condition, index, table) : null;
    shapes.set(condition, known);
  }
  return known;
}

function isKey({ equal, low, high, anyOf, nullTest }: IndexCondition): boolean {
  const others = [low, high, anyOf, nullTest];
  return equal.length > 0 && others.every((other) => other === undefined);
}

function makeShape({ equal }: IndexCondition, index: IndexEntry, table: TableEntry): KeyShape {
  const types = equal.map((_, i) =>
    columnType(table, storedAttnum(must(index.columns[i], "an index column per value"))),
  );
  return { values: compileAll(equal), shape: rowShape(types) };
}

export class IndexKey {
  readonly #shape: KeyShape;
  readonly #rows: LentRows;
  readonly #context: ExecutionContext;

  /** undefined where the condition is no key. */
  static of(
    condition: IndexCondition,
    index: IndexEntry,
    table: TableEntry,
    context: ExecutionContext,
  ): IndexKey | undefined {
    const shape = keyShape(condition, index, table);
    return shape === null ? undefined : new IndexKey(shape, context);
  }

  private constructor(shape: KeyShape, context: ExecutionContext) {
    this.#shape = shape;
    this.#rows = new LentRows(shape.shape, context.buffers);
    this.#context = context;
  }

  /** The values now, until close(). "none": no row can have them (NULL, or beyond the column's type); undefined: too wide. */
  evaluate(): MaybePromise<RowBlock | "none" | undefined> {
    const evaluated = evaluateAll(this.#shape.values, ONE_ROW, this.#context);
    return chain(evaluated, (values) =>
      this.#matchesNothing(values) ? "none" : this.#rows.holdFew(values, 1),
    );
  }

  #matchesNothing(values: readonly Vector[]): boolean {
    for (let i = 0; i < values.length; i++) {
      const value = (values[i] as Vector).get(0);
      if (value === null || isOutside(value, this.#shape.shape.types[i])) return true;
    }
    return false;
  }

  close(): void {
    this.#rows.release();
  }
}

/** The range of a key, for a walk that goes on behind the first rows. */
export function rangeOfKey({ columns }: RowBlock): IndexRange {
  return { low: columns, lowInclusive: true, high: columns, highInclusive: true };
}
