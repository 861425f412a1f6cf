// Vectors -> a row block: the rows of a small INSERT or UPDATE, and the key of a look-up.
import { assert, must } from "../../common/assert.ts";
import { type Vector, writeUtf8 } from "../../common/batch/vector.ts";
import { Oid } from "../../common/types/oid.ts";
import { codecOf } from "../../common/types/registry.ts";
import type { Datum, SqlType } from "../../common/types/type.ts";
import type { ColumnBuffer, RowBlock } from "../../native/engine.ts";
import { packedBytes } from "./packed-words.ts";
import { grownBlock } from "./row-block.ts";

/**
 * Writes the first `count` rows of `columns` (of `types`) into `block`, which must have been made for them, or into a larger
 * one; gives the block that holds them. Nothing of the vectors' memory is kept.
 */
export function packRows(
  block: RowBlock,
  columns: readonly Vector[],
  types: readonly SqlType[],
  count: number,
): RowBlock {
  let packed = block;
  for (let i = 0; i < columns.length; i++) {
    const vector = columns[i] as Vector;
    const type = must(types[i], "a type per column");
    for (;;) {
      const needed = packColumn(must(packed.columns[i], "a column of the block"), vector, type, count);
      if (needed === 0) break;
      packed = grownBlock(packed, i, needed);
    }
  }
  return packed;
}

/** 0, or the bytes that the column needs and does not have. */
function packColumn(buffer: ColumnBuffer, vector: Vector, type: SqlType, count: number): number {
  if (buffer.kind === "bytes") return packBytes(buffer, vector, type, count);
  if (buffer.kind === "i64") buffer.isWide[0] = 0;
  for (let row = 0; row < count; row++) {
    const value = vector.get(row);
    buffer.nulls[row] = value === null ? 1 : 0;
    if (value === null) continue;
    switch (buffer.kind) {
      case "bool":
        (buffer.values as Uint8Array)[row] = value === true ? 1 : 0;
        break;
      case "i64":
        if (typeof value === "bigint" || buffer.isWide[0] === 1) putWide(buffer, row, value);
        else (buffer.values as Float64Array)[row] = value as number;
        break;
      case "vector":
        putWords(buffer, row, type, value);
        break;
      default:
        (buffer.values as Int32Array | Float64Array)[row] = value as number;
    }
  }
  return 0;
}

/** One value that is no safe integer makes the whole column wide. */
function putWide(buffer: ColumnBuffer, row: number, value: Datum): void {
  if (buffer.isWide[0] !== 1) {
    const narrow = buffer.values as Float64Array;
    for (let i = 0; i < row; i++) buffer.wide[i] = buffer.nulls[i] === 1 ? 0n : BigInt(narrow[i] as number);
    buffer.isWide[0] = 1;
  }
  buffer.wide[row] = BigInt(value as number | bigint);
}

function putWords(buffer: ColumnBuffer, row: number, type: SqlType, value: Datum): void {
  const { values, dim } = buffer;
  if (type.oid === Oid.vector) {
    assert(value instanceof Float32Array && value.length === dim, "an embedding of the column's dimension");
    (values as Float32Array).set(value, row * dim);
    return;
  }
  // Blocks are reused, and a value may be shorter than its row.
  const target = new Uint8Array(values.buffer, values.byteOffset + row * dim * 4, dim * 4).fill(0);
  target.set(packedBytes(type, value));
}

function packBytes(buffer: ColumnBuffer, vector: Vector, type: SqlType, count: number): number {
  const codec = codecOf(type.oid);
  const isText = codec.vectorKind === "text";
  const { bytes, offsets, nulls } = buffer;
  let size = 0;
  offsets[0] = 0;
  for (let row = 0; row < count; row++) {
    const value = vector.get(row);
    nulls[row] = value === null ? 1 : 0;
    if (value !== null && isText) {
      const text = value as string;
      // The exact count is only worth a pass over the text where three bytes a unit would waste memory.
      const room = text.length <= 1024 ? text.length * 3 : Buffer.byteLength(text);
      if (size + room > bytes.length) return size + room;
      size = writeUtf8(text, bytes, size);
    } else if (value !== null) {
      const encoded = codec.toStorage(value);
      if (size + encoded.length > bytes.length) return size + encoded.length;
      bytes.set(encoded, size);
      size += encoded.length;
    }
    offsets[row + 1] = size;
  }
  return 0;
}
