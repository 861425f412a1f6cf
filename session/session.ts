// One session: what a client says, statement by statement, in the words of the protocol (simple query; parse, bind,
// describe, execute, close, sync). The only place where parser, planner and executor meet.
//
// Simple query: the statements of one string share an implicit transaction, which commits before the last one's completion is
// reported, so that a commit that fails is an error of that statement. Extended: what runs between two Syncs shares one.
// Every method that throws has marked the transaction failed before.
import { assert, must } from "../common/assert.ts";
import { SqlError, SqlState, toSqlError } from "../common/error.ts";
import type { Datum, TypeContext } from "../common/types/type.ts";
import type { MaybePromise } from "../executor/maybe-promise.ts";
import { parse } from "../parser/parse.ts";
import type { CommitAnswer } from "./commit-answer.ts";
import { SessionCore, type SessionIdentity } from "./core.ts";
import type { Database } from "./database.ts";
import { terminatedByAdministrator } from "./interrupts.ts";
import { IdleLimits } from "./idle-limits.ts";
import { valueCodec } from "./value-codec.ts";
import type { Portal } from "./portal.ts";
import type { PreparedStatement } from "./prepared-statement.ts";
import { type FormatCodes, formatOf, type ResultReceiver, type SessionClient } from "./result.ts";
import { nowMicroseconds } from "./session-functions.ts";
import { shareConstants } from "./shared-constants.ts";
import { makePortal, prepare, runsInFailed } from "./statement-runner.ts";
import { readTextParameter } from "./text-parameter.ts";
import { addPrepared, requirePrepared } from "./utility/prepare.ts";
import type { PortalDescription, StatementDescription, WireSession } from "./wire-session.ts";

/** Open portals of one session: each may hold a running plan. */
const MAX_PORTALS = 10_000;

export interface SessionOptions {
  readonly identity: SessionIdentity;
  /** From the startup packet, in order. */
  readonly settings: readonly (readonly [string, string])[];
}

export class Session implements WireSession {
  readonly #core: SessionCore;
  #isClosed = false;
  /** A statement runs: notifications wait for its end. */
  #isBusy = false;
  /** By pg_terminate_backend, while it was busy: a commit, say, is not stopped by that. */
  #isTerminated = false;
  readonly #idleLimits: IdleLimits;

