// COPY TO: the rows of a result stream as COPY data. COPY table TO is the stream of SELECT columns FROM table.
import { must } from "../../../common/assert.ts";
import { type Batch, encodeUtf8 } from "../../../common/batch/vector.ts";
import { codecOf } from "../../../common/types/registry.ts";
import type { TypeCodec, TypeContext } from "../../../common/types/type.ts";
import type { OutputColumn } from "../../../planner/logical/expression.ts";
import type { ResultStream } from "../../execution.ts";
import { BINARY_HEADER, BINARY_TRAILER, binaryRow } from "./binary-row.ts";
import type { CopyFormat } from "./format.ts";
import { headingLine, rowWriter } from "./text-row.ts";

/** Counts rows while they go out, for the command tag. */
export interface CopyProgress {
  rowCount: number;
}

/**
 * The data, batch by batch: one piece per row (each becomes one CopyData message), plus heading and trailer. Closes the
 * stream at the end and when the consumer stops early.
 */
export async function* copyOut(
  stream: ResultStream,
  format: CopyFormat,
  types: TypeContext,
  progress: CopyProgress,
): AsyncGenerator<readonly Uint8Array[], void, undefined> {
  const columns = must(stream.columns, "COPY TO reads a result");
  const writeBatch = batchWriter(columns, format, types);
  try {
    if (format.format === "binary") yield [BINARY_HEADER];
    else if (format.header)
      yield [
        encodeUtf8(
          headingLine(
            columns.map((column) => column.name),
            format,
          ),
        ),
      ];
    for (let batch = await stream.next(); batch !== undefined; batch = await stream.next()) {
      progress.rowCount += batch.rowCount;
      yield writeBatch(batch);
    }
    if (format.format === "binary") yield [BINARY_TRAILER];
  } finally {
    stream.close();
  }
}

function batchWriter(
  columns: readonly OutputColumn[],
  format: CopyFormat,
  types: TypeContext,
): (batch: Batch) => Uint8Array[] {
  const codecs = columns.map((column) => codecOf(column.type.oid));
  if (format.format === "binary") {
    return (batch) => eachRow(batch, codecs, (codec, value) => codec.send(value), binaryRow);
  }
  const writeRow = rowWriter(format);
  return (batch) =>
    eachRow(
      batch,
      codecs,
      (codec, value) => codec.format(value, types),
      (fields) => encodeUtf8(writeRow(fields)),
    );
}

function eachRow<T>(
  batch: Batch,
  codecs: readonly TypeCodec[],
  convert: (codec: TypeCodec, value: Parameters<TypeCodec["send"]>[0]) => T,
  write: (fields: readonly (T | undefined)[]) => Uint8Array,
): Uint8Array[] {
  const rows: Uint8Array[] = [];
  for (let row = 0; row < batch.rowCount; row++) {
    const fields = batch.columns.map((column, i) => {
      const value = column.get(row);
      return value === null ? undefined : convert(must(codecs[i], "a codec per column"), value);
    });
    rows.push(write(fields));
  }
  return rows;
}
