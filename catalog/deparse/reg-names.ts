// Text forms of regclass, regtype, regproc and the other reg* types: names looked up and printed under a search path.
// Messages and codes are PostgreSQL's (regproc.c, namespace.c).
import { SqlError, SqlState } from "../../common/error.ts";
import type { RegKind, RegNames } from "../../common/types/type.ts";
import { type GeneratedName, generatedTable, rowsBy } from "../builtin/tables.ts";
import type { FunctionEntry, OperatorEntry } from "../functions/function.ts";
import { roleName, roleOid } from "../pg-catalog/shared.ts";
import {
  functionName,
  functionSignature,
  operatorName,
  operatorSignature,
  sameTypes,
  splitSignature,
} from "./function-name.ts";
import { quoteIdentifier } from "../../common/identifier.ts";
import { type NameScope, parseName, qualified, schemaName } from "./identifier.ts";
import { parseTypeName, requireSchema } from "./parse-type-name.ts";
import { faceOf, relationFace, relationName } from "./relation.ts";
import { formatType } from "./type-name.ts";

/** Names under the scope in force at each call: the search path may change between statements. */
export function catalogRegNames(scope: () => NameScope): RegNames {
  return {
    parse: (kind, text) => {
      const found = lookUp(scope(), kind, text);
      if (typeof found === "number") return found;
      throw found;
    },
    format: (kind, oid) => formatReg(scope(), kind, oid),
  };
}

/**
 * The oid, or the error that says why there is none: the input functions throw it, to_reg* answer NULL. Text that is no
 * name at all throws at once, in both.
 */
export function lookUp(scope: NameScope, kind: RegKind, text: string): number | SqlError {
  switch (kind) {
    case "regclass":
      return findRelation(scope, text);
    case "regtype":
      return parseTypeName(scope, text) ?? missing(SqlState.undefinedObject, `type "${text}" does not exist`);
    case "regproc":
      return onlyOne(
        findFunctions(scope, text),
        `function "${text}" does not exist`,
        `more than one function named "${text}"`,
      );
    case "regprocedure":
      return findProcedure(scope, text);
    case "regoper":
      return onlyOne(
        findOperators(scope, text),
        `operator does not exist: ${text}`,
        `more than one operator named ${text}`,
      );
    case "regoperator":
      return findOperatorSignature(scope, text);
    case "regnamespace": {
      const name = singleName(text);
      return (
        scope.catalog.schemaByName(name)?.oid ??
        missing(SqlState.invalidSchemaName, `schema "${name}" does not exist`)
      );
    }
    case "regrole": {
      const name = singleName(text);
      return (
        roleOid(scope.catalog, name) ?? missing(SqlState.undefinedObject, `role "${name}" does not exist`)
      );
    }
    case "regconfig":
      return findByName(
        scope,
        "pg_ts_config",
        "cfgname",
        text,
        (name) => `text search configuration "${name}" does not exist`,
      );
    case "regdictionary":
      return findByName(
        scope,
        "pg_ts_dict",
        "dictname",
        text,
        (name) => `text search dictionary "${name}" does not exist`,
      );
    case "regcollation":
      return findByName(
        scope,
        "pg_collation",
        "collname",
        text,
        (name) => `collation "${name}" for encoding "UTF8" does not exist`,
      );
  }
}

function formatReg(scope: NameScope, kind: RegKind, oid: number): string {
  return nameOf(scope, kind, oid) ?? String(oid);
}

function nameOf(scope: NameScope, kind: RegKind, oid: number): string | undefined {
  const { catalog } = scope;
  switch (kind) {
    case "regclass": {
      const face = relationFace(catalog, oid);
      return face === undefined ? undefined : relationName(scope, face);
    }
    case "regtype":
      return catalog.typeByOid(oid) === undefined ? undefined : formatType(scope, oid, undefined);
    case "regproc":
    case "regprocedure": {
      const entry = catalog.functionByOid(oid);
      if (entry === undefined) return undefined;
      return kind === "regproc" ? functionName(scope, entry) : functionSignature(scope, entry);
    }
    case "regoper":
    case "regoperator": {
      const entry = catalog.operatorByOid(oid);
      if (entry === undefined) return undefined;
      return kind === "regoper" ? operatorName(scope, entry) : operatorSignature(scope, entry);
    }
    case "regnamespace": {
      const name = schemaName(catalog, oid);
      return name === "" ? undefined : quoteIdentifier(name);
    }
    case "regrole": {
      const name = roleName(catalog, oid);
      return name === undefined ? undefined : quoteIdentifier(name);
    }
    case "regconfig":
      return generatedName("pg_ts_config", "cfgname", oid);
    case "regdictionary":
      return generatedName("pg_ts_dict", "dictname", oid);
    case "regcollation":
      return generatedName("pg_collation", "collname", oid);
  }
}

