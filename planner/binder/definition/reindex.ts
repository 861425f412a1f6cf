// REINDEX, and ALTER INDEX ... SET and RESET: the index is made anew beside the old one, which serves readers meanwhile.
import type { IndexEntry } from "../../../catalog/entries.ts";
import { notSupported, SqlError, SqlState } from "../../../common/error.ts";
import type { AlterTableStmt, Node, ReindexStmt } from "../../../parser/tree.ts";
import type { AlterIndexPlan, DefinitionPlan, ReindexPlan } from "../../physical/definition.ts";
import {
  type DefinitionBindContext,
  displayName,
  findRelation,
  requireSchema,
  undefinedRelation,
} from "./context.ts";
import { bindOptions, checkGraphOptions } from "./index-options.ts";

export function bindReindex(statement: ReindexStmt, context: DefinitionBindContext): ReindexPlan {
  const flags = flagsOf(statement.params);
  if (flags.has("tablespace")) throw notSupported("REINDEX with TABLESPACE");
  return {
    kind: "reindex",
    indexes: reindexed(statement, context),
    isConcurrent: flags.has("concurrently"),
    isVerbose: flags.has("verbose"),
  };
}

function flagsOf(params: readonly Node[] | undefined): ReadonlySet<string> {
  const names = (params ?? []).flatMap((node) => {
    if (!("DefElem" in node)) return [];
    const { defname, arg } = node.DefElem;
    const isOff = arg !== undefined && "String" in arg && ["off", "false"].includes(arg.String.sval ?? "");
    return isOff ? [] : [defname ?? ""];
  });
  return new Set(names);
}

function reindexed(statement: ReindexStmt, context: DefinitionBindContext): readonly IndexEntry[] {
  const { catalog } = context;
  const name = statement.relation ?? {};
  switch (statement.kind) {
    case "REINDEX_OBJECT_INDEX": {
      const found = findRelation(name, context);
      if (found === undefined) throw undefinedRelation(name);
      if (found.kind === "index") return [found.index];
      throw new SqlError(SqlState.wrongObjectType, `"${name.relname}" is not an index`);
    }
    case "REINDEX_OBJECT_TABLE": {
      const found = findRelation(name, context);
      if (found === undefined) throw undefinedRelation(name);
      if (found.kind === "table") return catalog.indexesOf(found.table.oid);
      throw new SqlError(SqlState.wrongObjectType, `"${name.relname}" is not a table or materialized view`);
    }
    case "REINDEX_OBJECT_SCHEMA":
      return indexesIn(requireSchema(statement.name ?? "", context).oid, context);
    case "REINDEX_OBJECT_SYSTEM":
    case "REINDEX_OBJECT_DATABASE": {
      if (statement.name !== undefined && statement.name !== catalog.database.name)
        throw new SqlError(SqlState.featureNotSupported, "can only reindex the currently open database");
      // The system's own catalogues are computed: they have no indexes to make.
      if (statement.kind === "REINDEX_OBJECT_SYSTEM") return [];
      return Array.from(catalog.schemas()).flatMap((schema) => indexesIn(schema.oid, context));
    }
    default:
      throw notSupported("this REINDEX");
  }
}

function indexesIn(schemaOid: number, { catalog }: DefinitionBindContext): readonly IndexEntry[] {
  return Array.from(catalog.relationsIn(schemaOid)).flatMap((relation) =>
    relation.kind === "table" ? catalog.indexesOf(relation.table.oid) : [],
  );
}

/** ALTER INDEX ... SET (...) and RESET (...). */
export function bindAlterIndex(statement: AlterTableStmt, context: DefinitionBindContext): DefinitionPlan {
  const name = statement.relation ?? {};
  const found = findRelation(name, context);
  if (found === undefined) {
    if (statement.missing_ok !== true) throw undefinedRelation(name);
    return {
      kind: "no-operation",
      tag: "ALTER INDEX",
      notice: `relation "${displayName(name)}" does not exist, skipping`,
      code: SqlState.undefinedTable,
    };
  }
  if (found.kind !== "index")
    throw new SqlError(SqlState.wrongObjectType, `"${name.relname}" is not an index`);
  const { index } = found;
  let options = new Map(index.options);
  for (const node of statement.cmds ?? []) {
    if (!("AlterTableCmd" in node)) continue;
    const { subtype, def } = node.AlterTableCmd;
    const items = def !== undefined && "List" in def ? def.List.items : undefined;
    if (subtype === "AT_SetRelOptions") options = new Map([...options, ...bindOptions(items, index.method)]);
    else if (subtype === "AT_ResetRelOptions") for (const key of flagsOf(items)) options.delete(key);
    else throw notSupported(`ALTER INDEX ${(subtype ?? "").replace("AT_", "")}`);
  }
  const opclass = context.catalog.operatorClassByOid(index.columns[0]?.opclass ?? 0);
  if (index.method === "hnsw") checkGraphOptions([...options], opclass?.name ?? "");
  const plan: AlterIndexPlan = { kind: "alter-index", index, options: [...options] };
  return plan;
}
