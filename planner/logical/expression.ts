// Bound expressions: every name resolved, every node typed, every overload chosen. Shared by logical and physical plans and
// by the executor's compiler.
//
// A column is a position in the operator's input row (for joins: left columns, then right). Correlation and lateral
// references become `outer` parameters: the enclosing operator sets them before it runs the inner plan.
import type { Datum, SqlType } from "../../common/types/type.ts";
import type { FunctionEntry } from "../../catalog/functions/function.ts";
import type { PhysicalPlan } from "../physical/plan.ts";
import type { LogicalPlan } from "./plan.ts";

interface ExpressionBase {
  readonly type: SqlType;
  /** Collation oid where the type is collatable, else 0. */
  readonly collation: number;
  /** 1-based position in the statement, for errors raised at run time; 0 = unknown. */
  readonly position: number;
}

export interface ConstantExpression extends ExpressionBase {
  readonly kind: "constant";
  readonly value: Datum;
}

/** $n of the statement (0-based), a client's parameter or a literal that normalisation took out. */
export interface ParameterExpression extends ExpressionBase {
  readonly kind: "parameter";
  readonly index: number;
}

export interface ColumnExpression extends ExpressionBase {
  readonly kind: "column";
  readonly index: number;
  /** For EXPLAIN and error texts: "t.a". */
  readonly name: string;
}

/** Value of an enclosing query's row, set by the operator that runs this plan (nested loop or subplan). */
export interface OuterExpression extends ExpressionBase {
  readonly kind: "outer";
  readonly id: number;
  readonly name: string;
}

/** A function or operator call. `operator` is the operator's name when written as one (EXPLAIN prints it so). */
export interface CallExpression extends ExpressionBase {
  readonly kind: "call";
  readonly function: FunctionEntry;
  readonly args: readonly BoundExpression[];
  readonly operator: string | undefined;
  /** Written as a cast (explicit or inserted): EXPLAIN prints (x)::type. */
  readonly cast: "explicit" | "implicit" | undefined;
}

/** Same bytes, other type (int4 -> oid, varchar -> text). */
export interface RelabelExpression extends ExpressionBase {
  readonly kind: "relabel";
  readonly input: BoundExpression;
  readonly cast: "explicit" | "implicit";
}

/** Cast through text output and input of the types; also arrays element by element (`elementCast`). */
export interface IoCastExpression extends ExpressionBase {
  readonly kind: "io-cast";
  readonly input: BoundExpression;
  readonly cast: "explicit" | "implicit";
}

export interface ArrayCastExpression extends ExpressionBase {
  readonly kind: "array-cast";
  readonly input: BoundExpression;
  /** Cast of one element; its input is `column` 0 of a one-column row. */
  readonly element: BoundExpression;
  readonly cast: "explicit" | "implicit";
}

/** AND / OR with three-valued logic and left-to-right evaluation on the rows that still need it. */
export interface LogicExpression extends ExpressionBase {
  readonly kind: "and" | "or";
  readonly args: readonly BoundExpression[];
}

export interface NotExpression extends ExpressionBase {
  readonly kind: "not";
  readonly input: BoundExpression;
}

export interface NullTestExpression extends ExpressionBase {
  readonly kind: "is-null" | "is-not-null";
  readonly input: BoundExpression;
}

export interface BooleanTestExpression extends ExpressionBase {
  readonly kind: "boolean-test";
  readonly test: "is-true" | "is-not-true" | "is-false" | "is-not-false" | "is-unknown" | "is-not-unknown";
  readonly input: BoundExpression;
}

/** IS [NOT] DISTINCT FROM; `equals` is the = function. */
export interface DistinctExpression extends ExpressionBase {
  readonly kind: "distinct";
  readonly negated: boolean;
  readonly equals: FunctionEntry;
  readonly left: BoundExpression;
  readonly right: BoundExpression;
}

/** Searched CASE (simple CASE is bound to equality tests). */
export interface CaseExpression extends ExpressionBase {
  readonly kind: "case";
  readonly whens: readonly { readonly condition: BoundExpression; readonly result: BoundExpression }[];
  readonly otherwise: BoundExpression | undefined;
}

export interface CoalesceExpression extends ExpressionBase {
  readonly kind: "coalesce";
  readonly args: readonly BoundExpression[];
}

export interface MinMaxExpression extends ExpressionBase {
  readonly kind: "greatest" | "least";
  readonly args: readonly BoundExpression[];
}

export interface NullIfExpression extends ExpressionBase {
  readonly kind: "nullif";
  readonly equals: FunctionEntry;
  readonly left: BoundExpression;
  readonly right: BoundExpression;
}

/** ARRAY[...]; `isNested`: the elements are arrays and become one more dimension. */
export interface ArrayExpression extends ExpressionBase {
  readonly kind: "array";
  readonly elements: readonly BoundExpression[];
  readonly isNested: boolean;
}

export interface RowExpression extends ExpressionBase {
  readonly kind: "row";
  readonly fields: readonly BoundExpression[];
  readonly names: readonly string[];
}

/** (composite).field */
export interface FieldExpression extends ExpressionBase {
  readonly kind: "field";
  readonly input: BoundExpression;
  readonly fieldIndex: number;
  readonly name: string;
}

