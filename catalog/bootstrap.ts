// The entries a new data folder begins with, and those a new database begins with. The schemas that hold no user objects
// (pg_catalog, information_schema, pg_toast) are the same in every database and are not stored at all.
import {
  type CatalogEntry,
  type DatabaseEntry,
  entryKey,
  type RoleEntry,
  type SchemaEntry,
} from "./entries.ts";
import { CatalogOid } from "./catalog.ts";

/** Shared by all databases: `database` 0. */
export const SYSTEM_SCHEMAS: readonly SchemaEntry[] = [
  systemSchema(CatalogOid.pgToastSchema, "pg_toast"),
  systemSchema(CatalogOid.pgCatalogSchema, "pg_catalog"),
  systemSchema(CatalogOid.informationSchema, "information_schema"),
];

/** template1, template0 and postgres with their public schemas, and the role that owns everything. */
export function bootstrapEntries(roleName: string): readonly CatalogEntry[] {
  const owner = CatalogOid.bootstrapRole;
  const role: RoleEntry = {
    kind: "role",
    oid: owner,
    name: roleName,
    version: 1,
    isSuperuser: true,
    canLogin: true,
    password: undefined,
  };
  return [
    role,
    ...databaseEntries(CatalogOid.templateDatabase, "template1", owner, CatalogOid.templatePublicSchema),
    // template0 takes no connections, so it needs no schemas.
    database(CatalogOid.template0Database, "template0", owner, false),
    ...databaseEntries(CatalogOid.postgresDatabase, "postgres", owner, CatalogOid.publicSchema),
  ];
}

/** A database with its public schema. Oids of other databases' schemas come from the engine's counter. */
export function databaseEntries(
  oid: number,
  name: string,
  owner: number,
  publicOid: number,
): readonly CatalogEntry[] {
  const schema: SchemaEntry = {
    kind: "schema",
    oid: publicOid,
    name: "public",
    version: 1,
    database: oid,
    // Whoever owns the database: PostgreSQL's predefined role pg_database_owner.
    owner: CatalogOid.databaseOwnerRole,
  };
  return [database(oid, name, owner, true), schema];
}

/** What the engine stores: key and JSON text. */
export function storedEntry(entry: CatalogEntry): { readonly key: string; readonly value: string } {
  return { key: entryKey(entry), value: JSON.stringify(entry) };
}

function database(oid: number, name: string, owner: number, allowConnections: boolean): DatabaseEntry {
  return { kind: "database", oid, name, version: 1, owner, allowConnections };
}

function systemSchema(oid: number, name: string): SchemaEntry {
  return { kind: "schema", oid, name, version: 1, database: 0, owner: CatalogOid.bootstrapRole };
}
