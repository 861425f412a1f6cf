// Big-endian reading and writing of the binary formats of SQL values. The reader judges the client's bytes: too few is 08P01
// and left-overs are 22P03, with PostgreSQL's words.
import { SqlError, SqlState } from "../error.ts";

export class ByteWriter {
  #bytes = new Uint8Array(64);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  #reserve(size: number): number {
    const at = this.#length;
    if (at + size > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#bytes.length * 2, at + size));
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    this.#length = at + size;
    return at;
  }
  uint8(value: number): void {
    this.#bytes[this.#reserve(1)] = value;
  }
  uint16(value: number): void {
    const at = this.#reserve(2);
    this.#view.setUint16(at, value);
  }
  int32(value: number): void {
    const at = this.#reserve(4);
    this.#view.setInt32(at, value);
  }
  int64(value: bigint): void {
    const at = this.#reserve(8);
    this.#view.setBigInt64(at, value);
  }
  float32(value: number): void {
    const at = this.#reserve(4);
    this.#view.setFloat32(at, value);
  }
  bytes(value: Uint8Array): void {
    const at = this.#reserve(value.length);
    this.#bytes.set(value, at);
  }
  /** The bytes written; the writer must not be used afterwards. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}

export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #typeName: string;
  #at = 0;

  constructor(bytes: Uint8Array, typeName: string) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#typeName = typeName;
  }
  #take(size: number): number {
    const at = this.#at;
    if (size < 0 || at + size > this.#bytes.length) {
      throw new SqlError(SqlState.protocolViolation, "insufficient data left in message");
    }
    this.#at = at + size;
    return at;
  }
  get remaining(): number {
    return this.#bytes.length - this.#at;
  }
  uint8(): number {
    return this.#bytes[this.#take(1)] as number;
  }
  uint16(): number {
    return this.#view.getUint16(this.#take(2));
  }
  int16(): number {
    return this.#view.getInt16(this.#take(2));
  }
  int32(): number {
    return this.#view.getInt32(this.#take(4));
  }
  int64(): bigint {
    return this.#view.getBigInt64(this.#take(8));
  }
  float32(): number {
    return this.#view.getFloat32(this.#take(4));
  }
  bytes(length: number): Uint8Array {
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }
  rest(): Uint8Array {
    return this.bytes(this.remaining);
  }
  /** 22P03 when bytes are left: the value is longer than its type. */
  end(): void {
    if (this.remaining > 0) {
      throw new SqlError(SqlState.invalidBinaryRepresentation, "incorrect binary data format");
    }
  }
  get typeName(): string {
    return this.#typeName;
  }
}

/** Memcmp order. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}
