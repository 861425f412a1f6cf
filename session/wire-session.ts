// The Session as the protocol sees it: what wire/connection.ts calls, message by message. Methods that throw have already
// marked the transaction failed; the caller reports the error and, in the extended protocol, skips to Sync.
//
// execute() and sync() are done when they return unless they give a promise: most statements wait for nothing, and a promise
// for each would send every message through the microtask queue. They throw, or reject, accordingly.
import type { CommitAnswer } from "./commit-answer.ts";
import type { FormatCodes, ResultColumn, ResultReceiver } from "./result.ts";

export interface StatementDescription {
  readonly parameterTypes: readonly number[];
  /** undefined = the statement returns no rows. */
  readonly columns: readonly ResultColumn[] | undefined;
}

export interface PortalDescription {
  readonly columns: readonly ResultColumn[] | undefined;
  readonly formats: FormatCodes;
}

export interface WireSession {
  readonly processId: number;
  readonly secretKey: number;
  /** I idle, T in a transaction block, E in a failed one. */
  readonly transactionStatus: "I" | "T" | "E";
  /** Settings a client is told about at start, in the order PostgreSQL sends them. */
  reportedSettings(): Iterable<readonly [string, string]>;
  /** Runs all statements of a query string; several make one implicit transaction. */
  simpleQuery(sql: string, receiver: ResultReceiver): Promise<void>;
  parse(name: string, sql: string, parameterTypes: readonly number[]): void;
  /** `values` are views into the message and are decoded before this returns. */
  bind(
    portal: string,
    statement: string,
    parameterFormats: FormatCodes,
    values: readonly (Uint8Array | null)[],
    resultFormats: FormatCodes,
  ): void;
  describeStatement(name: string): StatementDescription;
  describePortal(name: string): PortalDescription;
  /** `maxRows` 0 = all. */
  execute(portal: string, maxRows: number, receiver: ResultReceiver): void | Promise<void>;
  closeStatement(name: string): void;
  closePortal(name: string): void;
  /** Ends the implicit transaction of a pipeline; the rest of the answer can go with its commit. */
  sync(answer?: CommitAnswer): void | Promise<void>;
  /** The protocol itself failed (a malformed message): the transaction fails as after any error. */
  fail(): void;
  /** Interrupts what runs: the client is gone. */
  interrupt(): void;
  /** Aborts what is open and gives everything back. Not while a call runs. */
  close(): void;
}
