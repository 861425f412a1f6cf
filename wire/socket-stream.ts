// Plain sockets of a worker, past Node's stream objects: the engine's addon reads all that are ready in a turn of the event
// loop into one buffer and calls once (native/node/src/sockets); answers go straight to the kernel.
//
// Invariants: a stream is in the table from its adoption until it is destroyed or given to TLS, and no call of the addon names
// it afterwards; it tells of its end once, never from inside a call of its owner.
import { Socket } from "node:net";
import { type SecureContext, TLSSocket } from "node:tls";
import { must } from "../common/assert.ts";
import { type ClientSockets, SocketEvent, Sockets } from "../native/index.ts";
import { type ClientStream, type DirectWay, NodeStream, type StreamListener } from "./stream.ts";

/** What the sockets of a worker read into, one turn after the other. */
const READ_BYTES = 256 * 1024;
/** Sockets read at a time; when more are ready, there is another call for them. */
const MAX_EVENTS = 64;

/** What a thread does around the messages of several clients that it has at hand at once. */
export interface SharedTurn {
  begin(): void;
  end(): void;
}

/** A shared turn ends after this long, whoever is still to come. */
const SHARED_MS = 1;

const timer = performance;

export class SocketTable {
  readonly #turn: SharedTurn | undefined;
  readonly #streams = new Map<number, SocketStream>();
  readonly #buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  readonly #events = new Int32Array(MAX_EVENTS * SocketEvent.size);
  readonly #sockets = new Sockets((count) => this.#deliver(count), this.#buffer, this.#events);

  constructor(turn?: SharedTurn) {
    this.#turn = turn;
  }

  /** Takes over the descriptor of a connected socket. */
  adopt(fd: number): SocketStream {
    const id = this.#sockets.adopt(fd);
    const stream = new SocketStream(this.#sockets, id, () => this.#streams.delete(id));
    this.#streams.set(id, stream);
    return stream;
  }

  /** So many sockets have been read. */
  #deliver(count: number): void {
    if (count === 1 || this.#turn === undefined) this.#serve(count, undefined);
    else this.#serveTogether(count, this.#turn);
  }

  #serveTogether(count: number, turn: SharedTurn): void {
    turn.begin();
    try {
      this.#serve(count, turn);
    } finally {
      turn.end();
    }
  }

  #serve(count: number, turn: SharedTurn | undefined): void {
    const began = turn === undefined ? 0 : timer.now();
    let start = 0;
    for (let at = 0; at < count * SocketEvent.size; at += SocketEvent.size) {
      const stream = this.#streams.get(this.#events[at + SocketEvent.id] as number);
      const read = this.#events[at + SocketEvent.read] as number;
      const end = read > 0 ? start + read : start;
      // One that an earlier stream's bytes have ended is not there any more.
      if (stream !== undefined) {
        if (this.#events[at + SocketEvent.mayWrite] === 1) stream.onRoom();
        if (read > 0) stream.onBytes(this.#buffer, start, end);
        else if (read < 0) stream.onEnd(read === SocketEvent.broken);
      }
      start = end;
      if (turn !== undefined && timer.now() - began > SHARED_MS) turn.end();
    }
  }
}

export class SocketStream implements ClientStream {
  readonly #sockets: ClientSockets;
  readonly #id: number;
  readonly #way: DirectWay;
  readonly #onGone: () => void;
  #listener: StreamListener | undefined;
  /** "ending": the last byte is queued; "gone": the descriptor is not ours any more. */
  #state: "open" | "ending" | "gone" = "open";
  /** The client sends no more. */
  #hasEnded = false;
  #isPaused = false;
  #waiting: Uint8Array[] = [];

  constructor(sockets: ClientSockets, id: number, onGone: () => void) {
    this.#sockets = sockets;
    this.#id = id;
    this.#way = { sockets, id };
    this.#onGone = onGone;
  }

  listen(listener: StreamListener): void {
    this.#listener = listener;
    this.#watch();
  }

  get directWay(): DirectWay | undefined {
    return this.#state === "open" && this.#waiting.length === 0 ? this.#way : undefined;
  }

  sendNow(bytes: Uint8Array, count: number): number {
    if (this.#state !== "open" || this.#waiting.length > 0) return 0;
    const sent = this.#sockets.send(this.#id, bytes, count);
    if (sent >= 0) return sent;
    this.destroy();
    return count;
  }

  queue(bytes: Uint8Array): boolean {
    if (this.#state !== "open") return true;
    this.#waiting.push(bytes);
    if (this.#waiting.length === 1) this.#watch();
    return false;
  }

  get isWritable(): boolean {
    return this.#state === "open";
  }

  get isBlocked(): boolean {
    return this.#state === "open" && this.#waiting.length > 0;
  }

  pause(): void {
    this.#isPaused = true;
    this.#watch();
  }

  resume(): void {
    this.#isPaused = false;
    this.#watch();
  }

  end(): void {
    if (this.#state !== "open") return;
    this.#state = "ending";
    if (this.#waiting.length === 0) this.#sockets.finish(this.#id);
    this.resume();
  }

  destroy(): void {
    if (this.#state === "gone") return;
    this.#sockets.close(this.#id);
    this.#leave();
    queueMicrotask(() => this.#listener?.closed());
  }

  secure(context: SecureContext | undefined): ClientStream {
    const fd = this.#sockets.release(this.#id);
    this.#leave();
    const socket = new Socket({ fd, readable: true, writable: true });
    return new NodeStream(new TLSSocket(socket, { isServer: true, secureContext: context }));
  }

  /** Bytes of the client, in memory that is used again afterwards. */
  onBytes(memory: Buffer, start: number, end: number): void {
    if (this.#state !== "open") return;
    must(this.#listener, "it reads once it is listened to").received(memory, start, end);
  }

  /** The kernel takes more. */
  onRoom(): void {
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      const sent = this.#sockets.send(this.#id, first, first.length);
      if (sent < 0) return this.destroy();
      if (sent < first.length) {
        this.#waiting[0] = first.subarray(sent);
        return;
      }
      this.#waiting.shift();
    }
    if (this.#hasEnded) return this.destroy();
    if (this.#state === "ending") this.#sockets.finish(this.#id);
    this.#watch();
    this.#listener?.drained();
  }

  /** The client's last byte has been read, or the connection broke. What waits is still sent to a client that has only ended. */
  onEnd(isBroken: boolean): void {
    this.#hasEnded = true;
    if (isBroken || this.#waiting.length === 0) this.destroy();
    else this.#watch();
  }

  #watch(): void {
    if (this.#state === "gone" || this.#listener === undefined) return;
    this.#sockets.watch(this.#id, !this.#isPaused && !this.#hasEnded, this.#waiting.length > 0);
  }

  #leave(): void {
    this.#state = "gone";
    this.#waiting = [];
    this.#onGone();
  }
}
