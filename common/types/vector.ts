// pgvector's `vector`: up to 16,000 float4 values; the modifier is the dimension. Values are Float32Array and must not be
// changed. Binary: int16 dimension, int16 0, dimension big-endian floats. Storage kind `vector` keeps the floats themselves.
import { SqlError, SqlState } from "../error.ts";
import { ByteReader, ByteWriter } from "./bytes.ts";
import {
  checkDimensions,
  checkElement,
  checkModifier,
  compareEmbeddings,
  embeddingKey,
  formatEmbedding,
  parseEmbedding,
  VECTOR,
} from "./embedding.ts";
import { Oid } from "./oid.ts";
import type { Datum, TypeCodec } from "./type.ts";

export function parseVector(text: string): Float32Array {
  return parseEmbedding(VECTOR, text);
}

/** vector(n): the dimension must be n. */
function applyModifier(value: Float32Array, typmod: number): Float32Array {
  checkModifier(value.length, typmod);
  return value;
}

function receive(bytes: Uint8Array, typmod = -1): Float32Array {
  const reader = new ByteReader(bytes, "vector");
  const dimensions = reader.int16();
  const unused = reader.int16();
  checkDimensions(VECTOR, dimensions);
  checkModifier(dimensions, typmod);
  if (unused !== 0) throw new SqlError(SqlState.dataException, `expected unused to be 0, not ${unused}`);
  const payload = reader.bytes(dimensions * 4);
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const out = new Float32Array(dimensions);
  for (let i = 0; i < dimensions; i++) {
    const value = view.getFloat32(i * 4);
    checkElement("vector", value);
    out[i] = value;
  }
  reader.end();
  return out;
}

function send(value: Datum): Uint8Array {
  const floats = value as Float32Array;
  const out = new ByteWriter();
  out.uint16(floats.length);
  out.uint16(0);
  const payload = new Uint8Array(floats.length * 4);
  const view = new DataView(payload.buffer);
  for (let i = 0; i < floats.length; i++) view.setFloat32(i * 4, floats[i] as number);
  out.bytes(payload);
  return out.finish();
}

export const vectorCodec: TypeCodec = {
  oid: Oid.vector,
  name: "vector",
  vectorKind: "embedding",
  storageKind: "vector",
  keyKind: "vector",
  parse: (text, typmod) => applyModifier(parseVector(text), typmod),
  format: (value) => formatEmbedding(value as Float32Array),
  receive: (bytes, typmod) => receive(bytes, typmod),
  send,
  toStorage: send,
  fromStorage: (bytes) => receive(bytes),
  compare: (a, b) => compareEmbeddings(a as Float32Array, b as Float32Array),
  hashKey: (value) => embeddingKey(value as Float32Array),
};
