// The way out of a connection: one writer, one stream, and who must wait when the client does not read.
//
// Everything a received chunk causes is collected in the writer and leaves with one flush(). A flush that the stream cannot
// take at once says so; then nobody produces more until drained() resolves.
import { MessageWriter } from "./codec/message-writer.ts";
import type { ClientStream, DirectWay } from "./stream.ts";

/** Rows are flushed in pieces of about this size: large enough to be rare, small enough to stay in the caches. */
export const FLUSH_BYTES = 64 * 1024;

export class Outlet {
  readonly writer = new MessageWriter();
  #stream: ClientStream;
  #isHeld = false;
  #drain: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;

  constructor(stream: ClientStream) {
    this.#stream = stream;
  }

  /** The same connection goes on over TLS. */
  replaceStream(stream: ClientStream): void {
    this.#stream = stream;
  }

  /** Where bytes can be sent past the stream; undefined: it has a way of its own, or bytes that wait. */
  get directWay(): DirectWay | undefined {
    return this.#stream.directWay;
  }

  /** Somebody else sends what is written. Until goOn() nothing is written or sent here. */
  hold(): void {
    this.#isHeld = true;
  }

  /** What is written is ours again, but the first `sent` bytes, which have left. */
  goOn(sent: number): void {
    this.#isHeld = false;
    const { writer } = this;
    if (sent === writer.length) writer.clear();
    else if (sent > 0 && this.#stream.queue(writer.take().subarray(sent))) writer.reuse();
  }

  /** Sends what is written; false when the client has to read first. */
  flush(): boolean {
    const { writer } = this;
    if (this.#isHeld) return !this.isBlocked;
    if (writer.length > 0 && this.#stream.isWritable) {
      const sent = this.#stream.sendNow(writer.buffer, writer.length);
      if (sent === writer.length) writer.clear();
      else if (this.#stream.queue(writer.take().subarray(sent))) writer.reuse();
    }
    return !this.isBlocked;
  }

  /** True while bytes wait for the client to read. */
  get isBlocked(): boolean {
    return this.#stream.isBlocked;
  }

  /** Resolves when the client has read, or is gone. */
  drained(): Promise<void> {
    if (!this.isBlocked) return Promise.resolve();
    if (this.#drain === undefined) {
      let resolve: () => void = () => undefined;
      const promise = new Promise<void>((done) => {
        resolve = done;
      });
      this.#drain = { promise, resolve };
    }
    return this.#drain.promise;
  }

  /** The client has read, or is gone: who waits goes on. */
  release(): void {
    this.#drain?.resolve();
    this.#drain = undefined;
  }
}
