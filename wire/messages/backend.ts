// Backend messages without moving parts: type bytes, and replies that never change, prepared once.
import type { MessageWriter } from "../codec/message-writer.ts";

/** First bytes of backend messages (PostgreSQL 15, protocol 3.0, "Message Formats"). */
export const BackendType = {
  authentication: 0x52, // R
  backendKeyData: 0x4b, // K
  bindComplete: 0x32, // 2
  closeComplete: 0x33, // 3
  commandComplete: 0x43, // C
  copyData: 0x64, // d
  copyDone: 0x63, // c
  copyInResponse: 0x47, // G
  copyOutResponse: 0x48, // H
  dataRow: 0x44, // D
  emptyQueryResponse: 0x49, // I
  errorResponse: 0x45, // E
  negotiateProtocolVersion: 0x76, // v
  noData: 0x6e, // n
  noticeResponse: 0x4e, // N
  notificationResponse: 0x41, // A
  parameterDescription: 0x74, // t
  parameterStatus: 0x53, // S
  parseComplete: 0x31, // 1
  portalSuspended: 0x73, // s
  readyForQuery: 0x5a, // Z
  rowDescription: 0x54, // T
} as const;

function constant(type: number, ...body: number[]): Buffer {
  const message = Buffer.alloc(5 + body.length);
  message[0] = type;
  message.writeInt32BE(4 + body.length, 1);
  message.set(body, 5);
  return message;
}

export const Reply = {
  parseComplete: constant(BackendType.parseComplete),
  bindComplete: constant(BackendType.bindComplete),
  closeComplete: constant(BackendType.closeComplete),
  noData: constant(BackendType.noData),
  portalSuspended: constant(BackendType.portalSuspended),
  emptyQueryResponse: constant(BackendType.emptyQueryResponse),
  copyDone: constant(BackendType.copyDone),
  authenticationOk: constant(BackendType.authentication, 0, 0, 0, 0),
} as const;

/** I idle, T in a transaction block, E in a failed one. */
export type TransactionStatus = "I" | "T" | "E";

export const ReadyForQuery: Readonly<Record<TransactionStatus, Buffer>> = {
  I: constant(BackendType.readyForQuery, 0x49),
  T: constant(BackendType.readyForQuery, 0x54),
  E: constant(BackendType.readyForQuery, 0x45),
};

export function writeParameterStatus(writer: MessageWriter, name: string, value: string): void {
  writer.begin(BackendType.parameterStatus);
  writer.cstring(name);
  writer.cstring(value);
  writer.end();
}

export function writeBackendKeyData(writer: MessageWriter, processId: number, secretKey: number): void {
  writer.begin(BackendType.backendKeyData);
  writer.int32(processId);
  writer.int32(secretKey);
  writer.end();
}

export function writeCommandComplete(writer: MessageWriter, tag: string): void {
  writer.begin(BackendType.commandComplete);
  writer.cstring(tag);
  writer.end();
}

export function writeNotification(
  writer: MessageWriter,
  processId: number,
  channel: string,
  payload: string,
): void {
  writer.begin(BackendType.notificationResponse);
  writer.int32(processId);
  writer.cstring(channel);
  writer.cstring(payload);
  writer.end();
}

/** Answers a client that asked for a newer minor version or for protocol options: 3.0 and these options are not known. */
export function writeNegotiateProtocolVersion(
  writer: MessageWriter,
  unknownOptions: readonly string[],
): void {
  writer.begin(BackendType.negotiateProtocolVersion);
  writer.int32(0);
  writer.int32(unknownOptions.length);
  for (const option of unknownOptions) writer.cstring(option);
  writer.end();
}
