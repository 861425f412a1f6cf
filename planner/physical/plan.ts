// What the executor runs. Every node knows its output columns, its estimate, and an id by which EXPLAIN ANALYZE reports
// what happened. Plans are immutable, hold no values of one execution, and are shared between executions and sessions.
import type { SqlType, Datum } from "../../common/types/type.ts";
import type {
  CatalogEntry,
  ConstraintEntry,
  ForeignKeyReference,
  IndexEntry,
  ReferentialAction,
  TableEntry,
} from "../../catalog/entries.ts";
import type { VirtualRelation } from "../../catalog/catalog.ts";
import type { FunctionEntry } from "../../catalog/functions/function.ts";
import type {
  AggregateCall,
  BoundExpression,
  OuterBinding,
  OutputColumn,
  SortKey,
} from "../logical/expression.ts";

/** In PostgreSQL's cost units (1 = one sequential page read). */
export interface Estimate {
  readonly startupCost: number;
  readonly totalCost: number;
  readonly rows: number;
  /** Average row width in bytes. */
  readonly width: number;
}

interface PlanBase {
  readonly id: number;
  readonly output: readonly OutputColumn[];
  readonly estimate: Estimate;
}

/** Pseudo column of base scans: the row id, as float8-free u32; present as the LAST output column when `withRid`. */
export interface ScanTarget {
  readonly table: TableEntry;
  /** Name it goes by in the query. */
  readonly alias: string;
  /** attnums of the columns read, in output order. */
  readonly attnums: readonly number[];
  /** Adds a last output column of type int8 with the rid (for UPDATE, DELETE, tie-breaking). */
  readonly withRid: boolean;
}

/** One row without columns, or with the expressions of `values`. */
export interface ResultPlan extends PlanBase {
  readonly kind: "result";
  /** One-time condition: false = no row. */
  readonly condition: BoundExpression | undefined;
}

export interface ValuesPlan extends PlanBase {
  readonly kind: "values";
  readonly rows: readonly (readonly BoundExpression[])[];
}

export interface SeqScanPlan extends PlanBase {
  readonly kind: "seq-scan";
  readonly target: ScanTarget;
  readonly filter: BoundExpression | undefined;
  /** Only committed versions younger than this commit: rows that an index made beside writers has not seen yet. */
  readonly since?: number | undefined;
}

/** Bounds of one btree scan over a prefix of the key columns: equality on the first columns, then at most one range. */
export interface IndexCondition {
  readonly equal: readonly BoundExpression[];
  readonly low: { readonly value: BoundExpression; readonly inclusive: boolean } | undefined;
  readonly high: { readonly value: BoundExpression; readonly inclusive: boolean } | undefined;
  /** `column = ANY(array)` on the first column: one range per element (array expression), `equal` then follows it. */
  readonly anyOf: BoundExpression | undefined;
  /** column IS NULL / IS NOT NULL on the first column. */
  readonly nullTest: "is-null" | "is-not-null" | undefined;
}

export interface IndexScanPlan extends PlanBase {
  readonly kind: "index-scan";
  readonly target: ScanTarget;
  readonly index: IndexEntry;
  readonly condition: IndexCondition;
  readonly backward: boolean;
  /** Expressions as written, for EXPLAIN's Index Cond. */
  readonly conditionText: readonly BoundExpression[];
  readonly filter: BoundExpression | undefined;
}

/** A set of rows as a bitmap over rids. */
export type BitmapSource =
  | {
      readonly kind: "index";
      readonly index: IndexEntry;
      readonly condition: IndexCondition;
      readonly conditionText: readonly BoundExpression[];
    }
  | {
      readonly kind: "text";
      readonly indexStorageId: number;
      readonly indexName: string;
      readonly query: BoundExpression;
    }
  | { readonly kind: "and" | "or"; readonly inputs: readonly BitmapSource[] };

export interface BitmapScanPlan extends PlanBase {
  readonly kind: "bitmap-scan";
  readonly target: ScanTarget;
  readonly bitmap: BitmapSource;
  /** Applied to every row read. */
  readonly filter: BoundExpression | undefined;
}

