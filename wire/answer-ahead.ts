// The connection's side of answers that go out with a commit (session/commit-answer.ts): what is written for the client is lent
// together with the messages that will end it, and those are not said again when their turn comes.
//
//   lend ── commit fails ──> the messages are taken back, the answer goes on with an error
//     └──── committed ─────> what was sent leaves the writer; complete() and ready() pass over what was said
import type { CommitAnswer, LentAnswer } from "../session/commit-answer.ts";
import { ReadyForQuery, writeCommandComplete } from "./messages/backend.ts";
import type { Outlet } from "./outlet.ts";

/** Longer answers are not copied for this: their client has more to wait for than a turn of this thread. */
const MAX_LENT_BYTES = 8 * 1024;

export class AnswerAhead implements CommitAnswer {
  readonly #outlet: Outlet;
  /** Nothing that the client has sent is worked on before the answer's end. */
  readonly #isLast: () => boolean;
  /** What was written when it was lent. */
  #mark = 0;
  #hasTag = false;
  #hasCompleted = false;
  #isReady = false;

  constructor(outlet: Outlet, isLast: () => boolean) {
    this.#outlet = outlet;
    this.#isLast = isLast;
  }

  lend(tag: string | undefined): LentAnswer | undefined {
    const { writer } = this.#outlet;
    const way = this.#outlet.directWay;
    if (way === undefined || writer.length > MAX_LENT_BYTES || !this.#isLast()) return undefined;
    this.#mark = writer.length;
    this.#hasTag = tag !== undefined;
    if (tag !== undefined) writeCommandComplete(writer, tag);
    writer.raw(ReadyForQuery.I);
    this.#outlet.hold();
    return { sockets: way.sockets, socket: way.id, bytes: writer.buffer, count: writer.length };
  }

  takeBack(sent: number | undefined): void {
    this.#outlet.goOn(sent ?? 0);
    if (sent === undefined) this.#outlet.writer.rewind(this.#mark);
    else {
      this.#hasCompleted = this.#hasTag;
      this.#isReady = true;
    }
  }

  /** Whether the completion that is due has been said; once. */
  complete(): boolean {
    const has = this.#hasCompleted;
    this.#hasCompleted = false;
    return has;
  }

  /** Whether the ReadyForQuery that is due has been said; once. */
  ready(): boolean {
    const is = this.#isReady;
    this.#isReady = false;
    return is;
  }
}
