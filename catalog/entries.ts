// What exists, as plain data: one entry per user object, stored in the engine as JSON under `key` and committed with the
// transaction that made it. Everything pg_catalog shows is computed from these and from generated PostgreSQL 15 data.
// Expressions stay SQL text here; planner/binder turns them into trees. Entries are immutable: a change is a new entry
// with a higher `version`, and plans remember the versions they were made from.
import type { SqlType } from "../common/types/type.ts";

interface EntryBase {
  readonly oid: number;
  readonly name: string;
  /** Moves with every change of this entry: plans and caches compare it. */
  readonly version: number;
}

export interface DatabaseEntry extends EntryBase {
  readonly kind: "database";
  readonly owner: number;
  readonly allowConnections: boolean;
}

export interface SchemaEntry extends EntryBase {
  readonly kind: "schema";
  readonly database: number;
  readonly owner: number;
}

export interface ColumnEntry {
  readonly name: string;
  /** 1-based, never reused; its position in the engine's relation is attnum - 1. */
  readonly attnum: number;
  readonly type: SqlType;
  readonly notNull: boolean;
  /** DEFAULT as SQL text (fully qualified where it matters), e.g. "nextval('public.t_id_seq'::regclass)". */
  readonly default: string | undefined;
  /** a = GENERATED ALWAYS AS IDENTITY, d = BY DEFAULT. */
  readonly identity: "" | "a" | "d";
  /** Stored generated column: its expression as SQL text. */
  readonly generated: string | undefined;
  readonly collation: number;
  /**
   * No name reaches the column: dropped, or made for an index (see isHidden). Where columns follow it, pg_attribute shows
   * both as dropped, so that attribute numbers have no gaps, as pg_dump demands.
   */
  readonly isDropped: boolean;
  /** Sequence owned through serial or identity; 0 = none. */
  readonly ownedSequence: number;
}

/**
 * A column that holds what an index needs of an expression, computed like a generated column: `generated` is its text. To
 * everybody but the writers of rows and that index it is a dropped column, which it becomes when the index goes.
 */
export function isHidden(column: ColumnEntry): boolean {
  return column.isDropped && column.generated !== undefined;
}

/** The columns pg_attribute shows: hidden ones only where the user's come after them. */
export function shownColumns(table: TableEntry): readonly ColumnEntry[] {
  return table.columns.slice(0, table.columns.findLastIndex((column) => !isHidden(column)) + 1);
}

/** The columns rows have values for: the user's and the hidden ones. */
export function storedColumns(table: TableEntry): readonly ColumnEntry[] {
  return table.columns.filter((column) => !column.isDropped || isHidden(column));
}

export interface ConstraintEntry {
  readonly oid: number;
  readonly name: string;
  /** p primary key, u unique, c check, f foreign key */
  readonly type: "p" | "u" | "c" | "f";
  /** attnums */
  readonly columns: readonly number[];
  /** p, u: the index behind it; f: the unique index of the referenced table; 0 otherwise. */
  readonly indexOid: number;
  /** c: the expression as SQL text, deparsed as PostgreSQL prints it. */
  readonly expression: string | undefined;
  /** p, u, f: SET CONSTRAINTS may move the check to the commit; u and p are then checked at the end of the statement. */
  readonly isDeferrable: boolean;
  readonly isDeferred: boolean;
  /** c, f: false after NOT VALID, until VALIDATE CONSTRAINT: rows from before were not checked. */
  readonly isValidated: boolean;
  /** c: NO INHERIT. */
  readonly noInherit: boolean;
  /** f only. */
  readonly reference: ForeignKeyReference | undefined;
}

/** What a constraint is where its definition says nothing else. */
export const PLAIN_CONSTRAINT = {
  indexOid: 0,
  expression: undefined,
  isDeferrable: false,
  isDeferred: false,
  isValidated: true,
  noInherit: false,
  reference: undefined,
} as const;

/** a NO ACTION, r RESTRICT, c CASCADE, n SET NULL, d SET DEFAULT: pg_constraint's letters. */
export type ReferentialAction = "a" | "r" | "c" | "n" | "d";

/** What a foreign key refers to. */
export interface ForeignKeyReference {
  readonly tableOid: number;
  /** attnums in the referenced table, one for each of the constraint's columns. */
  readonly columns: readonly number[];
  /** s SIMPLE, f FULL */
  readonly match: "s" | "f";
  readonly onUpdate: ReferentialAction;
  readonly onDelete: ReferentialAction;
  /** ON DELETE SET NULL or SET DEFAULT of these attnums only; empty = of all columns. */
  readonly deleteColumns: readonly number[];
}

/** pg_class.relpersistence: permanent, temporary, unlogged. What is unlogged is logged all the same and survives a crash. */
export type Persistence = "p" | "t" | "u";

export interface TableEntry extends EntryBase {
  readonly kind: "table";
  readonly database: number;
  readonly schema: number;
  readonly owner: number;
  /** Relation id in the engine; changes with TRUNCATE. */
  readonly storageId: number;
  /** Row type and its array type. */
  readonly rowTypeOid: number;
  readonly arrayTypeOid: number;
  readonly persistence: Persistence;
  /** Temporary tables: what every commit does to it; undefined = nothing. */
  readonly onCommit?: "delete" | "drop" | undefined;
  readonly columns: readonly ColumnEntry[];
  readonly constraints: readonly ConstraintEntry[];
}