/** How a search node gets the rows its predicate allows. */
export interface SearchFilter {
  /** Index part, if any: an exact superset of the matching rows. */
  readonly bitmap: BitmapSource | undefined;
  /** What the bitmap does not decide: evaluated on the bitmap's rows, or on a full scan; over `attnums`. */
  readonly residual:
    | { readonly expression: BoundExpression; readonly attnums: readonly number[] }
    | undefined;
  /** The whole predicate over `attnums`, for rows that were found without it. */
  readonly whole: { readonly expression: BoundExpression; readonly attnums: readonly number[] };
  /** The searched index is a partial one that holds exactly the rows of the predicate: nothing to test while searching. */
  readonly isIndexPredicate: boolean;
  /** The whole predicate as written, for EXPLAIN. */
  readonly text: readonly BoundExpression[];
  /** Estimated fraction of rows that pass. */
  readonly selectivity: number;
}

/** `embedding <-> query`, ascending. */
export interface VectorBranch {
  readonly kind: "vector";
  /** undefined = no usable index: exact only. */
  readonly index: IndexEntry | undefined;
  /** Where the vectors are: the column, or a hidden one with the index's expression. */
  readonly attnum: number;
  readonly metric: "l2" | "ip" | "cosine" | "l1" | "hamming" | "jaccard";
  /** The distance function for exact evaluation. */
  readonly function: FunctionEntry;
  readonly query: BoundExpression;
  /** Operator name for EXPLAIN. */
  readonly operator: string;
  /** The column or expression as EXPLAIN prints it. */
  readonly columnName: string;
}

/** `body <@> query`, ascending (best first). */
export interface TextBranch {
  readonly kind: "text";
  /** Whose statistics and analysis count. */
  readonly index: IndexEntry;
  /** False: it is younger than the snapshot, or holds another part of the rows; then every row's text is scored. */
  readonly isUsable: boolean;
  readonly attnum: number;
  readonly query: BoundExpression;
  readonly columnName: string;
}

export type SearchBranch = VectorBranch | TextBranch;

/**
 * The first `limit + offset` rows of one table by distance or text score, under a predicate. Emits target columns, then the
 * order value (float8, last; after the rid when withRid). All ways to run it are open until the executor knows the actual
 * values and counts: it calls planner/physical/choose-path.ts. The order is (value, NaN, NULL; ties by rid), and the row
 * count equals the exact plan's: rows without a match or with a NULL follow when fewer match.
 */
export interface SearchPlan extends PlanBase {
  readonly kind: "search";
  readonly target: ScanTarget;
  readonly branch: SearchBranch;
  readonly filter: SearchFilter | undefined;
  /** Rows wanted; undefined = all (then exact). */
  readonly count: BoundExpression | undefined;
  readonly skip: BoundExpression | undefined;
  /** Estimates per path with the values unknown; EXPLAIN shows the chosen one. */
  readonly paths: readonly SearchPathEstimate[];
}

export interface SearchPathEstimate {
  readonly path: "graph" | "graph-filtered" | "exact" | "text-pruned" | "text-exhaustive";
  readonly totalCost: number;
}

/** hybrid_rrf over branches of one table in one snapshot. Emits target columns, then the fused value (float8, last). */
export interface HybridPlan extends PlanBase {
  readonly kind: "hybrid";
  readonly target: ScanTarget;
  readonly branches: readonly SearchBranch[];
  readonly weights: BoundExpression | undefined;
  readonly k: BoundExpression | undefined;
  readonly candidates: BoundExpression | undefined;
  readonly filter: SearchFilter | undefined;
  readonly count: BoundExpression | undefined;
  readonly skip: BoundExpression | undefined;
}

export interface VirtualScanPlan extends PlanBase {
  readonly kind: "virtual-scan";
  readonly relation: VirtualRelation;
  readonly alias: string;
  /** Positions in relation.columns, in output order. */
  readonly columns: readonly number[];
  /** Look-up hint: relation column = value (may be a parameter or outer reference). */
  readonly equal: { readonly column: string; readonly value: BoundExpression } | undefined;
  readonly filter: BoundExpression | undefined;
}

/** Set-returning functions in FROM; several = ROWS FROM (...), side by side, NULL-padded. */
export interface FunctionScanPlan extends PlanBase {
  readonly kind: "function-scan";
  readonly alias: string;
  readonly functions: readonly { readonly call: BoundExpression; readonly columnCount: number }[];
  readonly withOrdinality: boolean;
}

