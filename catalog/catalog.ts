// The catalogue as one statement sees it: newest committed entries of its database plus the transaction's own changes, the
// generated PostgreSQL 15 data, and the virtual relations. Immutable while a statement is bound; pure data, no engine.
// `CatalogSnapshot` is implemented in catalog/snapshot.ts.
import type { Datum, SqlType } from "../common/types/type.ts";
import type { FunctionContext } from "../common/function-context.ts";
import type {
  CatalogEntry,
  DatabaseEntry,
  ExtensionEntry,
  IndexEntry,
  RoleEntry,
  SchemaEntry,
  SequenceEntry,
  StatisticsEntry,
  TableEntry,
} from "./entries.ts";
import type { CastEntry, FunctionEntry, OperatorEntry } from "./functions/function.ts";

/** A row of pg_type as the binder needs it. Generated for built-ins, made from entries for row types. */
export interface TypeEntry {
  readonly oid: number;
  readonly name: string;
  readonly namespace: number;
  readonly length: number;
  readonly byValue: boolean;
  /** b base, c composite, d domain, e enum, p pseudo, r range, m multirange */
  readonly kind: string;
  readonly category: string;
  readonly isPreferred: boolean;
  readonly delimiter: string;
  /** Composite: the table. */
  readonly relationOid: number;
  /** Element type of an array or subscriptable type; 0 = none. */
  readonly elementOid: number;
  readonly arrayOid: number;
  readonly collation: number;
}

export interface VirtualColumn {
  readonly name: string;
  readonly type: SqlType;
  readonly notNull: boolean;
}

/** What a virtual relation may look at while it makes rows. */
export interface VirtualContext {
  readonly catalog: CatalogSnapshot;
  readonly functions: FunctionContext;
  /** Live data the engine has and the catalogue has not. */
  readonly statistics: EngineStatistics;
}

/** One connected session. Times are microseconds since 2000-01-01 UTC. */
export interface SessionActivity {
  readonly processId: number;
  readonly databaseOid: number;
  readonly roleOid: number;
  readonly applicationName: string;
  readonly clientAddress: string | undefined;
  readonly clientPort: number | undefined;
  readonly backendStart: number;
  /** Counts the session's transactions. */
  readonly transactionNumber: number;
  /** undefined = in no transaction. */
  readonly transactionStart: number | undefined;
  readonly queryStart: number | undefined;
  readonly stateChange: number;
  readonly state: "active" | "idle" | "idle in transaction" | "idle in transaction (aborted)";
  readonly query: string;
}

/** One lock held or waited for, as native/engine.ts describes it. */
export interface LockActivity {
  readonly kind: "relation" | "writers" | "row" | "key" | "advisory";
  readonly objectId: number;
  readonly subId: number;
  readonly isWide: boolean;
  readonly processId: number;
  readonly mode: number;
  readonly isGranted: boolean;
  /** Milliseconds since 1970. */
  readonly waitStart?: number;
}

/** What the engine keeps of a table, as native/engine.ts describes it. Times are milliseconds since 1970, 0 = never. */
export interface RelationActivity {
  readonly rowCount: number;
  readonly deadCount: number;
  readonly sizeBytes: number;
  readonly vacuums: number;
  readonly lastVacuum: number;
  readonly collections: number;
  readonly lastCollection: number;
}

export interface EngineStatistics {
  /** Who is connected, what they hold and wait for, and whom a session waits for. */
  sessions(): Iterable<SessionActivity>;
  locks(): readonly LockActivity[];
  blockers(processId: number): Iterable<number>;
  relationRows(storageId: number): RelationActivity;
  indexRows(storageId: number): { readonly entryCount: number; readonly sizeBytes: number };
  /** The entryCount of indexRows, cheaper. */
  indexEntries(storageId: number): number;
  sequence(storageId: number): { readonly lastValue: bigint; readonly isCalled: boolean };
  builds(): readonly {
    readonly indexId: number;
    readonly relationId: number;
    readonly processId: number;
    /** See build-label.ts. */
    readonly label: string;
    readonly phase: string;
    readonly done: number;
    readonly total: number;
  }[];
  /** VACUUMs under way: chunks and dead row versions, in all and dealt with. */
  vacuums(): readonly {
    readonly processId: number;
    readonly relationId: number;
    readonly phase: string;
    readonly chunks: number;
    readonly scanned: number;
    readonly rewritten: number;
    readonly dead: number;
    readonly dropped: number;
  }[];
  /** Backups being written, in bytes of the copy; `total` 0 until it is known. */
  backups(): readonly {
    readonly processId: number;
    readonly phase: string;
    readonly done: number;
    readonly total: number;
  }[];
}

