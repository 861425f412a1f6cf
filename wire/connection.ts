// One client connection as a written-out state machine over frames:
//
//   startup ── session open ──> ready ── error in P B D E C ──> skip ── Sync ──> ready
//                                 │ Query or Execute runs COPY FROM STDIN: `copy` takes d c f until it ends
//                                 └ X, FATAL, a lost stream, a vanished client ──> closed
//
// Invariants: at most one message is being worked on; its answer is written before the next message is looked at; everything
// one received chunk causes leaves in one socket write (unless it is large). While a message is being worked on the socket
// goes on being read up to MAX_READ_AHEAD_BYTES, so that a vanished client is noticed, and then waits.
// A connection with thousands of messages at hand gives way to the others of its worker after SLICE_MS.
import type { SecureContext } from "node:tls";
import { must } from "../common/assert.ts";
import { SqlError, SqlState, toSqlError } from "../common/error.ts";
import type { WireSession } from "../session/wire-session.ts";
import { FrameReader } from "./codec/frame-reader.ts";
import { MessageReader } from "./codec/message-reader.ts";
import { AnswerAhead } from "./answer-ahead.ts";
import type { CopyInbox } from "./copy.ts";
import { ReadyForQuery, Reply } from "./messages/backend.ts";
import { writeErrorResponse } from "./messages/error-response.ts";
import { FrontendType, PORTAL, STATEMENT, readBind, readParse } from "./messages/frontend.ts";
import { writeParameterDescription, writeRowDescription } from "./messages/row-description.ts";
import { Outlet } from "./outlet.ts";
import { WireReceiver } from "./receiver.ts";
import { type ConnectionHost, Handshake } from "./startup.ts";
import type { ClientStream, StreamListener } from "./stream.ts";

/** Unread input beyond this stops the socket while a message is being worked on. */
const MAX_READ_AHEAD_BYTES = 1024 * 1024;
/** A connection that has not logged in after this long is closed (PostgreSQL's authentication_timeout). */
const LOGIN_TIMEOUT_MS = 60_000;
/** Time a client has to take the last answer before the socket is destroyed. */
const FAREWELL_TIMEOUT_MS = 5_000;
/** A pipeline gives way to other connections after this long. */
const SLICE_MS = 4;

const timer = performance;

/** What a session that is ended from outside hears. */
export const ADMIN_SHUTDOWN = new SqlError(
  SqlState.adminShutdown,
  "terminating connection due to administrator command",
  { severity: "FATAL" },
);

export interface ConnectionOptions {
  readonly host: ConnectionHost;
  readonly secureContext?: SecureContext | undefined;
  /** Called once, when the stream is closed and the session has ended. */
  readonly onClosed: () => void;
}

export class Connection implements StreamListener {
  readonly #options: ConnectionOptions;
  readonly #reader = new FrameReader();
  readonly #message = new MessageReader();
  readonly #outlet: Outlet;
  readonly #answer: AnswerAhead;
  readonly #receiver: WireReceiver;
  readonly #handshake: Handshake;
  #stream: ClientStream;
  #state: "startup" | "ready" | "skip" | "closed" = "startup";
  #session: WireSession | undefined;
  /** A message is being worked on. */
  #isBusy = false;
  /** It is an Execute: what it commits is answered in full by the Sync behind it. */
  #isExecuting = false;
  /** The socket is gone. */
  #isGone = false;
  /** Another turn of #pump is already arranged. */
  #isPumpArranged = false;
  #isReadPaused = false;
  #isFlushArranged = false;
  /** A ReadyForQuery waits to be sent. */
  #hasWholeAnswer = false;
  #copy: CopyInbox | undefined;
  /** Why the server ends this connection once the running statement has stopped. */
  #shutDownError: SqlError | undefined;
  #isOver = false;
  /** When this turn's first long message had been served. */
  #sliceStart: number | undefined;
  #timer: NodeJS.Timeout | undefined;

