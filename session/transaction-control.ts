// The transaction block of one session, as PostgreSQL's xact.c has it:
//
//   idle ── statement ──> implicit ── end of query string or Sync ──> idle        (error: rolled back, idle)
//   idle, implicit ── BEGIN ──> block ── COMMIT, ROLLBACK ──> idle
//   block ── error ──> failed ── ROLLBACK, COMMIT (= ROLLBACK) ──> idle, ROLLBACK TO ──> block
//
// The engine's transaction starts with the first statement that needs one, so that BEGIN costs nothing and SET TRANSACTION
// can still choose the isolation level. Settings and the session's view of the catalogue follow every rollback.
import type { CatalogSnapshot } from "../catalog/catalog.ts";
import { must } from "../common/assert.ts";
import { chain, type MaybePromise } from "../executor/maybe-promise.ts";
import { type Notice, SqlError, SqlState } from "../common/error.ts";
import {
  type EngineSession,
  type EngineTransaction,
  type Isolation,
  StatementStart,
} from "../native/engine.ts";
import type { CommitAnswer, LentAnswer } from "./commit-answer.ts";
import type { ConstraintMark, SessionConstraints } from "./constraints.ts";
import { HeldLocks } from "./held-locks.ts";
import type { OwnCatalog } from "./own-catalog.ts";
import type { Settings } from "./settings.ts";
import type { SettingsView } from "./settings-view.ts";

/** READ UNCOMMITTED runs as READ COMMITTED, and shows its own name. */
export type IsolationLevel = Isolation | "read uncommitted";

export interface TransactionModes {
  readonly isolation: IsolationLevel;
  readonly readOnly: boolean;
  /** Of meaning for SERIALIZABLE READ ONLY: the first statement waits for a snapshot that can show no anomaly. */
  readonly deferrable: boolean;
}

interface Savepoint {
  readonly name: string;
  /** The engine's savepoint; undefined while the engine's transaction had not started. */
  readonly engine: number | undefined;
  readonly settingsMark: number;
  readonly catalogMark: number;
  /** The cursors there were. */
  readonly cursors: ReadonlySet<object>;
  readonly constraintsMark: ConstraintMark;
}

export interface TransactionHost {
  readonly session: EngineSession;
  readonly settings: Settings;
  readonly view: Pick<SettingsView, "commitsAsynchronously">;
  readonly ownCatalog: OwnCatalog;
  readonly constraints: Pick<SessionConstraints, "mark" | "rollbackTo">;
  /** The committed catalogue as last read. */
  catalog(): CatalogSnapshot;
  wait(token: number): Promise<void>;
  notice(notice: Notice): void;
  /** Before the commit: what may still fail or write (deferred constraints, holdable cursors). */
  beforeCommit(): MaybePromise<void>;
  /** DECLAREd cursors that are open. */
  cursors(): ReadonlySet<object>;
  /** Closes the cursors made since. */
  closeCursorsExcept(kept: ReadonlySet<object>): void;
  /** After the end, however it ended. */
  afterEnd(committed: boolean): void;
  /** A client that now commits hears of nothing but that. */
  hearsNothingElse(): boolean;
}

/** A table lock, in PostgreSQL's mode number. */
interface TableLock {
  readonly oid: number;
  readonly mode: number;
}

/** Locks that a statement can take as it starts; one with more takes them one by one. */
const MAX_START_LOCKS = 32;

/** Numbers of the levels in StatementStart.begins. */
const LEVEL_NUMBERS: Readonly<Record<IsolationLevel, number>> = {
  "read uncommitted": 1,
  "read committed": 1,
  "repeatable read": 2,
  serializable: 3,
};
const READ_ONLY = 4;

/** Named savepoints of one transaction: each costs the engine memory until it is released. */
const MAX_SAVEPOINTS = 10_000;

