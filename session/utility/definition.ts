// CREATE, ALTER, DROP, TRUNCATE, COMMENT: bound against the newest catalogue, their tables locked, bound again when one
// moved meanwhile, then run by the executor's definition commands in the session's transaction.
import type { CatalogEntry } from "../../catalog/entries.ts";
import { entryKey } from "../../catalog/entries.ts";
import { quoteIdentifier } from "../../common/identifier.ts";
import { must } from "../../common/assert.ts";
import { notSupported, SqlError, SqlState } from "../../common/error.ts";
import {
  type DefinitionContext,
  definitionLocks,
  executeDefinition,
} from "../../executor/utility/definition/index.ts";
import type { Node, ReindexStmt } from "../../parser/tree.ts";
import { bindDefinition } from "../../planner/binder/definition/index.ts";
import type { AlterTablePlan, DefinitionPlan } from "../../planner/physical/definition.ts";
import type { SessionCore } from "../core.ts";
import { attnumsRead, definitionBindContext, rewriteText } from "../definition-binding.ts";
import { refuseOldSnapshot } from "../../executor/utility/definition/hidden-columns.ts";
import { fillColumns } from "../fill-columns.ts";
import { evaluate, execute, firstRow } from "../internal-query.ts";
import { entriesOfDatabase } from "../other-database.ts";
import { type UtilityCommand, done } from "./command.ts";

const MAX_ATTEMPTS = 20;

/** Statement node kinds that bindDefinition knows. */
const DEFINITIONS = new Set([
  "CreateStmt",
  "IndexStmt",
  "ReindexStmt",
  "AlterTableStmt",
  "RenameStmt",
  "DropStmt",
  "TruncateStmt",
  "CommentStmt",
  "CreateSeqStmt",
  "CreateSchemaStmt",
  "CreatedbStmt",
  "DropdbStmt",
  "CreateExtensionStmt",
]);

/** undefined for statements that are not definitions. */
export function definitionCommand(node: Node): UtilityCommand | undefined {
  const kind = Object.keys(node)[0] ?? "";
  if (!DEFINITIONS.has(kind)) return undefined;
  return {
    run: async ({ core }) => {
      refuseInBlock(core, node);
      const plan = await lockedDefinition(core, node);
      core.refuseReadOnly(commandName(plan));
      const hasSnapshot = core.transactions.catalogAtSnapshot !== undefined;
      if (plan.kind === "create-index") refuseOldSnapshot(plan, hasSnapshot);
      if (plan.kind === "alter-table" && hasSnapshot) refuseRewrites(plan);
      core.transactions.beginStatement();
      return done(await executeDefinition(plan, definitionContext(core)));
    },
  };
}

/** The rows that an older snapshot does not hold would go without the values of a new column, or be lost in a rewrite. */
function refuseRewrites({ commands }: AlterTablePlan): void {
  for (const command of commands) {
    if (command.kind === "alter-types")
      throw notSupported("ALTER COLUMN TYPE in a REPEATABLE READ transaction that has read already");
    if (command.kind !== "add-column") continue;
    const { sequence, generated } = command.column;
    if (sequence !== undefined || generated !== undefined || command.initial !== undefined)
      throw notSupported("ADD COLUMN with values in a REPEATABLE READ transaction that has read already");
  }
}

/**
 * CREATE and DROP DATABASE write what other sessions must never see undone with half of a block; what PostgreSQL does in
 * several transactions it does not do in a block either.
 */
function refuseInBlock(core: SessionCore, node: Node): void {
  if ("CreatedbStmt" in node) core.transactions.refuseInBlock("CREATE DATABASE");
  if ("DropdbStmt" in node) core.transactions.refuseInBlock("DROP DATABASE");
  if ("IndexStmt" in node && node.IndexStmt.concurrent === true)
    core.transactions.refuseInBlock("CREATE INDEX CONCURRENTLY");
  if ("DropStmt" in node && node.DropStmt.concurrent === true)
    core.transactions.refuseInBlock("DROP INDEX CONCURRENTLY");
  if ("ReindexStmt" in node) refuseReindexInBlock(core, node.ReindexStmt);
}

function refuseReindexInBlock(core: SessionCore, { kind, params }: ReindexStmt): void {
  const isConcurrent = params?.some((node) => "DefElem" in node && node.DefElem.defname === "concurrently");
  if (isConcurrent === true) core.transactions.refuseInBlock("REINDEX CONCURRENTLY");
  const whole = {
    REINDEX_OBJECT_SCHEMA: "SCHEMA",
    REINDEX_OBJECT_SYSTEM: "SYSTEM",
    REINDEX_OBJECT_DATABASE: "DATABASE",
  };
  if (kind !== undefined && kind in whole)
    core.transactions.refuseInBlock(`REINDEX ${whole[kind as keyof typeof whole]}`);
}

