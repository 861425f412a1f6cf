// CatalogSnapshot over three layers: the stored entries of a database (CatalogState), PostgreSQL's generated rows
// (catalog/builtin) and, for a transaction that changed the catalogue, its own changes on top.
//
// The system schemas come first in every look-up by oid and only where the search path says so by name. Objects of our own
// range (the vector type and its company) also answer to "public", where pgvector would have put them.
import { must } from "../common/assert.ts";
import { SYSTEM_SCHEMAS } from "./bootstrap.ts";
import { extensionComment } from "./builtin/extensions.ts";
import { builtinFunction, builtinFunctions, builtinFunctionsNamed } from "./builtin/functions.ts";
import {
  builtinOperatorClass,
  defaultOperatorClass,
  operatorClassNamed,
} from "./builtin/operator-classes.ts";
import { builtinCast, builtinOperator, builtinOperatorsNamed } from "./builtin/operators.ts";
import { systemRef, systemRefByOid, systemRefs } from "./builtin/relations.ts";
import { generatedTable, rowsBy } from "./builtin/tables.ts";
import { builtinType, builtinTypes, builtinTypesNamed } from "./builtin/types.ts";
import { isOwnObject } from "./builtin/own-objects.ts";
import {
  CatalogOid,
  type CatalogSnapshot,
  type OperatorClassEntry,
  type RelationRef,
  type TypeEntry,
} from "./catalog.ts";
import type {
  CatalogEntry,
  DatabaseEntry,
  ExtensionEntry,
  IndexEntry,
  RoleEntry,
  SchemaEntry,
  StatisticsEntry,
  TableEntry,
} from "./entries.ts";
import type { CastEntry, FunctionEntry, OperatorEntry } from "./functions/function.ts";
import type { CatalogState, EntryChange, StoredRelation } from "./state.ts";

const SYSTEM_SCHEMA_BY_NAME = new Map(SYSTEM_SCHEMAS.map((schema) => [schema.name, schema]));

export class Snapshot implements CatalogSnapshot {
  readonly version: number;
  readonly database: DatabaseEntry;
  readonly #state: CatalogState;

  constructor(version: number, databaseOid: number, state: CatalogState) {
    const database = must(state.entry(`database/${databaseOid}`), `an entry of database ${databaseOid}`);
    this.version = version;
    this.database = database as DatabaseEntry;
    this.#state = state;
  }

