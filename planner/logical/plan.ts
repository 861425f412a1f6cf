// Logical plans: what the binder builds and the optimizer's rules rewrite.
//
// Invariant: every column that any node produces has an id that is unique in the statement, and a ColumnExpression's
// `index` is such an id. A predicate can therefore move through the tree without renumbering, a correlated reference is
// simply an id that no node below produces, and joins can change sides. physical/build.ts turns ids into positions; ids it
// cannot find in an input row become `outer` parameters.
//
//   Limit -> Sort -> Project -> Filter -> Join -> Scan        (each node points at its input)
//
// Two expressions are exempt: SubqueryExpression.test and ArrayCastExpression.element count positions already.
import type { SqlType } from "../../common/types/type.ts";
import type { VirtualRelation } from "../../catalog/catalog.ts";
import type { TableEntry } from "../../catalog/entries.ts";
import type {
  ForeignKeyWatch,
  JoinType,
  OnConflict,
  SearchBranch,
  TableConstraints,
} from "../physical/plan.ts";
import type { AggregateCall, BoundExpression, SortKey } from "./expression.ts";

/** A column some node produces. */
export interface LogicalColumn {
  readonly id: number;
  readonly name: string;
  readonly type: SqlType;
  readonly collation: number;
  /** Origin for RowDescription: 0 = computed. */
  readonly tableOid: number;
  readonly attnum: number;
}

export interface ProjectItem {
  readonly column: LogicalColumn;
  readonly expression: BoundExpression;
}

/** One row without columns. */
export interface LogicalResult {
  readonly kind: "result";
}

export interface LogicalValues {
  readonly kind: "values";
  readonly rows: readonly (readonly BoundExpression[])[];
  readonly columns: readonly LogicalColumn[];
}

export interface LogicalScan {
  readonly kind: "scan";
  readonly table: TableEntry;
  readonly alias: string;
  readonly columns: readonly LogicalColumn[];
  /** Column that carries the row id, where somebody wants it (ctid, UPDATE, DELETE). */
  readonly rid: LogicalColumn | undefined;
  /** Conjuncts every row must pass; push-down puts them here. */
  readonly filter: readonly BoundExpression[];
}

export interface LogicalVirtualScan {
  readonly kind: "virtual-scan";
  readonly relation: VirtualRelation;
  readonly alias: string;
  readonly columns: readonly LogicalColumn[];
  readonly filter: readonly BoundExpression[];
}

export interface LogicalFunctionScan {
  readonly kind: "function-scan";
  readonly alias: string;
  readonly functions: readonly { readonly call: BoundExpression; readonly columnCount: number }[];
  readonly withOrdinality: boolean;
  readonly columns: readonly LogicalColumn[];
}

export interface LogicalCteScan {
  readonly kind: "cte-scan";
  readonly cteId: number;
  readonly name: string;
  readonly alias: string;
  readonly columns: readonly LogicalColumn[];
}

export interface LogicalCte {
  readonly id: number;
  readonly name: string;
  readonly plan: LogicalPlan;
  readonly modifies: boolean;
  /** MATERIALIZED written: kept apart even when read once. */
  readonly isMaterialized: boolean;
}

export interface LogicalWith {
  readonly kind: "with";
  readonly ctes: readonly LogicalCte[];
  readonly input: LogicalPlan;
}

export interface LogicalFilter {
  readonly kind: "filter";
  readonly input: LogicalPlan;
  readonly conditions: readonly BoundExpression[];
}

export interface LogicalProject {
  readonly kind: "project";
  readonly input: LogicalPlan;
  readonly items: readonly ProjectItem[];
}

/** Input columns plus one column per set-returning call. */
export interface LogicalProjectSet {
  readonly kind: "project-set";
  readonly input: LogicalPlan;
  readonly items: readonly ProjectItem[];
}

export interface LogicalJoin {
  readonly kind: "join";
  readonly joinType: JoinType;
  readonly left: LogicalPlan;
  /** May use the left side's columns (LATERAL, correlated sub-selects that were pulled up). */
  readonly right: LogicalPlan;
  readonly conditions: readonly BoundExpression[];
}

export interface LogicalAggregate {
  readonly kind: "aggregate";
  readonly input: LogicalPlan;
  readonly keys: readonly ProjectItem[];
  readonly aggregates: readonly { readonly column: LogicalColumn; readonly call: AggregateCall }[];
}

export interface LogicalDistinct {
  readonly kind: "distinct";
  readonly input: LogicalPlan;
  /** undefined = all columns; else DISTINCT ON over sorted input. */
  readonly on: readonly BoundExpression[] | undefined;
}

export interface LogicalSort {
  readonly kind: "sort";
  readonly input: LogicalPlan;
  readonly keys: readonly SortKey[];
}

export interface LogicalLimit {
  readonly kind: "limit";
  readonly input: LogicalPlan;
  readonly count: BoundExpression | undefined;
  readonly skip: BoundExpression | undefined;
  readonly withTies: readonly SortKey[] | undefined;
}

/** UNION ALL: inputs give their columns in the order of `columns`. */
export interface LogicalAppend {
  readonly kind: "append";
  readonly inputs: readonly LogicalPlan[];
  readonly columns: readonly LogicalColumn[];
}

export interface LogicalSetOperation {
  readonly kind: "set-operation";
  readonly operation: "intersect" | "except";
  readonly all: boolean;
  readonly left: LogicalPlan;
  readonly right: LogicalPlan;
  readonly columns: readonly LogicalColumn[];
}