/** What an index column computes. */
export interface IndexExpression {
  /** As PostgreSQL deparses it. */
  readonly text: string;
  /** A function call needs no brackets of its own in CREATE INDEX. */
  readonly isCall: boolean;
  /** Name of the index's column: that of the function or type, else "expr". */
  readonly name: string;
  /** attnums of the table's columns it reads. */
  readonly reads: readonly number[];
}

export interface IndexColumn {
  /** attnum of the column; 0 = an expression. */
  readonly attnum: number;
  readonly expression?: IndexExpression | undefined;
  /** The column the engine reads, where that is a hidden one: see storedAttnum(). */
  readonly hiddenAttnum?: number | undefined;
  readonly opclass: number;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
}

/** The attnum whose values an index column has. */
export function storedAttnum(column: IndexColumn): number {
  return column.hiddenAttnum ?? column.attnum;
}

/** WHERE of a partial index. */
export interface IndexPredicate {
  /** As PostgreSQL deparses it, with its outer brackets. */
  readonly text: string;
  /** attnums of the table's columns it reads. */
  readonly reads: readonly number[];
  /**
   * btree: the hidden boolean column whose true rows have entries. 0 for hnsw and bm25: the hidden column under them is NULL
   * in other rows, and a NULL has no entry there.
   */
  readonly hiddenAttnum: number;
}

export interface IndexEntry extends EntryBase {
  readonly kind: "index";
  readonly database: number;
  readonly schema: number;
  readonly owner: number;
  readonly tableOid: number;
  /** Index id in the engine. */
  readonly storageId: number;
  /** ivfflat is pgvector's other method: here a name for the same graph. */
  readonly method: "btree" | "hnsw" | "ivfflat" | "bm25";
  readonly columns: readonly IndexColumn[];
  /** Number of key columns; the rest are INCLUDE columns. */
  readonly keyCount: number;
  readonly isUnique: boolean;
  readonly isPrimary: boolean;
  /** False behind a DEFERRABLE key: duplicates are looked for after the statement, or at commit. */
  readonly isImmediate: boolean;
  readonly nullsNotDistinct: boolean;
  readonly predicate?: IndexPredicate | undefined;
  /** WITH (...) in order, e.g. [["m","16"],["ef_construction","200"]]. */
  readonly options: readonly (readonly [string, string])[];
  readonly persistence: Persistence;
}

export interface SequenceEntry extends EntryBase {
  readonly kind: "sequence";
  readonly database: number;
  readonly schema: number;
  readonly owner: number;
  readonly storageId: number;
  readonly typeOid: number;
  /** int64 as decimal text. */
  readonly start: string;
  readonly increment: string;
  readonly min: string;
  readonly max: string;
  readonly cache: string;
  readonly cycle: boolean;
  /** Column it belongs to; 0 = none. */
  readonly ownerTable: number;
  readonly ownerAttnum: number;
  /** i = identity (internal), a = serial (auto) */
  readonly dependency: "i" | "a" | "";
  readonly persistence: Persistence;
}

export interface ExtensionEntry extends EntryBase {
  readonly kind: "extension";
  readonly database: number;
  readonly schema: number;
  readonly extensionVersion: string;
}

/** COMMENT ON; `classOid` is the catalogue's oid (pg_class 1259, pg_namespace 2615, pg_database 1262, ...). */
export interface CommentEntry extends EntryBase {
  readonly kind: "comment";
  readonly database: number;
  readonly classOid: number;
  readonly objectOid: number;
  readonly subId: number;
  readonly text: string;
}

/** What ANALYZE found about a column. */
export interface ColumnStatistics {
  readonly attnum: number;
  readonly nullFraction: number;
  readonly averageWidth: number;
  /** > 0 a count, < 0 minus a fraction of the rows, as pg_stats.n_distinct. */
  readonly distinct: number;
  /** Most common values in the type's text form with their frequencies. */
  readonly commonValues: readonly string[];
  readonly commonFrequencies: readonly number[];
  /** Equal-frequency bounds in text form, common values left out. */
  readonly histogram: readonly string[];
  readonly correlation: number;
}

export interface StatisticsEntry extends EntryBase {
  readonly kind: "statistics";
  readonly database: number;
  readonly tableOid: number;
  readonly rowCount: number;
  readonly columns: readonly ColumnStatistics[];
}

/** Roles: the bootstrap superuser, and users made by CREATE ROLE later. */
export interface RoleEntry extends EntryBase {
  readonly kind: "role";
  readonly isSuperuser: boolean;
  readonly canLogin: boolean;
  /** SCRAM-SHA-256 verifier; undefined = no password. */
  readonly password: string | undefined;
}

export type CatalogEntry =
  | DatabaseEntry
  | SchemaEntry
  | TableEntry
  | IndexEntry
  | SequenceEntry
  | ExtensionEntry
  | CommentEntry
  | StatisticsEntry
  | RoleEntry;

/** The key of an entry in the engine's catalogue: "table/16384". */
export function entryKey(entry: CatalogEntry): string {
  return `${entry.kind}/${entry.oid}`;
}
