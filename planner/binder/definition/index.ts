// Definitions: parse tree -> DefinitionPlan. Pure, like the rest of the planner. `bindDefinition` answers undefined for
// statements that are not definitions.
import { AVAILABLE_EXTENSIONS } from "../../../catalog/builtin/extensions.ts";
import { notSupported, SqlError, SqlState } from "../../../common/error.ts";
import { type Node, positionOf } from "../../../parser/tree.ts";
import type { DefinitionPlan } from "../../physical/definition.ts";
import { bindAlterTable, bindRename } from "./alter-table.ts";
import { bindComment } from "./comment.ts";
import { type DefinitionBindContext, requireSchema } from "./context.ts";
import { bindCreateIndex } from "./create-index.ts";
import { bindCreateTable } from "./create-table.ts";
import { bindDrop, bindTruncate } from "./drop.ts";
import { authorizationOf, databaseOwner } from "./owner-options.ts";
import { bindAlterIndex, bindReindex } from "./reindex.ts";
import { bindCreateSequence } from "./sequence.ts";

export type { DefinitionBindContext, NamedColumn } from "./context.ts";

/** Extensions that are part of the product; their objects exist from the start. */
const EXTENSIONS: ReadonlyMap<string, string> = new Map(
  AVAILABLE_EXTENSIONS.map(({ name, version }) => [name, version]),
);

export function bindDefinition(node: Node, context: DefinitionBindContext): DefinitionPlan | undefined {
  if ("CreateStmt" in node) return bindCreateTable(node.CreateStmt, context);
  if ("IndexStmt" in node) return bindCreateIndex(node.IndexStmt, context);
  if ("ReindexStmt" in node) return bindReindex(node.ReindexStmt, context);
  if ("AlterTableStmt" in node && node.AlterTableStmt.objtype === "OBJECT_INDEX")
    return bindAlterIndex(node.AlterTableStmt, context);
  if ("AlterTableStmt" in node) return bindAlterTable(node.AlterTableStmt, context);
  if ("RenameStmt" in node) return bindRename(node.RenameStmt, context);
  if ("DropStmt" in node) return bindDrop(node.DropStmt, context);
  if ("TruncateStmt" in node) return bindTruncate(node.TruncateStmt, context);
  if ("CommentStmt" in node) return bindComment(node.CommentStmt, context);
  if ("CreateSeqStmt" in node) return bindCreateSequence(node.CreateSeqStmt, context);
  if ("CreateSchemaStmt" in node) {
    const statement = node.CreateSchemaStmt;
    const name = statement.schemaname ?? statement.authrole?.rolename ?? "";
    if (name.startsWith("pg_")) {
      throw new SqlError(SqlState.reservedName, `unacceptable schema name "${name}"`, {
        detail: 'The prefix "pg_" is reserved for system schemas.',
      });
    }
    if (statement.schemaElts !== undefined && statement.schemaElts.length > 0) {
      throw notSupported("CREATE SCHEMA with schema elements");
    }
    const owner = authorizationOf(statement.authrole, context);
    return { kind: "create-schema", name, owner, ifNotExists: statement.if_not_exists === true };
  }
  if ("CreatedbStmt" in node) {
    const owner = databaseOwner(node.CreatedbStmt.options ?? [], context);
    return { kind: "create-database", name: node.CreatedbStmt.dbname ?? "", owner };
  }
  if ("DropdbStmt" in node) {
    return {
      kind: "drop-database",
      name: node.DropdbStmt.dbname ?? "",
      ifExists: node.DropdbStmt.missing_ok === true,
      isForced: (node.DropdbStmt.options ?? []).some(
        (option) => "DefElem" in option && option.DefElem.defname === "force",
      ),
    };
  }
  if ("CreateExtensionStmt" in node) return bindCreateExtension(node.CreateExtensionStmt, context);
  return undefined;
}

function bindCreateExtension(
  statement: {
    readonly extname?: string;
    readonly if_not_exists?: boolean;
    readonly options?: readonly Node[];
  },
  context: DefinitionBindContext,
): DefinitionPlan {
  const name = statement.extname ?? "";
  const version = EXTENSIONS.get(name);
  if (version === undefined) {
    throw new SqlError(SqlState.featureNotSupported, `extension "${name}" is not available`, {
      detail: `OmenDB carries these extensions: ${Array.from(EXTENSIONS.keys()).join(", ")}.`,
    });
  }
  let schemaName: string | undefined;
  for (const option of statement.options ?? []) {
    if (!("DefElem" in option)) continue;
    const { defname, arg } = option.DefElem;
    // The extensions need no others, so CASCADE has nothing to do.
    if (defname === "cascade") continue;
    const value = arg !== undefined && "String" in arg ? arg.String.sval : undefined;
    if (defname === "schema" && value !== undefined) schemaName = value;
    else if (defname === "new_version" && value !== undefined) requireVersion(name, version, value);
    else throw notSupported("this extension option", positionOf(option.DefElem.location));
  }
  const wanted = schemaName ?? context.searchPath.find((path) => !path.startsWith("pg_")) ?? "public";
  return {
    kind: "create-extension",
    name,
    schema: requireSchema(wanted, context),
    version,
    ifNotExists: statement.if_not_exists === true,
  };
}

function requireVersion(extension: string, available: string, wanted: string): void {
  if (wanted === available) return;
  throw new SqlError(
    SqlState.invalidParameterValue,
    `extension "${extension}" has no installation script nor update path for version "${wanted}"`,
  );
}
