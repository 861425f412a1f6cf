// DROP TABLE, INDEX, SEQUENCE, SCHEMA, EXTENSION and TRUNCATE: lists of names become lists of entries.
import type { RelationRef } from "../../../catalog/catalog.ts";
import { notSupported, SqlError, SqlState } from "../../../common/error.ts";
import { type DropStmt, listItems, type Node, stringsOf, type TruncateStmt } from "../../../parser/tree.ts";
import type { DropPlan, DropTarget, TruncatePlan } from "../../physical/definition.ts";
import { type DefinitionBindContext, displayName, findRelation, findTable } from "./context.ts";

type RelationKind = "table" | "index" | "sequence";

const RELATION_KINDS: Readonly<Record<string, RelationKind>> = {
  OBJECT_TABLE: "table",
  OBJECT_INDEX: "index",
  OBJECT_SEQUENCE: "sequence",
};

export function bindDrop(statement: DropStmt, context: DefinitionBindContext): DropPlan {
  const kind = RELATION_KINDS[statement.removeType ?? ""];
  const missingOk = statement.missing_ok === true;
  const cascade = statement.behavior === "DROP_CASCADE";
  if (statement.concurrent === true) checkConcurrentDrop(statement, cascade);
  if (kind !== undefined) {
    return {
      kind: "drop",
      tag: `DROP ${kind.toUpperCase()}`,
      cascade,
      targets: (statement.objects ?? []).map((node) =>
        bindRelationTarget(stringsOf(listItems(node)), kind, missingOk, context),
      ),
    };
  }
  switch (statement.removeType) {
    case "OBJECT_SCHEMA":
      return {
        kind: "drop",
        tag: "DROP SCHEMA",
        cascade,
        targets: (statement.objects ?? []).map((node) => bindSchemaTarget(nameOf(node), missingOk, context)),
      };
    case "OBJECT_EXTENSION":
      return {
        kind: "drop",
        tag: "DROP EXTENSION",
        cascade,
        targets: (statement.objects ?? []).map((node) =>
          bindExtensionTarget(nameOf(node), missingOk, context),
        ),
      };
    default:
      throw notSupported(`DROP ${(statement.removeType ?? "").replace("OBJECT_", "").replaceAll("_", " ")}`);
  }
}

/** PostgreSQL's limits of DROP INDEX CONCURRENTLY, which here differs from DROP INDEX in nothing else. */
function checkConcurrentDrop(statement: DropStmt, cascade: boolean): void {
  const refuse = (what: string): SqlError =>
    new SqlError(SqlState.featureNotSupported, `DROP INDEX CONCURRENTLY does not support ${what}`);
  if ((statement.objects ?? []).length > 1) throw refuse("dropping multiple objects");
  if (cascade) throw refuse("CASCADE");
}

const nameOf = (node: Node): string => ("String" in node ? (node.String.sval ?? "") : "");

function bindRelationTarget(
  parts: readonly string[],
  kind: RelationKind,
  missingOk: boolean,
  context: DefinitionBindContext,
): DropTarget {
  const relname = parts.at(-1) ?? "";
  const schemaname = parts.at(-2);
  const name = schemaname === undefined ? { relname } : { schemaname, relname };
  if (
    schemaname !== undefined &&
    schemaname !== "pg_temp" &&
    context.catalog.schemaByName(schemaname) === undefined
  ) {
    const message = `schema "${schemaname}" does not exist`;
    if (missingOk) return { kind: "missing", notice: `${message}, skipping` };
    throw new SqlError(SqlState.invalidSchemaName, message);
  }
  const found = findRelation(name, context);
  if (found === undefined) {
    const message = `${kind} "${displayName(name)}" does not exist`;
    if (missingOk) return { kind: "missing", notice: `${message}, skipping` };
    throw new SqlError(kind === "index" ? SqlState.undefinedObject : SqlState.undefinedTable, message);
  }
  if (found.kind === "table" && kind === "table") return found;
  if (found.kind === "index" && kind === "index") return found;
  if (found.kind === "sequence" && kind === "sequence") return found;
  throw wrongKind(found, relname, kind);
}

function wrongKind(found: RelationRef, name: string, wanted: RelationKind): SqlError {
  if (found.kind === "virtual" || found.kind === "view") {
    return new SqlError(SqlState.insufficientPrivilege, `permission denied: "${name}" is a system catalog`);
  }
  const article = wanted === "index" ? "an" : "a";
  return new SqlError(SqlState.wrongObjectType, `"${name}" is not ${article} ${wanted}`, {
    hint: `Use DROP ${found.kind.toUpperCase()} to remove ${found.kind === "index" ? "an" : "a"} ${found.kind}.`,
  });
}

function bindSchemaTarget(name: string, missingOk: boolean, context: DefinitionBindContext): DropTarget {
  const schema = context.catalog.schemaByName(name);
  if (schema !== undefined) {
    if (name.startsWith("pg_")) {
      throw new SqlError(
        SqlState.dependentObjectsStillExist,
        `cannot drop schema ${name} because it is required by the database system`,
      );
    }
    return { kind: "schema", schema };
  }
  const message = `schema "${name}" does not exist`;
  if (missingOk) return { kind: "missing", notice: `${message}, skipping` };
  throw new SqlError(SqlState.invalidSchemaName, message);
}

function bindExtensionTarget(name: string, missingOk: boolean, context: DefinitionBindContext): DropTarget {
  const extension = context.catalog.extension(name);
  if (extension !== undefined) return { kind: "extension", name, oid: extension.oid };
  const message = `extension "${name}" does not exist`;
  if (missingOk) return { kind: "missing", notice: `${message}, skipping` };
  throw new SqlError(SqlState.undefinedObject, message);
}

export function bindTruncate(statement: TruncateStmt, context: DefinitionBindContext): TruncatePlan {
  return {
    kind: "truncate",
    tables: (statement.relations ?? []).flatMap((node) =>
      "RangeVar" in node ? [findTable(node.RangeVar, context)] : [],
    ),
    restartIdentity: statement.restart_seqs === true,
    cascade: statement.behavior === "DROP_CASCADE",
  };
}