async function lockedDefinition(core: SessionCore, node: Node): Promise<DefinitionPlan> {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    core.database.refresh();
    const plan = must(bindDefinition(node, definitionBindContext(core)), "a kind bindDefinition knows");
    const locks = definitionLocks(plan);
    for (const { oid, mode } of locks) await core.lockRelation(oid, mode);
    core.database.refresh();
    const catalog = core.catalog();
    if (locks.every(({ entry }) => catalog.entry(entry.kind, entry.oid)?.version === entry.version))
      return plan;
  }
  throw new SqlError(SqlState.objectInUse, "the tables of this statement keep changing");
}

/** "CREATE TABLE", as a read-only transaction names what it refuses. */
function commandName(plan: DefinitionPlan): string {
  return plan.kind.replaceAll("-", " ").toUpperCase();
}

/** What the executor's definition commands need of the session. */
export function definitionContext(core: SessionCore): DefinitionContext {
  return {
    engine: core.database.engine,
    transaction: core.transactions.engine(),
    functions: core.functions,
    roleOid: core.identity.roleOid,
    temporarySchema: () => temporarySchema(core),
    catalog: () => core.catalog(),
    searchPath: () => core.schemaPath(true),
    put: (entry) => core.putEntry(entry, entryKey(entry)),
    remove: (entry) => core.removeEntry(entry, entryKey(entry)),
    wait: (token) => core.database.waits.wait(token),
    lockRelation: async (oid, mode) => {
      await core.lockRelation(oid, mode);
      core.database.refresh();
    },
    awaitWriters: async (oid) => {
      await core.waitForLock(() => core.transactions.engine().awaitWriters(oid));
    },
    notice: (notice) => core.notice(notice),
    refuseWhileChecksWait: async (table, action) => {
      if (!(await core.constraints.hasWaitingOn(table.oid))) return;
      const message = `cannot ${action} "${table.name}" because it has pending trigger events`;
      throw new SqlError(SqlState.objectInUse, message);
    },
    maintenanceMemoryBytes: () => core.settings.number("maintenance_work_mem") * 1024,
    evaluate: (expression) => evaluate(core, expression),
    findViolation: (tableOid, condition) => findViolation(core, tableOid, condition),
    fillColumns: (table, attnums, since) => fillColumns(core, table, attnums, since),
    firstRow: (sql) => firstRow(core, sql),
    execute: (sql) => execute(core, sql),
    rewriteText: (text, table, renamed) => rewriteText(core, text, table, renamed),
    attnumsRead: (text, table) => attnumsRead(core, text, table),
    dropDatabaseContents: (oid) => dropDatabaseContents(core, oid),
    sessionsOf: (oid) => sessionsOf(core, oid),
    terminateSession: (processId) => void core.functions.session.terminateBackend(processId),
    sleep: (milliseconds) => core.interrupts.sleep(milliseconds),
  };
}

/** The schema of this session's temporary objects, made at the first of them. */
function temporarySchema(core: SessionCore): number {
  if (core.temporarySchema === undefined) {
    const oid = core.database.engine.allocateOid();
    const name = `pg_temp_${core.engineSession.processId}`;
    core.temporarySchema = { oid, name };
    const { databaseOid, roleOid } = core.identity;
    const entry: CatalogEntry = {
      kind: "schema",
      oid,
      name,
      version: 1,
      database: databaseOid,
      owner: roleOid,
    };
    core.putEntry(entry, entryKey(entry));
  }
  return core.temporarySchema.oid;
}

/** A condition that is NULL is no violation, as for CHECK. */
function findViolation(core: SessionCore, tableOid: number, condition: string): ReturnType<typeof firstRow> {
  const table = must(core.catalog().relationByOid(tableOid), "the table being altered");
  if (table.kind !== "table") throw notSupported("constraints of anything but tables");
  const schema = must(core.catalog().entry("schema", table.table.schema), "the table's schema").name;
  const name = `${quoteIdentifier(schema)}.${quoteIdentifier(table.table.name)}`;
  return firstRow(core, `SELECT * FROM ${name} WHERE (${condition}) IS FALSE LIMIT 1`);
}

function sessionsOf(core: SessionCore, databaseOid: number): number[] {
  const own = core.engineSession.processId;
  return Array.from(core.database.activity.sessions())
    .filter((session) => session.databaseOid === databaseOid && session.processId !== own)
    .map((session) => session.processId);
}

function dropDatabaseContents(core: SessionCore, databaseOid: number): void {
  const engine = core.transactions.engine();
  for (const entry of entriesOfDatabase(core.database, databaseOid)) {
    if (entry.kind === "index") engine.dropIndex(entry.storageId);
    if (entry.kind === "table") engine.dropRelation(entry.storageId);
    if (entry.kind === "sequence") engine.dropSequence(entry.storageId);
    core.removeEntry(entry, entryKey(entry));
  }
}