/** Reads what a CTE's plan produced (run once, kept). */
export interface CteScanPlan extends PlanBase {
  readonly kind: "cte-scan";
  readonly cteId: number;
  readonly name: string;
  readonly alias: string;
}

/** Runs `input` with materialised CTEs at hand. Data-modifying CTEs always run to the end. */
export interface WithPlan extends PlanBase {
  readonly kind: "with";
  readonly ctes: readonly {
    readonly id: number;
    readonly name: string;
    readonly plan: PhysicalPlan;
    readonly modifies: boolean;
  }[];
  readonly input: PhysicalPlan;
}

export interface FilterPlan extends PlanBase {
  readonly kind: "filter";
  readonly input: PhysicalPlan;
  readonly condition: BoundExpression;
}

export interface ProjectPlan extends PlanBase {
  readonly kind: "project";
  readonly input: PhysicalPlan;
  readonly expressions: readonly BoundExpression[];
}

/** Select list with set-returning functions: `sets[i]` marks expressions that are set-returning calls at the top. */
export interface ProjectSetPlan extends PlanBase {
  readonly kind: "project-set";
  readonly input: PhysicalPlan;
  readonly expressions: readonly BoundExpression[];
  readonly isSet: readonly boolean[];
}

export interface LimitPlan extends PlanBase {
  readonly kind: "limit";
  readonly input: PhysicalPlan;
  readonly count: BoundExpression | undefined;
  readonly skip: BoundExpression | undefined;
  /** FETCH FIRST n ROWS WITH TIES: number of leading sort keys of the input's order. */
  readonly withTies: readonly SortKey[] | undefined;
}

/** With `count` only the first count + skip rows are wanted (top-N); the Limit above does the skipping. */
export interface SortPlan extends PlanBase {
  readonly kind: "sort";
  readonly input: PhysicalPlan;
  readonly keys: readonly SortKey[];
  readonly count: BoundExpression | undefined;
  readonly skip: BoundExpression | undefined;
}

/** SELECT DISTINCT (keys = all columns) and DISTINCT ON (input sorted by keys; first row of each group). */
export interface DistinctPlan extends PlanBase {
  readonly kind: "distinct";
  readonly input: PhysicalPlan;
  /** undefined = all columns, by hash; else DISTINCT ON expressions over sorted input. */
  readonly on: readonly BoundExpression[] | undefined;
}

/** Output: group keys of the set, then aggregates. Several grouping sets = one pass each (NULL for keys not in the set). */
export interface AggregatePlan extends PlanBase {
  readonly kind: "aggregate";
  readonly input: PhysicalPlan;
  readonly keys: readonly BoundExpression[];
  readonly aggregates: readonly AggregateCall[];
}

export type JoinType = "inner" | "left" | "right" | "full" | "semi" | "anti";

/** Equi-join by hash of the right side. Output: left then right columns (semi, anti: left only). */
export interface HashJoinPlan extends PlanBase {
  readonly kind: "hash-join";
  readonly joinType: JoinType;
  readonly left: PhysicalPlan;
  readonly right: PhysicalPlan;
  readonly leftKeys: readonly BoundExpression[];
  readonly rightKeys: readonly BoundExpression[];
  /** Per key pair: the = function, whose type family decides how keys hash. */
  readonly equals: readonly FunctionEntry[];
  /** Further condition over [left..., right...]. */
  readonly residual: BoundExpression | undefined;
  /** NOT IN semantics for anti joins: a NULL key on the right empties the result. */
  readonly nullAware: boolean;
}

/** For each left row: set `bindings`, run the right side (again). Right side uncorrelated = kept after the first run. */
export interface NestedLoopPlan extends PlanBase {
  readonly kind: "nested-loop";
  readonly joinType: Exclude<JoinType, "right" | "full">;
  readonly left: PhysicalPlan;
  readonly right: PhysicalPlan;
  readonly bindings: readonly OuterBinding[];
  readonly condition: BoundExpression | undefined;
}

export interface AppendPlan extends PlanBase {
  readonly kind: "append";
  readonly inputs: readonly PhysicalPlan[];
}

