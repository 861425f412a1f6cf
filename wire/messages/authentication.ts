// Authentication requests (backend) and SASL responses (frontend).
import { SqlError, SqlState } from "../../common/error.ts";
import type { MessageReader } from "../codec/message-reader.ts";
import type { MessageWriter } from "../codec/message-writer.ts";
import { BackendType } from "./backend.ts";

const SASL = 10;
const SASL_CONTINUE = 11;
const SASL_FINAL = 12;

export function writeSasl(writer: MessageWriter, mechanisms: readonly string[]): void {
  writer.begin(BackendType.authentication);
  writer.int32(SASL);
  for (const mechanism of mechanisms) writer.cstring(mechanism);
  writer.byte(0);
  writer.end();
}

export function writeSaslContinue(writer: MessageWriter, data: string): void {
  writeSaslData(writer, SASL_CONTINUE, data);
}

export function writeSaslFinal(writer: MessageWriter, data: string): void {
  writeSaslData(writer, SASL_FINAL, data);
}

function writeSaslData(writer: MessageWriter, code: number, data: string): void {
  writer.begin(BackendType.authentication);
  writer.int32(code);
  writer.raw(Buffer.from(data));
  writer.end();
}

export interface SaslInitialResponse {
  readonly mechanism: string;
  readonly data: string;
}

export function readSaslInitialResponse(reader: MessageReader): SaslInitialResponse {
  const mechanism = reader.cstring();
  const length = reader.int32();
  if (length < 0) throw malformed();
  const data = Buffer.from(reader.bytes(length)).toString("utf8");
  reader.finish();
  return { mechanism, data };
}

export function readSaslResponse(reader: MessageReader): string {
  return Buffer.from(reader.rest()).toString("utf8");
}

function malformed(): SqlError {
  return new SqlError(SqlState.protocolViolation, "malformed SCRAM message", { severity: "FATAL" });
}
