// Selectivities: the fraction of rows a condition lets through, from ANALYZE's statistics where they exist and from PostgreSQL's
// defaults where not. Conditions count as independent; a pair of bounds on one column counts as one range.
import { Oid } from "../../common/types/oid.ts";
import { lookupCodec } from "../../common/types/registry.ts";
import type { Datum } from "../../common/types/type.ts";
import type { ColumnStatistics } from "../../catalog/entries.ts";
import type { PlannerContext } from "../context.ts";
import type { BoundExpression } from "../logical/expression.ts";
import type { LogicalColumn } from "../logical/plan.ts";
import { conjuncts } from "../logical/walk.ts";

/** PostgreSQL's defaults (selfuncs.h). */
const DEFAULT_EQUAL = 0.005;
const DEFAULT_RANGE = 1 / 3;
const DEFAULT_RANGE_BOTH = 0.005;
const DEFAULT_MATCH = 0.005;
const DEFAULT_UNKNOWN = 0.5;
const DEFAULT_NULL = 0.005;

/** What is known about columns and values; the Estimator is one. */
export interface ColumnFacts {
  readonly planner: PlannerContext;
  column(id: number): LogicalColumn | undefined;
  statistics(id: number): ColumnStatistics | undefined;
  /** Rows of the table a column belongs to. */
  ownRows(id: number): number;
  distinctValues(e: BoundExpression, rows: number): number;
  /** A value known at planning time. */
  value(e: BoundExpression): Datum | undefined;
}

export class Selectivity {
  readonly #facts: ColumnFacts;

  constructor(facts: ColumnFacts) {
    this.#facts = facts;
  }

  /** Fraction of rows that pass all conditions, taken as independent; a pair of bounds on one column counts as one range. */
  all(conditions: readonly BoundExpression[]): number {
    const parts = conditions.flatMap(conjuncts);
    const bounds = new Map<number, { low?: number; high?: number }>();
    let product = 1;
    for (const part of parts) {
      const range = this.#rangeOf(part);
      if (range === undefined) {
        product *= this.#single(part);
        continue;
      }
      const both = bounds.get(range.id) ?? {};
      both[range.side] = Math.min(both[range.side] ?? 1, range.fraction);
      bounds.set(range.id, both);
    }
    for (const { low, high } of bounds.values()) {
      if (low === undefined || high === undefined) product *= low ?? high ?? 1;
      else
        product *=
          low === DEFAULT_RANGE && high === DEFAULT_RANGE
            ? DEFAULT_RANGE_BOTH
            : Math.max(low + high - 1, 1e-5);
    }
    return Math.min(1, Math.max(0, product));
  }

