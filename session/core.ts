// What the parts of a session share: the database it is connected to, its settings, its transaction, its view of the
// catalogue, and the waits and interrupts of the statement that runs. The protocol's words (Parse, Bind, Execute) are
// session.ts's; what single statements do is in statement-runner.ts and utility/.
import type { CatalogSnapshot, EngineStatistics } from "../catalog/catalog.ts";
import { catalogRegNames } from "../catalog/deparse/reg-names.ts";
import type { CatalogEntry, TableEntry } from "../catalog/entries.ts";
import type { FunctionContext } from "../common/function-context.ts";
import type { Notice } from "../common/error.ts";
import { quoteIdentifier } from "../common/identifier.ts";
import type { TypeContext } from "../common/types/type.ts";
import { SqlError, SqlState } from "../common/error.ts";
import { BufferPool } from "../executor/storage/buffer-pool.ts";
import type { ExecutionOptions } from "../executor/context.ts";
import type { MaybePromise } from "../executor/maybe-promise.ts";
import { LockPolicy, type EngineSession } from "../native/engine.ts";
import type { ActivityRecord } from "./activity.ts";
import { parseNameList } from "./name-list.ts";
import { SessionConstraints } from "./constraints.ts";
import type { Database } from "./database.ts";
import { Interrupts } from "./interrupts.ts";
import { SessionNotifications } from "./notifications.ts";
import { cleanOnCommit, tablesOnCommit } from "./on-commit.ts";
import { OwnCatalog } from "./own-catalog.ts";
import type { Portal } from "./portal.ts";
import { PortalTable } from "./portal-table.ts";
import type { PreparedStatement } from "./prepared-statement.ts";
import type { SessionClient } from "./result.ts";
import { SessionFunctionsOf, makeFunctionContext, nowMicroseconds } from "./session-functions.ts";
import { SettingsView } from "./settings-view.ts";
import { Settings } from "./settings.ts";
import { lockKey, TransactionControl } from "./transaction-control.ts";

export interface SessionIdentity {
  readonly user: string;
  readonly roleOid: number;
  readonly databaseOid: number;
  readonly peer?: { readonly address: string; readonly port: number } | undefined;
}

/** Order of client_min_messages; a notice below the threshold is not sent. */
const SEVERITIES = [
  "debug5",
  "debug4",
  "debug3",
  "debug2",
  "debug1",
  "debug",
  "log",
  "notice",
  "warning",
  "error",
];

export class SessionCore {
  readonly database: Database;
  readonly client: SessionClient;
  readonly engineSession: EngineSession;
  readonly identity: SessionIdentity;
  readonly settings = new Settings();
  readonly interrupts: Interrupts;
  readonly ownCatalog: OwnCatalog;
  readonly constraints: SessionConstraints;
  readonly transactions: TransactionControl;
  readonly functions: FunctionContext;
  readonly statements = new Map<string, PreparedStatement>();
  readonly portals = new PortalTable();
  /** Those that DECLARE made: they end with the savepoint they were made after. */
  readonly cursors = new WeakSet<Portal>();
  readonly statistics: EngineStatistics;
  readonly notifications: SessionNotifications;
  /** What pg_stat_activity shows of this session. */
  readonly activity: ActivityRecord;
  /** Buffers reused from statement to statement. */
  readonly buffers = new BufferPool();
  /** Microseconds since 2000 at the start of the running client message. */
  statementTime = nowMicroseconds();
  /** The settings in force as types, planner and executor read them. */
  readonly view: SettingsView;
  readonly #sessionFunctions: SessionFunctionsOf;
  readonly #wait = (token: number): Promise<void> => this.#waitInStatement(token);
  #transactionId: { readonly transaction: number; readonly id: number } | undefined;