/** One table whose rows a SELECT locks. */
export interface LogicalRowMark {
  readonly table: TableEntry;
  readonly alias: string;
  readonly rid: LogicalColumn;
  readonly columns: readonly LogicalColumn[];
  /** RowLock and LockPolicy of native/engine.ts. */
  readonly mode: number;
  readonly policy: number;
  /** "FOR UPDATE", for errors. */
  readonly words: string;
}

/** A condition a row must pass again; where it fails the row goes, or the columns of `nullable` become NULL. */
export interface LogicalRecheck {
  readonly condition: BoundExpression;
  readonly nullable: readonly LogicalColumn[] | undefined;
}

/** SELECT ... FOR UPDATE and its kind. `recheck` is as written, before rules. */
export interface LogicalLockRows {
  readonly kind: "lock-rows";
  readonly input: LogicalPlan;
  readonly marks: readonly LogicalRowMark[];
  readonly recheck: readonly LogicalRecheck[];
}

export interface LogicalRecursiveUnion {
  readonly kind: "recursive-union";
  readonly cteId: number;
  readonly all: boolean;
  readonly initial: LogicalPlan;
  readonly recursive: LogicalPlan;
  readonly columns: readonly LogicalColumn[];
}

/** The first rows of one table by distance or text score; made by the rule SearchPatterns. */
export interface LogicalSearch {
  readonly kind: "search";
  readonly scan: LogicalScan;
  readonly branch: SearchBranch;
  readonly count: BoundExpression;
  readonly skip: BoundExpression | undefined;
  readonly score: LogicalColumn;
}

export interface LogicalHybrid {
  readonly kind: "hybrid";
  readonly scan: LogicalScan;
  readonly branches: readonly SearchBranch[];
  readonly weights: BoundExpression | undefined;
  readonly k: BoundExpression | undefined;
  readonly candidates: BoundExpression | undefined;
  readonly count: BoundExpression;
  readonly skip: BoundExpression | undefined;
  readonly score: LogicalColumn;
}

/** Expressions of `constraints` and `defaults` count attnum - 1 already and are not touched by rules. */
export interface LogicalInsert {
  readonly kind: "insert";
  readonly table: TableEntry;
  readonly alias: string;
  readonly input: LogicalPlan;
  readonly attnums: readonly number[];
  readonly defaults: readonly { readonly attnum: number; readonly expression: BoundExpression }[];
  readonly constraints: TableConstraints;
  readonly onConflict: OnConflict | undefined;
  readonly returning: readonly ProjectItem[] | undefined;
  /** Ids by which `returning` names the new row: position = attnum - 1. */
  readonly rowColumns: readonly LogicalColumn[];
  /** Ids by which ON CONFLICT names the excluded row. */
  readonly excludedColumns: readonly LogicalColumn[];
}

/** The rows that UPDATE and DELETE work on. */
export interface ModifiedRows {
  readonly table: TableEntry;
  readonly alias: string;
  readonly input: LogicalPlan;
  readonly rid: LogicalColumn;
  /** The target's columns in the input: id and attnum. */
  readonly targetColumns: readonly LogicalColumn[];
  /** WHERE as written, before rules: asked again of a row that another transaction has changed meanwhile. */
  readonly recheck: BoundExpression | undefined;
}

export interface LogicalUpdate extends ModifiedRows {
  readonly kind: "update";
  readonly assignments: readonly { readonly attnum: number; readonly expression: BoundExpression }[];
  readonly constraints: TableConstraints;
  readonly returning: readonly ProjectItem[] | undefined;
}

export interface LogicalDelete extends ModifiedRows {
  readonly kind: "delete";
  /** Foreign keys to the table. */
  readonly referencedBy: readonly ForeignKeyWatch[];
  readonly returning: readonly ProjectItem[] | undefined;
}

export type LogicalPlan =
  | LogicalResult
  | LogicalValues
  | LogicalScan
  | LogicalVirtualScan
  | LogicalFunctionScan
  | LogicalCteScan
  | LogicalWith
  | LogicalFilter
  | LogicalProject
  | LogicalProjectSet
  | LogicalJoin
  | LogicalAggregate
  | LogicalDistinct
  | LogicalSort
  | LogicalLimit
  | LogicalAppend
  | LogicalSetOperation
  | LogicalLockRows
  | LogicalRecursiveUnion
  | LogicalSearch
  | LogicalHybrid
  | LogicalInsert
  | LogicalUpdate
  | LogicalDelete;

/** What a plan produces, in order. */
export function outputColumns(plan: LogicalPlan): readonly LogicalColumn[] {
  switch (plan.kind) {
    case "result":
      return [];
    case "scan":
      return plan.rid === undefined ? plan.columns : [...plan.columns, plan.rid];
    case "values":
    case "virtual-scan":
    case "function-scan":
    case "cte-scan":
    case "append":
    case "set-operation":
    case "recursive-union":
      return plan.columns;
    case "search":
    case "hybrid":
      return [...outputColumns(plan.scan), plan.score];
    case "with":
    case "filter":
    case "distinct":
    case "sort":
    case "limit":
    case "lock-rows":
      return outputColumns(plan.input);
    case "project":
      return plan.items.map((item) => item.column);
    case "project-set":
      return [...outputColumns(plan.input), ...plan.items.map((item) => item.column)];
    case "join":
      return plan.joinType === "semi" || plan.joinType === "anti"
        ? outputColumns(plan.left)
        : [...outputColumns(plan.left), ...outputColumns(plan.right)];
    case "aggregate":
      return [...plan.keys.map((key) => key.column), ...plan.aggregates.map((aggregate) => aggregate.column)];
    case "insert":
    case "update":
    case "delete":
      return (plan.returning ?? []).map((item) => item.column);
  }
}
