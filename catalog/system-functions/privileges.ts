// has_*_privilege and pg_has_role. There is no GRANT yet: superusers may everything, owners what is theirs, and the rest what
// PostgreSQL grants PUBLIC on a fresh database. Names and privilege words are checked as PostgreSQL checks them.
//
// prosrc says the argument kinds: has_table_privilege_name_id is (role name, table oid, privilege text).
import { SqlError, SqlState } from "../../common/error.ts";
import type { Datum } from "../../common/types/type.ts";
import { systemRelationByOid } from "../builtin/system-relations.ts";
import { generatedTable, rowsBy } from "../builtin/tables.ts";
import { CatalogOid } from "../catalog.ts";
import type { NameScope } from "../deparse/identifier.ts";
import { lookUp } from "../deparse/reg-names.ts";
import { relationFace } from "../deparse/relation.ts";
import { roleName, roleOid } from "../pg-catalog/shared.ts";
import { type BodyEntry, scalar, scopeOf, snapshotOf } from "./body.ts";
import type { FunctionCall } from "../functions/function.ts";
import { plainText } from "../pg-catalog/rows.ts";

interface Grantable {
  /** As it stands in the function's name. */
  readonly word: string;
  readonly privileges: readonly string[];
  /** Held by everybody without a grant. */
  readonly public: readonly string[];
  /** Oid of a named object, or the error. */
  readonly find: (scope: NameScope, name: string) => number | SqlError;
  /** Owner, or undefined when there is no such object. */
  readonly owner: (scope: NameScope, oid: number) => number | undefined;
}

const SYSTEM = CatalogOid.bootstrapRole;
const TABLE_PRIVILEGES = [
  "SELECT",
  "INSERT",
  "UPDATE",
  "DELETE",
  "TRUNCATE",
  "REFERENCES",
  "TRIGGER",
  "RULE",
];
const COLUMN_PRIVILEGES = ["SELECT", "INSERT", "UPDATE", "REFERENCES"];

const relationOwner = (scope: NameScope, oid: number): number | undefined =>
  relationFace(scope.catalog, oid)?.owner;
const findRelation = (scope: NameScope, name: string): number | SqlError => lookUp(scope, "regclass", name);
const fixed = (
  table: "pg_language" | "pg_tablespace",
  column: string,
  what: string,
): Pick<Grantable, "find" | "owner"> => ({
  find: (_, name) => {
    const row = rowsBy(table, column, name)[0];
    if (row !== undefined) return Number(generatedTable(table).field(row, 0));
    return new SqlError(SqlState.undefinedObject, `${what} "${name}" does not exist`);
  },
  owner: () => SYSTEM,
});
const nothing = (what: string): Pick<Grantable, "find" | "owner"> => ({
  find: (_, name) => new SqlError(SqlState.undefinedObject, `${what} "${name}" does not exist`),
  owner: () => undefined,
});

const GRANTABLES: readonly Grantable[] = [
  { word: "table", privileges: TABLE_PRIVILEGES, public: [], find: findRelation, owner: relationOwner },
  { word: "any_column", privileges: COLUMN_PRIVILEGES, public: [], find: findRelation, owner: relationOwner },
  {
    word: "sequence",
    privileges: ["USAGE", "SELECT", "UPDATE"],
    public: [],
    find: (scope, name) => {
      const found = findRelation(scope, name);
      if (typeof found !== "number" || scope.catalog.entry("sequence", found) !== undefined) return found;
      return new SqlError(SqlState.wrongObjectType, `"${name}" is not a sequence`);
    },
    owner: relationOwner,
  },
  {
    word: "schema",
    privileges: ["CREATE", "USAGE"],
    public: ["USAGE"],
    find: (scope, name) =>
      scope.catalog.schemaByName(name)?.oid ??
      new SqlError(SqlState.invalidSchemaName, `schema "${name}" does not exist`),
    owner: (scope, oid) => {
      const entry = scope.catalog.entry("schema", oid);
      return entry?.kind === "schema" ? entry.owner : undefined;
    },
  },
  {
    word: "database",
    privileges: ["CREATE", "TEMPORARY", "TEMP", "CONNECT"],
    public: ["TEMPORARY", "TEMP", "CONNECT"],
    find: (scope, name) => {
      for (const database of scope.catalog.databases()) if (database.name === name) return database.oid;
      return new SqlError(SqlState.invalidCatalogName, `database "${name}" does not exist`);
    },
    owner: (scope, oid) => {
      const entry = scope.catalog.entry("database", oid);
      return entry?.kind === "database" ? entry.owner : undefined;
    },
  },
  {
    word: "function",
    privileges: ["EXECUTE"],
    public: ["EXECUTE"],
    find: (scope, name) => lookUp(scope, "regprocedure", name),
    owner: (scope, oid) => (scope.catalog.functionByOid(oid) === undefined ? undefined : SYSTEM),
  },
  {
    word: "type",
    privileges: ["USAGE"],
    public: ["USAGE"],
    find: (scope, name) => lookUp(scope, "regtype", name),
    owner: (scope, oid) => (scope.catalog.typeByOid(oid) === undefined ? undefined : SYSTEM),
  },
  {
    word: "language",
    privileges: ["USAGE"],
    public: ["USAGE"],
    ...fixed("pg_language", "lanname", "language"),
  },
  {
    word: "tablespace",
    privileges: ["CREATE"],
    public: [],
    ...fixed("pg_tablespace", "spcname", "tablespace"),
  },
  { word: "foreign_data_wrapper", privileges: ["USAGE"], public: [], ...nothing("foreign-data wrapper") },
  { word: "server", privileges: ["USAGE"], public: [], ...nothing("server") },
];

