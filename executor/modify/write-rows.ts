// The engine's write and lock calls with their waits: a call does as many rows as it can and says why it stopped; a wait
// token is awaited and the call repeated from there. See native/engine.ts, WriteStatus.
import { assert } from "../../common/assert.ts";
import { SqlError, SqlState, toSqlError } from "../../common/error.ts";
import type { TableEntry } from "../../catalog/entries.ts";
import { type ColumnBuffer, LockPolicy, WriteReason, WriteStatus } from "../../native/engine.ts";
import type { ExecutionContext } from "../context.ts";

/** A unique key in the way: rows before `row` were written, `row` was not. */
export interface Conflict {
  readonly row: number;
  readonly indexId: number;
  readonly conflictingRid: number;
}

/** Inserts rows [from, to); stops at the first conflict. `rids` receives ids at the same positions. */
export function insertRows(
  relationId: number,
  columns: readonly ColumnBuffer[],
  from: number,
  to: number,
  rids: Uint32Array,
  context: ExecutionContext,
): Promise<Conflict | undefined> {
  return writeRows(from, to, context, (at, count, status) =>
    context.transaction.insertRows(relationId, columns, at, count, rids, status),
  );
}

/** Replaces the columns `changed` of locked rows [from, to); stops at the first conflict. */
export function updateRows(
  relationId: number,
  rids: Uint32Array,
  changed: Uint16Array,
  columns: readonly ColumnBuffer[],
  from: number,
  to: number,
  context: ExecutionContext,
): Promise<Conflict | undefined> {
  return writeRows(from, to, context, (at, count, status) =>
    context.transaction.updateRows(relationId, rids, changed, columns, at, count, status),
  );
}

async function writeRows(
  from: number,
  to: number,
  context: ExecutionContext,
  write: (at: number, count: number, status: Int32Array) => number,
): Promise<Conflict | undefined> {
  const status = new Int32Array(4);
  let at = from;
  while (at < to) {
    status.fill(0);
    at += write(at, to - at, status);
    if (at >= to) break;
    const reason = status[WriteStatus.reason];
    if (reason === WriteReason.conflict) {
      return {
        row: at,
        // Ids are unsigned; the status array is not.
        indexId: (status[WriteStatus.indexId] as number) >>> 0,
        conflictingRid: (status[WriteStatus.conflictingRid] as number) >>> 0,
      };
    }
    assert(reason === WriteReason.wait, "a write that stopped early says why");
    await context.wait((status[WriteStatus.token] as number) >>> 0);
    context.checkInterrupt();
  }
  return undefined;
}

/** Locks all rows in order; `outcomes` says per row what was found. 55P03 names the table where `policy` is not to wait. */
export async function lockRows(
  table: TableEntry,
  rids: Uint32Array,
  mode: number,
  context: ExecutionContext,
  policy: number = LockPolicy.wait,
): Promise<Uint8Array> {
  const outcomes = new Uint8Array(rids.length);
  const status = new Int32Array(4);
  let at = 0;
  while (at < rids.length) {
    status.fill(0);
    try {
      at += context.transaction.lockRows(
        table.storageId,
        rids,
        at,
        rids.length - at,
        mode,
        policy,
        outcomes,
        status,
      );
    } catch (error) {
      throw named(table, toSqlError(error));
    }
    if (at >= rids.length) break;
    await context.wait((status[WriteStatus.token] as number) >>> 0);
    context.checkInterrupt();
  }
  return outcomes;
}

/** The engine knows tables by number only. */
function named(table: TableEntry, error: SqlError): SqlError {
  if (error.code !== SqlState.lockNotAvailable) return error;
  return new SqlError(error.code, `could not obtain lock on row in relation "${table.name}"`);
}
