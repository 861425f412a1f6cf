// What CREATE, ALTER, DROP, TRUNCATE and COMMENT do, bound: names resolved to entries, types to oids, expressions checked
// and deparsed to PostgreSQL's text. Oids are given and entries written by executor/utility/definition, which may run the same
// plan only once (a plan is bound and executed under the same locks).
import type {
  IndexEntry,
  ReferentialAction,
  SchemaEntry,
  SequenceEntry,
  TableEntry,
} from "../../catalog/entries.ts";
import type { SqlType } from "../../common/types/type.ts";
import type { BoundExpression } from "../logical/expression.ts";

export interface ColumnDefinition {
  readonly name: string;
  readonly type: SqlType;
  readonly collation: number;
  readonly notNull: boolean;
  /** Deparsed DEFAULT; undefined = NULL. A serial's default is made with its sequence. */
  readonly default: string | undefined;
  readonly generated: string | undefined;
  readonly sequence: SequenceDefinition | undefined;
  readonly identity: "" | "a" | "d";
}

export interface SequenceDefinition {
  /** undefined = table_column_seq, made unique. */
  readonly name: string | undefined;
  readonly typeOid: number;
  readonly start: bigint;
  readonly increment: bigint;
  readonly min: bigint;
  readonly max: bigint;
  readonly cache: bigint;
  readonly cycle: boolean;
}

/** When a constraint is checked: DEFERRABLE, INITIALLY DEFERRED. */
export interface Deferral {
  readonly isDeferrable: boolean;
  readonly isDeferred: boolean;
}

export interface KeyDefinition extends Deferral {
  readonly kind: "primary" | "unique";
  /** undefined = PostgreSQL's choice (t_pkey, t_a_b_key). */
  readonly name: string | undefined;
  readonly columns: readonly string[];
  readonly nullsNotDistinct: boolean;
}

export interface CheckDefinition {
  readonly name: string | undefined;
  /** Deparsed, without the outer parentheses PostgreSQL prints around it. */
  readonly expression: string;
  /** Columns it names, for the generated constraint name. */
  readonly columns: readonly string[];
  readonly noInherit: boolean;
  /** False = NOT VALID: rows that exist are not looked at. */
  readonly isValidated: boolean;
}

export interface ForeignKeyDefinition extends Deferral {
  /** undefined = PostgreSQL's choice (t_a_fkey). */
  readonly name: string | undefined;
  readonly columns: readonly string[];
  /** self = the table that has the constraint. */
  readonly table: TableEntry | "self";
  /** Empty = the primary key. */
  readonly referenced: readonly string[];
  readonly match: "s" | "f";
  readonly onUpdate: ReferentialAction;
  readonly onDelete: ReferentialAction;
  /** ON DELETE SET NULL (columns). */
  readonly deleteColumns: readonly string[];
  readonly isValidated: boolean;
}

export interface CreateTablePlan {
  readonly kind: "create-table";
  readonly isUnlogged: boolean;
  readonly schema: SchemaEntry | "temporary";
  readonly name: string;
  readonly ifNotExists: boolean;
  readonly onCommit: "preserve" | "delete" | "drop";
  readonly columns: readonly ColumnDefinition[];
  readonly keys: readonly KeyDefinition[];
  readonly checks: readonly CheckDefinition[];
  readonly foreignKeys: readonly ForeignKeyDefinition[];
}

/** An immutable expression over the table's columns. */
export interface IndexExpressionDefinition {
  /** Deparsed. */
  readonly text: string;
  readonly type: SqlType;
  readonly collation: number;
  readonly isCall: boolean;
  /** Names of the columns it reads. */
  readonly reads: readonly string[];
}

export interface IndexColumnDefinition {
  /** Name of the indexed column; undefined = `expression`. */
  readonly column: string | undefined;
  readonly expression: IndexExpressionDefinition | undefined;
  /** What the index calls it: the column's name, or one made of the expression. */
  readonly name: string;
  readonly opclass: number;
  readonly opclassName: string;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
}

export interface CreateIndexPlan {
  readonly kind: "create-index";
  readonly table: TableEntry;
  readonly name: string | undefined;
  readonly ifNotExists: boolean;
  readonly method: IndexEntry["method"];
  readonly columns: readonly IndexColumnDefinition[];
  /** WHERE of a partial index; a boolean. */
  readonly predicate: IndexExpressionDefinition | undefined;
  readonly isUnique: boolean;
  readonly nullsNotDistinct: boolean;
  readonly options: readonly (readonly [string, string])[];
  readonly isConcurrent: boolean;
}

/** The indexes made anew. */
export interface ReindexPlan {
  readonly kind: "reindex";
  readonly indexes: readonly IndexEntry[];
  readonly isConcurrent: boolean;
  /** An INFO message per index. */
  readonly isVerbose: boolean;
}

/** ALTER INDEX ... SET / RESET: `options` are all the index then has. */
export interface AlterIndexPlan {
  readonly kind: "alter-index";
  readonly index: IndexEntry;
  readonly options: IndexEntry["options"];
}

