// Opens a session for a user and a database as a startup packet names them, with PostgreSQL's refusals.
import type { RoleEntry } from "../catalog/entries.ts";
import { CatalogOid } from "../catalog/catalog.ts";
import { must } from "../common/assert.ts";
import { SqlError, SqlState } from "../common/error.ts";
import type { Database } from "./database.ts";
import type { SessionClient } from "./result.ts";
import { Session } from "./session.ts";

export interface ConnectRequest {
  readonly user: string;
  readonly database: string;
  readonly settings: readonly (readonly [string, string])[];
  /** Where the client is; undefined = in this process. */
  readonly peer?: { readonly address: string; readonly port: number } | undefined;
}

/** FATAL 28000 for an unknown role, 3D000 for an unknown database, 55000 for one that takes no connections. */
export function connect(database: Database, request: ConnectRequest, client: SessionClient): Session {
  database.refresh();
  const role = findRole(database, request.user);
  if (role === undefined) {
    throw fatal(SqlState.invalidAuthorizationSpecification, `role "${request.user}" does not exist`);
  }
  if (!role.canLogin) {
    throw fatal(
      SqlState.invalidAuthorizationSpecification,
      `role "${request.user}" is not permitted to log in`,
    );
  }
  const databaseOid = database.catalog.databaseOid(request.database);
  if (databaseOid === undefined) {
    throw fatal(SqlState.invalidCatalogName, `database "${request.database}" does not exist`);
  }
  if (!database.snapshot(databaseOid).database.allowConnections) {
    throw fatal(
      SqlState.objectNotInPrerequisiteState,
      `database "${request.database}" is not currently accepting connections`,
    );
  }
  return new Session(database, client, {
    identity: { user: role.name, roleOid: role.oid, databaseOid, peer: request.peer },
    settings: request.settings,
  });
}

/** Roles are shared by all databases: any snapshot knows them. */
export function findRole(database: Database, name: string): RoleEntry | undefined {
  return must(database.catalog.snapshot(CatalogOid.templateDatabase), "template1 always exists").roleByName(
    name,
  );
}

function fatal(code: string, message: string): SqlError {
  return new SqlError(code, message, { severity: "FATAL" });
}