/** INTERSECT / EXCEPT [ALL]; UNION is append + distinct. */
export interface SetOperationPlan extends PlanBase {
  readonly kind: "set-operation";
  readonly operation: "intersect" | "except";
  readonly all: boolean;
  readonly left: PhysicalPlan;
  readonly right: PhysicalPlan;
}

/** WITH RECURSIVE: `cteId` reads the working table inside `recursive`. */
export interface RecursiveUnionPlan extends PlanBase {
  readonly kind: "recursive-union";
  readonly cteId: number;
  readonly all: boolean;
  readonly initial: PhysicalPlan;
  readonly recursive: PhysicalPlan;
}

/** One table whose rows SELECT ... FOR locks. */
export interface RowMark {
  readonly table: TableEntry;
  /** Where the input row has the table's row id; */
  readonly ridIndex: number;
  /** and its columns. */
  readonly targetColumns: readonly { readonly index: number; readonly attnum: number }[];
  /** RowLock and LockPolicy of native/engine.ts. */
  readonly mode: number;
  readonly policy: number;
}

/**
 * SELECT ... FOR UPDATE and its kind: locks the rows of base tables in input order. A row that a concurrent commit changed
 * goes on with its newest version if it passes `recheck`; where `nullable` is given a failed condition only makes those
 * columns NULL (an outer join without a partner). At most count + skip rows are locked and given.
 */
export interface LockRowsPlan extends PlanBase {
  readonly kind: "lock-rows";
  readonly input: PhysicalPlan;
  readonly marks: readonly RowMark[];
  readonly recheck: readonly {
    readonly condition: BoundExpression;
    readonly nullable: readonly number[] | undefined;
  }[];
  readonly count: BoundExpression | undefined;
  readonly skip: BoundExpression | undefined;
}

export interface CheckConstraintPlan {
  readonly name: string;
  readonly expression: BoundExpression;
}

/** Shared by INSERT and UPDATE: what makes a full row valid. Expressions see the table's columns by attnum - 1. */
export interface TableConstraints {
  readonly notNull: readonly number[];
  readonly checks: readonly CheckConstraintPlan[];
  /** Stored generated columns: attnum and expression. */
  readonly generated: readonly { readonly attnum: number; readonly expression: BoundExpression }[];
  /** Unique indexes, for messages. */
  readonly indexes: readonly IndexEntry[];
  /** Foreign keys of the table: new values of their columns are looked up when the statement ends. */
  readonly foreignKeys: readonly ForeignKeyWatch[];
  /** Foreign keys to the table: rows that refer to an old value of their columns are looked for then. */
  readonly referencedBy: readonly ForeignKeyWatch[];
  /** Deferrable keys: duplicates are looked for then. */
  readonly deferrableKeys: readonly KeyWatch[];
}

/** What a statement notes about a foreign key, from the side of the table it writes to. */
export interface ForeignKeyWatch {
  readonly constraintOid: number;
  /** attnums of the written table, in the constraint's order. */
  readonly columns: readonly number[];
  readonly onUpdate: ReferentialAction;
  readonly onDelete: ReferentialAction;
  readonly isDeferrable: boolean;
  readonly isDeferred: boolean;
}

export interface KeyWatch {
  readonly constraintOid: number;
  readonly tableOid: number;
  readonly columns: readonly number[];
  readonly isPrimary: boolean;
  readonly isDeferrable: boolean;
  readonly isDeferred: boolean;
}

/** A foreign key as its checks and actions need it, bound when they run. */
export interface ForeignKeyRules {
  readonly constraint: ConstraintEntry;
  readonly reference: ForeignKeyReference;
  readonly child: TableEntry;
  readonly parent: TableEntry;
  /** The unique index of the parent over the referenced columns, in whatever order. */
  readonly parentIndex: IndexEntry;
  /** An index of the child by which rows with a key are found; undefined = by a scan. */
  readonly childIndex: IndexEntry | undefined;
  /** The child's key in the parent's types, over a child row (column attnum - 1). */
  readonly childKey: readonly BoundExpression[];
  /** The parent's key in the child's types, over the referenced columns in the constraint's order: ON UPDATE CASCADE. */
  readonly cascaded: readonly BoundExpression[];
  /** Defaults of the child's key columns, over no columns: SET DEFAULT. */
  readonly defaults: readonly BoundExpression[];
}

