// ErrorResponse and NoticeResponse: fields by one-letter codes ("Error and Notice Message Fields"). File, line and routine
// (F, L, R) name PostgreSQL's own sources and are left out.
import type { Notice, SqlError, SqlErrorFields } from "../../common/error.ts";
import type { MessageWriter } from "../codec/message-writer.ts";
import { BackendType } from "./backend.ts";

const FIELD = {
  severity: 0x53, // S
  severityUntranslated: 0x56, // V
  code: 0x43, // C
  message: 0x4d, // M
  detail: 0x44, // D
  hint: 0x48, // H
  position: 0x50, // P
  where: 0x57, // W
  schema: 0x73, // s
  table: 0x74, // t
  column: 0x63, // c
  dataType: 0x64, // d
  constraint: 0x6e, // n
} as const;

export function writeErrorResponse(writer: MessageWriter, error: SqlError): void {
  writer.begin(BackendType.errorResponse);
  writeFields(writer, error.severity, error.code, error.message, error.fields);
  writer.end();
}

export function writeNoticeResponse(writer: MessageWriter, notice: Notice): void {
  writer.begin(BackendType.noticeResponse);
  const { severity, code, message, ...fields } = notice;
  writeFields(writer, severity, code, message, fields);
  writer.end();
}

function writeFields(
  writer: MessageWriter,
  severity: string,
  code: string,
  message: string,
  fields: SqlErrorFields,
): void {
  writeField(writer, FIELD.severity, severity);
  writeField(writer, FIELD.severityUntranslated, severity);
  writeField(writer, FIELD.code, code);
  writeField(writer, FIELD.message, message);
  writeField(writer, FIELD.detail, fields.detail);
  writeField(writer, FIELD.hint, fields.hint);
  if (fields.position !== undefined && fields.position > 0) {
    writeField(writer, FIELD.position, String(fields.position));
  }
  writeField(writer, FIELD.where, fields.where);
  writeField(writer, FIELD.schema, fields.schema);
  writeField(writer, FIELD.table, fields.table);
  writeField(writer, FIELD.column, fields.column);
  writeField(writer, FIELD.dataType, fields.dataType);
  writeField(writer, FIELD.constraint, fields.constraint);
  writer.byte(0);
}

/** A NUL inside a text (it may quote the user's input) would end the field early and lose the stream. */
function writeField(writer: MessageWriter, field: number, text: string | undefined): void {
  if (text === undefined) return;
  writer.byte(field);
  writer.cstring(text.includes("\0") ? text.replaceAll("\0", "") : text);
}
