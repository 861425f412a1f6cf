// A random sample of a table's rows: all of a small table, else rows at random row ids. Row ids are dense (given in order,
// with holes where rows were deleted), so random ids are random rows.
import type { TableEntry } from "../../../catalog/entries.ts";
import type { Datum } from "../../../common/types/type.ts";
import { detach } from "../../batch/column-builder.ts";
import type { ExecutionContext } from "../../context.ts";
import { RowFetcher } from "../../storage/fetch-rows.ts";
import { targetColumns, targetReader, withRids } from "../../storage/scan-target.ts";

/** PostgreSQL's 300 rows per unit of the statistics target (100). */
export const SAMPLE_ROWS = 30_000;

export interface TableSample {
  /** Per column, in stored order. */
  readonly columns: readonly (readonly Datum[])[];
  /** Rows of the table: counted when all were read, else estimated. */
  readonly totalRows: number;
}

export async function sampleTable(
  table: TableEntry,
  attnums: readonly number[],
  context: ExecutionContext,
): Promise<TableSample> {
  const target = { table, alias: table.name, attnums, withRid: false };
  const columns = attnums.map((): Datum[] => []);
  const limit = context.transaction.ridLimit(table.storageId);
  const take = async (batch: {
    columns: readonly { get(row: number): Datum }[];
    rowCount: number;
  }): Promise<void> => {
    for (let i = 0; i < columns.length; i++) {
      for (let row = 0; row < batch.rowCount; row++)
        columns[i]?.push(detach(batch.columns[i]?.get(row) ?? null));
    }
    const pause = context.turn();
    if (pause !== undefined) await pause;
  };
  if (limit <= SAMPLE_ROWS) {
    let rowCount = 0;
    const reader = targetReader(target, context.batchRows, context.buffers);
    const cursor = context.transaction.openScan(table.storageId, targetColumns(target), 0);
    try {
      for (let count = reader.scan(cursor); count > 0; count = reader.scan(cursor)) {
        await take(withRids(target, reader, count));
        rowCount += count;
      }
    } finally {
      cursor.close();
      reader.close();
    }
    return { columns, totalRows: rowCount };
  }
  const rids = randomRids(limit, context);
  const fetcher = new RowFetcher(target, context.batchRows, context);
  let found = 0;
  try {
    for (let from = 0; from < rids.length; from += fetcher.capacity) {
      const batch = fetcher.fetch(rids, from, Math.min(fetcher.capacity, rids.length - from));
      if (batch === undefined) continue;
      await take(batch);
      found += batch.rowCount;
    }
  } finally {
    fetcher.close();
  }
  return { columns, totalRows: Math.round((limit * found) / rids.length) };
}

/** SAMPLE_ROWS different ids below `limit`, ascending. The session's random numbers decide, so a seed repeats it. */
function randomRids(limit: number, context: ExecutionContext): Uint32Array {
  const { session } = context.functionContext;
  const chosen = new Set<number>();
  // Floyd's method: one random number per id and no retries.
  for (let top = limit - SAMPLE_ROWS; top < limit; top++) {
    const pick = Math.floor(session.random() * (top + 1));
    chosen.add(chosen.has(pick) ? top : pick);
  }
  return Uint32Array.from(chosen).sort();
}
