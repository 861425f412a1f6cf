// Columns of rows by id, each result row at the position of its id: what UPDATE, DELETE and ON CONFLICT read of rows they
// have locked.
import { must } from "../../common/assert.ts";
import { ConstantVector, type Vector } from "../../common/batch/vector.ts";
import type { TableEntry } from "../../catalog/entries.ts";
import { gather } from "../batch/gather.ts";
import { RowStore } from "../batch/row-store.ts";
import type { ExecutionContext } from "../context.ts";
import { RowReader } from "../storage/row-reader.ts";
import { columnType } from "../storage/scan-target.ts";

/** Stands in for columns that nobody asked for. */
const UNREAD = new ConstantVector(null, 0);

/**
 * The newest versions of locked rows. The result has one Vector per column of the table (attnum - 1), real ones for
 * `attnums` only, with a row for each of `rids` in their order (they may repeat).
 */
export function readLocked(
  table: TableEntry,
  attnums: readonly number[],
  rids: Uint32Array,
  context: ExecutionContext,
): Vector[] {
  const columns = unreadColumns(table);
  if (attnums.length === 0 || rids.length === 0) return columns;
  const { columns: read, rids: found } = readNewest(table, attnums, rids, context);
  const positions = new Map<number, number>();
  for (let i = 0; i < found.length; i++) positions.set(found[i] as number, i);
  const order = Uint32Array.from(rids, (rid) => must(positions.get(rid), "a locked row exists"));
  for (const attnum of attnums) columns[attnum - 1] = gather(must(read[attnum - 1], "a column read"), order);
  return columns;
}

/** As readLocked, without the rows that are gone: `rids` are those of the rows read, in the order of the engine. */
export function readNewest(
  table: TableEntry,
  attnums: readonly number[],
  rids: Uint32Array,
  context: ExecutionContext,
): { readonly columns: Vector[]; readonly rids: Uint32Array } {
  const columns = unreadColumns(table);
  const present: number[] = [];
  const types = attnums.map((attnum) => columnType(table, attnum));
  const reader = new RowReader(types, Math.min(rids.length, context.batchRows), context.buffers);
  const store = new RowStore(attnums.length, context);
  try {
    const wanted = Uint16Array.from(attnums, (attnum) => attnum - 1);
    for (let from = 0; from < rids.length; from += reader.capacity) {
      const count = Math.min(reader.capacity, rids.length - from);
      const found = reader.fetch(context.transaction, table.storageId, wanted, rids, from, count, true);
      for (let i = 0; i < found; i++) present.push(reader.rids[i] as number);
      store.append(reader.vectors(found), found);
    }
  } finally {
    reader.close();
  }
  const read = store.columns();
  for (let i = 0; i < attnums.length; i++)
    columns[(attnums[i] as number) - 1] = must(read[i], "a column read");
  store.release();
  return { columns, rids: Uint32Array.from(present) };
}

function unreadColumns(table: TableEntry): Vector[] {
  const columns: Vector[] = [];
  for (let i = 0; i < table.columns.length; i++) columns.push(UNREAD);
  return columns;
}

/** Whether the transaction's snapshot (and not only the newest state) holds the row. */
export function isVisible(table: TableEntry, rid: number, context: ExecutionContext): boolean {
  const rids = Uint32Array.of(rid);
  const none = new Uint16Array();
  const needed = new Float64Array(1);
  return (
    context.transaction.fetchRows(table.storageId, rids, 0, 1, false, none, [], undefined, rids, needed) === 1
  );
}
