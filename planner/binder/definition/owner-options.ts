// Options of CREATE DATABASE and CREATE SCHEMA: owners are looked up, what a database cannot be given is refused by name.
import { notSupported, SqlError, SqlState } from "../../../common/error.ts";
import { type DefElem, type Node, positionOf } from "../../../parser/tree.ts";
import type { DefinitionBindContext } from "./context.ts";

/** The oid of a role; 42704 when there is none. */
function roleOid(name: string, context: DefinitionBindContext): number {
  const role = context.catalog.roleByName(name);
  if (role === undefined) throw new SqlError(SqlState.undefinedObject, `role "${name}" does not exist`);
  return role.oid;
}

interface RoleSpec {
  readonly roletype?: string;
  readonly rolename?: string;
}

/** AUTHORIZATION of CREATE SCHEMA; undefined = the user who runs it. */
export function authorizationOf(
  role: RoleSpec | undefined,
  context: DefinitionBindContext,
): number | undefined {
  if (role === undefined || role.roletype !== "ROLESPEC_CSTRING") return undefined;
  return roleOid(role.rolename ?? "", context);
}

/** One database collation, one encoding: other words for them are accepted, other ones are not. */
const ACCEPTED: Readonly<Record<string, readonly string[]>> = {
  encoding: ["utf8", "utf-8", "unicode"],
  locale: ["c", "c.utf-8", "c.utf8", "posix"],
  lc_collate: ["c", "c.utf-8", "c.utf8", "posix"],
  lc_ctype: ["c", "c.utf-8", "c.utf8", "posix"],
  // A new database is empty, as one from these is: a copy of another would be missing its contents.
  template: ["template0", "template1"],
  tablespace: ["pg_default"],
};

/** The owner among the options of CREATE DATABASE; 0A000 for values and options that would have no effect. */
export function databaseOwner(options: readonly Node[], context: DefinitionBindContext): number | undefined {
  let owner: number | undefined;
  for (const option of options) {
    if (!("DefElem" in option)) continue;
    const { defname = "", location } = option.DefElem;
    const value = optionText(option.DefElem);
    // DEFAULT.
    if (value === undefined) continue;
    if (defname === "owner") owner = roleOid(value, context);
    else if (ACCEPTED[defname]?.includes(value.toLowerCase()) !== true)
      throw notSupported(
        `CREATE DATABASE with ${defname.toUpperCase()} "${value}"`,
        positionOf(location) || undefined,
      );
  }
  return owner;
}

function optionText({ arg }: DefElem): string | undefined {
  if (arg === undefined) return undefined;
  if ("String" in arg) return arg.String.sval ?? "";
  if ("Integer" in arg) return String(arg.Integer.ival ?? 0);
  if ("Boolean" in arg) return String(arg.Boolean.boolval ?? false);
  return "";
}