/** a[i], a[i:j], also int2vector (0-based) and jsonb subscripts. */
export interface SubscriptExpression extends ExpressionBase {
  readonly kind: "subscript";
  readonly input: BoundExpression;
  readonly subscripts: readonly {
    readonly isSlice: boolean;
    readonly lower: BoundExpression | undefined;
    readonly upper: BoundExpression | undefined;
  }[];
}

/** left op ANY/ALL (array); IN lists become this with an `array` right side. */
export interface ScalarArrayExpression extends ExpressionBase {
  readonly kind: "scalar-array";
  readonly quantifier: "any" | "all";
  readonly function: FunctionEntry;
  readonly operator: string;
  readonly left: BoundExpression;
  readonly right: BoundExpression;
}

/** Row-wise comparison (a, b) < (c, d): `comparisons` per field, `operator` says how they combine. */
export interface RowCompareExpression extends ExpressionBase {
  readonly kind: "row-compare";
  readonly operator: "=" | "<>" | "<" | "<=" | ">" | ">=";
  readonly left: readonly BoundExpression[];
  readonly right: readonly BoundExpression[];
  /** Per field the = function and the < function. */
  readonly equals: readonly FunctionEntry[];
  readonly less: readonly (FunctionEntry | undefined)[];
}

/**
 * A sub-select inside an expression. scalar: one row at most (21000), NULL when none; exists; any/all: `test` compares the
 * left-hand values with the sub-select's columns, which `test` sees as `column` 0..n-1 (left-hand values as `outer`-free
 * expressions over the outer row in `testArgs`, columns n.. of the test's input row); array: ARRAY(SELECT ...).
 */
export interface SubqueryExpression extends ExpressionBase {
  readonly kind: "subquery";
  readonly subqueryKind: "scalar" | "exists" | "any" | "all" | "array";
  /** Logical in the logical plan; the physical planner replaces it. Exactly one of the two is defined. */
  readonly logical: LogicalPlan | undefined;
  readonly plan: PhysicalPlan | undefined;
  /** any/all: left-hand expressions over the outer row. */
  readonly testArgs: readonly BoundExpression[];
  /** any/all: boolean over [sub-select columns..., testArgs...]. */
  readonly test: BoundExpression | undefined;
  /** any with plain equality on every column: a hash of the sub-select can answer. */
  readonly isHashable: boolean;
  /** Outer parameters the inner plan reads from this row: id = value. Empty: uncorrelated, runs once. */
  readonly bindings: readonly OuterBinding[];
}

export interface OuterBinding {
  readonly id: number;
  readonly value: BoundExpression;
}

/** body <@> 'query' bound to a bm25 index: negative score, 0 where no term matches, NULL on NULL text. Works on any row. */
export interface TextScoreExpression extends ExpressionBase {
  readonly kind: "text-score";
  readonly text: BoundExpression;
  readonly query: BoundExpression;
  /** Engine id of the bm25 index whose statistics and analysis count, and its name for EXPLAIN. */
  readonly indexStorageId: number;
  readonly indexOid: number;
  readonly indexName: string;
  /** The statement names the index: to_bm25query(query, index). */
  readonly namesIndex: boolean;
}

/**
 * hybrid_rrf(branch, branch, ...): sum of weight / (k + rank) over branches, negated (ascending = best). Legal only where the
 * planner can rank: ORDER BY ... LIMIT over one table, also repeated in its select list. Elsewhere 0A000.
 */
export interface HybridExpression extends ExpressionBase {
  readonly kind: "hybrid-rrf";
  readonly branches: readonly BoundExpression[];
  readonly weights: BoundExpression | undefined;
  readonly k: BoundExpression | undefined;
  readonly candidates: BoundExpression | undefined;
}

/** nextval-like and other needs of the executor that are plain calls stay calls. Set-returning calls appear only in ProjectSet. */
export type BoundExpression =
  | ConstantExpression
  | ParameterExpression
  | ColumnExpression
  | OuterExpression
  | CallExpression
  | RelabelExpression
  | IoCastExpression
  | ArrayCastExpression
  | LogicExpression
  | NotExpression
  | NullTestExpression
  | BooleanTestExpression
  | DistinctExpression
  | CaseExpression
  | CoalesceExpression
  | MinMaxExpression
  | NullIfExpression
  | ArrayExpression
  | RowExpression
  | FieldExpression
  | SubscriptExpression
  | ScalarArrayExpression
  | RowCompareExpression
  | SubqueryExpression
  | TextScoreExpression
  | HybridExpression;

/** One aggregate of an Aggregate node. */
export interface AggregateCall {
  readonly function: FunctionEntry;
  readonly args: readonly BoundExpression[];
  readonly isDistinct: boolean;
  readonly filter: BoundExpression | undefined;
  readonly orderBy: readonly SortKey[];
  readonly type: SqlType;
  readonly collation: number;
}

export interface SortKey {
  readonly expression: BoundExpression;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
}

/** An output column of a plan. */
export interface OutputColumn {
  readonly name: string;
  readonly type: SqlType;
  readonly collation: number;
  /** Where it comes from, for RowDescription: 0 = computed. */
  readonly tableOid: number;
  readonly attnum: number;
}
