// idle_session_timeout and idle_in_transaction_session_timeout: ends the session of a client that says nothing for too long.
import { SqlError, SqlState } from "../common/error.ts";
import type { Settings } from "./settings.ts";

export class IdleLimits {
  readonly #settings: Settings;
  readonly #terminate: (reason: SqlError) => void;
  #timer: NodeJS.Timeout | undefined;
  /** The two limits in milliseconds (0 = none) as of a version of the settings: read once, not at every statement. */
  #version = -1;
  #sessionMs = 0;
  #transactionMs = 0;

  constructor(settings: Settings, terminate: (reason: SqlError) => void) {
    this.#settings = settings;
    this.#terminate = terminate;
  }

  /** The client's turn begins. */
  begin(isInTransaction: boolean): void {
    if (this.#version !== this.#settings.version) {
      this.#version = this.#settings.version;
      this.#sessionMs = this.#settings.number("idle_session_timeout");
      this.#transactionMs = this.#settings.number("idle_in_transaction_session_timeout");
    }
    const limit = isInTransaction ? this.#transactionMs : this.#sessionMs;
    if (limit <= 0) return;
    this.#timer = setTimeout(() => this.#terminate(isInTransaction ? IN_TRANSACTION : IDLE), limit);
    this.#timer.unref();
  }

  /** The client has said something, or is gone. */
  end(): void {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}

const IDLE = new SqlError(SqlState.idleSessionTimeout, "terminating connection due to idle-session timeout", {
  severity: "FATAL",
});
const IN_TRANSACTION = new SqlError(
  SqlState.idleInTransactionSessionTimeout,
  "terminating connection due to idle-in-transaction timeout",
  { severity: "FATAL" },
);
