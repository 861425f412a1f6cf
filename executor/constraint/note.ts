// INSERT, UPDATE and DELETE note here what their constraints have to look at when the statement ends.
import { must } from "../../common/assert.ts";
import type { Vector } from "../../common/batch/vector.ts";
import type { TableEntry } from "../../catalog/entries.ts";
import type { ForeignKeyWatch, TableConstraints } from "../../planner/physical/plan.ts";
import { detach } from "../batch/column-builder.ts";
import { hashKeyOf } from "../batch/hash-key.ts";
import type { ExecutionContext } from "../context.ts";
import { columnType } from "../storage/scan-target.ts";
import type { Key } from "./events.ts";

/** `rids` are kept. */
export function noteInserted(
  constraints: TableConstraints,
  rids: Uint32Array,
  context: ExecutionContext,
): void {
  if (rids.length === 0) return;
  for (const watch of constraints.foreignKeys) context.events.add({ kind: "reference", watch, rids: [rids] });
  for (const watch of constraints.deferrableKeys)
    context.events.add({ kind: "duplicate", watch, rids: [rids] });
}

/** attnums whose old values noteUpdated compares with the new ones, given those that are written. */
export function watchedColumns(constraints: TableConstraints, written: readonly number[]): readonly number[] {
  const watches = [...constraints.foreignKeys, ...constraints.referencedBy];
  return watches.flatMap(({ columns }) =>
    columns.some((attnum) => written.includes(attnum)) ? columns : [],
  );
}

/** Rows by attnum - 1 before and after an UPDATE that wrote `written`. */
export function noteUpdated(
  table: TableEntry,
  constraints: TableConstraints,
  written: readonly number[],
  old: readonly Vector[],
  updated: readonly Vector[],
  rids: Uint32Array,
  context: ExecutionContext,
): void {
  const { referencedBy, foreignKeys, deferrableKeys } = constraints;
  if (referencedBy.length + foreignKeys.length + deferrableKeys.length === 0) return;
  const touches = ({ columns }: { readonly columns: readonly number[] }): boolean =>
    columns.some((attnum) => written.includes(attnum));
  const changedRows = ({ columns }: ForeignKeyWatch): number[] => {
    const differs = keyComparison(table, columns);
    const rows: number[] = [];
    for (let row = 0; row < rids.length; row++) if (differs(old, updated, row)) rows.push(row);
    return rows;
  };
  for (const watch of referencedBy.filter(touches)) {
    const rows = changedRows(watch).filter((row) => !hasNull(old, watch.columns, row));
    if (rows.length === 0) continue;
    const keys = rows.map((row) => keyAt(old, watch.columns, row));
    const newKeys = rows.map((row) => keyAt(updated, watch.columns, row));
    context.events.add({ kind: "removed-key", watch, cause: "update", keys, newKeys });
  }
  for (const watch of foreignKeys.filter(touches)) {
    const changed = Uint32Array.from(changedRows(watch), (row) => rids[row] as number);
    if (changed.length > 0) context.events.add({ kind: "reference", watch, rids: [changed] });
  }
  for (const watch of deferrableKeys.filter(touches))
    context.events.add({ kind: "duplicate", watch, rids: [rids.slice()] });
}

/** `old`: the deleted rows by attnum - 1, with the columns of `referencedBy`. */
export function noteDeleted(
  referencedBy: readonly ForeignKeyWatch[],
  old: readonly Vector[],
  rowCount: number,
  context: ExecutionContext,
): void {
  for (const watch of referencedBy) {
    const keys: Key[] = [];
    for (let row = 0; row < rowCount; row++)
      if (!hasNull(old, watch.columns, row)) keys.push(keyAt(old, watch.columns, row));
    if (keys.length > 0)
      context.events.add({ kind: "removed-key", watch, cause: "delete", keys, newKeys: [] });
  }
}

function hasNull(columns: readonly Vector[], attnums: readonly number[], row: number): boolean {
  return attnums.some((attnum) => must(columns[attnum - 1], "a key column").isNull(row));
}

export function keyAt(columns: readonly Vector[], attnums: readonly number[], row: number): Key {
  return attnums.map((attnum) => detach(must(columns[attnum - 1], "a key column").get(row)));
}

/** Whether a row's key is another before and after. */
function keyComparison(
  table: TableEntry,
  attnums: readonly number[],
): (old: readonly Vector[], updated: readonly Vector[], row: number) => boolean {
  const hashKeys = attnums.map((attnum) => hashKeyOf(columnType(table, attnum)));
  return (old, updated, row) =>
    attnums.some((attnum, i) => {
      const before = must(old[attnum - 1], "an old value").get(row);
      const after = must(updated[attnum - 1], "a new value").get(row);
      if (before === null || after === null) return before !== after;
      const hashKey = must(hashKeys[i], "a hash per column");
      return !Object.is(hashKey(before), hashKey(after));
    });
}
