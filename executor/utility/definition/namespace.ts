// CREATE SCHEMA, CREATE/DROP DATABASE, CREATE EXTENSION and COMMENT: catalogue entries without storage of their own.
import { databaseEntries } from "../../../catalog/bootstrap.ts";
import { CatalogOid } from "../../../catalog/catalog.ts";
import type { CommentEntry, DatabaseEntry } from "../../../catalog/entries.ts";
import { SqlError, SqlState } from "../../../common/error.ts";
import type {
  CommentPlan,
  CreateDatabasePlan,
  CreateExtensionPlan,
  CreateSchemaPlan,
  DropDatabasePlan,
} from "../../../planner/physical/definition.ts";
import type { DefinitionContext } from "./context.ts";
import { lockName } from "./name-lock.ts";

/** Schema number that stands for "no schema" in name locks of databases, schemas and extensions. */
const GLOBAL = 0;

export async function createSchema(plan: CreateSchemaPlan, context: DefinitionContext): Promise<void> {
  await lockName(context, GLOBAL, `schema/${plan.name}`);
  if (context.catalog().schemaByName(plan.name) !== undefined) {
    const message = `schema "${plan.name}" already exists`;
    if (!plan.ifNotExists) throw new SqlError(SqlState.duplicateSchema, message);
    context.notice({ severity: "NOTICE", code: SqlState.duplicateSchema, message: `${message}, skipping` });
    return;
  }
  context.put({
    kind: "schema",
    oid: context.engine.allocateOid(),
    name: plan.name,
    version: 1,
    database: context.catalog().database.oid,
    owner: plan.owner ?? context.roleOid,
  });
}

function databaseByName(context: DefinitionContext, name: string): DatabaseEntry | undefined {
  for (const database of context.catalog().databases()) if (database.name === name) return database;
  return undefined;
}

/** A new database is empty but for the public schema. */
export async function createDatabase(plan: CreateDatabasePlan, context: DefinitionContext): Promise<void> {
  await lockName(context, GLOBAL, `database/${plan.name}`);
  if (databaseByName(context, plan.name) !== undefined) {
    throw new SqlError(SqlState.duplicateDatabase, `database "${plan.name}" already exists`);
  }
  const oid = context.engine.allocateOid();
  for (const entry of databaseEntries(
    oid,
    plan.name,
    plan.owner ?? context.roleOid,
    context.engine.allocateOid(),
  ))
    context.put(entry);
}

export async function dropDatabase(plan: DropDatabasePlan, context: DefinitionContext): Promise<void> {
  await lockName(context, GLOBAL, `database/${plan.name}`);
  const database = databaseByName(context, plan.name);
  if (database === undefined) {
    const message = `database "${plan.name}" does not exist`;
    if (!plan.ifExists) throw new SqlError(SqlState.invalidCatalogName, message);
    context.notice({ severity: "NOTICE", code: "00000", message: `${message}, skipping` });
    return;
  }
  if (database.oid === context.catalog().database.oid) {
    throw new SqlError(SqlState.objectInUse, "cannot drop the currently open database");
  }
  if (database.oid === CatalogOid.templateDatabase || database.name === "template0") {
    throw new SqlError(SqlState.wrongObjectType, "cannot drop a template database");
  }
  await refuseUsed(plan, database.oid, context);
  context.dropDatabaseContents(database.oid);
  context.remove(database);
}

/** As PostgreSQL, which gives sessions that are just ending five seconds. */
const MAX_LOOKS = 50;
const LOOK_MS = 100;

async function refuseUsed(plan: DropDatabasePlan, oid: number, context: DefinitionContext): Promise<void> {
  if (plan.isForced) for (const processId of context.sessionsOf(oid)) context.terminateSession(processId);
  for (let look = 0; context.sessionsOf(oid).length > 0; look++) {
    if (look < MAX_LOOKS) {
      await context.sleep(LOOK_MS);
      continue;
    }
    const count = context.sessionsOf(oid).length;
    throw new SqlError(SqlState.objectInUse, `database "${plan.name}" is being accessed by other users`, {
      detail:
        count === 1
          ? "There is 1 other session using the database."
          : `There are ${count} other sessions using the database.`,
    });
  }
}

export async function createExtension(plan: CreateExtensionPlan, context: DefinitionContext): Promise<void> {
  await lockName(context, GLOBAL, `extension/${plan.name}`);
  if (context.catalog().extension(plan.name) !== undefined) {
    const message = `extension "${plan.name}" already exists`;
    if (!plan.ifNotExists) throw new SqlError(SqlState.duplicateObject, message);
    context.notice({ severity: "NOTICE", code: SqlState.duplicateObject, message: `${message}, skipping` });
    return;
  }
  context.put({
    kind: "extension",
    oid: context.engine.allocateOid(),
    name: plan.name,
    version: 1,
    database: context.catalog().database.oid,
    schema: plan.schema.oid,
    extensionVersion: plan.version,
  });
}

export function comment(plan: CommentPlan, context: DefinitionContext): void {
  const existing = findComment(plan, context);
  if (plan.text === undefined || plan.text === "") {
    if (existing !== undefined) context.remove(existing);
    return;
  }
  context.put({
    kind: "comment",
    oid: existing?.oid ?? context.engine.allocateOid(),
    name: "",
    version: (existing?.version ?? 0) + 1,
    // Every database sees the comments on databases.
    database: plan.classOid === CatalogOid.pgDatabase ? 0 : context.catalog().database.oid,
    classOid: plan.classOid,
    objectOid: plan.objectOid,
    subId: plan.subId,
    text: plan.text,
  });
}

function findComment(plan: CommentPlan, context: DefinitionContext): CommentEntry | undefined {
  for (const entry of context.catalog().entries()) {
    if (
      entry.kind === "comment" &&
      entry.classOid === plan.classOid &&
      entry.objectOid === plan.objectOid &&
      entry.subId === plan.subId
    ) {
      return entry;
    }
  }
  return undefined;
}