export interface InsertPlan extends PlanBase {
  readonly kind: "insert";
  readonly table: TableEntry;
  /** Gives the target columns, in the order of `attnums`. */
  readonly input: PhysicalPlan;
  readonly attnums: readonly number[];
  /** Default expressions for the columns not in `attnums` (no columns visible). */
  readonly defaults: readonly { readonly attnum: number; readonly expression: BoundExpression }[];
  readonly constraints: TableConstraints;
  readonly onConflict: OnConflict | undefined;
  /** Over the new row (column attnum - 1). undefined = no RETURNING. */
  readonly returning: readonly BoundExpression[] | undefined;
}

export interface OnConflict {
  /** Arbiter indexes (storage ids); empty = any (DO NOTHING only). */
  readonly arbiters: readonly number[];
  readonly action:
    | { readonly kind: "nothing" }
    | {
        readonly kind: "update";
        /** Over [existing row by attnum - 1 ..., excluded row by columnCount + attnum - 1 ...]. */
        readonly assignments: readonly { readonly attnum: number; readonly expression: BoundExpression }[];
        readonly where: BoundExpression | undefined;
      };
}

/**
 * UPDATE and DELETE: `input` gives the columns of the joined row; `ridIndex` is the target's rid in it. For UPDATE the
 * assignments are expressions over the input row. `recheck`: the part of WHERE and the assignments that READ COMMITTED runs
 * again on the newest version of the target when a concurrent commit changed it: target columns of the input row are
 * replaced by the new version's values (positions in `targetColumns`).
 */
/** What UPDATE and DELETE have in common. */
export interface ModifyPlan extends PlanBase {
  readonly table: TableEntry;
  readonly input: PhysicalPlan;
  readonly ridIndex: number;
  /** input position -> attnum of the target's columns in the input row. */
  readonly targetColumns: readonly { readonly index: number; readonly attnum: number }[];
  readonly recheck: BoundExpression | undefined;
  /** Over [new row (of DELETE: old row) by attnum - 1 ..., then the input row shifted by columnCount]. */
  readonly returning: readonly BoundExpression[] | undefined;
}

export interface UpdatePlan extends ModifyPlan {
  readonly kind: "update";
  readonly assignments: readonly { readonly attnum: number; readonly expression: BoundExpression }[];
  readonly constraints: TableConstraints;
}

export interface DeletePlan extends ModifyPlan {
  readonly kind: "delete";
  readonly referencedBy: readonly ForeignKeyWatch[];
}

export type PhysicalPlan =
  | ResultPlan
  | ValuesPlan
  | SeqScanPlan
  | IndexScanPlan
  | BitmapScanPlan
  | SearchPlan
  | HybridPlan
  | VirtualScanPlan
  | FunctionScanPlan
  | CteScanPlan
  | WithPlan
  | FilterPlan
  | ProjectPlan
  | ProjectSetPlan
  | LimitPlan
  | SortPlan
  | DistinctPlan
  | LockRowsPlan
  | AggregatePlan
  | HashJoinPlan
  | NestedLoopPlan
  | AppendPlan
  | SetOperationPlan
  | RecursiveUnionPlan
  | InsertPlan
  | UpdatePlan
  | DeletePlan;

/** A planned statement, ready to run with parameter values. */
export interface PlannedStatement {
  readonly plan: PhysicalPlan;
  readonly commandType: "select" | "insert" | "update" | "delete";
  /** Columns of the result; undefined = none (INSERT without RETURNING). */
  readonly result: readonly OutputColumn[] | undefined;
  readonly parameterTypes: readonly SqlType[];
  /** (oid, version) of every relation used: a plan is stale when one moved. */
  readonly dependencies: readonly {
    readonly kind: CatalogEntry["kind"];
    readonly oid: number;
    readonly version: number;
  }[];
  /** Tables to lock before running: PostgreSQL's mode numbers (1 ACCESS SHARE, 3 ROW EXCLUSIVE ...). */
  readonly locks: readonly { readonly oid: number; readonly mode: number }[];
  readonly isReadOnly: boolean;
  /** "SELECT FOR UPDATE": the statement locks rows, which a READ ONLY transaction must not. */
  readonly rowLock: string | undefined;
}

/** A constant folded or given, kept for cost estimates. */
export type ParameterValues = readonly Datum[];