export const privilegeBodies: readonly BodyEntry[] = [
  ...GRANTABLES.flatMap((grantable) =>
    ["name", "id"].flatMap((object) => [
      scalar(`has_${grantable.word}_privilege_${object}`, ([target, privilege], call) =>
        check(call, grantable, currentRole(call), target ?? null, plainText(privilege)),
      ),
      ...["name", "id"].map((role) =>
        scalar(`has_${grantable.word}_privilege_${role}_${object}`, ([who, target, privilege], call) =>
          check(call, grantable, roleOf(call, who ?? null), target ?? null, plainText(privilege)),
        ),
      ),
    ]),
  ),
  ...columnBodies(),
  ...["name", "id"].flatMap((target) => [
    scalar(`pg_has_role_${target}`, ([role, privilege], call) =>
      hasRole(call, currentRole(call), role ?? null, plainText(privilege)),
    ),
    ...["name", "id"].map((who) =>
      scalar(`pg_has_role_${who}_${target}`, ([user, role, privilege], call) =>
        hasRole(call, roleOf(call, user ?? null), role ?? null, plainText(privilege)),
      ),
    ),
  ]),
];

function currentRole(call: FunctionCall): number {
  return roleOf(call, call.context.session.currentUser);
}

/** A role by name (42704 when missing) or as an oid. "public" stands for everybody. */
function roleOf(call: FunctionCall, role: Datum): number {
  if (typeof role === "number") return role;
  if (role === "public") return 0;
  const oid = roleOid(snapshotOf(call), plainText(role));
  if (oid === undefined)
    throw new SqlError(SqlState.undefinedObject, `role "${plainText(role)}" does not exist`);
  return oid;
}

function check(
  call: FunctionCall,
  grantable: Grantable,
  role: number,
  target: Datum,
  privilege: string,
): Datum {
  const scope = scopeOf(call);
  const object = typeof target === "number" ? target : grantable.find(scope, plainText(target));
  if (typeof object !== "number") throw object;
  const wanted = privilegeWords(privilege, grantable.privileges);
  const owner = grantable.owner(scope, object);
  if (owner === undefined) return null;
  if (isSuperuser(call, role) || owner === role) return true;
  const isSystemTable = grantable.word === "table" && systemRelationByOid(object) !== undefined;
  const free = isSystemTable ? ["SELECT"] : grantable.public;
  return wanted.some((word) => free.includes(word));
}

/** "SELECT, UPDATE WITH GRANT OPTION" in its words, 22023 for one that is none of the object's. */
function privilegeWords(text: string, allowed: readonly string[]): string[] {
  return text.split(",").map((part) => {
    const word = part.trim();
    const plain = word.toUpperCase().replace(/ WITH GRANT OPTION$/, "");
    if (!allowed.includes(plain))
      throw new SqlError(SqlState.invalidParameterValue, `unrecognized privilege type: "${word}"`);
    return plain;
  });
}

function isSuperuser(call: FunctionCall, role: number): boolean {
  const entry = snapshotOf(call).entry("role", role);
  return entry?.kind === "role" && entry.isSuperuser;
}

/** has_column_privilege: [role], table by name or oid, column by name or number, privilege. */
function columnBodies(): BodyEntry[] {
  const table = GRANTABLES.find((grantable) => grantable.word === "any_column");
  if (table === undefined) return [];
  const body = (call: FunctionCall, role: number, target: Datum, column: Datum, privilege: string): Datum => {
    const scope = scopeOf(call);
    const oid = typeof target === "number" ? target : table.find(scope, plainText(target));
    if (typeof oid !== "number") throw oid;
    return columnExists(scope, oid, column) ? check(call, table, role, oid, privilege) : null;
  };
  return ["name", "id"].flatMap((object) =>
    ["name", "attnum"].flatMap((column) => [
      scalar(`has_column_privilege_${object}_${column}`, ([target, which, privilege], call) =>
        body(call, currentRole(call), target ?? null, which ?? null, plainText(privilege)),
      ),
      ...["name", "id"].map((role) =>
        scalar(`has_column_privilege_${role}_${object}_${column}`, ([who, target, which, privilege], call) =>
          body(call, roleOf(call, who ?? null), target ?? null, which ?? null, plainText(privilege)),
        ),
      ),
    ]),
  );
}

/** false for a number that names no column; 42703 for such a name. */
function columnExists(scope: NameScope, oid: number, column: Datum): boolean {
  const entry = scope.catalog.entry("table", oid);
  const columns =
    entry?.kind === "table"
      ? entry.columns.filter((candidate) => !candidate.isDropped)
      : (systemRelationByOid(oid)?.columns.map(({ name }, i) => ({ name, attnum: i + 1 })) ?? []);
  if (typeof column === "number") return columns.some((candidate) => candidate.attnum === column);
  if (columns.some((candidate) => candidate.name === column)) return true;
  const relation = relationFace(scope.catalog, oid)?.name ?? String(oid);
  throw new SqlError(
    SqlState.undefinedColumn,
    `column "${plainText(column)}" of relation "${relation}" does not exist`,
  );
}

/** Membership: there are no grants of roles, so a role has itself, and a superuser all. */
function hasRole(call: FunctionCall, user: number, role: Datum, privilege: string): Datum {
  const target = roleOf(call, role);
  privilegeWords(privilege.replace(/ WITH ADMIN OPTION$/i, ""), ["MEMBER", "USAGE"]);
  if (roleName(snapshotOf(call), target) === undefined) return null;
  return user === target || isSuperuser(call, user);
}
