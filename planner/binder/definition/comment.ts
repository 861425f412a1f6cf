// COMMENT ON TABLE, COLUMN, INDEX, SEQUENCE, SCHEMA, DATABASE, CONSTRAINT, EXTENSION.
import { CatalogOid } from "../../../catalog/catalog.ts";
import { notSupported, SqlError, SqlState } from "../../../common/error.ts";
import { type CommentStmt, listItems, stringsOf } from "../../../parser/tree.ts";
import type { CommentPlan } from "../../physical/definition.ts";
import {
  type DefinitionBindContext,
  findRelation,
  findTable,
  requireSchema,
  undefinedRelation,
} from "./context.ts";

const PG_EXTENSION = 3079;

export function bindComment(statement: CommentStmt, context: DefinitionBindContext): CommentPlan {
  const node = statement.object;
  const parts =
    node !== undefined && "String" in node ? [node.String.sval ?? ""] : stringsOf(listItems(node));
  const text = statement.comment;
  const plan = (classOid: number, objectOid: number, subId = 0): CommentPlan => ({
    kind: "comment",
    classOid,
    objectOid,
    subId,
    text,
  });
  switch (statement.objtype) {
    case "OBJECT_TABLE":
    case "OBJECT_INDEX":
    case "OBJECT_SEQUENCE":
      return plan(
        CatalogOid.pgClass,
        relationOid(parts, statement.objtype.slice("OBJECT_".length).toLowerCase(), context),
      );
    case "OBJECT_COLUMN": {
      const table = findTable(relationName(parts.slice(0, -1)), context);
      const column = table.columns.find(
        (candidate) => candidate.name === parts.at(-1) && !candidate.isDropped,
      );
      if (column === undefined) {
        throw new SqlError(
          SqlState.undefinedColumn,
          `column "${parts.at(-1)}" of relation "${table.name}" does not exist`,
        );
      }
      return plan(CatalogOid.pgClass, table.oid, column.attnum);
    }
    case "OBJECT_SCHEMA": {
      const schema = context.catalog.schemaByName(parts[0] ?? "") ?? requireSchema(parts[0] ?? "", context);
      return plan(CatalogOid.pgNamespace, schema.oid);
    }
    case "OBJECT_DATABASE": {
      for (const database of context.catalog.databases()) {
        if (database.name === parts[0]) return plan(CatalogOid.pgDatabase, database.oid);
      }
      throw new SqlError(SqlState.invalidCatalogName, `database "${parts[0]}" does not exist`);
    }
    case "OBJECT_EXTENSION": {
      const extension = context.catalog.extension(parts[0] ?? "");
      if (extension === undefined)
        throw new SqlError(SqlState.undefinedObject, `extension "${parts[0]}" does not exist`);
      return plan(PG_EXTENSION, extension.oid);
    }
    case "OBJECT_TABCONSTRAINT": {
      const table = findTable(relationName(parts.slice(0, -1)), context);
      const constraint = table.constraints.find((candidate) => candidate.name === parts.at(-1));
      if (constraint === undefined) {
        throw new SqlError(
          SqlState.undefinedObject,
          `constraint "${parts.at(-1)}" for table "${table.name}" does not exist`,
        );
      }
      return plan(CatalogOid.pgConstraint, constraint.oid);
    }
    default:
      throw notSupported(
        `COMMENT ON ${(statement.objtype ?? "").replace("OBJECT_", "").replaceAll("_", " ")}`,
      );
  }
}

function relationName(parts: readonly string[]): { readonly schemaname?: string; readonly relname: string } {
  const relname = parts.at(-1) ?? "";
  const schemaname = parts.at(-2);
  return schemaname === undefined ? { relname } : { schemaname, relname };
}

function relationOid(parts: readonly string[], kind: string, context: DefinitionBindContext): number {
  const name = relationName(parts);
  const found = findRelation(name, context);
  if (found === undefined) throw undefinedRelation(name);
  if (found.kind === kind) {
    if (found.kind === "table") return found.table.oid;
    if (found.kind === "index") return found.index.oid;
    if (found.kind === "sequence") return found.sequence.oid;
  }
  throw new SqlError(
    SqlState.wrongObjectType,
    `"${name.relname}" is not ${kind === "index" ? "an" : "a"} ${kind}`,
  );
}
