// RowDescription and ParameterDescription: the shape of what comes and of what is wanted.
import { type FormatCodes, formatOf, type ResultColumn } from "../../session/result.ts";
import type { MessageWriter } from "../codec/message-writer.ts";
import { BackendType } from "./backend.ts";

export function writeRowDescription(
  writer: MessageWriter,
  columns: readonly ResultColumn[],
  formats: FormatCodes,
): void {
  writer.begin(BackendType.rowDescription);
  writer.int16(columns.length);
  for (let index = 0; index < columns.length; index++) {
    const column = columns[index]!;
    writer.cstring(column.name);
    writer.int32(column.tableOid);
    writer.int16(column.attnum);
    writer.int32(column.typeOid);
    writer.int16(column.typeLength);
    writer.int32(column.typmod);
    writer.int16(formatOf(formats, index));
  }
  writer.end();
}

export function writeParameterDescription(writer: MessageWriter, typeOids: readonly number[]): void {
  writer.begin(BackendType.parameterDescription);
  writer.int16(typeOids.length);
  for (const oid of typeOids) writer.int32(oid);
  writer.end();
}
