// CopyInResponse, CopyOutResponse and CopyData towards the client.
import type { CopyShape } from "../../session/result.ts";
import type { MessageWriter } from "../codec/message-writer.ts";
import { BackendType, Reply } from "./backend.ts";

export function writeCopyInResponse(writer: MessageWriter, shape: CopyShape): void {
  writeShape(writer, BackendType.copyInResponse, shape);
}

export function writeCopyOutResponse(writer: MessageWriter, shape: CopyShape): void {
  writeShape(writer, BackendType.copyOutResponse, shape);
}

export function writeCopyData(writer: MessageWriter, chunk: Uint8Array): void {
  writer.begin(BackendType.copyData);
  writer.raw(chunk);
  writer.end();
}

export function writeCopyDone(writer: MessageWriter): void {
  writer.raw(Reply.copyDone);
}

function writeShape(writer: MessageWriter, type: number, shape: CopyShape): void {
  const format = shape.isBinary ? 1 : 0;
  writer.begin(type);
  writer.byte(format);
  writer.int16(shape.columnCount);
  for (let i = 0; i < shape.columnCount; i++) writer.int16(format);
  writer.end();
}
