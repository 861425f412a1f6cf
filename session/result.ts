// What a session tells whoever it works for: the wire, or the embedded API. The session pushes; a returned promise holds it
// back (a slow reader pauses the query that feeds it).
import type { Batch } from "../common/batch/vector.ts";
import type { Notice, SqlError } from "../common/error.ts";
import type { TypeContext } from "../common/types/type.ts";
import type { CommitAnswer } from "./commit-answer.ts";

/** A column of a result as RowDescription shows it. */
export interface ResultColumn {
  readonly name: string;
  /** Table and column it comes from; 0 = computed. */
  readonly tableOid: number;
  readonly attnum: number;
  readonly typeOid: number;
  /** pg_type.typlen. */
  readonly typeLength: number;
  readonly typmod: number;
}

/** 0 text, 1 binary: none = all text, one = for all columns, else one per column. */
export type FormatCodes = readonly number[];

export const NO_FORMATS: FormatCodes = [];

/** Format of column `index` under PostgreSQL's rule for lists of format codes. */
export function formatOf(formats: FormatCodes, index: number): number {
  if (formats.length === 0) return 0;
  return (formats.length === 1 ? formats[0] : formats[index]) ?? 0;
}

export interface CopyShape {
  /** Binary copies announce format 1 for the whole and for every column. */
  readonly isBinary: boolean;
  readonly columnCount: number;
}

/**
 * COPY data from the client, chunk by chunk; undefined = CopyDone. A promise when nothing is there yet. A chunk is the caller's
 * until the next call. Throws 57014 on CopyFail.
 */
export interface CopySource {
  next(): Uint8Array | undefined | Promise<Uint8Array | undefined>;
}

/** Receives the result of one statement: start? rows* (complete | suspended), or the COPY calls, or empty. */
export interface ResultReceiver {
  /** Where this statement is the last of its message: the rest of the answer can go with its commit. */
  readonly answer?: CommitAnswer | undefined;
  /** Rows of this shape follow. */
  start(columns: readonly ResultColumn[], formats: FormatCodes, types: TypeContext): void;
  /** Rows [from, to) of the batch, which is the receiver's only until the call (or its promise) is done. */
  rows(batch: Batch, from: number, to: number): void | Promise<void>;
  /** The command tag, such as "SELECT 3". */
  complete(tag: string): void;
  /** The row limit was reached; the portal can go on. */
  suspended(): void;
  /** The statement was empty. */
  empty(): void;
  /** Asks the client for COPY data. */
  copyIn(shape: CopyShape): CopySource;
  /** COPY data to the client follows as copyData* copyDone. */
  copyOut(shape: CopyShape): void;
  copyData(chunk: Uint8Array): void | Promise<void>;
  copyDone(): void;
}

/** What reaches the client outside of results. */
export interface SessionClient {
  notice(notice: Notice): void;
  /** A reported setting has a new value. */
  parameterStatus(name: string, value: string): void;
  notification(processId: number, channel: string, payload: string): void;
  /** Somebody, or a timeout, ended this session: a running statement fails by itself, an idle client has to be told. */
  terminated(reason: SqlError): void;
}
