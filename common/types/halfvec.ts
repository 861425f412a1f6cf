// pgvector's `halfvec`: as `vector` with half-precision elements. Values are Float32Array whose elements are halves, so that
// distances run over floats and only input, wire and storage convert.
// Binary: int16 dimension, int16 0, dimension big-endian halves. Storage: the halves, little-endian, and nothing else.
import { SqlError, SqlState } from "../error.ts";
import { ByteReader } from "./bytes.ts";
import {
  checkDimensions,
  checkElement,
  checkModifier,
  compareEmbeddings,
  embeddingKey,
  formatEmbedding,
  HALFVEC,
  parseEmbedding,
} from "./embedding.ts";
import { halfBits, halfTable } from "./half.ts";
import { Oid } from "./oid.ts";
import type { Datum, TypeCodec } from "./type.ts";

const HEADER_BYTES = 4;

function parse(text: string, typmod: number): Float32Array {
  const value = parseEmbedding(HALFVEC, text);
  checkModifier(value.length, typmod);
  return value;
}

function receive(bytes: Uint8Array, typmod: number): Float32Array {
  const reader = new ByteReader(bytes, "halfvec");
  const dimensions = reader.int16();
  const unused = reader.int16();
  checkDimensions(HALFVEC, dimensions);
  checkModifier(dimensions, typmod);
  if (unused !== 0) throw new SqlError(SqlState.dataException, `expected unused to be 0, not ${unused}`);
  const out = decode(reader.bytes(dimensions * 2), false);
  for (const value of out) checkElement("halfvec", value);
  reader.end();
  return out;
}

function send(value: Datum): Uint8Array {
  const elements = value as Float32Array;
  const out = new Uint8Array(HEADER_BYTES + elements.length * 2);
  const view = new DataView(out.buffer);
  view.setUint16(0, elements.length);
  for (let i = 0; i < elements.length; i++)
    view.setUint16(HEADER_BYTES + i * 2, halfBits(elements[i] as number));
  return out;
}

function toStorage(value: Datum): Uint8Array {
  const elements = value as Float32Array;
  const out = new Uint8Array(elements.length * 2);
  const view = new DataView(out.buffer);
  for (let i = 0; i < elements.length; i++) view.setUint16(i * 2, halfBits(elements[i] as number), true);
  return out;
}

function decode(bytes: Uint8Array, isLittleEndian: boolean): Float32Array {
  const table = halfTable();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const out = new Float32Array(bytes.length >> 1);
  for (let i = 0; i < out.length; i++) out[i] = table[view.getUint16(i * 2, isLittleEndian)] as number;
  return out;
}

export const halfvecCodec: TypeCodec = {
  oid: Oid.halfvec,
  name: "halfvec",
  vectorKind: "boxed",
  storageKind: "bytes",
  keyKind: "halfvec",
  parse,
  format: (value) => formatEmbedding(value as Float32Array),
  receive: (bytes, typmod) => receive(bytes, typmod),
  send,
  toStorage,
  fromStorage: (bytes) => decode(bytes, true),
  compare: (a, b) => compareEmbeddings(a as Float32Array, b as Float32Array),
  hashKey: (value) => embeddingKey(value as Float32Array),
};
