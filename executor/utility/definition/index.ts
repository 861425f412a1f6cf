// Executes bound definitions. The session takes `definitionLocks` first and binds again when an entry moved meanwhile.
import {
  ACCESS_EXCLUSIVE,
  SHARE,
  SHARE_ROW_EXCLUSIVE,
  SHARE_UPDATE_EXCLUSIVE,
} from "../../../common/lock-mode.ts";
import { unreachable } from "../../../common/assert.ts";
import type { IndexEntry, TableEntry } from "../../../catalog/entries.ts";
import type {
  AlterIndexPlan,
  CreateIndexPlan,
  DefinitionPlan,
  ReindexPlan,
} from "../../../planner/physical/definition.ts";
import { alterTable, renameIndex } from "./alter-table.ts";
import type { DefinitionContext } from "./context.ts";
import { isBuiltFromVectors } from "./build-index.ts";
import { createIndex } from "./create-index.ts";
import { createTable } from "./create-table.ts";
import { drop } from "./drop.ts";
import { needsHiddenColumns } from "./hidden-columns.ts";
import { comment, createDatabase, createExtension, createSchema, dropDatabase } from "./namespace.ts";
import { alterIndex, reindex } from "./reindex.ts";
import { createSequence } from "./sequence.ts";
import { truncate } from "./truncate.ts";

export type { DefinitionContext } from "./context.ts";
export { runOnCommit } from "./truncate.ts";

export interface DefinitionLock {
  /** The table to lock. */
  readonly oid: number;
  readonly mode: number;
  /** What the plan was bound against: the table, or the index to be dropped. */
  readonly entry: TableEntry | IndexEntry;
}

/** Tables to lock before the plan runs, and the entries that must still be as the plan has them once they are locked. */
export function definitionLocks(plan: DefinitionPlan): readonly DefinitionLock[] {
  switch (plan.kind) {
    case "create-index":
      // Who changes the table's entry must be alone in that.
      return [
        {
          oid: plan.table.oid,
          mode: createIndexLock(plan),
          entry: plan.table,
        },
      ];
    case "reindex":
    case "alter-index":
      return (plan.kind === "reindex" ? plan.indexes : [plan.index]).map((index) => ({
        oid: index.tableOid,
        // One at a time; with writers where the build allows for them.
        mode: isConcurrent(plan) || isBuiltFromVectors(index) ? SHARE_UPDATE_EXCLUSIVE : SHARE_ROW_EXCLUSIVE,
        entry: index,
      }));
    case "alter-table":
      return [{ oid: plan.table.oid, mode: ACCESS_EXCLUSIVE, entry: plan.table }];
    case "truncate":
      return plan.tables.map((table) => ({ oid: table.oid, mode: ACCESS_EXCLUSIVE, entry: table }));
    case "drop":
      return plan.targets.flatMap((target): DefinitionLock[] => {
        if (target.kind === "table")
          return [{ oid: target.table.oid, mode: ACCESS_EXCLUSIVE, entry: target.table }];
        // Statements that walk the index hold a lock on its table.
        if (target.kind === "index")
          return [{ oid: target.index.tableOid, mode: ACCESS_EXCLUSIVE, entry: target.index }];
        return [];
      });
    default:
      return [];
  }
}

/** Who changes the table's entry must be alone in that. */
function createIndexLock(plan: CreateIndexPlan): number {
  if (plan.isConcurrent) return SHARE_UPDATE_EXCLUSIVE;
  return needsHiddenColumns(plan) ? SHARE_ROW_EXCLUSIVE : SHARE;
}

function isConcurrent(plan: ReindexPlan | AlterIndexPlan): boolean {
  return plan.kind === "reindex" && plan.isConcurrent;
}

/** Runs the plan and returns its command tag. */
export async function executeDefinition(plan: DefinitionPlan, context: DefinitionContext): Promise<string> {
  switch (plan.kind) {
    case "create-table":
      await createTable(plan, context);
      return "CREATE TABLE";
    case "create-index":
      await createIndex(plan, context);
      return "CREATE INDEX";
    case "reindex":
      await reindex(plan, context);
      return "REINDEX";
    case "alter-index":
      await alterIndex(plan, context);
      return "ALTER INDEX";
    case "create-schema":
      await createSchema(plan, context);
      return "CREATE SCHEMA";
    case "create-database":
      await createDatabase(plan, context);
      return "CREATE DATABASE";
    case "drop-database":
      await dropDatabase(plan, context);
      return "DROP DATABASE";
    case "create-sequence":
      await createSequence(plan, context);
      return "CREATE SEQUENCE";
    case "create-extension":
      await createExtension(plan, context);
      return "CREATE EXTENSION";
    case "drop":
      await drop(plan, context);
      return plan.tag;
    case "alter-table":
      await alterTable(plan, context);
      return "ALTER TABLE";
    case "rename-index":
      await renameIndex(plan, context);
      return "ALTER INDEX";
    case "truncate":
      await truncate(plan, context);
      return "TRUNCATE TABLE";
    case "comment":
      comment(plan, context);
      return "COMMENT";
    case "no-operation":
      context.notice({ severity: "NOTICE", code: plan.code, message: plan.notice });
      return plan.tag;
    default:
      return unreachable(plan);
  }
}
