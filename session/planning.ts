// From a statement to a plan that is right for this moment: shared plan cache, check against the catalogue, and the locks.
//
// A plan is made from the newest committed catalogue plus own changes (never from the data snapshot). Then its tables are
// locked, the catalogue is read again, and when one of its relations moved meanwhile it is planned anew: after that nobody
// can change them until the transaction ends.
import type { CatalogSnapshot } from "../catalog/catalog.ts";
import { SqlError, SqlState } from "../common/error.ts";
import { must } from "../common/assert.ts";
import { StatementStart } from "../native/engine.ts";
import type { RawStatement } from "../parser/tree.ts";
import { chain, type MaybePromise } from "../executor/maybe-promise.ts";
import type { PlannerContext } from "../planner/context.ts";
import { planStatement } from "../planner/index.ts";
import type { OutputColumn } from "../planner/logical/expression.ts";
import type { PlannedStatement } from "../planner/physical/plan.ts";
import type { SessionCore } from "./core.ts";
import { terminatedByAdministrator } from "./interrupts.ts";
import type { PlanStamp, PreparedStatement } from "./prepared-statement.ts";
import type { ResultColumn } from "./result.ts";
import { lockKey } from "./transaction-control.ts";

/** Concurrent DDL can make a plan stale again and again; after this many rounds something else is wrong. */
const MAX_ATTEMPTS = 20;
/** Words that PostgreSQL reads as the current time when the literal is read: such a plan serves one execution. */
const TIMELY_LITERAL = /'\s*(now|today|tomorrow|yesterday)\b/i;

/** A plan for the statement, from the statement itself, the shared cache, or the planner. Takes no locks. */
export function planFor(
  core: SessionCore,
  prepared: PreparedStatement,
  statement: RawStatement,
): PlannedStatement {
  core.database.refresh();
  const kept = keptPlan(core, prepared);
  if (kept !== undefined) return kept;
  const planned = sharedPlan(core, prepared, statement);
  prepared.plan = { planned, stamp: planStamp(core) };
  return planned;
}

/** The plan the statement ran with last, if nothing has changed as far as the catalogue was read. */
function keptPlan(core: SessionCore, prepared: PreparedStatement): PlannedStatement | undefined {
  const { plan } = prepared;
  return plan !== undefined && isFresh(core, plan.stamp) ? plan.planned : undefined;
}

function planStamp(core: SessionCore): PlanStamp {
  return {
    names: core.database.namesVersion,
    own: core.ownCatalog.stamp,
    settings: core.settings.version,
    transaction: isCatalogOfSnapshot(core) ? undefined : core.transactions.identity,
  };
}

/** A plan with this stamp is right as it is: no name, setting or own object has changed. */
function isFresh(core: SessionCore, stamp: PlanStamp): boolean {
  return (
    stamp.names === core.database.namesVersion &&
    stamp.own === core.ownCatalog.stamp &&
    stamp.settings === core.settings.version &&
    stamp.transaction === (isCatalogOfSnapshot(core) ? undefined : core.transactions.identity)
  );
}

/** False when the catalogue has moved since a REPEATABLE READ transaction took its snapshot: its plans are its own. */
function isCatalogOfSnapshot(core: SessionCore): boolean {
  const then = core.transactions.catalogAtSnapshot;
  return then === undefined || then === core.database.snapshot(core.identity.databaseOid);
}

/**
 * An index is built from the newest row versions. A snapshot that is older than the index may need versions that were
 * replaced or deleted before the build, so its transaction reads without the index, unless the table itself is younger too:
 * then it has no rows for that snapshot but the transaction's own. An hnsw index draws on all versions of its column and
 * tests each for the snapshot; a hidden column may have none in versions that ended before it.
 */
function readableBy(
  then: CatalogSnapshot,
  catalog: CatalogSnapshot,
): NonNullable<PlannerContext["isReadable"]> {
  return (index) => {
    const isHidden = index.columns.some((column) => column.hiddenAttnum !== undefined);
    if ((index.method === "hnsw" || index.method === "ivfflat") && !isHidden) return true;
    if (storageId(then, "index", index.oid) === index.storageId) return true;
    return storageId(then, "table", index.tableOid) !== storageId(catalog, "table", index.tableOid);
  };
}

/**
 * Vectors of a hidden column are nobody's before the commit: the transaction that adds the column does without the graph over
 * it. Unless the table is its own too: then all rows are.
 */
function readableByOwner(
  committed: CatalogSnapshot,
  catalog: CatalogSnapshot,
): NonNullable<PlannerContext["isReadable"]> {
  return ({ method, tableOid, columns }) => {
    if (method !== "hnsw" && method !== "ivfflat") return true;
    const table = committed.entry("table", tableOid);
    if (table?.kind !== "table" || table.storageId !== storageId(catalog, "table", tableOid)) return true;
    return columns.every(({ hiddenAttnum }) => (hiddenAttnum ?? 0) <= table.columns.length);
  };
}

function storageId(catalog: CatalogSnapshot, kind: "table" | "index", oid: number): number | undefined {
  const entry = catalog.entry(kind, oid);
  return entry?.kind === "table" || entry?.kind === "index" ? entry.storageId : undefined;
}

function sharedPlan(
  core: SessionCore,
  prepared: PreparedStatement,
  statement: RawStatement,
): PlannedStatement {
  const { database, ownCatalog, identity } = core;
  if (!ownCatalog.isEmpty || !isCatalogOfSnapshot(core) || TIMELY_LITERAL.test(statement.text))
    return makePlan(core, prepared, statement);
  const key = `${identity.databaseOid}|${core.user}|${core.view.planKey}|${prepared.declaredTypes.join()}|${statement.text}`;
  const cached = database.plans.get(key);
  if (cached?.namesVersion === database.namesVersion) return cached.planned;
  const planned = makePlan(core, prepared, statement);
  database.plans.set(key, { planned, namesVersion: database.namesVersion });
  return planned;
}