  readonly #pumpAgain = (): void => {
    this.#isPumpArranged = false;
    this.#sliceStart = undefined;
    this.#pump();
  };

  /** Serves a client until its stream closes. */
  static accept(stream: ClientStream, options: ConnectionOptions): Connection {
    return new Connection(stream, options);
  }

  private constructor(stream: ClientStream, options: ConnectionOptions) {
    this.#options = options;
    this.#stream = stream;
    this.#outlet = new Outlet(stream);
    this.#answer = new AnswerAhead(this.#outlet, () => this.#isAnswerLast());
    this.#receiver = new WireReceiver(
      this.#outlet,
      this.#answer,
      (inbox) => {
        this.#copy = inbox;
        this.#arrangePump();
      },
      () => this.#arrangePump(),
      () => this.#isGone,
      (reason) => this.shutDown(reason),
    );
    this.#handshake = new Handshake(options.host, this.#receiver, this.#outlet, this.#reader);
    this.#timer = setTimeout(() => this.#stream.destroy(), LOGIN_TIMEOUT_MS);
    stream.listen(this);
  }

  /** Ends the connection from the server's side: at once when idle, else as soon as the statement notices. */
  shutDown(error: SqlError): void {
    if (this.#state === "closed") return;
    if (this.#isBusy) {
      this.#session?.interrupt();
      this.#shutDownError = error;
      return;
    }
    this.#report(error);
    this.#end();
  }

  // The stream's words

  /** Bytes of the client, in memory that is the stream's again afterwards. */
  received(memory: Buffer, start: number, end: number): void {
    if (this.#state === "closed") return;
    this.#reader.push(memory, start, end);
    this.#sliceStart = undefined;
    this.#pump();
    this.#reader.keep();
  }

  drained(): void {
    this.#outlet.release();
  }

  closed(): void {
    this.#outlet.release();
    this.#onStreamClosed();
  }

  // The loop

  #pump(): void {
    try {
      while (this.#mayTakeFrame() && this.#reader.next()) {
        this.#message.open(this.#reader.buffer, this.#reader.start, this.#reader.end);
        this.#onFrame(this.#reader.type);
        if (this.#isSliceOver(this.#reader.type)) {
          this.#arrangePump();
          break;
        }
      }
    } catch (error) {
      // Only the startup and a lost stream throw up to here: there is no session that could go on.
      this.#report(toSqlError(error).with({ severity: "FATAL" }));
      this.#end();
    }
    this.#message.close();
    if (this.#isBusy) this.#flushIfSlow();
    else if (!this.#flush()) void this.#outlet.drained().then(() => this.#arrangePump());
    this.#regulateInput();
  }

  /** Looks at the clock where it matters: behind messages that can take long, when more are at hand. */
  #isSliceOver(type: number): boolean {
    if (this.#reader.bufferedBytes === 0) return false;
    if (type === FrontendType.bind || type === FrontendType.describe) return false;
    const now = timer.now();
    this.#sliceStart ??= now;
    return now - this.#sliceStart > SLICE_MS;
  }

  /**
   * Whole answers of a pipeline, those with their ReadyForQuery, must not wait for a slow message behind them. What belongs to
   * an answer under way leaves with its end, as PostgreSQL's does: the commit of a Sync would otherwise cost two writes.
   */
  #flushIfSlow(): void {
    if (this.#isFlushArranged || !this.#hasWholeAnswer) return;
    this.#isFlushArranged = true;
    setImmediate(() => {
      this.#isFlushArranged = false;
      if (this.#isBusy) this.#flush();
    });
  }

  #flush(): boolean {
    this.#hasWholeAnswer = false;
    return this.#outlet.flush();
  }

  #mayTakeFrame(): boolean {
    if (this.#state === "closed" || this.#isPumpArranged || this.#outlet.isBlocked) return false;
    if (!this.#isBusy) return true;
    return this.#copy !== undefined && !this.#copy.isFinished && !this.#copy.isFull;
  }

  #arrangePump(): void {
    if (this.#isPumpArranged || this.#isGone) return;
    this.#isPumpArranged = true;
    setImmediate(this.#pumpAgain);
  }

  /** A frame that is still arriving needs the socket; frames that wait for their turn do not. */
  #regulateInput(): void {
    if (this.#isGone) return;
    const mustWait = !this.#mayTakeFrame() && this.#reader.bufferedBytes > MAX_READ_AHEAD_BYTES;
    if (mustWait === this.#isReadPaused) return;
    this.#isReadPaused = mustWait;
    if (mustWait) this.#stream.pause();
    else this.#stream.resume();
  }

  #onFrame(type: number): void {
    switch (this.#state) {
      case "startup":
        this.#onStartupFrame();
        break;
      case "ready":
        if (this.#isBusy)
          this.#onCopyFrame(must(this.#copy, "a busy connection takes frames for COPY only"), type);
        else this.#onSessionFrame(must(this.#session, "ready means a session"), type);
        break;
      case "skip":
        this.#onSkippedFrame(must(this.#session, "skip means a session"), type);
        break;
      case "closed":
        break;
    }
  }

  // Startup

  #onStartupFrame(): void {
    const step = this.#handshake.frame(this.#message);
    switch (step.kind) {
      case "more":
        break;
      case "tls":
        this.#startTls();
        break;
      case "end":
        this.#end();
        break;
      case "ready":
        clearTimeout(this.#timer);
        this.#session = step.session;
        this.#state = "ready";
        this.#outlet.writer.raw(ReadyForQuery.I);
        break;
    }
  }

  #startTls(): void {
    if (this.#reader.takeRest().length > 0) {
      // Plain bytes behind the request could have been put there by somebody in between (CVE-2021-23214).
      throw new SqlError(SqlState.protocolViolation, "received unencrypted data after SSL request", {
        severity: "FATAL",
        detail:
          "This could be either a client-software bug or evidence of an attempted man-in-the-middle attack.",
      });
    }
    this.#outlet.flush();
    const secure = this.#stream.secure(this.#options.secureContext);
    this.#stream = secure;
    this.#outlet.replaceStream(secure);
    secure.listen(this);
  }

  // Session

  #onSessionFrame(session: WireSession, type: number): void {
    switch (type) {
      case FrontendType.query:
      case FrontendType.execute:
      case FrontendType.sync:
        this.#work(session, type);
        break;
      case FrontendType.parse:
      case FrontendType.bind:
      case FrontendType.describe:
      case FrontendType.close:
        this.#extended(session, type);
        break;
      case FrontendType.flush:
        this.#outlet.flush();
        break;
      case FrontendType.functionCall:
        session.fail();
        this.#report(new SqlError(SqlState.featureNotSupported, "fastpath function calls are not supported"));
        this.#readyForQuery(session);
        break;
      case FrontendType.terminate:
        this.#end();
        break;
      default:
        // d c f: a client still sending for a COPY that already failed. PostgreSQL ignores these too.
        break;
    }
  }

  #onSkippedFrame(session: WireSession, type: number): void {
    if (type === FrontendType.sync) {
      this.#state = "ready";
      this.#work(session, type);
    } else if (type === FrontendType.terminate) this.#end();
  }

  /** A message that does not wait; an error skips everything up to Sync. */
  #extended(session: WireSession, type: number): void {
    try {
      switch (type) {
        case FrontendType.parse:
          this.#parse(session);
          break;
        case FrontendType.bind:
          this.#bind(session);
          break;
        case FrontendType.describe:
          this.#describe(session);
          break;
        default:
          this.#close(session);
          break;
      }
    } catch (error) {
      session.fail();
      this.#state = "skip";
      this.#report(error);
    }
  }

  /** A message that may wait. What is done at once leaves the loop of #pump running; else the end of the work goes on with it. */
  #work(session: WireSession, type: number): void {
    this.#isBusy = true;
    this.#isExecuting = type === FrontendType.execute;
    try {
      const working =
        type === FrontendType.execute
          ? this.#execute(session)
          : type === FrontendType.sync
            ? this.#sync(session)
            : this.#query(session);
      if (working === undefined) this.#workEnded();
      else working.then(this.#workDone, this.#workBroke);
    } catch (error) {
      this.#workBroke(error);
    }
  }

  /** The handlers report their own errors: what arrives here is a bug of ours, and the connection cannot be trusted. */
  readonly #workBroke = (error: unknown): void => {
    this.#report(error);
    this.#end();
    this.#workEnded();
  };

  readonly #workDone = (): void => {
    this.#workEnded();
    if (!this.#isGone) this.#pump();
  };

  #workEnded(): void {
    this.#isBusy = false;
    this.#copy = undefined;
    this.#settle();
    if (this.#isGone) return;
    if (this.#shutDownError !== undefined && this.#state !== "closed") {
      this.#report(this.#shutDownError);
      this.#end();
    }
  }

  async #query(session: WireSession): Promise<void> {
    this.#receiver.announcesRows = true;
    try {
      const sql = this.#message.cstring();
      this.#message.finish();
      await session.simpleQuery(sql, this.#receiver);
    } catch (error) {
      session.fail();
      this.#report(error);
    }
    this.#readyForQuery(session);
  }

  #execute(session: WireSession): void | Promise<void> {
    this.#receiver.announcesRows = false;
    try {
      const portal = this.#message.name();
      const maxRows = this.#message.int32();
      this.#message.finish();
      const executing = session.execute(portal, maxRows, this.#receiver);
      return executing?.catch((error: unknown) => this.#executeFailed(session, error));
    } catch (error) {
      this.#executeFailed(session, error);
    }
  }

  #executeFailed(session: WireSession, error: unknown): void {
    session.fail();
    this.#state = "skip";
    this.#report(error);
  }

  #sync(session: WireSession): void | Promise<void> {
    try {
      const ending = session.sync(this.#answer);
      if (ending !== undefined) {
        return ending.then(
          () => this.#readyForQuery(session),
          (error: unknown) => {
            this.#syncFailed(session, error);
            this.#readyForQuery(session);
          },
        );
      }
    } catch (error) {
      this.#syncFailed(session, error);
    }
    this.#readyForQuery(session);
  }

  #syncFailed(session: WireSession, error: unknown): void {
    session.fail();
    this.#report(error);
  }

  #parse(session: WireSession): void {
    const { name, sql, parameterTypes } = readParse(this.#message);
    session.parse(name, sql, parameterTypes);
    this.#outlet.writer.raw(Reply.parseComplete);
  }

  #bind(session: WireSession): void {
    const { portal, statement, parameterFormats, values, resultFormats } = readBind(this.#message);
    session.bind(portal, statement, parameterFormats, values, resultFormats);
    this.#outlet.writer.raw(Reply.bindComplete);
  }

  #describe(session: WireSession): void {
    const kind = this.#message.byte();
    const name = this.#message.name();
    this.#message.finish();
    const { writer } = this.#outlet;
    if (kind === STATEMENT) {
      const { parameterTypes, columns } = session.describeStatement(name);
      writeParameterDescription(writer, parameterTypes);
      if (columns === undefined) writer.raw(Reply.noData);
      else writeRowDescription(writer, columns, []);
    } else if (kind === PORTAL) {
      const { columns, formats } = session.describePortal(name);
      if (columns === undefined) writer.raw(Reply.noData);
      else writeRowDescription(writer, columns, formats);
    } else throw invalidSubtype("DESCRIBE", kind);
  }

  #close(session: WireSession): void {
    const kind = this.#message.byte();
    const name = this.#message.name();
    this.#message.finish();
    if (kind === STATEMENT) session.closeStatement(name);
    else if (kind === PORTAL) session.closePortal(name);
    else throw invalidSubtype("CLOSE", kind);
    this.#outlet.writer.raw(Reply.closeComplete);
  }

  #readyForQuery(session: WireSession): void {
    if (this.#state === "closed") return;
    if (!this.#answer.ready()) this.#outlet.writer.raw(ReadyForQuery[session.transactionStatus]);
    this.#hasWholeAnswer = true;
  }

  /** Nothing is left to be answered but the message at work, or the Sync of it. */
  #isAnswerLast(): boolean {
    if (this.#state === "closed" || this.#shutDownError !== undefined) return false;
    return this.#isExecuting ? this.#reader.endsWith(FrontendType.sync) : this.#reader.bufferedBytes === 0;
  }

  // COPY FROM STDIN

  #onCopyFrame(copy: CopyInbox, type: number): void {
    switch (type) {
      case FrontendType.copyData:
        copy.offer(this.#message.rest());
        break;
      case FrontendType.copyDone:
        copy.done();
        break;
      case FrontendType.copyFail:
        copy.fail(this.#copyFailed());
        break;
      case FrontendType.flush:
      case FrontendType.sync:
        // Clients that sent Sync with their Execute do not know yet that it is a COPY.
        break;
      default: {
        const code = type.toString(16).toUpperCase().padStart(2, "0");
        const text = `unexpected message type 0x${code} during COPY from stdin`;
        copy.fail(new SqlError(SqlState.protocolViolation, text));
        if (type === FrontendType.terminate) this.#stream.destroy();
        break;
      }
    }
  }

  #copyFailed(): SqlError {
    try {
      return new SqlError(SqlState.queryCanceled, `COPY from stdin failed: ${this.#message.cstring()}`);
    } catch (error) {
      return toSqlError(error);
    }
  }

  // The end

  #report(thrown: unknown): void {
    if (this.#isGone || this.#state === "closed") return;
    const error = toSqlError(thrown);
    this.#outlet.writer.abandon();
    writeErrorResponse(this.#outlet.writer, error);
    if (error.severity !== "ERROR") this.#end();
  }

  #end(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    clearTimeout(this.#timer);
    this.#outlet.flush();
    // What the client still sends is read and dropped, else its bytes would turn our last answer into a reset.
    this.#stream.end();
    this.#timer = setTimeout(() => this.#stream.destroy(), FAREWELL_TIMEOUT_MS);
    this.#settle();
  }

  #onStreamClosed(): void {
    this.#isGone = true;
    this.#state = "closed";
    clearTimeout(this.#timer);
    this.#copy?.fail(new SqlError(SqlState.connectionException, "unexpected EOF on client connection"));
    if (this.#isBusy) this.#session?.interrupt();
    this.#settle();
  }

  /** Gives the session back as soon as nothing runs in it, and reports the end of the connection once. */
  #settle(): void {
    if (this.#isBusy || this.#state !== "closed") return;
    const session = this.#session;
    this.#session = undefined;
    session?.close();
    if (!this.#isGone || this.#isOver) return;
    this.#isOver = true;
    this.#options.onClosed();
  }
}

function invalidSubtype(message: string, subtype: number): SqlError {
  return new SqlError(SqlState.protocolViolation, `invalid ${message} message subtype ${subtype}`);
}
