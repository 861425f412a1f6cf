// Reads the fields of one message body. One reader per connection is pointed at frame after frame, so that reading a
// message makes no object. Every read is checked against the end of the body: running over it is PostgreSQL's 08P01.
import { isUtf8 } from "node:buffer";
import { decodeUtf8 } from "../../common/batch/vector.ts";
import { SqlError, SqlState } from "../../common/error.ts";
import { invalidUtf8 } from "../../session/text-parameter.ts";

const EMPTY = Buffer.alloc(0);

/**
 * Names of statements and portals as they were last read, by a hash of their bytes: the same few come with every message, and
 * to make a string of bytes anew, and hash it for a look-up, costs more than to compare it. ASCII only.
 */
const NAMES: (string | undefined)[] = Array.from({ length: 256 }, () => undefined);
const MAX_NAME_BYTES = 63;

function nextHash(hash: number, byte: number): number {
  return (hash * 31 + byte) & 0xff;
}

/** `text` is ASCII: one byte for each character. */
function remember(text: string): void {
  if (text.length > MAX_NAME_BYTES) return;
  let hash = 0;
  for (let i = 0; i < text.length; i++) hash = nextHash(hash, text.charCodeAt(i));
  NAMES[hash] = text;
}

export class MessageReader {
  #buffer: Buffer = EMPTY;
  #position = 0;
  #end = 0;

  /** Points the reader at `buffer[start .. end)`. */
  open(buffer: Buffer, start: number, end: number): void {
    this.#buffer = buffer;
    this.#position = start;
    this.#end = end;
  }

  /** Lets go of the message's memory. */
  close(): void {
    this.#buffer = EMPTY;
    this.#position = 0;
    this.#end = 0;
  }

  get remaining(): number {
    return this.#end - this.#position;
  }

  byte(): number {
    this.#need(1);
    return this.#buffer[this.#position++] as number;
  }

  int16(): number {
    this.#need(2);
    const value = this.#buffer.readInt16BE(this.#position);
    this.#position += 2;
    return value;
  }

  uint16(): number {
    return this.int16() & 0xffff;
  }

  int32(): number {
    this.#need(4);
    const value = this.#buffer.readInt32BE(this.#position);
    this.#position += 4;
    return value;
  }

  uint32(): number {
    return this.int32() >>> 0;
  }

  /** A view of the next `count` bytes; copy what must outlive the frame. */
  bytes(count: number): Uint8Array {
    this.#need(count);
    const view = this.#buffer.subarray(this.#position, this.#position + count);
    this.#position += count;
    return view;
  }

  /** Everything up to the end of the message. */
  rest(): Uint8Array {
    return this.bytes(this.remaining);
  }

  /** A zero-terminated string in UTF-8; 22021 when it is not UTF-8. */
  cstring(): string {
    const terminator = this.#buffer.indexOf(0, this.#position);
    if (terminator < 0 || terminator >= this.#end) {
      throw new SqlError(SqlState.protocolViolation, "invalid string in message");
    }
    const text = decodeChecked(this.#buffer, this.#position, terminator);
    this.#position = terminator + 1;
    return text;
  }

  /** As cstring(), for the name of a statement or a portal. */
  name(): string {
    const known = this.#knownName();
    if (known !== undefined) return known;
    const start = this.#position;
    const text = this.cstring();
    if (text.length === this.#position - start - 1) remember(text);
    return text;
  }

  /** The name here, if it was read before. */
  #knownName(): string | undefined {
    const buffer = this.#buffer;
    const start = this.#position;
    if (start < this.#end && buffer[start] === 0) {
      // The unnamed statement and portal.
      this.#position += 1;
      return "";
    }
    const limit = Math.min(this.#end, start + MAX_NAME_BYTES + 1);
    let hash = 0;
    let at = start;
    for (; at < limit; at++) {
      const byte = buffer[at] as number;
      if (byte === 0) break;
      hash = nextHash(hash, byte);
    }
    if (at === limit) return undefined;
    const name = NAMES[hash];
    if (name === undefined || name.length !== at - start) return undefined;
    for (let i = 0; i < name.length; i++) if (name.charCodeAt(i) !== buffer[start + i]) return undefined;
    this.#position = at + 1;
    return name;
  }

  /** True when the last byte of the message is 0. */
  endsWithZero(): boolean {
    return this.remaining > 0 && this.#buffer[this.#end - 1] === 0;
  }

  /** The message must be used up. */
  finish(): void {
    if (this.remaining !== 0) throw new SqlError(SqlState.protocolViolation, "invalid message format");
  }

  #need(count: number): void {
    if (count < 0 || this.#end - this.#position < count) {
      throw new SqlError(SqlState.protocolViolation, "insufficient data left in message");
    }
  }
}

/** bytes[start .. end) as a string; 22021 with PostgreSQL's words when they are not UTF-8. */
export function decodeChecked(buffer: Buffer, start: number, end: number): string {
  const bytes = buffer.subarray(start, end);
  if (!isUtf8(bytes)) throw invalidUtf8(bytes);
  return decodeUtf8(buffer, start, end);
}
