// The rows a search may return, as a bitmap with its exact count. Built once per execution and shared by all branches, so
// every branch filters before its cut-off.
import type { Batch } from "../../common/batch/vector.ts";
import type { ScanTarget, SearchFilter } from "../../planner/physical/plan.ts";
import type { ExecutionContext } from "../context.ts";
import { compileExpression } from "../expression/compile.ts";
import type { Evaluate } from "../expression/evaluate.ts";
import { trueRows } from "../expression/truth.ts";
import type { MaybePromise } from "../maybe-promise.ts";
import { BitmapReader, buildBitmap, countBits, emptyBitmap, type RowSet, setBit } from "../storage/bitmap.ts";
import { RowFetcher } from "../storage/fetch-rows.ts";
import { targetColumns, targetReader, withRids } from "../storage/scan-target.ts";

export type FilterBitmap = RowSet;

/** undefined without a filter. */
export function filterBitmap(
  filter: SearchFilter | undefined,
  target: ScanTarget,
  context: ExecutionContext,
): MaybePromise<FilterBitmap | undefined> {
  if (filter === undefined) return undefined;
  const { residual } = filter;
  const base = filter.bitmap === undefined ? undefined : buildBitmap(filter.bitmap, target.table, context);
  return residual === undefined
    ? (base ?? { bits: emptyBitmap(target.table, context), count: 0 })
    : withResidual(base, residual, target, context);
}

async function withResidual(
  base: MaybePromise<RowSet> | undefined,
  residual: NonNullable<SearchFilter["residual"]>,
  target: ScanTarget,
  context: ExecutionContext,
): Promise<FilterBitmap> {
  const columns: ScanTarget = { ...target, attnums: residual.attnums, withRid: false };
  const condition = compileExpression(residual.expression);
  const bits =
    base === undefined
      ? await scanBitmap(columns, condition, context)
      : await narrowBitmap((await base).bits, columns, condition, context);
  return { bits, count: countBits(bits) };
}

/** All rows of the table for which the condition holds. */
async function scanBitmap(
  target: ScanTarget,
  condition: Evaluate,
  context: ExecutionContext,
): Promise<Uint8Array> {
  const bits = emptyBitmap(target.table, context);
  const reader = targetReader(target, context.batchRows, context.buffers);
  const cursor = context.transaction.openScan(target.table.storageId, targetColumns(target), 0);
  try {
    for (let count = reader.scan(cursor); count > 0; count = reader.scan(cursor)) {
      await mark(bits, withRids(target, reader, count), reader.rids, condition, context);
    }
  } finally {
    cursor.close();
    reader.close();
  }
  return bits;
}

/** The rows of `base` for which the condition holds too. */
async function narrowBitmap(
  base: Uint8Array,
  target: ScanTarget,
  condition: Evaluate,
  context: ExecutionContext,
): Promise<Uint8Array> {
  const bits = new Uint8Array(base.length);
  const fetcher = new RowFetcher(target, context.batchRows, context);
  try {
    const rids = new Uint32Array(fetcher.capacity);
    const candidates = new BitmapReader(base);
    for (let count = candidates.next(rids); count > 0; count = candidates.next(rids)) {
      const batch = fetcher.fetch(rids, 0, count);
      if (batch !== undefined) await mark(bits, batch, batch.rids, condition, context);
    }
  } finally {
    fetcher.close();
  }
  return bits;
}

async function mark(
  bits: Uint8Array,
  batch: Batch,
  rids: Uint32Array,
  condition: Evaluate,
  context: ExecutionContext,
): Promise<void> {
  const pause = context.turn();
  if (pause !== undefined) await pause;
  const rows = trueRows(await condition(batch, context), batch.rowCount);
  if (rows === undefined) for (let row = 0; row < batch.rowCount; row++) setBit(bits, rids[row] as number);
  else for (const row of rows) setBit(bits, rids[row] as number);
}