  /** `onHeard`: notifications wait to be told. */
  constructor(database: Database, client: SessionClient, identity: SessionIdentity, onHeard: () => void) {
    this.database = database;
    this.client = client;
    this.identity = identity;
    this.engineSession = database.engine.openSession(database.waits.channel);
    this.activity = database.activity.open({
      processId: this.engineSession.processId,
      databaseOid: identity.databaseOid,
      roleOid: identity.roleOid,
      startTime: nowMicroseconds(),
      clientAddress: identity.peer?.address,
      clientPort: identity.peer?.port,
    });
    this.interrupts = new Interrupts(database.engine, this.engineSession, identity.databaseOid);
    this.ownCatalog = new OwnCatalog(database.catalog);
    this.view = new SettingsView(
      this.settings,
      () => this.transactions.startTime,
      catalogRegNames(() => ({ catalog: this.catalog(), searchPath: this.schemaPath(true) })),
    );
    this.constraints = new SessionConstraints(this);
    this.transactions = new TransactionControl({
      session: this.engineSession,
      settings: this.settings,
      view: this.view,
      ownCatalog: this.ownCatalog,
      constraints: this.constraints,
      catalog: () => database.snapshot(identity.databaseOid),
      wait: (token) => database.waits.wait(token),
      notice: (notice) => this.notice(notice),
      beforeCommit: () => this.#beforeCommit(),
      cursors: () => new Set(this.portals.values().filter((portal) => this.cursors.has(portal))),
      closeCursorsExcept: (kept) => this.#closeCursorsExcept(kept),
      afterEnd: (committed) => this.#afterEnd(committed),
      hearsNothingElse: () =>
        this.settings.mark() === 0 && !this.settings.mayHaveChanges && this.notifications.isSilent,
    });
    this.statistics = engineStatistics(this);
    this.notifications = new SessionNotifications(
      database.notifications,
      identity.databaseOid,
      this.engineSession.processId,
      onHeard,
    );
    this.#sessionFunctions = new SessionFunctionsOf(this);
    this.functions = makeFunctionContext(this, this.#sessionFunctions);
  }

  get user(): string {
    return this.identity.user;
  }

  /** How values print and parse under the settings in force. */
  get types(): TypeContext {
    return this.view.types;
  }

  notice(notice: Notice): void {
    const threshold = SEVERITIES.indexOf(this.settings.get("client_min_messages") ?? "notice");
    const severity =
      notice.severity === "INFO"
        ? Number.POSITIVE_INFINITY
        : SEVERITIES.indexOf(notice.severity.toLowerCase());
    if (severity >= threshold) this.client.notice(notice);
  }

  // Catalogue

  /** The catalogue as the running statement sees it: committed entries as last refreshed, own changes on top. */
  catalog(): CatalogSnapshot {
    return this.ownCatalog.over(this.database.snapshot(this.identity.databaseOid));
  }

  /**
   * Schema names in search order. `implicit` adds pg_temp and pg_catalog in front where the path does not place them; the
   * path without them holds existing schemas only, as current_schemas(false) shows it.
   */
  schemaPath(implicit: boolean): readonly string[] {
    const catalog = this.catalog();
    const wanted = parseNameList(this.settings.get("search_path") ?? "").map((name) =>
      name === "$user" ? this.user : name,
    );
    const temporary = this.temporarySchema?.name;
    const path = wanted
      .map((name) => (name === "pg_temp" ? (temporary ?? name) : name))
      .filter((name, index, all) => all.indexOf(name) === index && catalog.schemaByName(name) !== undefined);
    if (!implicit) return path;
    const withCatalog = path.includes("pg_catalog") ? path : ["pg_catalog", ...path];
    if (temporary === undefined || withCatalog.includes(temporary)) return withCatalog;
    return [temporary, ...withCatalog];
  }

  /** The schema of this session's temporary objects, once there is one. */
  temporarySchema: { readonly oid: number; readonly name: string } | undefined;

  /** Temporary entries live with the session and are never logged. */
  isTemporary(entry: CatalogEntry): boolean {
    switch (entry.kind) {
      case "schema":
        return entry.oid === this.temporarySchema?.oid;
      case "table":
      case "index":
      case "sequence":
        return entry.persistence === "t";
      case "statistics":
        return this.#isTemporaryRelation(entry.tableOid);
      case "comment":
        return this.#isTemporaryRelation(entry.objectOid);
      case "database":
      case "extension":
      case "role":
        return false;
    }
  }

  putEntry(entry: CatalogEntry, key: string): void {
    const isTemporary = this.isTemporary(entry);
    this.transactions.engine().catalogPut(key, JSON.stringify(entry), isTemporary);
    this.ownCatalog.put(entry, isTemporary);
  }

  removeEntry(entry: CatalogEntry, key: string): void {
    const isTemporary = this.isTemporary(entry);
    this.transactions.engine().catalogPut(key, undefined, isTemporary);
    this.ownCatalog.remove(entry, isTemporary);
  }

  #isTemporaryRelation(oid: number): boolean {
    const ref = this.catalog().relationByOid(oid);
    if (ref?.kind === "table") return ref.table.persistence === "t";
    if (ref?.kind === "index") return ref.index.persistence === "t";
    return ref?.kind === "sequence" && ref.sequence.persistence === "t";
  }

