// What belongs to the whole server: databases, roles, tablespaces; and the views over them (pg_roles, pg_user, pg_group).
import { SqlArray } from "../../common/types/array.ts";
import { Oid } from "../../common/types/oid.ts";
import type { RelationRows, Row } from "./rows.ts";
import { CatalogOid, type CatalogSnapshot } from "../catalog.ts";

const UTF8 = 6;
const DEFAULT_TABLESPACE = 1663;
/** The one collation there is: byte order with Unicode case mapping (docs/decisions.md). */
export const DATABASE_COLLATION = "C.UTF-8";

export const pgDatabase: RelationRows = {
  lookups: [],
  *rows({ catalog }) {
    for (const database of catalog.databases()) {
      yield {
        oid: database.oid,
        datname: database.name,
        datdba: database.owner,
        encoding: UTF8,
        datlocprovider: "c",
        datistemplate: database.name === "template0" || database.name === "template1",
        datallowconn: database.allowConnections,
        datconnlimit: -1,
        datfrozenxid: 3,
        datminmxid: 1,
        dattablespace: DEFAULT_TABLESPACE,
        datcollate: DATABASE_COLLATION,
        datctype: DATABASE_COLLATION,
      };
    }
  },
};

/** PostgreSQL's predefined roles: nobody can log in as one, and granting them comes with GRANT. */
const PREDEFINED_ROLES: readonly (readonly [number, string])[] = [
  [CatalogOid.databaseOwnerRole, "pg_database_owner"],
  [6181, "pg_read_all_data"],
  [6182, "pg_write_all_data"],
  [3373, "pg_monitor"],
  [3374, "pg_read_all_settings"],
  [3375, "pg_read_all_stats"],
  [3377, "pg_stat_scan_tables"],
  [4569, "pg_read_server_files"],
  [4570, "pg_write_server_files"],
  [4571, "pg_execute_server_program"],
  [4200, "pg_signal_backend"],
  [4544, "pg_checkpoint"],
];

interface RoleFace {
  readonly oid: number;
  readonly name: string;
  readonly isSuperuser: boolean;
  readonly canLogin: boolean;
  readonly password: string | undefined;
}

function* roles(catalog: CatalogSnapshot): Iterable<RoleFace> {
  yield* catalog.roles();
  for (const [oid, name] of PREDEFINED_ROLES) {
    yield { oid, name, isSuperuser: false, canLogin: false, password: undefined };
  }
}

/** Name of a role by oid, predefined ones included. */
export function roleName(catalog: CatalogSnapshot, oid: number): string | undefined {
  for (const role of roles(catalog)) if (role.oid === oid) return role.name;
  return undefined;
}

/** Oid of a role by name, predefined ones included. */
export function roleOid(catalog: CatalogSnapshot, name: string): number | undefined {
  for (const role of roles(catalog)) if (role.name === name) return role.oid;
  return undefined;
}

function roleRow(role: RoleFace): Record<string, Row[string]> {
  return {
    oid: role.oid,
    rolname: role.name,
    rolsuper: role.isSuperuser,
    rolinherit: true,
    rolcreaterole: role.isSuperuser,
    rolcreatedb: role.isSuperuser,
    rolcanlogin: role.canLogin,
    rolreplication: role.isSuperuser,
    rolbypassrls: role.isSuperuser,
    rolconnlimit: -1,
  };
}

export const pgAuthid: RelationRows = {
  lookups: [],
  *rows({ catalog }) {
    for (const role of roles(catalog)) yield { ...roleRow(role), rolpassword: role.password ?? null };
  },
};

export const pgRoles: RelationRows = {
  lookups: [],
  *rows({ catalog }) {
    for (const role of roles(catalog)) yield { ...roleRow(role), rolpassword: "********" };
  },
};

function userRow(role: RoleFace): Record<string, Row[string]> {
  return {
    usename: role.name,
    usesysid: role.oid,
    usecreatedb: role.isSuperuser,
    usesuper: role.isSuperuser,
    userepl: role.isSuperuser,
    usebypassrls: role.isSuperuser,
  };
}

export const pgUser: RelationRows = {
  lookups: [],
  *rows({ catalog }) {
    for (const role of roles(catalog)) if (role.canLogin) yield { ...userRow(role), passwd: "********" };
  },
};

export const pgShadow: RelationRows = {
  lookups: [],
  *rows({ catalog }) {
    for (const role of roles(catalog))
      if (role.canLogin) yield { ...userRow(role), passwd: role.password ?? null };
  },
};

export const pgGroup: RelationRows = {
  lookups: [],
  *rows({ catalog }) {
    for (const role of roles(catalog)) {
      if (!role.canLogin) yield { groname: role.name, grosysid: role.oid, grolist: SqlArray.of(Oid.oid, []) };
    }
  },
};