function makePlan(core: SessionCore, prepared: PreparedStatement, statement: RawStatement): PlannedStatement {
  return planStatement(statement, plannerContext(core, prepared.declaredTypes));
}

/** What the planner may know of this session now. */
export function plannerContext(core: SessionCore, parameterTypes: readonly number[]): PlannerContext {
  const catalog = core.catalog();
  return {
    catalog,
    searchPath: core.schemaPath(true),
    parameterTypes,
    settings: core.view.planner,
    functionContext: core.functions,
    rowCount: (storageId) => core.database.engine.relationStatistics(storageId).rowCount,
    isReadable: readable(core, catalog),
  };
}

function readable(core: SessionCore, catalog: CatalogSnapshot): PlannerContext["isReadable"] {
  const then = core.transactions.catalogAtSnapshot;
  if (then !== undefined) return readableBy(then, catalog);
  if (core.ownCatalog.isEmpty) return undefined;
  return readableByOwner(core.database.snapshot(core.identity.databaseOid), catalog);
}

/** A plan whose tables are locked, and whether its statement has begun in the engine. */
export interface ReadyPlan {
  readonly planned: PlannedStatement;
  readonly hasBegun: boolean;
}

/**
 * The plan to run now, its tables locked. The plan of last time is started at once where `mayStart` allows it: all that the
 * engine has to do first is then one call.
 */
export function readyPlan(
  core: SessionCore,
  prepared: PreparedStatement,
  statement: RawStatement,
  mayStart: (planned: PlannedStatement) => boolean,
): MaybePromise<ReadyPlan> {
  const kept = keptPlan(core, prepared);
  if (kept === undefined || !mayStart(kept) || !core.transactions.maySimplyStart(kept.locks.length)) {
    core.interrupts.read();
    return lockedFirst(core, prepared, statement);
  }
  const answer = core.transactions.start(kept.locks, core.database.catalog.version);
  core.interrupts.isRead();
  if (answer === StatementStart.started) return begun(prepared, kept);
  if (answer === StatementStart.terminated) throw terminatedByAdministrator();
  if (answer === StatementStart.catalogMoved) return lockedFirst(core, prepared, statement);
  const waited = must(
    kept.locks.find(({ oid, mode }) => !core.transactions.heldLocks.has(lockKey(oid, mode))),
    "a lock that is waited for",
  );
  return chain(core.lockRelation(waited.oid, waited.mode, answer), () =>
    lockedFirst(core, prepared, statement),
  );
}

function lockedFirst(
  core: SessionCore,
  prepared: PreparedStatement,
  statement: RawStatement,
): MaybePromise<ReadyPlan> {
  return chain(lockedPlan(core, prepared, statement), (planned) => ({ planned, hasBegun: false }));
}

/** One object for each plan that a statement keeps, not one for each time it runs. */
function begun(prepared: PreparedStatement, planned: PlannedStatement): ReadyPlan {
  if (prepared.begun?.planned !== planned) prepared.begun = { planned, hasBegun: true };
  return prepared.begun;
}

/** The plan to run now, its tables locked. A promise only when a lock has to be waited for. */
export function lockedPlan(
  core: SessionCore,
  prepared: PreparedStatement,
  statement: RawStatement,
): MaybePromise<PlannedStatement> {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    // The plan of last time needs no look at the catalogue before the locks: the one after them tells whether it still serves.
    const kept = attempt === 0 ? keptPlan(core, prepared) : undefined;
    const planned = kept ?? planFor(core, prepared, statement);
    for (const { oid, mode } of planned.locks) {
      const waiting = core.lockRelation(oid, mode);
      // Afterwards from the start: what is locked by then costs nothing, and the catalogue may have moved.
      if (waiting !== undefined) return waiting.then(() => lockedPlan(core, prepared, statement));
    }
    core.database.refresh();
    if (keptPlan(core, prepared) === planned) return planned;
    if (kept !== undefined) continue;
    if (isCurrent(core, planned)) return planned;
    prepared.plan = undefined;
  }
  throw new SqlError(SqlState.objectInUse, "the tables of this statement keep changing");
}

/** Every relation the plan rests on is still the one it was made for. */
function isCurrent(core: SessionCore, planned: PlannedStatement): boolean {
  const catalog = core.catalog();
  return planned.dependencies.every(
    ({ kind, oid, version }) => catalog.entry(kind, oid)?.version === version,
  );
}

/** The result of a plan as a client sees it. */
export function resultColumns(
  core: SessionCore,
  planned: PlannedStatement,
): readonly ResultColumn[] | undefined {
  if (planned.result === undefined) return undefined;
  let columns = columnsOfPlans.get(planned);
  if (columns === undefined) {
    columns = describe(core, planned.result);
    columnsOfPlans.set(planned, columns);
  }
  return columns;
}

const columnsOfPlans = new WeakMap<PlannedStatement, readonly ResultColumn[]>();

function describe(core: SessionCore, columns: readonly OutputColumn[]): readonly ResultColumn[] {
  const catalog = core.catalog();
  return columns.map((column) => ({
    name: column.name,
    tableOid: column.tableOid,
    attnum: column.attnum,
    typeOid: column.type.oid,
    typeLength: catalog.typeByOid(column.type.oid)?.length ?? -1,
    typmod: column.type.typmod,
  }));
}