  #rangeOf(
    e: BoundExpression,
  ): { readonly id: number; readonly side: "low" | "high"; readonly fraction: number } | undefined {
    if (e.kind !== "call" || e.operator === undefined || e.args.length !== 2) return undefined;
    if (!["<", "<=", ">", ">="].includes(e.operator)) return undefined;
    const [left, right] = e.args.map(stripRelabel) as [BoundExpression, BoundExpression];
    const isFlipped = left.kind !== "column";
    const column = isFlipped ? right : left;
    const other = isFlipped ? left : right;
    if (
      column.kind !== "column" ||
      (other.kind === "column" && this.#facts.column(other.index)?.tableOid !== 0)
    )
      return undefined;
    const isBelow = e.operator.startsWith("<") !== isFlipped;
    const below = this.#fractionBelow(column.index, column.type.oid, this.#facts.value(other));
    const fraction = below === undefined ? DEFAULT_RANGE : isBelow ? below : 1 - below;
    return { id: column.index, side: isBelow ? "high" : "low", fraction: Math.max(fraction, 1e-5) };
  }

  /** Fraction of a column's values below a value, from MCVs and histogram; undefined = unknown. */
  #fractionBelow(id: number, oid: number, value: Datum | undefined): number | undefined {
    const statistics = this.#facts.statistics(id);
    const codec = lookupCodec(oid);
    if (statistics === undefined || value === undefined || value === null || codec?.compare === undefined)
      return undefined;
    const types = this.#facts.planner.functionContext.types;
    const order = codec.compare;
    let below = 0;
    let common = 0;
    for (const [i, text] of statistics.commonValues.entries()) {
      const frequency = statistics.commonFrequencies[i] ?? 0;
      common += frequency;
      if (order(codec.parse(text, -1, types), value) < 0) below += frequency;
    }
    const bounds = statistics.histogram;
    if (bounds.length < 2)
      return bounds.length === 0 && statistics.commonValues.length === 0 ? undefined : below;
    const passed = bounds.filter((text) => order(codec.parse(text, -1, types), value) < 0).length;
    const within = Math.min(1, Math.max(0, (passed - 0.5) / (bounds.length - 1)));
    return below + within * Math.max(0, 1 - common - statistics.nullFraction);
  }

  #single(e: BoundExpression): number {
    switch (e.kind) {
      case "constant":
        return e.value === true ? 1 : 0;
      case "and":
        return this.all(e.args);
      case "or":
        return 1 - e.args.reduce((miss, arg) => miss * (1 - this.#single(arg)), 1);
      case "not":
        return 1 - this.#single(e.input);
      case "is-null":
      case "is-not-null": {
        const column = stripRelabel(e.input);
        const nulls =
          (column.kind === "column" ? this.#facts.statistics(column.index)?.nullFraction : undefined) ??
          DEFAULT_NULL;
        return e.kind === "is-null" ? nulls : 1 - nulls;
      }
      case "column":
        return this.#equals(e, true);
      case "call":
        return this.#call(e);
      case "scalar-array":
        return this.#scalarArray(e);
      case "subquery":
        return e.subqueryKind === "exists" || e.subqueryKind === "any" ? DEFAULT_UNKNOWN : DEFAULT_RANGE;
      case "boolean-test":
        return DEFAULT_UNKNOWN;
      case "distinct":
        return e.negated ? DEFAULT_EQUAL : 1 - DEFAULT_EQUAL;
      default:
        return DEFAULT_UNKNOWN;
    }
  }

  #call(e: Extract<BoundExpression, { kind: "call" }>): number {
    const [left, right] = e.args.map(stripRelabel);
    switch (e.operator) {
      case "=":
      case "<>": {
        if (left === undefined || right === undefined) return DEFAULT_EQUAL;
        const equal = this.#equality(left, right);
        return e.operator === "=" ? equal : 1 - equal;
      }
      case "~~":
      case "~":
      case "~*":
      case "~~*":
        return DEFAULT_MATCH;
      case "!~~":
      case "!~":
      case "!~*":
      case "!~~*":
        return 1 - DEFAULT_MATCH;
      case "<":
      case "<=":
      case ">":
      case ">=":
        return DEFAULT_RANGE;
      default:
        return e.type.oid === Oid.bool ? DEFAULT_UNKNOWN / 1.5 : DEFAULT_UNKNOWN;
    }
  }

  #equality(left: BoundExpression, right: BoundExpression): number {
    const isLocal = (e: BoundExpression): boolean =>
      e.kind === "column" && this.#facts.column(e.index) !== undefined;
    if (isLocal(left) && isLocal(right)) {
      const l = this.#facts.distinctValues(left, this.#facts.ownRows((left as { index: number }).index));
      const r = this.#facts.distinctValues(right, this.#facts.ownRows((right as { index: number }).index));
      return 1 / Math.max(l, r, 1);
    }
    const column = left.kind === "column" ? left : right;
    const other = left.kind === "column" ? right : left;
    if (column.kind !== "column") return DEFAULT_EQUAL;
    return this.#equals(column, this.#facts.value(other));
  }

  #equals(column: Extract<BoundExpression, { kind: "column" }>, value: Datum | undefined): number {
    const statistics = this.#facts.statistics(column.index);
    if (value === null) return 0;
    if (statistics === undefined) {
      if (column.type.oid === Oid.bool) return DEFAULT_UNKNOWN;
      return 1 / this.#facts.distinctValues(column, this.#facts.ownRows(column.index));
    }
    const known = value === undefined ? -1 : this.#commonIndex(column.type.oid, statistics, value);
    if (known >= 0) return statistics.commonFrequencies[known] ?? DEFAULT_EQUAL;
    const common = statistics.commonFrequencies.reduce((sum, frequency) => sum + frequency, 0);
    const distinct = this.#facts.distinctValues(column, this.#facts.ownRows(column.index));
    if (value === undefined) return Math.max(1e-6, (1 - statistics.nullFraction) / Math.max(distinct, 1));
    return Math.max(
      1e-6,
      (1 - common - statistics.nullFraction) / Math.max(distinct - statistics.commonValues.length, 1),
    );
  }

  #commonIndex(oid: number, statistics: ColumnStatistics, value: Datum): number {
    const codec = lookupCodec(oid);
    if (codec === undefined || value === null) return -1;
    const text = codec.format(value, this.#facts.planner.functionContext.types);
    return statistics.commonValues.indexOf(text);
  }

  #scalarArray(e: Extract<BoundExpression, { kind: "scalar-array" }>): number {
    const count = e.right.kind === "array" ? e.right.elements.length : 10;
    const column = stripRelabel(e.left);
    const elements = e.right.kind === "array" ? e.right.elements : [];
    let sum = 0;
    if (column.kind === "column") {
      for (let i = 0; i < count; i++) {
        const element = elements[i];
        sum += this.#equals(column, element === undefined ? undefined : this.#facts.value(element));
      }
    } else sum = count * DEFAULT_EQUAL;
    const any = Math.min(1, sum);
    return e.quantifier === "any"
      ? e.operator === "="
        ? any
        : 1 - any
      : e.operator === "<>"
        ? 1 - any
        : any;
  }
}

export function stripRelabel(e: BoundExpression): BoundExpression {
  return e.kind === "relabel" ? stripRelabel(e.input) : e;
}
