// uuid: canonical lower-case text as the value, 16 bytes on the wire and in storage. Input takes upper case, braces and
// hyphens after any group of four digits.
import { Oid } from "./oid.ts";
import { fixedView, invalidSyntax } from "./scalar.ts";
import type { Datum, TypeCodec } from "./type.ts";

const UUID = /^(?:[0-9a-f]{4}-?){7}[0-9a-f]{4}$/i;

export function parseUuid(text: string): string {
  const isBraced = text.startsWith("{") && text.endsWith("}");
  const body = isBraced ? text.slice(1, -1) : text;
  if (!UUID.test(body)) throw invalidSyntax("uuid", text);
  return canonical(body.replaceAll("-", "").toLowerCase());
}

function canonical(hex: string): string {
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** 16 bytes as text. */
export function uuidFromBytes(bytes: Uint8Array): string {
  fixedView(bytes, 16);
  return canonical(Buffer.from(bytes.buffer, bytes.byteOffset, 16).toString("hex"));
}

export function uuidBytes(value: Datum): Uint8Array {
  return new Uint8Array(Buffer.from((value as string).replaceAll("-", ""), "hex"));
}

export const uuidCodec: TypeCodec = {
  oid: Oid.uuid,
  name: "uuid",
  vectorKind: "boxed",
  storageKind: "bytes",
  keyKind: "bytes",
  parse: (text) => parseUuid(text),
  format: (value) => value as string,
  receive: (bytes) => uuidFromBytes(bytes),
  send: uuidBytes,
  toStorage: uuidBytes,
  fromStorage: uuidFromBytes,
  // Hexadecimal digits sort as the bytes do.
  compare: (a, b) => ((a as string) < (b as string) ? -1 : a === b ? 0 : 1),
  hashKey: (value) => value as string,
};
