// tid, the type of ctid: "(block,offset)" kept as its text. 6 bytes on the wire.
import { ByteReader, ByteWriter } from "./bytes.ts";
import { Oid } from "./oid.ts";
import { invalidSyntax } from "./scalar.ts";
import type { Datum, TypeCodec } from "./type.ts";

/** Block and offset of a tid value. */
export function tidParts(value: Datum): { readonly block: number; readonly offset: number } {
  const [block, offset] = (value as string).slice(1, -1).split(",");
  return { block: Number(block), offset: Number(offset) };
}

function parse(text: string): Datum {
  const match = /^\s*\(\s*(\d+)\s*,\s*(\d+)\s*\)\s*$/.exec(text);
  if (match === null || Number(match[1]) > 4294967295 || Number(match[2]) > 65535)
    throw invalidSyntax("tid", text);
  return `(${Number(match[1])},${Number(match[2])})`;
}

function send(value: Datum): Uint8Array {
  const { block, offset } = tidParts(value);
  const out = new ByteWriter();
  out.int32(block | 0);
  out.uint16(offset);
  return out.finish();
}

function receive(bytes: Uint8Array): Datum {
  const reader = new ByteReader(bytes, "tid");
  const block = reader.int32() >>> 0;
  const offset = reader.uint16();
  reader.end();
  return `(${block},${offset})`;
}

export const tidCodec: TypeCodec = {
  oid: Oid.tid,
  name: "tid",
  vectorKind: "boxed",
  storageKind: "bytes",
  keyKind: undefined,
  parse,
  format: (value) => value as string,
  receive,
  send,
  toStorage: send,
  fromStorage: receive,
  compare: (a, b) => {
    const left = tidParts(a);
    const right = tidParts(b);
    return left.block - right.block || left.offset - right.offset;
  },
  hashKey: (value) => value as string,
};
