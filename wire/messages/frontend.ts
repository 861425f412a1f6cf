// Frontend messages after the startup: their type bytes, their size limits (PostgreSQL's), and the readers of those with a
// body worth naming. Simple bodies (Execute, Describe, Close) are read where they are handled: no object per message.
import { SqlError, SqlState } from "../../common/error.ts";
import type { FormatCodes } from "../../session/result.ts";
import { MAX_LARGE_BYTES, MAX_SMALL_BYTES } from "../codec/frame-reader.ts";
import type { MessageReader } from "../codec/message-reader.ts";

export const FrontendType = {
  bind: 0x42, // B
  close: 0x43, // C
  copyData: 0x64, // d
  copyDone: 0x63, // c
  copyFail: 0x66, // f
  describe: 0x44, // D
  execute: 0x45, // E
  flush: 0x48, // H
  functionCall: 0x46, // F
  parse: 0x50, // P
  password: 0x70, // p
  query: 0x51, // Q
  sync: 0x53, // S
  terminate: 0x58, // X
} as const;

export const STATEMENT = 0x53; // S
export const PORTAL = 0x50; // P

/** Largest body by message type once the session runs; undefined = not a message. */
export function sessionFrameLimit(type: number): number | undefined {
  switch (type) {
    case FrontendType.query:
    case FrontendType.parse:
    case FrontendType.bind:
    case FrontendType.functionCall:
    case FrontendType.copyData:
      return MAX_LARGE_BYTES;
    case FrontendType.close:
    case FrontendType.copyDone:
    case FrontendType.copyFail:
    case FrontendType.describe:
    case FrontendType.execute:
    case FrontendType.flush:
    case FrontendType.sync:
    case FrontendType.terminate:
      return MAX_SMALL_BYTES;
    default:
      return undefined;
  }
}

export interface ParseMessage {
  readonly name: string;
  readonly sql: string;
  /** Declared parameter types; 0 = infer. */
  readonly parameterTypes: readonly number[];
}

export function readParse(reader: MessageReader): ParseMessage {
  const name = reader.name();
  const sql = reader.cstring();
  const count = reader.uint16();
  const parameterTypes: number[] = [];
  for (let i = 0; i < count; i++) parameterTypes.push(reader.uint32());
  reader.finish();
  return { name, sql, parameterTypes };
}

export interface BindMessage {
  readonly portal: string;
  readonly statement: string;
  readonly parameterFormats: FormatCodes;
  /** Views of the frame: decoded before the next frame is read. null = NULL. */
  readonly values: readonly (Uint8Array | null)[];
  readonly resultFormats: FormatCodes;
}

export function readBind(reader: MessageReader): BindMessage {
  const portal = reader.name();
  const statement = reader.name();
  const parameterFormats = readFormats(reader);
  const count = reader.uint16();
  if (parameterFormats.length > 1 && parameterFormats.length !== count) {
    throw new SqlError(
      SqlState.protocolViolation,
      `bind message has ${parameterFormats.length} parameter formats but ${count} parameters`,
    );
  }
  const values: (Uint8Array | null)[] = [];
  for (let i = 0; i < count; i++) {
    const length = reader.int32();
    values.push(length === -1 ? null : reader.bytes(length));
  }
  const resultFormats = readFormats(reader);
  reader.finish();
  return { portal, statement, parameterFormats, values, resultFormats };
}

const ALL_TEXT: FormatCodes = [];
const ALL_BINARY: FormatCodes = [1];

function readFormats(reader: MessageReader): FormatCodes {
  const count = reader.uint16();
  if (count === 0) return ALL_TEXT;
  if (count === 1) {
    const format = checkFormat(reader.int16());
    return format === 1 ? ALL_BINARY : ALL_TEXT;
  }
  const formats: number[] = [];
  for (let i = 0; i < count; i++) formats.push(checkFormat(reader.int16()));
  return formats;
}

function checkFormat(format: number): number {
  if (format !== 0 && format !== 1) {
    throw new SqlError(SqlState.invalidParameterValue, `unsupported format code: ${format}`);
  }
  return format;
}
