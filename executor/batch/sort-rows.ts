// Sorting row positions in slices: runs by the built-in sort, then merges that give way to other sessions. Stable.
import type { ExecutionContext } from "../context.ts";
import type { RowCompare } from "./compare.ts";

/** Rows sorted at one go: about a slice of time for a comparator of moderate cost. */
const RUN_ROWS = 4096;
/** Merge steps between looks at the clock. */
const MERGE_STEPS = 4096;

/** Positions 0..rowCount-1 in the order of `compare`; equal rows keep their order. */
export async function sortRows(
  rowCount: number,
  compare: RowCompare,
  context: ExecutionContext,
): Promise<Uint32Array> {
  const rows = new Uint32Array(rowCount);
  for (let i = 0; i < rowCount; i++) rows[i] = i;
  for (let from = 0; from < rowCount; from += RUN_ROWS) {
    rows.subarray(from, from + RUN_ROWS).sort((a, b) => compare(a, b) || a - b);
    const pause = context.turn();
    if (pause !== undefined) await pause;
  }
  let source = rows;
  let target = rowCount > RUN_ROWS ? new Uint32Array(rowCount) : rows;
  for (let width = RUN_ROWS; width < rowCount; width *= 2) {
    for (let from = 0; from < rowCount; from += 2 * width) {
      await mergeRuns(
        source,
        target,
        from,
        Math.min(from + width, rowCount),
        Math.min(from + 2 * width, rowCount),
        compare,
        context,
      );
    }
    [source, target] = [target, source];
  }
  return source;
}

/** Merges the sorted runs [from, middle) and [middle, to) of `source` into `target`. */
async function mergeRuns(
  source: Uint32Array,
  target: Uint32Array,
  from: number,
  middle: number,
  to: number,
  compare: RowCompare,
  context: ExecutionContext,
): Promise<void> {
  let left = from;
  let right = middle;
  for (let at = from; at < to; at++) {
    if (at % MERGE_STEPS === 0) {
      const pause = context.turn();
      if (pause !== undefined) await pause;
    }
    const takeLeft =
      right >= to || (left < middle && compare(source[left] as number, source[right] as number) <= 0);
    target[at] = source[takeLeft ? left++ : right++] as number;
  }
}
