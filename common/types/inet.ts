// inet and cidr: the value is PostgreSQL's own text (canonical), with the byte form of inet_send on the wire and in storage.
// Values and order only; network operators are not here.
import { SqlError, SqlState } from "../error.ts";
import { Oid } from "./oid.ts";
import { invalidBinary, invalidSyntax } from "./scalar.ts";
import type { Datum, TypeCodec } from "./type.ts";

/** PostgreSQL's families on the wire (its AF_INET and AF_INET + 1). */
const FAMILY_4 = 2;
const FAMILY_6 = 3;

interface Network {
  /** 4 or 16. */
  readonly bytes: Uint8Array;
  readonly bits: number;
}

function parseNetwork(name: "inet" | "cidr", text: string): Network {
  const [, address = "", mask] = /^\s*([^/\s]+)(?:\/(\d{1,3}))?\s*$/.exec(text) ?? [];
  const bytes = address.includes(":")
    ? parseSix(address)
    : parseFour(address, name === "cidr" || mask !== undefined);
  if (bytes === undefined) throw invalidSyntax(name, text);
  const size = bytes.length * 8;
  const bits =
    mask === undefined ? (name === "cidr" && size === 32 ? impliedBits(address) : size) : Number(mask);
  if (bits > size) throw invalidSyntax(name, text);
  if (name === "cidr" && hasBitsBeyond(bytes, bits)) {
    throw new SqlError(SqlState.invalidTextRepresentation, `invalid cidr value: "${text}"`, {
      detail: "Value has bits set to right of mask.",
    });
  }
  return { bytes, bits };
}

/** 10.1.2.3; with `mayBeShort` also 10, 10.1: missing parts are 0. */
function parseFour(text: string, mayBeShort: boolean): Uint8Array | undefined {
  const parts = text.split(".");
  if (parts.length > 4 || (parts.length < 4 && !mayBeShort)) return undefined;
  const bytes = new Uint8Array(4);
  for (const [i, part] of parts.entries()) {
    if (!/^\d{1,3}$/.test(part) || Number(part) > 255) return undefined;
    bytes[i] = Number(part);
  }
  return bytes;
}

/** A cidr without a mask has the bits of the parts that were written. */
const impliedBits = (address: string): number => address.split(".").length * 8;

function parseSix(text: string): Uint8Array | undefined {
  const embedded = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  const four = embedded === null ? undefined : parseFour(embedded[2] ?? "", false);
  if (embedded !== null && four === undefined) return undefined;
  const hex =
    four === undefined ? text : `${embedded?.[1]}${pair(four, 0).toString(16)}:${pair(four, 2).toString(16)}`;
  const halves = hex.split("::");
  if (halves.length > 2) return undefined;
  const groups = halves.map((half) => (half === "" ? [] : half.split(":")));
  const [head = [], tail = []] = groups;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const all = [...head, ...new Array<string>(halves.length === 2 ? missing : 0).fill("0"), ...tail];
  const bytes = new Uint8Array(16);
  for (const [i, group] of all.entries()) {
    if (!/^[0-9a-f]{1,4}$/i.test(group)) return undefined;
    const value = Number.parseInt(group, 16);
    bytes[i * 2] = value >> 8;
    bytes[i * 2 + 1] = value & 0xff;
  }
  return bytes;
}

const pair = (bytes: Uint8Array, at: number): number =>
  ((bytes[at] as number) << 8) | (bytes[at + 1] as number);

function hasBitsBeyond(bytes: Uint8Array, bits: number): boolean {
  return bytes.some((byte, i) => {
    const kept = Math.min(8, Math.max(0, bits - i * 8));
    return (byte & (0xff >> kept)) !== 0;
  });
}

/** A cidr always shows its mask, an inet only a shorter one than the address. */
function formatNetwork(name: "inet" | "cidr", { bytes, bits }: Network): string {
  const address = bytes.length === 4 ? bytes.join(".") : formatSix(bytes);
  return name === "cidr" || bits < bytes.length * 8 ? `${address}/${bits}` : address;
}

/** The longest run of two or more zero groups, the first of equals, is "::"; mapped IPv4 addresses end in dots. */
function formatSix(bytes: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, i) => pair(bytes, i * 2));
  let [start, length] = [-1, 1];
  for (let i = 0; i < 8; i++) {
    let run = 0;
    while (i + run < 8 && groups[i + run] === 0) run++;
    if (run > length) [start, length] = [i, run];
  }
  const isMapped = start === 0 && (length === 6 || (length === 5 && groups[5] === 0xffff));
  if (isMapped) {
    return `::${length === 5 ? "ffff:" : ""}${bytes.subarray(12).join(".")}`;
  }
  const hex = (from: number, to: number): string =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(":");
  return start < 0 ? hex(0, 8) : `${hex(0, start)}::${hex(start + length, 8)}`;
}

function networkBytes(name: "inet" | "cidr", value: Datum): Uint8Array {
  const { bytes, bits } = parseNetwork(name, value as string);
  const family = bytes.length === 4 ? FAMILY_4 : FAMILY_6;
  return Uint8Array.from([family, bits, name === "cidr" ? 1 : 0, bytes.length, ...bytes]);
}

function networkFromBytes(name: "inet" | "cidr", sent: Uint8Array): string {
  const [family, bits = 0, , size = 0] = sent;
  const wanted = family === FAMILY_4 ? 4 : family === FAMILY_6 ? 16 : -1;
  if (size !== wanted || sent.length !== size + 4 || bits > size * 8) throw invalidBinary();
  return formatNetwork(name, { bytes: sent.slice(4), bits });
}

/** network_cmp(): family, then the common prefix, then the mask, then the whole address. */
function compareNetworks(name: "inet" | "cidr", a: string, b: string): number {
  const left = parseNetwork(name, a);
  const right = parseNetwork(name, b);
  if (left.bytes.length !== right.bytes.length) return left.bytes.length - right.bytes.length;
  const common = Math.min(left.bits, right.bits);
  return (
    compareBits(left.bytes, right.bytes, common) ||
    left.bits - right.bits ||
    compareBits(left.bytes, right.bytes, 128)
  );
}

function compareBits(a: Uint8Array, b: Uint8Array, bits: number): number {
  for (let i = 0; i < a.length && i * 8 < bits; i++) {
    const mask = bits - i * 8 >= 8 ? 0xff : (0xff << (8 - (bits - i * 8))) & 0xff;
    const difference = ((a[i] as number) & mask) - ((b[i] as number) & mask);
    if (difference !== 0) return difference;
  }
  return 0;
}

function networkCodec(name: "inet" | "cidr", oid: number): TypeCodec {
  return {
    oid,
    name,
    vectorKind: "boxed",
    storageKind: "bytes",
    keyKind: undefined,
    parse: (text) => formatNetwork(name, parseNetwork(name, text)),
    format: (value) => value as string,
    receive: (bytes) => networkFromBytes(name, bytes),
    send: (value) => networkBytes(name, value),
    toStorage: (value) => networkBytes(name, value),
    fromStorage: (bytes) => networkFromBytes(name, bytes),
    compare: (a, b) => compareNetworks(name, a as string, b as string),
    hashKey: (value) => value as string,
  };
}

export const inetCodec: TypeCodec = networkCodec("inet", Oid.inet);
export const cidrCodec: TypeCodec = networkCodec("cidr", Oid.cidr);
