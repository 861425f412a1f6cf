// The way out of a connection: one writer, one socket, and who must wait when the client does not read.
//
// Everything a received chunk causes is collected in the writer and leaves with one flush(). A flush that the socket cannot
// take at once says so; then nobody produces more until drained() resolves.
import type { Socket } from "node:net";
import { send } from "../native/index.ts";
import { MessageWriter } from "./codec/message-writer.ts";

/** Rows are flushed in pieces of about this size: large enough to be rare, small enough to stay in the caches. */
export const FLUSH_BYTES = 64 * 1024;

export class Outlet {
  readonly writer = new MessageWriter();
  #socket: Socket;
  /** Where bytes may be written past the socket object, which costs more than the kernel does; undefined under TLS. */
  #descriptor: number | undefined;
  #drain: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;

  /** `descriptor`: the socket's, where it is known. */
  constructor(socket: Socket, descriptor: number | undefined) {
    this.#socket = socket;
    this.#descriptor = descriptor;
    this.#listen(socket);
  }

  /** The same connection goes on over TLS. */
  replaceSocket(socket: Socket): void {
    this.#descriptor = undefined;
    this.#socket = socket;
    this.#listen(socket);
  }

  /** Sends what is written; false when the client has to read first. */
  flush(): boolean {
    if (this.writer.length > 0 && this.#socket.writable) {
      const sent = this.#sendNow();
      const filled = this.writer.take();
      if (sent < filled.length) this.#socket.write(sent === 0 ? filled : filled.subarray(sent));
      // A plain socket usually hands the bytes to the kernel inside write(); then the buffer is ours again.
      if (this.#socket.writableLength === 0) this.writer.reuse();
    }
    return !this.isBlocked;
  }

  /** How many bytes the kernel took at once. None when the socket has older ones to send, or has ended. */
  #sendNow(): number {
    if (this.#descriptor === undefined || this.#socket.writableLength > 0) return 0;
    return send(this.#descriptor, this.writer.buffer, this.writer.length);
  }

  /** True while the socket holds more than its high-water mark. */
  get isBlocked(): boolean {
    return this.#socket.writableNeedDrain && !this.#socket.destroyed;
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

  #listen(socket: Socket): void {
    const release = (): void => {
      this.#drain?.resolve();
      this.#drain = undefined;
    };
    socket.on("drain", release);
    socket.on("close", release);
  }
}
