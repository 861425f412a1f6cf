// The end of an answer that only a commit keeps back.
//
// A client that commits waits for the disk and then for what this thread does behind it: the transaction's end in session and
// connection, and a wake-up where others commit at the same time. None of that can change the answer any more. So its bytes go
// along with the commit, and the engine sends them where the commit is durable and visible and its locks are given back.
//
// The bytes are the whole rest of the answer: CommandComplete, if it was not said before, and ReadyForQuery. A session lends
// them only where nothing else can come between (no setting or notification to report), a connection where the client
// has sent nothing else that is worked on first. A commit that fails sends nothing, and the connection goes on as if
// nothing had been lent. The session takes no further message before its own end of the transaction.
import type { ClientSockets } from "../native/engine.ts";

/** The first `count` of `bytes` for one socket. */
export interface LentAnswer {
  readonly sockets: ClientSockets;
  readonly socket: number;
  readonly bytes: Uint8Array;
  readonly count: number;
}

export interface CommitAnswer {
  /**
   * The rest of the answer, behind the completion of a command with `tag` (undefined: said already, or none is). Nothing is
   * written or sent until takeBack(). undefined: it cannot go this way.
   */
  lend(tag: string | undefined): LentAnswer | undefined;
  /** How many bytes the engine has sent; undefined: the commit failed. What is not sent is the lender's to send. */
  takeBack(sent: number | undefined): void;
}
