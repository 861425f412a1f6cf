// A client's bytes, both ways, as a connection sees them: SocketStream (socket-stream.ts) for plain sockets of a worker, and
// NodeStream here over Node's own stream objects, which know TLS.
//
// Bytes that wait for the client to read are the stream's; while some do (isBlocked) nobody produces more.
import type { Socket } from "node:net";
import { type SecureContext, TLSSocket } from "node:tls";
import type { ClientSockets } from "../native/index.ts";

export interface StreamListener {
  /** Bytes of the client, `memory[start .. end)`, which are the stream's again afterwards. */
  received(memory: Buffer, start: number, end: number): void;
  /** The client has read what was waiting. */
  drained(): void;
  /** Once: no byte comes or goes any more. */
  closed(): void;
}

/** A plain socket as the addon knows it. */
export interface DirectWay {
  readonly sockets: ClientSockets;
  readonly id: number;
}

export interface ClientStream {
  /** For sending past the stream, as if by sendNow(); undefined where there is none, or bytes wait. */
  readonly directWay: DirectWay | undefined;
  /** Whom to tell. Reading begins. */
  listen(listener: StreamListener): void;
  /** Sends what can be sent at once of the first `count` bytes; how many. */
  sendNow(bytes: Uint8Array, count: number): number;
  /** Sends bytes when their turn comes; true when their memory may be written over already. */
  queue(bytes: Uint8Array): boolean;
  readonly isWritable: boolean;
  /** Bytes wait for the client to read. */
  readonly isBlocked: boolean;
  pause(): void;
  resume(): void;
  /** The last byte has been queued. What the client still sends is dropped; closes when it does. */
  end(): void;
  destroy(): void;
  /** The same connection over TLS, from the next byte on. This stream has come to its end. */
  secure(context: SecureContext | undefined): ClientStream;
}

export class NodeStream implements ClientStream {
  readonly directWay = undefined;
  readonly #socket: Socket;

  /** A paused socket. */
  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
  }

  listen(listener: StreamListener): void {
    const socket = this.#socket;
    socket.on("data", (chunk: Buffer) => listener.received(chunk, 0, chunk.length));
    socket.on("drain", () => listener.drained());
    socket.on("error", () => undefined);
    socket.on("close", () => listener.closed());
    socket.resume();
  }

  sendNow(): number {
    return 0;
  }

  queue(bytes: Uint8Array): boolean {
    this.#socket.write(bytes);
    // Usually the bytes go to the kernel, or through the cipher, inside write().
    return this.#socket.writableLength === 0;
  }

  get isWritable(): boolean {
    return this.#socket.writable;
  }

  get isBlocked(): boolean {
    return this.#socket.writableNeedDrain && !this.#socket.destroyed;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    this.#socket.end();
    this.#socket.removeAllListeners("data");
    this.#socket.resume();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  secure(context: SecureContext | undefined): ClientStream {
    this.#socket.removeAllListeners("data");
    this.#socket.removeAllListeners("close");
    return new NodeStream(new TLSSocket(this.#socket, { isServer: true, secureContext: context }));
  }
}