  /** Throws FATAL errors for impossible settings (22023, 42704). */
  constructor(database: Database, client: SessionClient, options: SessionOptions) {
    this.#core = new SessionCore(database, client, options.identity, () => this.#tellIfIdle());
    database.notifications.addSession(this.processId, () => {
      if (this.#isBusy) this.#isTerminated = true;
      else client.terminated(terminatedByAdministrator());
    });
    const { settings } = this.#core;
    this.#idleLimits = new IdleLimits(settings, (reason) => client.terminated(reason));
    settings.overrideInitial("session_authorization", options.identity.user);
    try {
      for (const [name, value] of options.settings) settings.setInitial(name, value);
    } catch (error) {
      this.close();
      throw new SqlError(toSqlError(error).code, toSqlError(error).message, { severity: "FATAL" });
    }
    this.#core.activity.applicationName = settings.get("application_name") ?? "";
  }

  get processId(): number {
    return this.#core.engineSession.processId;
  }

  get secretKey(): number {
    return this.#core.engineSession.secretKey;
  }

  get transactionStatus(): "I" | "T" | "E" {
    return this.#core.transactions.status;
  }

  reportedSettings(): Iterable<readonly [string, string]> {
    return this.#core.settings.greeting();
  }

  // Simple query

  async simpleQuery(sql: string, receiver: ResultReceiver): Promise<void> {
    const core = this.#core;
    core.statementTime = nowMicroseconds();
    this.#runs(sql, core.statementTime);
    // The unnamed statement and portal do not outlive a simple query, as in PostgreSQL.
    this.closeStatement("");
    this.closePortal("");
    await this.#simple(sql, receiver).finally(() => this.#rests());
    this.#reportSettings();
  }

  async #simple(sql: string, receiver: ResultReceiver): Promise<void> {
    const core = this.#core;
    await this.#guard(async () => {
      core.transactions.ensure(core.statementTime);
      const shared = shareConstants(core, sql);
      if (shared !== undefined) {
        await this.#runSimple(shared.prepared, shared.parameters, true, receiver).catch(withoutPosition);
        return;
      }
      const statements = parse(sql);
      if (statements.length === 0) {
        await core.transactions.finishImplicit();
        receiver.empty();
      }
      for (const [index, statement] of statements.entries()) {
        if (!runsInFailed(statement)) core.transactions.refuseInFailed();
        core.transactions.ensure(core.statementTime);
        const prepared = prepare(core, "", statement, [], false);
        await this.#runSimple(prepared, [], index === statements.length - 1, receiver);
      }
    });
  }

  async #runSimple(
    prepared: PreparedStatement,
    parameters: readonly Datum[],
    isLast: boolean,
    receiver: ResultReceiver,
  ): Promise<void> {
    const core = this.#core;
    core.interrupts.begin(core.view.statementTimeoutMs);
    const portal = makePortal(core, { name: "", prepared, parameters, formats: [] });
    core.portals.set("", portal);
    try {
      core.transactions.answer = isLast ? receiver.answer : undefined;
      const tag = must(await portal.run(0, receiver, core.types), "a portal without a limit completes");
      if (isLast) await core.transactions.finishImplicit(tag);
      receiver.complete(tag);
    } finally {
      portal.close();
      core.portals.delete("");
    }
  }

  /**
   * Runs work that is no SQL text as a statement of its own: in the open transaction block, or in an implicit one that ends
   * with it. `label` is what pg_stat_activity shows.
   */
  async runWork<T>(label: string, work: (core: SessionCore) => Promise<T>): Promise<T> {
    const core = this.#core;
    core.statementTime = nowMicroseconds();
    this.#runs(label, core.statementTime);
    let done: { readonly result: T } | undefined;
    const running = this.#guard(async () => {
      core.transactions.refuseInFailed();
      core.transactions.ensure(core.statementTime);
      core.interrupts.begin(core.view.statementTimeoutMs);
      done = { result: await work(core) };
      await core.transactions.finishImplicit();
    });
    await Promise.resolve(running).finally(() => this.#rests());
    this.#reportSettings();
    return must<{ readonly result: T }>(done, "work that did not throw").result;
  }

  // Extended protocol

  parse(name: string, sql: string, parameterTypes: readonly number[]): void {
    this.#guardNow(() => {
      const core = this.#core;
      core.statementTime = nowMicroseconds();
      this.#runs(sql, core.statementTime);
      const statements = parse(sql);
      if (statements.length > 1) {
        throw new SqlError(SqlState.syntaxError, "cannot insert multiple commands into a prepared statement");
      }
      const statement = statements[0];
      if (!runsInFailed(statement)) core.transactions.refuseInFailed();
      core.transactions.ensure(core.statementTime);
      if (name === "") core.statements.delete("");
      addPrepared(core, prepare(core, name, statement, parameterTypes, false));
    });
  }

  bind(
    portal: string,
    statement: string,
    parameterFormats: FormatCodes,
    values: readonly (Uint8Array | null)[],
    resultFormats: FormatCodes,
  ): void {
    try {
      this.#bind(portal, statement, parameterFormats, values, resultFormats);
    } catch (error) {
      throw this.#failed(error);
    }
  }

  #bind(
    portal: string,
    statement: string,
    parameterFormats: FormatCodes,
    values: readonly (Uint8Array | null)[],
    resultFormats: FormatCodes,
  ): void {
    const core = this.#core;
    const prepared = requirePrepared(core, statement);
    if (!prepared.runsInFailed) core.transactions.refuseInFailed();
    checkCounts(prepared, values.length, resultFormats, statement);
    if (!core.transactions.isActive) core.transactions.ensure(nowMicroseconds());
    const parameters = this.#readParameters(portal, prepared, parameterFormats, values);
    if (portal !== "" && core.portals.has(portal)) {
      throw new SqlError(SqlState.duplicateCursor, `cursor "${portal}" already exists`);
    }
    if (core.portals.size >= MAX_PORTALS) {
      throw new SqlError(
        SqlState.configurationLimitExceeded,
        `a session keeps at most ${MAX_PORTALS} portals`,
      );
    }
    this.closePortal(portal);
    core.portals.set(
      portal,
      makePortal(core, { name: portal, prepared, parameters, formats: resultFormats }),
    );
  }

  describeStatement(name: string): StatementDescription {
    return this.#guardNow(() => {
      const prepared = requirePrepared(this.#core, name);
      return { parameterTypes: prepared.parameterTypes, columns: prepared.columns };
    });
  }

  describePortal(name: string): PortalDescription {
    return this.#guardNow(() => {
      const portal = this.#requirePortal(name);
      return { columns: portal.columns, formats: portal.formats };
    });
  }

  execute(name: string, maxRows: number, receiver: ResultReceiver): MaybePromise<void> {
    this.#stepBegins();
    try {
      const running = this.#execute(name, maxRows, receiver);
      if (running !== undefined) return this.#stepGoesOn(running);
    } catch (error) {
      this.#stepFailed(error);
    }
    this.#stepEnded();
  }

  #execute(name: string, maxRows: number, receiver: ResultReceiver): MaybePromise<void> {
    const core = this.#core;
    const portal = this.#requirePortal(name);
    const { statement, runsInFailed } = portal.statement;
    if (statement === undefined) {
      receiver.empty();
      return;
    }
    this.#runs(statement.text, nowMicroseconds());
    if (!runsInFailed) core.transactions.refuseInFailed();
    core.transactions.ensure(core.statementTime);
    core.interrupts.beginUnread(core.view.statementTimeoutMs);
    if (portal.isOpen) core.interrupts.read();
    core.transactions.answer = receiver.answer;
    const running = portal.run(Math.max(maxRows, 0), receiver, core.types);
    if (running instanceof Promise) return running.then((tag) => executed(tag, receiver));
    executed(running, receiver);
  }

  closeStatement(name: string): void {
    this.#core.statements.delete(name);
  }

  closePortal(name: string): void {
    this.#core.portals.get(name)?.close();
    this.#core.portals.delete(name);
  }

  sync(answer?: CommitAnswer): MaybePromise<void> {
    this.#stepBegins();
    this.#core.transactions.answer = answer;
    try {
      const finishing = this.#core.transactions.finishImplicit();
      if (finishing !== undefined) {
        return finishing.then(
          () => this.#synced(),
          (error: unknown) => this.#syncFailed(error),
        );
      }
    } catch (error) {
      this.#syncFailed(error);
    }
    this.#synced();
  }

  #synced(): void {
    this.#stepEnded();
    this.#rests();
    this.#reportSettings();
  }

  #syncFailed(error: unknown): never {
    const failure = this.#failed(error);
    this.#isBusy = false;
    this.#rests();
    throw failure;
  }

  /** A statement begins: others see it, and the client is no longer idle. */
  #runs(query: string, now: number): void {
    const { activity, transactions } = this.#core;
    this.#idleLimits.end();
    activity.run(query, now, transactions.identity, transactions.isActive ? transactions.startTime : now);
  }

  /** It is the client's turn. */
  #rests(): void {
    if (this.#isClosed) return;
    const { activity, transactions } = this.#core;
    activity.rest(transactions.status, nowMicroseconds(), transactions.isActive ? transactions.startTime : 0);
    this.#idleLimits.begin(transactions.isActive);
    if (this.#isTerminated) this.#core.client.terminated(terminatedByAdministrator());
  }

  fail(): void {
    this.#core.transactions.fail();
    this.#core.interrupts.end();
  }

  interrupt(): void {
    this.#core.interrupts.interrupt();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const core = this.#core;
    core.interrupts.end();
    this.#idleLimits.end();
    core.activity.close();
    for (const portal of core.portals.values()) portal.close();
    core.portals.clear();
    core.notifications.close();
    core.database.notifications.removeSession(this.processId);
    core.transactions.abandon();
    core.engineSession.close();
  }

  /** The session's shared parts, for the embedded API. */
  get core(): SessionCore {
    return this.#core;
  }

  #requirePortal(name: string): Portal {
    const portal = this.#core.portals.get(name);
    if (portal !== undefined) return portal;
    throw new SqlError(SqlState.invalidCursorName, `portal "${name}" does not exist`);
  }

  #readParameters(
    portal: string,
    prepared: PreparedStatement,
    formats: FormatCodes,
    values: readonly (Uint8Array | null)[],
  ): readonly Datum[] {
    if (values.length === 0) return NO_PARAMETERS;
    const types = this.#core.types;
    const parameters: Datum[] = [];
    for (let index = 0; index < values.length; index++) {
      const bytes = values[index] as Uint8Array | null;
      const isBinary = formatOf(formats, index) === 1;
      try {
        parameters.push(bytes === null ? null : readParameter(prepared, index, bytes, isBinary, types));
      } catch (error) {
        // PostgreSQL shows the value itself only when log_parameter_max_length_on_error asks for it.
        const place = `${portal === "" ? "unnamed portal" : `portal "${portal}"`} parameter $${index + 1}`;
        throw toSqlError(error).with({ where: isBinary ? place : `${place} = '...'` });
      }
    }
    return parameters;
  }

  #reportSettings(): void {
    if (this.#core.settings.mayHaveChanges) {
      for (const [name, value] of this.#core.settings.changes()) {
        this.#core.client.parameterStatus(name, value);
        if (name === "application_name") this.#core.activity.applicationName = value;
      }
    }
    this.#tellNotifications();
  }

  /** Something was heard while nothing ran. */
  #tellIfIdle(): void {
    if (!this.#isBusy) this.#tellNotifications();
  }

  /** A client hears between transactions only. */
  #tellNotifications(): void {
    const { transactions, notifications, client } = this.#core;
    if (transactions.isActive || this.#isClosed || !notifications.hasHeard) return;
    for (const { processId, channel, payload } of notifications.take()) {
      client.notification(processId, channel, payload);
    }
  }

  /** Runs a step that may wait; an error fails the transaction and carries the reason of a cancel. */
  #guard(step: () => Promise<void>): Promise<void> {
    this.#stepBegins();
    return this.#stepGoesOn(step());
  }

  #stepBegins(): void {
    assert(!this.#isClosed, "a closed session runs nothing");
    this.#isBusy = true;
  }

  #stepGoesOn(running: Promise<void>): Promise<void> {
    return running.then(
      () => this.#stepEnded(),
      (error: unknown) => this.#stepFailed(error),
    );
  }

  #stepEnded(): void {
    this.#core.interrupts.end();
    this.#isBusy = false;
  }

  #stepFailed(error: unknown): never {
    const failure = this.#failed(error);
    this.#isBusy = false;
    throw failure;
  }

  #guardNow<T>(step: () => T): T {
    try {
      return step();
    } catch (error) {
      throw this.#failed(error);
    }
  }

  #failed(thrown: unknown): SqlError {
    const error = this.#core.interrupts.explain(toSqlError(thrown));
    this.fail();
    return error;
  }
}

