// A predicate that is one range of a btree: the engine walks it and compares the rows' vectors where they are few, and asks the
// nearest rows for their keys where they are many, all in one call. No bitmap is made.
import { must } from "../../common/assert.ts";
import type { SearchPlan } from "../../planner/physical/plan.ts";
import type { ExecutionContext } from "../context.ts";
import { chain, type MaybePromise } from "../maybe-promise.ts";
import { LentBuffers } from "../storage/column-buffer.ts";
import { indexRanges } from "../storage/index-range.ts";
import type { BranchSearch } from "./branch.ts";
import { wideRange } from "./filter-after.ts";
import type { Ranking } from "./ranking.ts";

/** The `wanted` nearest rows that pass; undefined when a bitmap should decide, "unknown" when another way may do without. */
export function filterByRange(
  plan: SearchPlan,
  search: BranchSearch,
  wanted: number,
  context: ExecutionContext,
): MaybePromise<Ranking | "unknown" | undefined> {
  const { filter, target } = plan;
  if (filter?.bitmap?.kind !== "index" || filter.residual !== undefined) return "unknown";
  const { condition, index } = filter.bitmap;
  const bounds = new LentBuffers(context.buffers);
  return chain(indexRanges(condition, index, target.table, false, context, bounds), (ranges) => {
    const range = ranges.length === 1 ? must(ranges[0], "the only range") : undefined;
    const wide = wideRange(plan, filter, wanted, context);
    const found =
      range === undefined ? "unknown" : search.nearestInRange(index.storageId, range, wanted, wide);
    bounds.release();
    return found;
  });
}