  // Waiting

  /** Repeats a lock call until it is granted (true) or says "not available" (false). Honours lock_timeout. */
  async waitForLock(attempt: () => number, first: number = attempt()): Promise<boolean> {
    for (let answer = first; ; answer = attempt()) {
      if (answer <= 0) return answer === 0;
      await this.#waitInStatement(answer);
      this.interrupts.check();
    }
  }

  /** The waits of a running statement are for locks of others: lock_timeout and deadlock_timeout count. */
  #waitInStatement(token: number): Promise<void> {
    const limits = {
      lockTimeoutMs: this.settings.number("lock_timeout"),
      deadlockTimeoutMs: this.settings.number("deadlock_timeout"),
    };
    return this.interrupts.duringLockWait(limits, () => this.database.waits.wait(token));
  }

  /**
   * Waits for a table lock in PostgreSQL's mode number; held ones cost nothing. `token`: of a wait that has begun.
   */
  lockRelation(oid: number, mode: number, token?: number): MaybePromise<void> {
    const key = lockKey(oid, mode);
    const { heldLocks } = this.transactions;
    if (heldLocks.has(key)) return;
    const engine = this.transactions.engine();
    const attempt = (): number => engine.lockRelation(oid, mode, LockPolicy.wait);
    const answer = token ?? attempt();
    if (answer === 0) heldLocks.add(key);
    else return this.waitForLock(attempt, answer).then(() => heldLocks.add(key));
  }

  // Execution

  /** No portal but this one is there to be held. */
  isOnlyPortal(portal: Portal | undefined): boolean {
    const { size } = this.portals;
    return size === 0 || (size === 1 && portal !== undefined && this.portals.get(portal.name) === portal);
  }

  /** Before a statement starts: rows that open portals still have to give are kept, for they read an older snapshot. */
  holdPortals(except: Portal | undefined): MaybePromise<void> {
    if (this.isOnlyPortal(except)) return;
    const open = this.portals.values().filter((portal) => portal !== except && portal.isOpen);
    if (open.length > 0) return holdAll(open);
  }

  executionOptions(
    parameters: ExecutionOptions["parameters"],
    instrument?: ExecutionOptions["instrument"],
  ): ExecutionOptions {
    return {
      transaction: this.transactions.engine(),
      engine: this.database.engine,
      wait: this.#wait,
      parameters,
      functionContext: this.functions,
      catalog: this.catalog(),
      statistics: this.statistics,
      settings: this.view.execution,
      checkInterrupt: this.interrupts.check,
      constraints: this.constraints,
      buffers: this.buffers,
      instrument,
    };
  }

  /** Temporary tables and sequences of this session by qualified name, in SQL. */
  temporaryRelations(): readonly string[] {
    const schema = this.temporarySchema;
    if (schema === undefined) return [];
    return Array.from(this.catalog().relationsIn(schema.oid)).flatMap((ref) =>
      ref.kind === "table" ? [`${quoteIdentifier(schema.name)}.${quoteIdentifier(ref.table.name)}`] : [],
    );
  }

  /** Forgets currval and lastval. */
  discardSequences(): void {
    this.#sessionFunctions.discardSequences();
  }

  transactionId(): number {
    const transaction = this.transactions.identity;
    if (this.#transactionId?.transaction !== transaction) {
      this.#transactionId = { transaction, id: this.database.engine.allocateOid() };
    }
    return this.#transactionId.id;
  }

  /** 25006 for what a READ ONLY transaction must not do. */
  refuseReadOnly(command: string): void {
    if (!this.transactions.modes.readOnly) return;
    throw new SqlError(
      SqlState.readOnlySqlTransaction,
      `cannot execute ${command} in a read-only transaction`,
    );
  }

  #beforeCommit(): MaybePromise<void> {
    const holdable = this.portals.hasNamed ? this.portals.values().filter(isHoldable) : NO_PORTALS;
    const temporary = this.temporarySchema === undefined ? NO_TABLES : tablesOnCommit(this);
    if (this.constraints.hasWaiting || holdable.length > 0 || temporary.length > 0)
      return this.#settle(holdable, temporary);
  }

  /** A constraint that fails keeps the transaction from committing. */
  async #settle(holdable: readonly Portal[], temporary: readonly TableEntry[]): Promise<void> {
    await this.constraints.fireAll();
    await holdAll(holdable);
    if (temporary.length > 0) await cleanOnCommit(this, temporary);
  }

  #closeCursorsExcept(kept: ReadonlySet<object>): void {
    for (const [name, portal] of this.portals) {
      if (!this.cursors.has(portal) || kept.has(portal)) continue;
      portal.close();
      this.portals.delete(name);
    }
  }

  #afterEnd(committed: boolean): void {
    this.notifications.end(committed);
    this.constraints.clear();
    if (this.portals.size > 0) this.#closePortals(committed);
    if (!committed) this.#forgetUndoneTemporarySchema();
  }

  #closePortals(committed: boolean): void {
    this.portals.closeUnnamed();
    if (!this.portals.hasNamed) return;
    for (const [name, portal] of this.portals) {
      // Only what WITH HOLD kept at an earlier (or this) commit outlives a transaction.
      const isFromBefore = committed || portal.transaction !== this.transactions.identity;
      if (portal.isHoldable && portal.isHeld && isFromBefore) continue;
      portal.close();
      this.portals.delete(name);
    }
  }

  #forgetUndoneTemporarySchema(): void {
    const schema = this.temporarySchema;
    if (schema !== undefined && this.catalog().schemaByName(schema.name) === undefined)
      this.temporarySchema = undefined;
  }
}

const NO_PORTALS: readonly Portal[] = [];
const NO_TABLES: readonly TableEntry[] = [];

function isHoldable(portal: Portal): boolean {
  return portal.isHoldable;
}

async function holdAll(portals: readonly Portal[]): Promise<void> {
  for (const portal of portals) await portal.hold();
}

function engineStatistics(core: SessionCore): EngineStatistics {
  const { engine } = core.database;
  return {
    sessions: () => core.database.activity.sessions(),
    locks: () => engine.lockStatuses(),
    blockers: (processId) => engine.blockingSessions(processId),
    relationRows: (storageId) => engine.relationStatistics(storageId),
    indexRows: (storageId) => engine.indexStatistics(storageId),
    indexEntries: (storageId) => engine.indexEntryCount(storageId),
    sequence: (storageId) => core.transactions.engine().sequenceState(storageId),
    builds: () => engine.buildProgress(),
    backups: () => engine.backupProgress(),
    vacuums: () => engine.vacuumProgress(),
  };
}
