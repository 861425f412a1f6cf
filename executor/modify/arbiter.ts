// Which row an ON CONFLICT clause meets. The engine names the first unique index in its own order that a new row collides
// with; PostgreSQL looks at the arbiters first. So when the engine names another index, the arbiters are asked.
import { must } from "../../common/assert.ts";
import { type IndexEntry, storedAttnum, type TableEntry } from "../../catalog/entries.ts";
import type { TableConstraints } from "../../planner/physical/plan.ts";
import type { ExecutionContext } from "../context.ts";
import { singleValueBuffer } from "../storage/column-buffer.ts";
import { columnType } from "../storage/scan-target.ts";
import type { NewRows } from "./row-inserter.ts";
import { indexById } from "./row-inserter.ts";
import type { Conflict } from "./write-rows.ts";

/** The conflict on an arbiter, or undefined: then the one found is the user's error. No arbiters named = any index is one. */
export function arbiterConflict(
  conflict: Conflict,
  arbiters: readonly number[],
  table: TableEntry,
  constraints: TableConstraints,
  rows: NewRows,
  context: ExecutionContext,
): Conflict | undefined {
  if (arbiters.length === 0 || arbiters.includes(conflict.indexId)) return conflict;
  for (const indexId of arbiters) {
    const index = must(indexById(constraints, indexId), "an arbiter of the table");
    const rid = rowWithKey(index, table, rows, conflict.row, context);
    if (rid !== undefined) return { ...conflict, indexId, conflictingRid: rid };
  }
  return undefined;
}

/** A visible row that has the new row's key. */
function rowWithKey(
  index: IndexEntry,
  table: TableEntry,
  rows: NewRows,
  row: number,
  context: ExecutionContext,
): number | undefined {
  const guard = index.predicate?.hiddenAttnum ?? 0;
  if (guard !== 0 && must(rows.columns[guard - 1], "a guard column").get(row) !== true) return undefined;
  const attnums = index.columns.slice(0, index.keyCount).map(storedAttnum);
  const values = attnums.map((attnum) => must(rows.columns[attnum - 1], "a key column").get(row));
  if (values.includes(null)) return undefined;
  const key = attnums.map((attnum, i) => singleValueBuffer(columnType(table, attnum), values[i] ?? null));
  const range = { low: key, lowInclusive: true, high: key, highInclusive: true };
  const cursor = context.transaction.openIndexScan(index.storageId, range, false);
  try {
    const rids = new Uint32Array(1);
    return cursor.next(rids) === 0 ? undefined : rids[0];
  } finally {
    cursor.close();
  }
}
