// The output side of one connection: messages are written one after the other into one growing buffer, which goes to the
// socket as a whole (one write per received chunk). No object is made per message or per value.
//
// The buffer is reused once the socket has copied it to the kernel. Whether it has is the owner's knowledge: take() hands out
// the filled part, and then either reuse() or nothing is called; without it the next message starts in a new buffer.
import { assert } from "../../common/assert.ts";
import { SqlError, SqlState } from "../../common/error.ts";

const INITIAL_BYTES = 4096;
/** A buffer that grew beyond this for one large answer is not kept by an idle connection. */
const MAX_KEPT_BYTES = 64 * 1024;
/** A message is at most what its 32-bit length and PostgreSQL's string buffers allow: 1 GB. */
const MAX_BUFFER_BYTES = 0x3fff_ffff;
/** For short values a loop beats the call that a subarray and a set cost. */
const MAX_BY_HAND = 32;
const MINUS = 0x2d;
const ZERO = 0x30;

const EMPTY = Buffer.alloc(0);

export class MessageWriter {
  #buffer: Buffer = EMPTY;
  /** The buffer last taken, until it is known to be free. */
  #spare: Buffer = EMPTY;
  #length = 0;
  #messageStart = -1;

  /** Bytes written and not yet taken. */
  get length(): number {
    return this.#length;
  }

  /** The bytes written, in the first `length` places. */
  get buffer(): Uint8Array {
    return this.#buffer;
  }

  /** Opens a message; its length is filled in by end(). */
  begin(type: number): void {
    assert(this.#messageStart < 0, "one message at a time");
    this.#reserve(5);
    this.#buffer[this.#length] = type;
    this.#messageStart = this.#length + 1;
    this.#length += 5;
  }

  end(): void {
    assert(this.#messageStart >= 0, "a message was begun");
    this.#buffer.writeInt32BE(this.#length - this.#messageStart, this.#messageStart);
    this.#messageStart = -1;
  }

  /** Forgets an unfinished message: a value failed to print. */
  abandon(): void {
    if (this.#messageStart < 0) return;
    this.#length = this.#messageStart - 1;
    this.#messageStart = -1;
  }

  /** Forgets the messages written since `length` was this. */
  rewind(length: number): void {
    assert(this.#messageStart < 0 && length <= this.#length, "back to a message's end");
    this.#length = length;
  }

  /** Bytes prepared beforehand: constant replies. */
  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    if (bytes.length <= MAX_BY_HAND) {
      for (let i = 0; i < bytes.length; i++) this.#buffer[this.#length++] = bytes[i] as number;
    } else {
      this.#buffer.set(bytes, this.#length);
      this.#length += bytes.length;
    }
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#buffer[this.#length++] = value;
  }

  int16(value: number): void {
    this.#reserve(2);
    this.#buffer[this.#length++] = (value >> 8) & 0xff;
    this.#buffer[this.#length++] = value & 0xff;
  }

  int32(value: number): void {
    this.#reserve(4);
    this.#length = this.#buffer.writeInt32BE(value | 0, this.#length);
  }

  cstring(text: string): void {
    this.#text(text);
    this.byte(0);
  }

  /** NULL in a DataRow. */
  nullValue(): void {
    this.int32(-1);
  }

  /** A value of a DataRow: its length, then its bytes. */
  value(bytes: Uint8Array): void {
    this.int32(bytes.length);
    this.raw(bytes);
  }

  /** bytes[start .. end) of a text column. */
  slice(bytes: Uint8Array, start: number, end: number): void {
    const count = end - start;
    this.#reserve(4 + count);
    this.#length = this.#buffer.writeInt32BE(count, this.#length);
    if (count <= MAX_BY_HAND) {
      for (let i = start; i < end; i++) this.#buffer[this.#length++] = bytes[i] as number;
    } else {
      this.#buffer.set(bytes.subarray(start, end), this.#length);
      this.#length += count;
    }
  }

  /** A string value: its length in UTF-8, then its bytes. */
  text(text: string): void {
    this.#reserve(4);
    const lengthAt = this.#length;
    this.#length += 4;
    this.#text(text);
    this.#buffer.writeInt32BE(this.#length - lengthAt - 4, lengthAt);
  }

  /** An integer value of magnitude below 2^53 in decimal. */
  decimal(value: number): void {
    this.#reserve(4 + 20);
    const lengthAt = this.#length;
    let at = lengthAt + 4;
    let rest = value;
    if (rest < 0) {
      this.#buffer[at++] = MINUS;
      rest = -rest;
    }
    const first = at;
    do {
      const quotient = Math.floor(rest / 10);
      this.#buffer[at++] = ZERO + (rest - quotient * 10);
      rest = quotient;
    } while (rest > 0);
    for (let low = first, high = at - 1; low < high; low++, high--) {
      const digit = this.#buffer[low] as number;
      this.#buffer[low] = this.#buffer[high] as number;
      this.#buffer[high] = digit;
    }
    this.#buffer.writeInt32BE(at - lengthAt - 4, lengthAt);
    this.#length = at;
  }

  /** The filled part. The caller says with reuse() when nobody reads it any more. */
  take(): Buffer {
    assert(this.#messageStart < 0, "only whole messages leave");
    const filled = this.#buffer.subarray(0, this.#length);
    this.#length = 0;
    if (this.#buffer.length > MAX_KEPT_BYTES) this.#spare = EMPTY;
    else this.#spare = this.#buffer;
    this.#buffer = EMPTY;
    return filled;
  }

  /** All that is written has been sent: the next message goes into the same memory, unless that is large. */
  clear(): void {
    assert(this.#messageStart < 0, "only whole messages leave");
    this.#length = 0;
    if (this.#buffer.length > MAX_KEPT_BYTES) this.#buffer = EMPTY;
  }

  /** What take() gave is free again. */
  reuse(): void {
    if (this.#buffer.length === 0) this.#buffer = this.#spare;
    this.#spare = EMPTY;
  }

  #text(text: string): void {
    // UTF-16 units take three bytes at most. The exact count is only worth a pass when that would over-allocate visibly.
    const atMost = text.length <= 1024 ? text.length * 3 : Buffer.byteLength(text);
    this.#reserve(atMost);
    if (text.length <= 24) {
      let at = this.#length;
      for (let i = 0; i < text.length; i++) {
        const unit = text.charCodeAt(i);
        if (unit >= 0x80) {
          this.#length += this.#buffer.write(text, this.#length);
          return;
        }
        this.#buffer[at++] = unit;
      }
      this.#length = at;
      return;
    }
    this.#length += this.#buffer.write(text, this.#length);
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#buffer.length) return;
    if (needed > MAX_BUFFER_BYTES) {
      throw new SqlError(SqlState.programLimitExceeded, "out of memory", {
        detail: `Cannot enlarge string buffer containing ${this.#length} bytes by ${count} more bytes.`,
      });
    }
    const doubled = Math.min(this.#buffer.length * 2, MAX_BUFFER_BYTES);
    const grown = Buffer.allocUnsafeSlow(Math.max(INITIAL_BYTES, doubled, needed));
    grown.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = grown;
  }
}