  /** This snapshot with a transaction's own changes; `version` must differ from every other in use. */
  withChanges(version: number, changes: readonly EntryChange[]): Snapshot {
    const visible = changes.filter((change) => isVisibleIn(change.entry, this.database.oid));
    return new Snapshot(version, this.database.oid, this.#state.with(visible));
  }

  schemaByName(name: string): SchemaEntry | undefined {
    return SYSTEM_SCHEMA_BY_NAME.get(name) ?? this.#state.named("schema", name);
  }

  *schemas(): Iterable<SchemaEntry> {
    yield* SYSTEM_SCHEMAS;
    for (const entry of this.#state.entries()) if (entry.kind === "schema") yield entry;
  }

  relation(schema: string | undefined, name: string, searchPath: readonly string[]): RelationRef | undefined {
    for (const entry of this.#searched(schema, searchPath)) {
      const found = this.#relationIn(entry, name);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  relationByOid(oid: number): RelationRef | undefined {
    const system = systemRefByOid(oid);
    if (system !== undefined) return system;
    const stored = this.#state.relationByOid(oid);
    return stored === undefined ? undefined : refOf(stored);
  }

  *relationsIn(schemaOid: number): Iterable<RelationRef> {
    yield* systemRefs(schemaOid);
    for (const entry of this.#state.entries()) {
      if (isRelation(entry) && entry.schema === schemaOid) yield refOf(entry);
    }
  }

  indexesOf(tableOid: number): readonly IndexEntry[] {
    return this.#state.indexesOf(tableOid);
  }

  tableOfConstraint(constraintOid: number): TableEntry | undefined {
    return this.#state.tableOfConstraint(constraintOid);
  }

  referencing(tableOid: number): readonly TableEntry[] {
    return this.#state.referencing(tableOid);
  }

  statisticsOf(tableOid: number): StatisticsEntry | undefined {
    return this.#state.statisticsOf(tableOid);
  }

  extension(name: string): ExtensionEntry | undefined {
    return this.#state.named("extension", name);
  }

  *databases(): Iterable<DatabaseEntry> {
    for (const entry of this.#state.entries()) if (entry.kind === "database") yield entry;
  }

  *roles(): Iterable<RoleEntry> {
    for (const entry of this.#state.entries()) if (entry.kind === "role") yield entry;
  }

  roleByName(name: string): RoleEntry | undefined {
    return this.#state.named("role", name);
  }

  comment(classOid: number, objectOid: number, subId: number): string | undefined {
    const own = this.#state.comment(classOid, objectOid, subId);
    if (own !== undefined) return own;
    if (classOid !== CatalogOid.pgExtension) return builtinComment(classOid, objectOid, subId);
    const extension = this.#state.entry(`extension/${objectOid}`);
    return extension === undefined ? undefined : extensionComment(extension.name);
  }

  entry(kind: CatalogEntry["kind"], oid: number): CatalogEntry | undefined {
    const system = kind === "schema" ? SYSTEM_SCHEMAS.find((schema) => schema.oid === oid) : undefined;
    return system ?? this.#state.entry(`${kind}/${oid}`);
  }

  *entries(): Iterable<CatalogEntry> {
    yield* SYSTEM_SCHEMAS;
    yield* this.#state.entries();
  }

  typeByOid(oid: number): TypeEntry | undefined {
    const builtin = builtinType(oid);
    if (builtin !== undefined) return builtin;
    const table = this.#state.tableOfType(oid);
    return table === undefined ? undefined : table.rowTypeOid === oid ? rowType(table) : rowArrayType(table);
  }

  typeByName(schema: string | undefined, name: string, searchPath: readonly string[]): TypeEntry | undefined {
    const builtins = builtinTypesNamed(name);
    for (const entry of this.#searched(schema, searchPath)) {
      const found = builtins.find((type) => type.namespace === entry.oid) ?? this.#rowTypeIn(entry, name);
      if (found !== undefined) return found;
    }
    return schema === "public" ? builtins.find((type) => isOwnObject(type.oid)) : undefined;
  }

  *types(): Iterable<TypeEntry> {
    yield* builtinTypes();
    for (const entry of this.#state.entries()) {
      if (entry.kind !== "table") continue;
      yield rowType(entry);
      yield rowArrayType(entry);
    }
  }

  functionsByName(
    schema: string | undefined,
    name: string,
    searchPath: readonly string[],
  ): readonly FunctionEntry[] {
    return this.#visibleObjects(builtinFunctionsNamed(name), schema, searchPath);
  }

  functionByOid(oid: number): FunctionEntry | undefined {
    return builtinFunction(oid);
  }

  functions(): Iterable<FunctionEntry> {
    return builtinFunctions();
  }

  operatorsByName(
    schema: string | undefined,
    name: string,
    searchPath: readonly string[],
  ): readonly OperatorEntry[] {
    return this.#visibleObjects(builtinOperatorsNamed(name), schema, searchPath);
  }

  operatorByOid(oid: number): OperatorEntry | undefined {
    return builtinOperator(oid);
  }

  cast(source: number, target: number): CastEntry | undefined {
    return builtinCast(source, target);
  }

  operatorClass(method: string, inputType: number, name: string | undefined): OperatorClassEntry | undefined {
    return name === undefined ? defaultOperatorClass(method, inputType) : operatorClassNamed(method, name);
  }

  operatorClassByOid(oid: number): OperatorClassEntry | undefined {
    return builtinOperatorClass(oid);
  }

  /** The named schema, or the existing ones of the search path in order. */
  *#searched(schema: string | undefined, searchPath: readonly string[]): Iterable<SchemaEntry> {
    if (schema === undefined) {
      for (const name of searchPath) {
        const entry = this.schemaByName(name);
        if (entry !== undefined) yield entry;
      }
      return;
    }
    // pg_temp stands for the session's own temporary schema, which the path carries under its real name.
    const real =
      schema === "pg_temp" ? (searchPath.find((name) => name.startsWith("pg_temp_")) ?? schema) : schema;
    const entry = this.schemaByName(real);
    if (entry !== undefined) yield entry;
  }

  #relationIn(schema: SchemaEntry, name: string): RelationRef | undefined {
    if (schema.database === 0) return systemRef(schema.oid, name);
    const stored = this.#state.relation(schema.oid, name);
    return stored === undefined ? undefined : refOf(stored);
  }

  #rowTypeIn(schema: SchemaEntry, name: string): TypeEntry | undefined {
    const table = this.#state.relation(schema.oid, name);
    if (table?.kind === "table") return rowType(table);
    if (!name.startsWith("_")) return undefined;
    const element = this.#state.relation(schema.oid, name.slice(1));
    return element?.kind === "table" ? rowArrayType(element) : undefined;
  }

  #visibleObjects<T extends { readonly oid: number; readonly namespace: number }>(
    objects: readonly T[],
    schema: string | undefined,
    searchPath: readonly string[],
  ): readonly T[] {
    if (objects.length === 0) return objects;
    const namespaces = new Set([...this.#searched(schema, searchPath)].map((entry) => entry.oid));
    if (objects.every((object) => namespaces.has(object.namespace))) return objects;
    return objects.filter(
      (object) => namespaces.has(object.namespace) || (schema === "public" && isOwnObject(object.oid)),
    );
  }
}

/** Whether a change concerns a database; removals carry no entry and are applied everywhere, harmlessly. */
export function isVisibleIn(entry: CatalogEntry | undefined, database: number): boolean {
  if (entry === undefined || entry.kind === "database" || entry.kind === "role") return true;
  // 0: comments on databases, which every database sees.
  return entry.database === database || entry.database === 0;
}

function isRelation(entry: CatalogEntry): entry is StoredRelation {
  return entry.kind === "table" || entry.kind === "index" || entry.kind === "sequence";
}

function refOf(entry: StoredRelation): RelationRef {
  switch (entry.kind) {
    case "table":
      return { kind: "table", table: entry };
    case "index":
      return { kind: "index", index: entry };
    case "sequence":
      return { kind: "sequence", sequence: entry };
  }
}

function rowType(table: TableEntry): TypeEntry {
  return {
    oid: table.rowTypeOid,
    name: table.name,
    namespace: table.schema,
    length: -1,
    byValue: false,
    kind: "c",
    category: "C",
    isPreferred: false,
    delimiter: ",",
    relationOid: table.oid,
    elementOid: 0,
    arrayOid: table.arrayTypeOid,
    collation: 0,
  };
}

function rowArrayType(table: TableEntry): TypeEntry {
  return {
    ...rowType(table),
    oid: table.arrayTypeOid,
    name: `_${table.name}`,
    kind: "b",
    category: "A",
    relationOid: 0,
    elementOid: table.rowTypeOid,
    arrayOid: 0,
  };
}

function builtinComment(classOid: number, objectOid: number, subId: number): string | undefined {
  const name = classOid === CatalogOid.pgDatabase ? "pg_shdescription" : "pg_description";
  const table = generatedTable(name);
  const at = (row: number, column: string): string | null => table.field(row, table.position(column));
  for (const row of rowsBy(name, "objoid", String(objectOid))) {
    // Comments of shared objects have no sub-object.
    const rowSubId = name === "pg_description" ? Number(at(row, "objsubid")) : 0;
    if (Number(at(row, "classoid")) === classOid && rowSubId === subId)
      return at(row, "description") ?? undefined;
  }
  return undefined;
}
