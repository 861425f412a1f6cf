// Rows in COPY's binary format, as pgvector's clients write it.
import { BITS, type Row } from "./rows.ts";

/** The columns that are written; `h`, for which JavaScript has no number type, stays NULL. */
export const BINARY_COLUMNS = "id, owner, cat, v, s, b, body, note";

const SIGNATURE = Buffer.from("PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", "latin1");

const int16 = (value: number): Buffer => {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
};
const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};
const int64 = (value: number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(BigInt(value));
  return bytes;
};
const float32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatBE(value);
  return bytes;
};

function vector(text: string): Buffer {
  const elements = text.slice(1, -1).split(",").map(Number);
  return Buffer.concat([int16(elements.length), int16(0), ...elements.map(float32)]);
}

/** Indexes are counted from one in text, from zero here. */
function sparse(text: string): Buffer {
  const [elements = "", dimensions = ""] = text.slice(1).split("}/");
  const pairs = elements.split(",").map((pair) => pair.split(":").map(Number));
  return Buffer.concat([
    int32(Number(dimensions)),
    int32(pairs.length),
    int32(0),
    ...pairs.map(([index = 0]) => int32(index - 1)),
    ...pairs.map(([, value = 0]) => float32(value)),
  ]);
}

function bits(text: string): Buffer {
  const bytes = Array.from({ length: BITS / 8 }, (_, i) => Number.parseInt(text.slice(i * 8, i * 8 + 8), 2));
  return Buffer.concat([int32(BITS), Buffer.from(bytes)]);
}

function record(row: Row, owner: number): Buffer {
  const fields = [
    int64(row.id),
    int32(owner),
    int32(row.cat),
    vector(row.v),
    sparse(row.s),
    bits(row.b),
    Buffer.from(row.body),
    Buffer.from(row.note),
  ];
  return Buffer.concat([int16(fields.length), ...fields.flatMap((field) => [int32(field.length), field])]);
}

/** The whole stream of `COPY ... (BINARY_COLUMNS) FROM STDIN (FORMAT binary)`. */
export function copyBinaryOf(rows: readonly Row[], owner: number): Buffer {
  return Buffer.concat([SIGNATURE, ...rows.map((row) => record(row, owner)), int16(-1)]);
}