/** A qualified name in its parts, schema undefined when not given; 42602 when it is no name, 0A000 with a foreign database. */
export function qualifiedName(
  scope: NameScope,
  text: string,
): { readonly schema: string | undefined; readonly name: string } {
  const parts = parseName(text);
  const name = parts?.at(-1);
  if (parts === undefined || name === undefined)
    throw new SqlError(SqlState.invalidName, "invalid name syntax");
  if (parts.length > 3) {
    throw new SqlError(
      SqlState.syntaxError,
      `improper qualified name (too many dotted names): ${parts.join(".")}`,
    );
  }
  if (parts.length === 3 && parts[0] !== scope.catalog.database.name) {
    throw new SqlError(
      SqlState.featureNotSupported,
      `cross-database references are not implemented: "${parts.join(".")}"`,
    );
  }
  return { schema: parts.length > 1 ? parts.at(-2) : undefined, name };
}

/** Oid of a relation named in text, or the error for a missing one. */
export function findRelation(scope: NameScope, text: string): number | SqlError {
  const { schema, name } = qualifiedName(scope, text);
  if (schema !== undefined && schema !== "pg_temp" && scope.catalog.schemaByName(schema) === undefined) {
    return missing(SqlState.invalidSchemaName, `schema "${schema}" does not exist`);
  }
  const ref = scope.catalog.relation(schema, name, scope.searchPath);
  if (ref !== undefined) return faceOf(ref).oid;
  const shown = schema === undefined ? name : `${schema}.${name}`;
  return missing(SqlState.undefinedTable, `relation "${shown}" does not exist`);
}

function findFunctions(scope: NameScope, text: string): readonly FunctionEntry[] {
  const { schema, name } = qualifiedName(scope, text);
  return scope.catalog.functionsByName(schema, name, scope.searchPath);
}

function findProcedure(scope: NameScope, text: string): number | SqlError {
  const { name, args } = splitSignature(text);
  const types = args.map((argument) => requireType(scope, argument));
  const found = findFunctions(scope, name).find((entry) => sameTypes(entry.argumentTypes, types));
  return found?.oid ?? missing(SqlState.undefinedFunction, `function "${text}" does not exist`);
}

/** Operator names are not identifiers: only a schema may stand before them. */
function findOperators(scope: NameScope, text: string): readonly OperatorEntry[] {
  const dot = /^\s*(.*[\w"])\.([^\w\s"]+)\s*$/.exec(text);
  const schema = dot === null ? undefined : qualifiedName(scope, dot[1] ?? "").name;
  return scope.catalog.operatorsByName(schema, (dot?.[2] ?? text).trim(), scope.searchPath);
}

function findOperatorSignature(scope: NameScope, text: string): number | SqlError {
  const { name, args } = splitSignature(text);
  if (args.length !== 2) {
    const isShort = args.length < 2;
    const hint = isShort
      ? { hint: "Use NONE to denote the missing argument of a unary operator." }
      : { hint: "Provide two argument types for operator." };
    throw new SqlError(
      isShort ? SqlState.undefinedParameter : SqlState.tooManyArguments,
      isShort ? "missing argument" : "too many arguments",
      hint,
    );
  }
  const [left, right] = args.map((argument) => (/^none$/i.test(argument) ? 0 : requireType(scope, argument)));
  const found = findOperators(scope, name).find(
    (entry) => entry.leftType === left && entry.rightType === right,
  );
  return found?.oid ?? missing(SqlState.undefinedFunction, `operator does not exist: ${text}`);
}

function requireType(scope: NameScope, text: string): number {
  const oid = parseTypeName(scope, text);
  if (oid === undefined) throw missing(SqlState.undefinedObject, `type "${text}" does not exist`);
  return oid;
}

function findByName(
  scope: NameScope,
  table: GeneratedName,
  column: string,
  text: string,
  message: (name: string) => string,
): number | SqlError {
  const { schema, name } = qualifiedName(scope, text);
  requireSchema(scope, schema);
  const row = schema === undefined || schema === "pg_catalog" ? rowsBy(table, column, name)[0] : undefined;
  return row === undefined
    ? missing(SqlState.undefinedObject, message(name))
    : Number(generatedTable(table).field(row, 0));
}

function generatedName(table: GeneratedName, column: string, oid: number): string | undefined {
  const row = rowsBy(table, "oid", String(oid))[0];
  const source = generatedTable(table);
  return row === undefined ? undefined : quoteIdentifier(source.field(row, source.position(column)) ?? "");
}

function singleName(text: string): string {
  const parts = parseName(text);
  const name = parts?.[0];
  if (parts === undefined || parts.length !== 1 || name === undefined) {
    throw new SqlError(SqlState.invalidName, "invalid name syntax");
  }
  return name;
}

function onlyOne(
  found: readonly { readonly oid: number }[],
  none: string,
  several: string,
): number | SqlError {
  if (found.length > 1) return missing(SqlState.ambiguousFunction, several);
  return found[0]?.oid ?? missing(SqlState.undefinedFunction, none);
}

function missing(code: SqlState, message: string): SqlError {
  return new SqlError(code, message);
}

/** "schema.name" of a relation, always qualified: what pg_get_serial_sequence answers. */
export function qualifiedRelationName(scope: NameScope, oid: number): string | undefined {
  const face = relationFace(scope.catalog, oid);
  return face === undefined ? undefined : qualified(schemaName(scope.catalog, face.schema), face.name);
}