export interface CreateSchemaPlan {
  readonly kind: "create-schema";
  readonly name: string;
  /** undefined = whoever runs the statement. */
  readonly owner: number | undefined;
  readonly ifNotExists: boolean;
}

export interface CreateDatabasePlan {
  readonly kind: "create-database";
  readonly name: string;
  /** undefined = whoever runs the statement. */
  readonly owner: number | undefined;
}

export interface DropDatabasePlan {
  readonly kind: "drop-database";
  readonly name: string;
  readonly ifExists: boolean;
  /** WITH (FORCE): ends the sessions that use it. */
  readonly isForced: boolean;
}

export interface CreateSequencePlan {
  readonly kind: "create-sequence";
  readonly schema: SchemaEntry | "temporary";
  readonly ifNotExists: boolean;
  readonly sequence: SequenceDefinition & { readonly name: string };
}

export interface CreateExtensionPlan {
  readonly kind: "create-extension";
  readonly name: string;
  readonly schema: SchemaEntry;
  readonly version: string;
  readonly ifNotExists: boolean;
}

/** One object of a DROP list; a missing one with IF EXISTS is only a notice. */
export type DropTarget =
  | { readonly kind: "table"; readonly table: TableEntry }
  | { readonly kind: "index"; readonly index: IndexEntry }
  | { readonly kind: "sequence"; readonly sequence: SequenceEntry }
  | { readonly kind: "schema"; readonly schema: SchemaEntry }
  | { readonly kind: "extension"; readonly name: string; readonly oid: number }
  | { readonly kind: "missing"; readonly notice: string };

export interface DropPlan {
  readonly kind: "drop";
  /** Command tag: DROP TABLE, DROP INDEX ... */
  readonly tag: string;
  readonly targets: readonly DropTarget[];
  readonly cascade: boolean;
}

/** A column of another type. */
export interface ColumnTypeChange {
  readonly name: string;
  readonly type: SqlType;
  readonly collation: number;
  /** Deparsed expression over the old row, of a type that can be assigned to the new one. */
  readonly value: string;
  /** The DEFAULT as it is in the new type; undefined = none. */
  readonly default: string | undefined;
}

export type AlterTableCommand =
  | {
      readonly kind: "add-column";
      readonly column: ColumnDefinition;
      readonly ifNotExists: boolean;
      /** The default, bound, evaluated once for the rows that exist; undefined = NULL. */
      readonly initial: BoundExpression | undefined;
      readonly keys: readonly KeyDefinition[];
      readonly checks: readonly CheckDefinition[];
      readonly foreignKeys: readonly ForeignKeyDefinition[];
    }
  | {
      readonly kind: "drop-column";
      readonly name: string;
      readonly ifExists: boolean;
      readonly cascade: boolean;
    }
  | { readonly kind: "alter-types"; readonly changes: readonly ColumnTypeChange[] }
  | { readonly kind: "rename-column"; readonly name: string; readonly to: string }
  | { readonly kind: "rename-table"; readonly to: string }
  | { readonly kind: "set-default"; readonly name: string; readonly default: string | undefined }
  | { readonly kind: "set-not-null"; readonly name: string; readonly notNull: boolean }
  | { readonly kind: "add-key"; readonly key: KeyDefinition }
  | { readonly kind: "add-check"; readonly check: CheckDefinition }
  | { readonly kind: "add-foreign-key"; readonly foreignKey: ForeignKeyDefinition }
  | { readonly kind: "validate-constraint"; readonly name: string }
  | ({ readonly kind: "alter-constraint"; readonly name: string } & Deferral)
  | {
      readonly kind: "drop-constraint";
      readonly name: string;
      readonly ifExists: boolean;
      readonly cascade: boolean;
    };

export interface AlterTablePlan {
  readonly kind: "alter-table";
  readonly table: TableEntry;
  readonly commands: readonly AlterTableCommand[];
}

export interface RenameIndexPlan {
  readonly kind: "rename-index";
  readonly index: IndexEntry;
  readonly to: string;
}

export interface TruncatePlan {
  readonly kind: "truncate";
  readonly tables: readonly TableEntry[];
  readonly restartIdentity: boolean;
  /** Tables that refer to these are emptied too. */
  readonly cascade: boolean;
}

export interface CommentPlan {
  readonly kind: "comment";
  readonly classOid: number;
  readonly objectOid: number;
  readonly subId: number;
  readonly text: string | undefined;
}

/** IF EXISTS / IF NOT EXISTS found nothing to do. */
export interface NoOperationPlan {
  readonly kind: "no-operation";
  readonly tag: string;
  readonly notice: string;
  readonly code: string;
}

export type DefinitionPlan =
  | CreateTablePlan
  | CreateIndexPlan
  | ReindexPlan
  | AlterIndexPlan
  | CreateSchemaPlan
  | CreateDatabasePlan
  | DropDatabasePlan
  | CreateSequencePlan
  | CreateExtensionPlan
  | DropPlan
  | AlterTablePlan
  | RenameIndexPlan
  | TruncatePlan
  | CommentPlan
  | NoOperationPlan;