const NO_PARAMETERS: readonly Datum[] = [];

function readParameter(
  prepared: PreparedStatement,
  index: number,
  bytes: Uint8Array,
  isBinary: boolean,
  types: TypeContext,
): Datum {
  const codec = valueCodec(must(prepared.parameterTypes[index], "counts were compared"));
  if (isBinary) return codec.receive(bytes, -1, types);
  return codec.parsePlain?.(bytes) ?? codec.parse(readTextParameter(bytes), -1, types);
}

function executed(tag: string | undefined, receiver: ResultReceiver): void {
  if (tag === undefined) receiver.suspended();
  else receiver.complete(tag);
}

/** Positions count in the text with its constants taken out, which the client never saw. */
function withoutPosition(thrown: unknown): never {
  const error = toSqlError(thrown);
  if (error.fields.position === undefined) throw error;
  throw new SqlError(error.code, error.message, { ...error.fields, position: undefined });
}

function checkCounts(
  prepared: PreparedStatement,
  valueCount: number,
  resultFormats: FormatCodes,
  name: string,
): void {
  const expected = prepared.parameterTypes.length;
  if (valueCount !== expected) {
    throw new SqlError(
      SqlState.protocolViolation,
      `bind message supplies ${valueCount} parameters, but prepared statement "${name}" requires ${expected}`,
    );
  }
  const columnCount = prepared.columns?.length ?? 0;
  if (resultFormats.length > 1 && resultFormats.length !== columnCount) {
    throw new SqlError(
      SqlState.protocolViolation,
      `bind message has ${resultFormats.length} result formats but query has ${columnCount} columns`,
    );
  }
}
