// DataRow straight from the columns of a batch. Text columns copy their UTF-8 bytes, integers are printed into the output
// buffer; only what is left goes through a string or a byte array of the type's codec.
import type { Batch, Int64Vector, TextVector, Vector } from "../../common/batch/vector.ts";
import { Oid } from "../../common/types/oid.ts";
import type { Datum, TypeCodec, TypeContext } from "../../common/types/type.ts";
import { valueCodec } from "../../session/value-codec.ts";
import { type FormatCodes, formatOf, type ResultColumn } from "../../session/result.ts";
import type { MessageWriter } from "../codec/message-writer.ts";
import { BackendType } from "./backend.ts";

const TRUE = 0x74;
const FALSE = 0x66;

/** Types whose binary form is their UTF-8 bytes, so that both formats are a copy. */
const PLAIN_TEXT = new Set<number>([
  Oid.text,
  Oid.varchar,
  Oid.bpchar,
  Oid.name,
  Oid.json,
  Oid.unknown,
  Oid.cstring,
]);

interface ColumnEncoder {
  readonly codec: TypeCodec;
  readonly typeOid: number;
  readonly isBinary: boolean;
  readonly isPlainText: boolean;
}

/** A plan gives the same columns every time, and mostly the same format is asked for: all text, or all binary. */
const encoders = new WeakMap<readonly ResultColumn[], { text?: ColumnEncoder[]; binary?: ColumnEncoder[] }>();

function encodersOf(columns: readonly ResultColumn[], formats: FormatCodes): readonly ColumnEncoder[] {
  if (formats.length > 1) return makeEncoders(columns, formats);
  let known = encoders.get(columns);
  if (known === undefined) {
    known = {};
    encoders.set(columns, known);
  }
  if (formatOf(formats, 0) === 1) return (known.binary ??= makeEncoders(columns, formats));
  return (known.text ??= makeEncoders(columns, formats));
}

function makeEncoders(columns: readonly ResultColumn[], formats: FormatCodes): ColumnEncoder[] {
  return columns.map((column, index) => ({
    codec: valueCodec(column.typeOid),
    typeOid: column.typeOid,
    isBinary: formatOf(formats, index) === 1,
    isPlainText: PLAIN_TEXT.has(column.typeOid),
  }));
}

/** Writes the rows of one result; made once per portal. */
export class RowEncoder {
  readonly #columns: readonly ColumnEncoder[];
  readonly #types: TypeContext;

  constructor(columns: readonly ResultColumn[], formats: FormatCodes, types: TypeContext) {
    this.#columns = encodersOf(columns, formats);
    this.#types = types;
  }

  /** One row as one message. When a value cannot be printed the message is taken back and the error thrown. */
  write(writer: MessageWriter, batch: Batch, row: number): void {
    writer.begin(BackendType.dataRow);
    try {
      const columns = this.#columns;
      writer.int16(columns.length);
      for (let i = 0; i < columns.length; i++) {
        this.#writeValue(writer, columns[i]!, batch.columns[i]!, row);
      }
    } catch (error) {
      writer.abandon();
      throw error;
    }
    writer.end();
  }

  #writeValue(writer: MessageWriter, column: ColumnEncoder, vector: Vector, row: number): void {
    if (vector.isNull(row)) {
      writer.nullValue();
      return;
    }
    const isDone = column.isBinary
      ? writeBinary(writer, column, vector, row)
      : writeText(writer, column, vector, row);
    if (isDone) return;
    const value = vector.get(row);
    if (column.isBinary) writer.value(column.codec.send(value));
    else writer.text(column.codec.format(value, this.#types));
  }
}

/** The representations that need no codec; false = not one of them. */
function writeText(writer: MessageWriter, column: ColumnEncoder, vector: Vector, row: number): boolean {
  switch (vector.kind) {
    case "text":
      copyText(writer, vector, row);
      return true;
    case "i32":
      if (column.typeOid !== Oid.int4 && column.typeOid !== Oid.int2) return false;
      writer.decimal(vector.values[row]!);
      return true;
    case "i64":
      if (vector.values === undefined || (column.typeOid !== Oid.int8 && column.typeOid !== Oid.oid))
        return false;
      writer.decimal(vector.values[row]!);
      return true;
    case "bool":
      writer.int32(1);
      writer.byte(vector.values[row] === 1 ? TRUE : FALSE);
      return true;
    case "constant":
    case "boxed":
      return writeBoxedText(writer, column, vector.get(row));
    case "f64":
    case "embedding":
      return false;
  }
}

function writeBoxedText(writer: MessageWriter, column: ColumnEncoder, value: Datum): boolean {
  if (!column.isPlainText || typeof value !== "string") return false;
  writer.text(value);
  return true;
}

function writeBinary(writer: MessageWriter, column: ColumnEncoder, vector: Vector, row: number): boolean {
  switch (vector.kind) {
    case "text":
      if (!column.isPlainText) return false;
      copyText(writer, vector, row);
      return true;
    case "i32":
      return writeBinaryInt32(writer, column.typeOid, vector.values[row]!);
    case "i64":
      return column.typeOid === Oid.int8 && writeBinaryInt64(writer, vector, row);
    case "bool":
      writer.int32(1);
      writer.byte(vector.values[row]!);
      return true;
    case "constant":
    case "boxed":
      return writeBoxedText(writer, column, vector.get(row));
    case "f64":
    case "embedding":
      return false;
  }
}

function writeBinaryInt32(writer: MessageWriter, typeOid: number, value: number): boolean {
  if (typeOid === Oid.int4) {
    writer.int32(4);
    writer.int32(value);
    return true;
  }
  if (typeOid === Oid.int2) {
    writer.int32(2);
    writer.int16(value);
    return true;
  }
  return false;
}

const TWO_TO_32 = 0x1_0000_0000;

function writeBinaryInt64(writer: MessageWriter, vector: Int64Vector, row: number): boolean {
  if (vector.values === undefined) return false;
  const value = vector.values[row]!;
  const high = Math.floor(value / TWO_TO_32);
  writer.int32(8);
  writer.int32(high);
  writer.int32(value - high * TWO_TO_32);
  return true;
}

function copyText(writer: MessageWriter, vector: TextVector, row: number): void {
  writer.slice(vector.bytes, vector.offsets[row]!, vector.offsets[row + 1]!);
}
