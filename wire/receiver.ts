// Turns what a session produces into backend messages: the ResultReceiver and SessionClient of one connection.
// Whether rows are announced by a RowDescription depends on the protocol: a simple query says so itself, in the extended
// protocol the client asked by Describe.
import type { Batch } from "../common/batch/vector.ts";
import { must } from "../common/assert.ts";
import { SqlError, SqlState, type Notice } from "../common/error.ts";
import type { TypeContext } from "../common/types/type.ts";
import type {
  CopyShape,
  CopySource,
  FormatCodes,
  ResultColumn,
  ResultReceiver,
  SessionClient,
} from "../session/result.ts";
import type { AnswerAhead } from "./answer-ahead.ts";
import { CopyInbox } from "./copy.ts";
import { Reply, writeCommandComplete, writeNotification, writeParameterStatus } from "./messages/backend.ts";
import { writeCopyData, writeCopyDone, writeCopyInResponse, writeCopyOutResponse } from "./messages/copy.ts";
import { RowEncoder } from "./messages/data-row.ts";
import { writeNoticeResponse } from "./messages/error-response.ts";
import { writeRowDescription } from "./messages/row-description.ts";
import { FLUSH_BYTES, type Outlet } from "./outlet.ts";

export class WireReceiver implements ResultReceiver, SessionClient {
  /** True while a simple query runs. */
  announcesRows = false;
  readonly answer: AnswerAhead;
  readonly #outlet: Outlet;
  readonly #onCopyIn: (inbox: CopyInbox) => void;
  readonly #onRoom: () => void;
  readonly #isGone: () => boolean;
  readonly #onTerminated: (reason: SqlError) => void;
  #encoder: RowEncoder | undefined;

  /** `onCopyIn`: CopyData goes to this inbox from now on; `onRoom`: the inbox takes more; `isGone`: the client left. */
  constructor(
    outlet: Outlet,
    answer: AnswerAhead,
    onCopyIn: (inbox: CopyInbox) => void,
    onRoom: () => void,
    isGone: () => boolean,
    onTerminated: (reason: SqlError) => void,
  ) {
    this.#outlet = outlet;
    this.answer = answer;
    this.#onCopyIn = onCopyIn;
    this.#onRoom = onRoom;
    this.#isGone = isGone;
    this.#onTerminated = onTerminated;
  }

  start(columns: readonly ResultColumn[], formats: FormatCodes, types: TypeContext): void {
    this.#encoder = new RowEncoder(columns, formats, types);
    if (this.announcesRows) writeRowDescription(this.#outlet.writer, columns, formats);
  }

  rows(batch: Batch, from: number, to: number): void | Promise<void> {
    const encoder = must(this.#encoder, "rows come after start");
    const { writer } = this.#outlet;
    for (let row = from; row < to; row++) {
      encoder.write(writer, batch, row);
      if (writer.length >= FLUSH_BYTES && !this.#outlet.flush()) return this.#waitAndGoOn(batch, row + 1, to);
    }
  }

  async #waitAndGoOn(batch: Batch, from: number, to: number): Promise<void> {
    await this.#drained();
    await this.rows(batch, from, to);
  }

  complete(tag: string): void {
    this.#encoder = undefined;
    if (!this.answer.complete()) writeCommandComplete(this.#outlet.writer, tag);
  }

  suspended(): void {
    this.#encoder = undefined;
    this.#outlet.writer.raw(Reply.portalSuspended);
  }

  empty(): void {
    this.#outlet.writer.raw(Reply.emptyQueryResponse);
  }

  copyIn(shape: CopyShape): CopySource {
    const inbox = new CopyInbox(this.#onRoom);
    writeCopyInResponse(this.#outlet.writer, shape);
    this.#outlet.flush();
    this.#onCopyIn(inbox);
    return inbox;
  }

  copyOut(shape: CopyShape): void {
    writeCopyOutResponse(this.#outlet.writer, shape);
  }

  copyData(chunk: Uint8Array): void | Promise<void> {
    writeCopyData(this.#outlet.writer, chunk);
    if (this.#outlet.writer.length >= FLUSH_BYTES && !this.#outlet.flush()) return this.#drained();
  }

  copyDone(): void {
    writeCopyDone(this.#outlet.writer);
  }

  notice(notice: Notice): void {
    writeNoticeResponse(this.#outlet.writer, notice);
  }

  parameterStatus(name: string, value: string): void {
    writeParameterStatus(this.#outlet.writer, name, value);
  }

  notification(processId: number, channel: string, payload: string): void {
    writeNotification(this.#outlet.writer, processId, channel, payload);
    // It may come while nothing else is said; then nobody else would send it.
    this.#outlet.flush();
  }

  terminated(reason: SqlError): void {
    this.#onTerminated(reason);
  }

  /** Nobody reads the rest of a result whose client is gone: the statement ends here. */
  async #drained(): Promise<void> {
    await this.#outlet.drained();
    if (this.#isGone()) {
      throw new SqlError(SqlState.connectionException, "connection to client lost", { severity: "FATAL" });
    }
  }
}
