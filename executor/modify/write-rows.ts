// The engine's write and lock calls with their waits: a call does as many rows as it can and says why it stopped; a wait
// token is awaited and the call repeated from there. See native/engine.ts, WriteStatus.
import { assert } from "../../common/assert.ts";
import { SqlError, SqlState, toSqlError } from "../../common/error.ts";
import type { TableEntry } from "../../catalog/entries.ts";
import {
  type CopyDecoder,
  LockPolicy,
  type StoredRows,
  WriteReason,
  WriteStatus,
} from "../../native/engine.ts";
import type { ExecutionContext } from "../context.ts";
import type { MaybePromise } from "../maybe-promise.ts";

/** Where the engine says why a call stopped: read right after each call, so one is enough for all. */
const STATUS = new Int32Array(4);

/** A unique key in the way: rows before `row` were written, `row` was not. */
export interface Conflict {
  readonly row: number;
  readonly indexId: number;
  readonly conflictingRid: number;
}

/** Inserts rows [from, to); stops at the first conflict. `rids` receives ids at the same positions. */
export function insertRows(
  relationId: number,
  { rows, shape }: StoredRows,
  from: number,
  to: number,
  rids: Uint32Array,
  context: ExecutionContext,
): MaybePromise<Conflict | undefined> {
  return writeRows(from, to, context, (at, count, status) =>
    context.transaction.insertRows(relationId, rows, shape, at, count, rids, status),
  );
}

/** As insertRows for the first `count` rows that a COPY decoder has staged. */
export function insertDecoded(
  relationId: number,
  decoder: CopyDecoder,
  fields: Uint16Array,
  count: number,
  rids: Uint32Array,
  context: ExecutionContext,
): MaybePromise<Conflict | undefined> {
  return writeRows(0, count, context, (at, rest, status) =>
    context.transaction.insertDecoded(relationId, decoder, fields, at, rest, rids, status),
  );
}

/** Replaces the columns `changed` of locked rows [from, to); stops at the first conflict. */
export function updateRows(
  relationId: number,
  rids: Uint32Array,
  changed: Uint16Array,
  { rows, shape }: StoredRows,
  from: number,
  to: number,
  context: ExecutionContext,
): MaybePromise<Conflict | undefined> {
  return writeRows(from, to, context, (at, count, status) =>
    context.transaction.updateRows(relationId, rids, changed, rows, shape, at, count, status),
  );
}

function writeRows(
  from: number,
  to: number,
  context: ExecutionContext,
  write: (at: number, count: number, status: Int32Array) => number,
): MaybePromise<Conflict | undefined> {
  if (from >= to) return undefined;
  const row = from + write(from, to - from, STATUS);
  if (row >= to) return undefined;
  const reason = STATUS[WriteStatus.reason];
  if (reason === WriteReason.conflict) {
    return {
      row,
      // Ids are unsigned; the status array is not.
      indexId: (STATUS[WriteStatus.indexId] as number) >>> 0,
      conflictingRid: (STATUS[WriteStatus.conflictingRid] as number) >>> 0,
    };
  }
  assert(reason === WriteReason.wait, "a write that stopped early says why");
  return afterWait(context, () => writeRows(row, to, context, write));
}

/** Goes on when the token in STATUS was delivered. */
async function afterWait<T>(context: ExecutionContext, goOn: () => MaybePromise<T>): Promise<T> {
  await context.wait((STATUS[WriteStatus.token] as number) >>> 0);
  context.checkInterrupt();
  return goOn();
}

/**
 * Locks all rows in order; `outcomes`, with room for at least as many, says per row what was found. 55P03 names the table
 * where `policy` is not to wait.
 */
export function lockRows(
  table: TableEntry,
  rids: Uint32Array,
  mode: number,
  context: ExecutionContext,
  policy: number = LockPolicy.wait,
  outcomes: Uint8Array = new Uint8Array(rids.length),
): MaybePromise<Uint8Array> {
  const { transaction } = context;
  const lockFrom = (from: number): MaybePromise<Uint8Array> => {
    const count = rids.length - from;
    let done: number;
    try {
      done = transaction.lockRows(table.storageId, rids, from, count, mode, policy, outcomes, STATUS);
    } catch (error) {
      throw named(table, toSqlError(error));
    }
    return done === count ? outcomes : afterWait(context, () => lockFrom(from + done));
  };
  return rids.length === 0 ? outcomes : lockFrom(0);
}

/** The engine knows tables by number only. */
function named(table: TableEntry, error: SqlError): SqlError {
  if (error.code !== SqlState.lockNotAvailable) return error;
  return new SqlError(error.code, `could not obtain lock on row in relation "${table.name}"`);
}