export class TransactionControl {
  readonly #host: TransactionHost;
  #state: "idle" | "implicit" | "block" | "failed" = "idle";
  #engine: EngineTransaction | undefined;
  /** The handle of the last transaction, for the next one. */
  #ended: EngineTransaction | undefined;
  #modes: TransactionModes | undefined;
  #savepoints: Savepoint[] = [];
  /**
   * Of the message that is worked on, where a commit would be the last that happens for it. Every message that can commit sets
   * it.
   */
  answer: CommitAnswer | undefined;
  /** Table locks held, by lockKey: asking the engine again for what is held is a wasted call. */
  readonly heldLocks = new HeldLocks();
  /** What start() says to the engine. */
  readonly #frame = new Float64Array(StatementStart.firstLock + 2 * MAX_START_LOCKS);
  #catalogAtSnapshot: CatalogSnapshot | undefined;
  /** A statement has begun: the modes are fixed. */
  #hasBegun = false;
  /** The modes a transaction begins with, as of a version of the settings. */
  #defaults: { readonly version: number; readonly modes: TransactionModes } | undefined;
  #startTime = 0;
  #identity = 0;

  constructor(host: TransactionHost) {
    this.#host = host;
  }

  get status(): "I" | "T" | "E" {
    if (this.#state === "block") return "T";
    return this.#state === "failed" ? "E" : "I";
  }

  get isInBlock(): boolean {
    return this.#state === "block" || this.#state === "failed";
  }

  get isFailed(): boolean {
    return this.#state === "failed";
  }

  get isActive(): boolean {
    return this.#state !== "idle";
  }

  get hasSavepoints(): boolean {
    return this.#savepoints.length > 0;
  }

  /** Moves with every new transaction. */
  get identity(): number {
    return this.#identity;
  }

  /** Microseconds since 2000-01-01 UTC at the start of the transaction. */
  get startTime(): number {
    return this.#startTime;
  }

  /** Fixed when a transaction first asks: defaults that are set meanwhile are for the next one. */
  get modes(): TransactionModes {
    if (this.#state === "idle") return this.#defaultModes();
    this.#modes ??= this.#defaultModes();
    return this.#modes;
  }

  /** The engine's transaction; started here when this is the first need of one. */
  engine(): EngineTransaction {
    if (this.#engine === undefined) {
      const { isolation, readOnly } = this.modes;
      const level = isolation === "read uncommitted" ? "read committed" : isolation;
      const ended = this.#ended;
      this.#ended = undefined;
      ended?.renew(level, readOnly);
      this.#engine = ended ?? this.#host.session.begin(level, readOnly);
    }
    return this.#engine;
  }

  /** SERIALIZABLE READ ONLY DEFERRABLE, before the first statement: waits for a safe snapshot. */
  safeSnapshot(): MaybePromise<void> {
    if (this.#hasBegun) return;
    const { isolation, readOnly, deferrable } = this.modes;
    if (!deferrable || !readOnly || isolation !== "serializable") return;
    const token = this.engine().safeSnapshot();
    if (token !== 0) return this.#host.wait(token).then(() => this.safeSnapshot());
  }

  /**
   * A statement begins in the engine. REPEATABLE READ and SERIALIZABLE take their snapshot with the first one: what the
   * catalogue held then tells which indexes are too young for that snapshot.
   */
  beginStatement(): void {
    this.#hasBegun = true;
    if (this.keepsSnapshot) this.#catalogAtSnapshot ??= this.#host.catalog();
    this.engine().beginStatement();
  }

  /** Whether start() can begin a statement with these locks: nothing has to be waited for or refused before. */
  maySimplyStart(lockCount: number): boolean {
    return lockCount <= MAX_START_LOCKS && (this.#hasBegun || !this.modes.deferrable);
  }

  /**
   * The transaction (where there is none), table locks, a look at the catalogue's version, and beginStatement(), in one call of
   * the engine: an answer of StatementStart, or the token of a wait for the first lock that is not in heldLocks afterwards.
   */
  start(locks: readonly TableLock[], catalogVersion: number): number {
    const frame = this.#frame;
    frame[StatementStart.begins] = this.#beginsBy();
    frame[StatementStart.catalogVersion] = catalogVersion;
    let at: number = StatementStart.firstLock;
    for (const { oid, mode } of locks) {
      if (this.heldLocks.has(lockKey(oid, mode))) continue;
      frame[at++] = oid;
      frame[at++] = mode;
    }
    frame[StatementStart.lockCount] = (at - StatementStart.firstLock) / 2;
    const answer = this.engine().start(frame);
    if (answer === StatementStart.terminated) return answer;
    for (let i = 0; i < (frame[StatementStart.lockCount] as number); i++) {
      const slot = StatementStart.firstLock + 2 * i;
      this.heldLocks.add(lockKey(frame[slot] as number, frame[slot + 1] as number));
    }
    if (answer === StatementStart.started) {
      this.#hasBegun = true;
      if (this.keepsSnapshot) this.#catalogAtSnapshot ??= this.#host.catalog();
    }
    return answer;
  }

  /** What start() is told of the transaction. The handle of the last one serves the next. */
  #beginsBy(): number {
    if (this.#engine !== undefined || this.#ended === undefined) return 0;
    this.#engine = this.#ended;
    this.#ended = undefined;
    const { isolation, readOnly } = this.modes;
    return LEVEL_NUMBERS[isolation] + (readOnly ? READ_ONLY : 0);
  }

  /** One snapshot serves the whole transaction: what others commit meanwhile is 40001 where it is written to. */
  get keepsSnapshot(): boolean {
    const { isolation } = this.modes;
    return isolation === "repeatable read" || isolation === "serializable";
  }

  /** The committed catalogue when the snapshot of a REPEATABLE READ transaction was taken, or a little before. */
  get catalogAtSnapshot(): CatalogSnapshot | undefined {
    return this.#catalogAtSnapshot;
  }

  /** The engine's transaction if something has needed it. */
  get started(): EngineTransaction | undefined {
    return this.#engine;
  }

  /** A statement is about to run: outside a block this opens the implicit transaction. */
  ensure(now: number): void {
    if (this.#state !== "idle") return;
    this.#open("implicit", now);
  }

  /** 25P02 for anything but the end of a failed block. */
  refuseInFailed(): void {
    if (this.#state !== "failed") return;
    throw new SqlError(
      SqlState.inFailedSqlTransaction,
      "current transaction is aborted, commands ignored until end of transaction block",
    );
  }

  /** 25001 for commands that must be a transaction of their own. */
  refuseInBlock(command: string): void {
    if (!this.isInBlock) return;
    throw new SqlError(SqlState.activeSqlTransaction, `${command} cannot run inside a transaction block`);
  }

  // Commands

  begin(modes: Partial<TransactionModes>, now: number): void {
    if (this.#state === "block") {
      this.#warn(SqlState.activeSqlTransaction, "there is already a transaction in progress");
      return;
    }
    this.refuseInFailed();
    if (this.#state === "idle") this.#open("block", now);
    this.#state = "block";
    if (this.#engine === undefined) this.#modes = { ...this.#defaultModes(), ...modes };
    else this.setModes(modes);
  }

  /** SET TRANSACTION. */
  setModes(modes: Partial<TransactionModes>): void {
    const current = this.modes;
    if (modes.isolation !== undefined && modes.isolation !== current.isolation) {
      // The engine's transaction, once begun (by LOCK TABLE, say), has its level.
      if (this.#hasBegun || (this.#engine !== undefined && !this.hasSavepoints))
        throw tooLate("SET TRANSACTION ISOLATION LEVEL must be called before any query");
      if (this.hasSavepoints)
        throw tooLate("SET TRANSACTION ISOLATION LEVEL must not be called in a subtransaction");
    }
    if (modes.readOnly === false && current.readOnly) {
      if (this.hasSavepoints)
        throw tooLate("cannot set transaction read-write mode inside a read-only transaction");
      if (this.#hasBegun) throw tooLate("transaction read-write mode must be set before any query");
    }
    if (modes.deferrable !== undefined) {
      if (this.hasSavepoints)
        throw tooLate("SET TRANSACTION [NOT] DEFERRABLE cannot be called within a subtransaction");
      if (this.#hasBegun) throw tooLate("SET TRANSACTION [NOT] DEFERRABLE must be called before any query");
    }
    this.#modes = { ...current, ...modes };
  }

  /** COMMIT. Gives the command tag: a failed block rolls back. `isChained`: another transaction follows at once. */
  commit(isChained: boolean): MaybePromise<"COMMIT" | "ROLLBACK"> {
    if (this.#state === "failed") {
      this.#abort();
      return "ROLLBACK";
    }
    if (this.#state !== "block") this.#warnNoTransaction();
    if (isChained) this.answer = undefined;
    return chain(this.#commit("COMMIT"), () => "COMMIT");
  }

  rollback(): void {
    if (!this.isInBlock) this.#warnNoTransaction();
    this.#abort();
  }

  savepoint(name: string): void {
    this.#requireBlock("SAVEPOINT");
    this.refuseInFailed();
    if (this.#savepoints.length >= MAX_SAVEPOINTS) {
      throw new SqlError(
        SqlState.programLimitExceeded,
        `too many savepoints in one transaction (${MAX_SAVEPOINTS})`,
      );
    }
    this.#savepoints.push({
      name,
      engine: this.engine().savepoint(),
      settingsMark: this.#host.settings.mark(),
      catalogMark: this.#host.ownCatalog.mark(),
      cursors: this.#host.cursors(),
      constraintsMark: this.#host.constraints.mark(),
    });
  }

  release(name: string): void {
    this.#requireBlock("RELEASE SAVEPOINT");
    this.refuseInFailed();
    const index = this.#find(name);
    const [released] = this.#savepoints.splice(index);
    if (released?.engine !== undefined) this.engine().release(released.engine);
  }

  rollbackToSavepoint(name: string): void {
    this.#requireBlock("ROLLBACK TO SAVEPOINT");
    const index = this.#find(name);
    this.#savepoints.length = index + 1;
    this.#undoTo(must(this.#savepoints[index], "the savepoint just found"));
    this.#state = "block";
  }

  /** End of a query string or Sync: commits the implicit transaction. `tag`: of the command that completes with it. */
  finishImplicit(tag?: string): MaybePromise<void> {
    if (this.#state === "implicit") return this.#commit(tag);
  }

  /** An error ended a statement. */
  fail(): void {
    if (this.#state === "implicit") this.#abort();
    else if (this.#state === "block") {
      this.#state = "failed";
      const inner = this.#savepoints.at(-1);
      // As PostgreSQL aborts the innermost subtransaction at once: its locks and changes are gone before the client reacts.
      if (inner === undefined) this.#rollBackEverything();
      else this.#undoTo(inner);
    }
  }

  /** The session ends. */
  abandon(): void {
    if (this.#state !== "idle") this.#abort();
  }

  #commit(tag: string | undefined): MaybePromise<void> {
    try {
      const before = this.#host.beforeCommit();
      const committing =
        before === undefined ? this.#commitInEngine(tag) : before.then(() => this.#commitInEngine(tag));
      if (committing !== undefined) {
        return committing.then(
          () => this.#committed(),
          (error: unknown) => this.#commitFailed(error),
        );
      }
    } catch (error) {
      this.#commitFailed(error);
    }
    this.#committed();
  }

  #commitInEngine(tag: string | undefined): MaybePromise<void> {
    const engine = this.#engine;
    // From here on the handle is dead whatever happens: a commit that fails has rolled back.
    this.#engine = undefined;
    if (engine === undefined) return;
    const { answer } = this;
    if (answer !== undefined && this.#host.hearsNothingElse()) {
      const lent = answer.lend(tag);
      if (lent !== undefined) return this.#commitAndAnswer(engine, answer, lent);
    }
    const token = engine.commit(this.#host.view.commitsAsynchronously);
    if (token === 0) {
      this.#ended = engine;
      return;
    }
    return this.#host.wait(token).then(() => {
      engine.commitResult();
      this.#ended = engine;
    });
  }

  #commitAndAnswer(engine: EngineTransaction, answer: CommitAnswer, lent: LentAnswer): MaybePromise<void> {
    const { sockets, socket, bytes, count } = lent;
    const asynchronously = this.#host.view.commitsAsynchronously;
    let sent: number | undefined;
    let token = 0;
    try {
      const outcome = engine.commitAndAnswer(asynchronously, sockets, socket, bytes, count);
      if (outcome > 0) token = outcome;
      else sent = -outcome;
    } finally {
      if (token === 0) answer.takeBack(sent);
    }
    if (token === 0) this.#ended = engine;
    else return this.#host.wait(token).then(() => this.#answered(engine, answer));
  }

  #answered(engine: EngineTransaction, answer: CommitAnswer): void {
    let sent: number | undefined;
    try {
      sent = engine.commitResult();
    } finally {
      answer.takeBack(sent);
    }
    this.#ended = engine;
  }

  #commitFailed(error: unknown): never {
    this.#abort();
    throw error;
  }

  #committed(): void {
    this.#host.settings.commit();
    this.#host.ownCatalog.commit();
    this.#close();
    this.#host.afterEnd(true);
  }

  #abort(): void {
    this.#rollBackEverything();
    this.#close();
    this.#host.afterEnd(false);
  }

  #rollBackEverything(): void {
    const engine = this.#engine;
    this.#engine = undefined;
    this.#host.settings.rollbackTo(0);
    this.#host.ownCatalog.rollbackTo(0);
    this.heldLocks.clear();
    engine?.abort();
  }

  #undoTo(savepoint: Savepoint): void {
    if (savepoint.engine !== undefined) this.#engine?.rollbackTo(savepoint.engine);
    this.#host.settings.rollbackTo(savepoint.settingsMark);
    this.#host.ownCatalog.rollbackTo(savepoint.catalogMark);
    this.#host.closeCursorsExcept(savepoint.cursors);
    this.#host.constraints.rollbackTo(savepoint.constraintsMark);
    // Locks taken since the savepoint are released by the engine: which ones is its knowledge.
    this.heldLocks.clear();
  }

  #open(state: "implicit" | "block", now: number): void {
    this.#state = state;
    this.#startTime = now;
    this.#identity += 1;
    this.#modes = undefined;
  }

  #close(): void {
    this.#state = "idle";
    this.#engine = undefined;
    this.#modes = undefined;
    this.#catalogAtSnapshot = undefined;
    this.#hasBegun = false;
    if (this.#savepoints.length > 0) this.#savepoints = [];
    this.heldLocks.clear();
  }

  #defaultModes(): TransactionModes {
    const { version } = this.#host.settings;
    if (this.#defaults?.version !== version) this.#defaults = { version, modes: this.#readDefaultModes() };
    return this.#defaults.modes;
  }

  #readDefaultModes(): TransactionModes {
    const { settings } = this.#host;
    return {
      isolation: isolationLevel(settings.get("default_transaction_isolation") ?? "read committed"),
      readOnly: settings.isOn("default_transaction_read_only"),
      deferrable: settings.isOn("default_transaction_deferrable"),
    };
  }

  #find(name: string): number {
    const index = this.#savepoints.findLastIndex((savepoint) => savepoint.name === name);
    if (index < 0) {
      throw new SqlError(SqlState.invalidSavepointSpecification, `savepoint "${name}" does not exist`);
    }
    return index;
  }

  #requireBlock(command: string): void {
    if (this.isInBlock) return;
    throw new SqlError(SqlState.noActiveSqlTransaction, `${command} can only be used in transaction blocks`);
  }

  #warnNoTransaction(): void {
    this.#warn(SqlState.noActiveSqlTransaction, "there is no transaction in progress");
  }

  #warn(code: string, message: string): void {
    this.#host.notice({ severity: "WARNING", code, message });
  }
}

/** How a lock stands in heldLocks. */
export function lockKey(oid: number, mode: number): number {
  return oid * 16 + mode;
}

function tooLate(message: string): SqlError {
  return new SqlError(SqlState.activeSqlTransaction, message);
}

const LEVELS: readonly IsolationLevel[] = [
  "read uncommitted",
  "read committed",
  "repeatable read",
  "serializable",
];

/** 22023 for what is none. */
export function isolationLevel(text: string): IsolationLevel {
  const level = LEVELS.find((candidate) => candidate === text.toLowerCase());
  if (level !== undefined) return level;
  throw new SqlError(
    SqlState.invalidParameterValue,
    `invalid value for parameter "transaction_isolation": "${text}"`,
    { hint: "Available values: serializable, repeatable read, read committed, read uncommitted." },
  );
}