/** A table of pg_catalog or information_schema that is computed. */
export interface VirtualRelation {
  readonly oid: number;
  readonly schema: number;
  readonly name: string;
  readonly columns: readonly VirtualColumn[];
  /**
   * All rows, or, where the relation supports it, those with `equal.column` = `equal.value` (a hint: more rows may come,
   * the filter is applied again).
   */
  rows(
    context: VirtualContext,
    equal?: { readonly column: string; readonly value: Datum },
  ): Iterable<readonly Datum[]>;
  /** Columns for which `equal` is a look-up and not a scan. */
  readonly lookups: readonly string[];
}

/** A system view: SQL over other relations, expanded by the binder. */
export interface ViewRelation {
  readonly oid: number;
  readonly schema: number;
  readonly name: string;
  readonly columns: readonly VirtualColumn[];
  readonly sql: string;
}

export type RelationRef =
  | { readonly kind: "table"; readonly table: TableEntry }
  | { readonly kind: "index"; readonly index: IndexEntry }
  | { readonly kind: "sequence"; readonly sequence: SequenceEntry }
  | { readonly kind: "virtual"; readonly virtual: VirtualRelation }
  | { readonly kind: "view"; readonly view: ViewRelation };

/** Access method data of an operator class: which operators order an index. */
export interface OperatorClassEntry {
  readonly oid: number;
  readonly name: string;
  readonly namespace: number;
  readonly method: "btree" | "hash" | "hnsw" | "bm25" | "gin" | "gist" | "brin" | "spgist" | "ivfflat";
  readonly inputType: number;
  readonly isDefault: boolean;
  readonly family: number;
  /** btree: strategy 1..5 -> operator oid; hnsw: strategy 1 = the distance operator. */
  readonly operators: ReadonlyMap<number, number>;
}

export interface CatalogSnapshot {
  /** Changes when anything visible here changes. */
  readonly version: number;
  readonly database: DatabaseEntry;

  // Names. `searchPath` holds schema names, implicit pg_temp and pg_catalog already in place.
  schemaByName(name: string): SchemaEntry | undefined;
  schemas(): Iterable<SchemaEntry>;
  /** undefined schema = walk the search path. */
  relation(schema: string | undefined, name: string, searchPath: readonly string[]): RelationRef | undefined;
  relationByOid(oid: number): RelationRef | undefined;
  relationsIn(schemaOid: number): Iterable<RelationRef>;
  indexesOf(tableOid: number): readonly IndexEntry[];
  /** The table a constraint belongs to. */
  tableOfConstraint(constraintOid: number): TableEntry | undefined;
  /** Tables with a foreign key to this one, by oid. */
  referencing(tableOid: number): readonly TableEntry[];
  statisticsOf(tableOid: number): StatisticsEntry | undefined;
  extension(name: string): ExtensionEntry | undefined;
  databases(): Iterable<DatabaseEntry>;
  roles(): Iterable<RoleEntry>;
  roleByName(name: string): RoleEntry | undefined;
  comment(classOid: number, objectOid: number, subId: number): string | undefined;
  /** Any entry by kind and oid. */
  entry(kind: CatalogEntry["kind"], oid: number): CatalogEntry | undefined;
  entries(): Iterable<CatalogEntry>;

  // Types, functions, operators
  typeByOid(oid: number): TypeEntry | undefined;
  typeByName(schema: string | undefined, name: string, searchPath: readonly string[]): TypeEntry | undefined;
  types(): Iterable<TypeEntry>;
  functionsByName(
    schema: string | undefined,
    name: string,
    searchPath: readonly string[],
  ): readonly FunctionEntry[];
  functionByOid(oid: number): FunctionEntry | undefined;
  functions(): Iterable<FunctionEntry>;
  operatorsByName(
    schema: string | undefined,
    name: string,
    searchPath: readonly string[],
  ): readonly OperatorEntry[];
  operatorByOid(oid: number): OperatorEntry | undefined;
  cast(source: number, target: number): CastEntry | undefined;
  /** btree, hnsw, bm25 operator classes by method and input type or by name. */
  operatorClass(method: string, inputType: number, name: string | undefined): OperatorClassEntry | undefined;
  operatorClassByOid(oid: number): OperatorClassEntry | undefined;
}

/** Fixed oids. */
export const CatalogOid = {
  pgCatalogSchema: 11,
  publicSchema: 2200,
  informationSchema: 13207,
  pgToastSchema: 99,
  bootstrapRole: 10,
  databaseOwnerRole: 6171,
  templateDatabase: 1,
  template0Database: 4,
  postgresDatabase: 5,
  /** public of template1; oids are unique over all databases here, and 2200 belongs to the database postgres. */
  templatePublicSchema: 8100,
  /** First oid for user objects. */
  firstUser: 16384,
  pgClass: 1259,
  pgType: 1247,
  pgProc: 1255,
  pgNamespace: 2615,
  pgDatabase: 1262,
  pgExtension: 3079,
  pgConstraint: 2606,
  pgAttrdef: 2604,
  defaultCollation: 100,
  cCollation: 950,
} as const;
