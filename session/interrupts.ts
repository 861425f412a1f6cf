// How a statement learns that it should stop: CancelRequest and pg_cancel_backend, pg_terminate_backend, statement_timeout
// and lock_timeout. The engine keeps the flag (any worker can raise it, and it wakes waits inside the engine); running code
// polls check() once per batch. Timeouts raise the same flag through a timer, and remember that it was they.
import { SqlError, SqlState } from "../common/error.ts";
import type { Engine, EngineSession } from "../native/engine.ts";

/** pg_terminate_backend, or the server stops. */
export function terminatedByAdministrator(): SqlError {
  return new SqlError(SqlState.adminShutdown, "terminating connection due to administrator command", {
    severity: "FATAL",
  });
}

const SLEEP_POLL_MS = 20;
const OUTSIDE_POLL_MS = 100;

type Cause = "user" | "statement timeout" | "lock timeout";

export class Interrupts {
  readonly #engine: Engine;
  readonly #session: EngineSession;
  readonly #databaseOid: number;
  #cause: Cause = "user";
  #statementTimer: NodeJS.Timeout | undefined;
  /** The flag is still as the statement before left it. */
  #isUnread = false;

  constructor(engine: Engine, session: EngineSession, databaseOid: number) {
    this.#databaseOid = databaseOid;
    this.#engine = engine;
    this.#session = session;
  }

  /** Starts the clock of one statement; `timeoutMs` 0 = none. Throws 57P01 when the session was ended meanwhile. */
  begin(timeoutMs: number): void {
    this.beginUnread(timeoutMs);
    this.read();
  }

  /** As begin, but the flag is looked at by read(), or by the engine as it starts the statement (isRead()). */
  beginUnread(timeoutMs: number): void {
    this.end();
    this.#isUnread = true;
    if (timeoutMs > 0) this.#statementTimer = setTimeout(() => this.#raise("statement timeout"), timeoutMs);
  }

  /** The first look of a statement. Throws 57P01 when the session was ended meanwhile. */
  read(): void {
    if (!this.#isUnread) return;
    this.#isUnread = false;
    const flag = this.#session.interrupt();
    // One that came after the statement before was over, or while nothing ran.
    if (flag === 1) this.#session.clearCancel();
    else if (flag === 2) throw terminatedByAdministrator();
  }

  /** Somebody else has had the first look. */
  isRead(): void {
    this.#isUnread = false;
  }

  /** The statement is over. A cancel that comes now is dropped when the next one begins. */
  end(): void {
    clearTimeout(this.#statementTimer);
    this.#statementTimer = undefined;
    this.#cause = "user";
  }

  /** Throws 57014 or 57P01 when the session was told to stop. */
  check = (): void => {
    const flag = this.#session.interrupt();
    if (flag === 0) return;
    if (flag === 2) throw terminatedByAdministrator();
    throw this.#cancelled();
  };

  /** Stops whatever runs: the client is gone. */
  interrupt(): void {
    this.#raise("user");
  }

  /**
   * Runs a wait for a lock: lock_timeout (0 = none) ends it; after deadlock_timeout the engine looks whether it is part of a
   * circle, as PostgreSQL does, so that the many waits that end by themselves cost no search.
   */
  async duringLockWait(
    limits: { readonly lockTimeoutMs: number; readonly deadlockTimeoutMs: number },
    wait: () => Promise<void>,
  ): Promise<void> {
    const { lockTimeoutMs, deadlockTimeoutMs } = limits;
    const deadlockTimer = setTimeout(() => this.#session.checkDeadlock(), deadlockTimeoutMs);
    const lockTimer =
      lockTimeoutMs > 0 ? setTimeout(() => this.#raise("lock timeout"), lockTimeoutMs) : undefined;
    try {
      await wait();
    } finally {
      clearTimeout(deadlockTimer);
      clearTimeout(lockTimer);
    }
  }

  /** An engine call that was cancelled says 57014 without knowing who asked: put the reason into PostgreSQL's words. */
  explain(error: SqlError): SqlError {
    if (error.code === SqlState.adminShutdown) return terminatedByAdministrator();
    if (error.code === SqlState.deadlockDetected) return this.#withDatabase(error);
    return error.code === SqlState.queryCanceled && this.#cause !== "user" ? this.#cancelled() : error;
  }

  /** The engine's relations are of all databases; a deadlock is among sessions of one. */
  #withDatabase(error: SqlError): SqlError {
    const detail = error.fields.detail?.replace(
      / on relation (\d+);/g,
      ` on relation $1 of database ${this.#databaseOid};`,
    );
    return new SqlError(error.code, error.message, { ...error.fields, detail });
  }

  /** Waits for something outside the engine (the client's data), or throws when the session is told to stop. */
  async during<T>(promise: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const interrupted = new Promise<never>((_, reject) => {
      timer = setInterval(() => {
        try {
          this.check();
        } catch (error) {
          reject(error);
        }
      }, OUTSIDE_POLL_MS);
    });
    try {
      return await Promise.race([promise, interrupted]);
    } finally {
      clearInterval(timer);
    }
  }

  /** Resolves after the time, or throws when the session is told to stop. */
  async sleep(milliseconds: number): Promise<void> {
    const until = performance.now() + milliseconds;
    for (;;) {
      this.check();
      const rest = until - performance.now();
      if (rest <= 0) return;
      await new Promise((resolve) => setTimeout(resolve, Math.min(rest, SLEEP_POLL_MS)));
    }
  }

  #cancelled(): SqlError {
    if (this.#cause === "lock timeout") {
      return new SqlError(SqlState.lockNotAvailable, "canceling statement due to lock timeout");
    }
    const reason = this.#cause === "user" ? "user request" : this.#cause;
    return new SqlError(SqlState.queryCanceled, `canceling statement due to ${reason}`);
  }

  #raise(cause: Cause): void {
    this.#cause = cause;
    this.#engine.cancelSession(this.#session.processId, undefined);
  }
}
