// Cuts the byte stream of a client into frames: a type byte and a 32-bit length that counts itself, or, before the session
// starts, the length alone. Chunks are read in place, in memory that the next chunk will overwrite: what is left of one goes
// into memory of the reader's own (keep). A frame that crosses a chunk border is joined, once, when all its bytes are here, so
// memory grows with the bytes received and never with the length announced.
//
// A frame is checked against the limit of its kind as soon as its header is here. What a frame means is no affair of this file.
import { must } from "../../common/assert.ts";
import { SqlError, SqlState } from "../../common/error.ts";

/** PostgreSQL's MAX_STARTUP_PACKET_LENGTH. */
export const MAX_STARTUP_BYTES = 10_000;
/** Passwords and SASL responses: PostgreSQL takes 64 KB, no client sends more than a few hundred bytes. */
export const MAX_AUTH_BYTES = 65_535;
/** PostgreSQL's PQ_SMALL_MESSAGE_LIMIT: messages that carry a name at most. */
export const MAX_SMALL_BYTES = 10_000;
/** PostgreSQL's PQ_LARGE_MESSAGE_LIMIT (1 GB): statements, parameters, COPY data. */
export const MAX_LARGE_BYTES = 0x3fff_ffff;

const EMPTY = Buffer.alloc(0);
const LENGTH_BYTES = 4;

/** Reads the limit of a message kind; undefined = no such kind, the stream is lost. */
export type FrameLimit = (type: number) => number | undefined;

/** The startup packet and its cousins have no type byte. */
export type FrameShape = "untyped" | "typed";

export class FrameReader {
  /** Type byte of the current frame; 0 for untyped ones. */
  type = 0;
  /** The current frame's body is `buffer[start .. end)`, valid until it is let go of by the caller. */
  buffer: Buffer = EMPTY;
  start = 0;
  end = 0;

  #shape: FrameShape = "untyped";
  #limit: FrameLimit = () => MAX_STARTUP_BYTES;
  /** What is not yet given out lies at #head[#offset .. #headEnd), then in #rest. */
  #head: Buffer = EMPTY;
  #offset = 0;
  #headEnd = 0;
  /** Whether the last chunk pushed (the head, or the end of the rest) still lies in the socket's memory. */
  #isBorrowed = false;
  #rest: Buffer[] = [];
  #restBytes = 0;

  /** What the frames from here on look like. */
  expect(shape: FrameShape, limit: FrameLimit): void {
    this.#shape = shape;
    this.#limit = limit;
  }

  /** Takes a chunk of the socket, `memory[start .. end)`, which is the reader's until keep(). */
  push(memory: Buffer, start: number, end: number): void {
    this.#isBorrowed = true;
    if (this.#offset === this.#headEnd && this.#restBytes === 0) this.#setHead(memory, start, end);
    else {
      this.#rest.push(memory.subarray(start, end));
      this.#restBytes += end - start;
    }
  }

  #setHead(memory: Buffer, start: number, end: number): void {
    this.#head = memory;
    this.#offset = start;
    this.#headEnd = end;
  }

  /** Copies what is left of the chunk: its memory is used again. The current frame is over. */
  keep(): void {
    if (!this.#isBorrowed) return;
    this.#isBorrowed = false;
    const last = this.#rest.pop();
    if (last !== undefined) this.#rest.push(Buffer.from(last));
    else if (this.#offset < this.#headEnd) {
      const kept = Buffer.from(this.#head.subarray(this.#offset, this.#headEnd));
      this.#setHead(kept, 0, kept.length);
    } else this.#letGo();
  }

  /** Bytes received and not yet given out as frames. */
  get bufferedBytes(): number {
    return this.#headEnd - this.#offset + this.#restBytes;
  }

  /** Whether all that is left is one frame of this type without a body. */
  endsWith(type: number): boolean {
    const at = this.#offset;
    if (this.bufferedBytes !== 1 + LENGTH_BYTES || this.#restBytes > 0) return false;
    return this.#head[at] === type && this.#head.readInt32BE(at + 1) === LENGTH_BYTES;
  }

  /** Moves to the next whole frame; false when its bytes are not all here. Throws FATAL 08P01 for an impossible header. */
  next(): boolean {
    const typeBytes = this.#shape === "typed" ? 1 : 0;
    const headerBytes = typeBytes + LENGTH_BYTES;
    if (this.bufferedBytes < headerBytes) {
      this.#letGo();
      return false;
    }
    if (this.#headEnd - this.#offset < headerBytes) this.#join();
    const type = typeBytes === 1 ? (this.#head[this.#offset] as number) : 0;
    const length = this.#head.readInt32BE(this.#offset + typeBytes);
    this.#check(type, length);
    const frameBytes = typeBytes + length;
    if (this.bufferedBytes < frameBytes) return false;
    this.type = type;
    if (this.#headEnd - this.#offset < frameBytes) {
      this.buffer = this.#takeAcross(frameBytes);
      this.start = headerBytes;
      this.end = frameBytes;
      return true;
    }
    this.buffer = this.#head;
    this.start = this.#offset + headerBytes;
    this.end = this.#offset + frameBytes;
    this.#offset = this.end;
    return true;
  }

  /**
   * The frame of this length that begins in the head and ends behind it, in memory of its own. The chunk it ends in becomes the
   * head as it is: of a long pipeline only the frames that cross borders are copied.
   */
  #takeAcross(frameBytes: number): Buffer {
    const frame = Buffer.allocUnsafe(frameBytes);
    let filled = this.#head.copy(frame, 0, this.#offset, this.#headEnd);
    let used = 0;
    while (filled < frameBytes) {
      const chunk = must(this.#rest[used], "the frame's bytes are here");
      const copied = chunk.copy(frame, filled);
      this.#setHead(chunk, copied, chunk.length);
      filled += copied;
      this.#restBytes -= chunk.length;
      used += 1;
    }
    this.#rest.splice(0, used);
    return frame;
  }

  /** What came after the current frame, taken out of the reader: the bytes of a TLS handshake follow an SSLRequest. */
  takeRest(): Buffer {
    this.#join();
    const rest = this.#head.subarray(this.#offset, this.#headEnd);
    this.#setHead(EMPTY, 0, 0);
    this.#isBorrowed = false;
    this.buffer = EMPTY;
    return rest;
  }

  #check(type: number, length: number): void {
    const limit = this.#limit(type);
    if (limit === undefined) {
      throw new SqlError(SqlState.protocolViolation, `invalid frontend message type ${type}`, {
        severity: "FATAL",
      });
    }
    if (length < LENGTH_BYTES || length - LENGTH_BYTES > limit) {
      const what = this.#shape === "typed" ? "invalid message length" : "invalid length of startup packet";
      throw new SqlError(SqlState.protocolViolation, what, { severity: "FATAL" });
    }
  }

  #join(): void {
    if (this.#restBytes === 0) return;
    const joined = Buffer.concat([this.#head.subarray(this.#offset, this.#headEnd), ...this.#rest]);
    this.#setHead(joined, 0, joined.length);
    this.#isBorrowed = false;
    this.#rest = [];
    this.#restBytes = 0;
  }

  /** An idle connection must not hold on to the last 64 KB chunk it received. */
  #letGo(): void {
    if (this.bufferedBytes > 0) return;
    this.#setHead(EMPTY, 0, 0);
    this.buffer = EMPTY;
    this.start = 0;
    this.end = 0;
  }
}
