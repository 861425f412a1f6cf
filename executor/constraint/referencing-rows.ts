// The rows of a table that refer to given keys, in the newest state the statement sees: by an index over the key where there
// is one, key by key, else by one scan of the table for all keys together.
import { must } from "../../common/assert.ts";
import type { Vector } from "../../common/batch/vector.ts";
import type { IndexEntry } from "../../catalog/entries.ts";
import type { IndexRange } from "../../native/engine.ts";
import type { ForeignKeyRules } from "../../planner/physical/plan.ts";
import type { ExecutionContext } from "../context.ts";
import { singleValueBuffer } from "../storage/column-buffer.ts";
import { RowReader } from "../storage/row-reader.ts";
import { columnType } from "../storage/scan-target.ts";
import type { Key } from "./events.ts";
import { fitsType, type KeySet } from "./keys.ts";
import { convertKeys } from "./reference-check.ts";

export interface ReferencingRows {
  readonly rids: Uint32Array;
  /** For each row the position of its key in the set. */
  readonly positions: Uint32Array;
}

/** Index look-ups between two looks at the clock and the interrupt flag. */
const LOOKUPS_PER_TURN = 256;
const RUN = 1024;

/** Rows by position of their key, then as found. */
export async function findReferencing(
  rules: ForeignKeyRules,
  set: KeySet,
  context: ExecutionContext,
): Promise<ReferencingRows> {
  const { childIndex } = rules;
  return childIndex === undefined
    ? byScan(rules, set, context)
    : byIndex(rules, childIndex, set.keys, context);
}

async function byIndex(
  rules: ForeignKeyRules,
  index: IndexEntry,
  keys: readonly Key[],
  context: ExecutionContext,
): Promise<ReferencingRows> {
  const { child, constraint } = rules;
  const columns = index.columns.slice(0, constraint.columns.length).map(({ attnum }) => ({
    position: constraint.columns.indexOf(attnum),
    type: columnType(child, attnum),
  }));
  const found = new Found();
  const run = new Uint32Array(RUN);
  for (const [position, key] of keys.entries()) {
    if (position % LOOKUPS_PER_TURN === 0) {
      const pause = context.turn();
      if (pause !== undefined) await pause;
    }
    const values = columns.map((column) => key[column.position] ?? null);
    if (!columns.every(({ type }, i) => fitsType(values[i] ?? null, type))) continue;
    const bound = columns.map(({ type }, i) => singleValueBuffer(type, values[i] ?? null));
    const range: IndexRange = { low: bound, lowInclusive: true, high: bound, highInclusive: true };
    const cursor = context.transaction.openIndexScan(index.storageId, range, false);
    try {
      for (let count = RUN; count === RUN; ) {
        count = cursor.next(run);
        for (let i = 0; i < count; i++) found.add(run[i] as number, position);
      }
    } finally {
      cursor.close();
    }
  }
  return found.rows();
}

async function byScan(
  rules: ForeignKeyRules,
  set: KeySet,
  context: ExecutionContext,
): Promise<ReferencingRows> {
  const { child, constraint } = rules;
  const types = constraint.columns.map((attnum) => columnType(child, attnum));
  const attnums = Uint16Array.from(constraint.columns, (attnum) => attnum - 1);
  const reader = new RowReader(types, context.batchRows, context.buffers);
  const cursor = context.transaction.openScan(child.storageId, attnums, 0);
  const found = new Found();
  try {
    for (;;) {
      const pause = context.turn();
      if (pause !== undefined) await pause;
      const rowCount = reader.scan(cursor);
      if (rowCount === 0) break;
      const columns: Vector[] = [];
      for (const [i, vector] of reader.vectors(rowCount).entries())
        columns[must(constraint.columns[i], "a key column") - 1] = vector;
      const converted = await convertKeys(rules, columns, rowCount, context);
      for (let row = 0; row < rowCount; row++) {
        const position = set.find(converted, row);
        if (position !== undefined) found.add(reader.rids[row] as number, position);
      }
    }
  } finally {
    cursor.close();
    reader.close();
  }
  return found.rows();
}

class Found {
  readonly #rids: number[] = [];
  readonly #positions: number[] = [];

  add(rid: number, position: number): void {
    this.#rids.push(rid);
    this.#positions.push(position);
  }

  rows(): ReferencingRows {
    const order = this.#positions.map((_, i) => i);
    order.sort((a, b) => (this.#positions[a] as number) - (this.#positions[b] as number) || a - b);
    return {
      rids: Uint32Array.from(order, (i) => this.#rids[i] as number),
      positions: Uint32Array.from(order, (i) => this.#positions[i] as number),
    };
  }
}
