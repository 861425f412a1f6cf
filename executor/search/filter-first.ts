// Filtering before the search: where one index range names the rows that pass and they are few, the engine walks the range
// and compares their vectors in one call. No bitmap is made, and the answer is exact.
import { must } from "../../common/assert.ts";
import type { SearchPlan } from "../../planner/physical/plan.ts";
import type { ExecutionContext } from "../context.ts";
import { chain, type MaybePromise } from "../maybe-promise.ts";
import { LentBuffers } from "../storage/column-buffer.ts";
import { indexRanges } from "../storage/index-range.ts";
import type { BranchSearch } from "./branch.ts";
import { wideFrom } from "./filter-after.ts";
import type { Ranking } from "./ranking.ts";

/** The `wanted` nearest rows that pass; undefined when another way should be gone. */
export function filterFirst(
  plan: SearchPlan,
  search: BranchSearch,
  wanted: number,
  context: ExecutionContext,
): MaybePromise<Ranking | undefined> {
  const { filter, target } = plan;
  if (filter?.bitmap?.kind !== "index" || filter.residual !== undefined) return undefined;
  const { condition, index } = filter.bitmap;
  // From there on the other way is cheaper.
  const most = wideFrom(plan, wanted, context) - 1;
  const bounds = new LentBuffers(context.buffers);
  return chain(indexRanges(condition, index, target.table, false, context, bounds), (ranges) => {
    const range = ranges.length === 1 ? must(ranges[0], "the only range") : undefined;
    const found =
      range === undefined ? undefined : search.nearestInRange(index.storageId, range, wanted, most);
    bounds.release();
    return found;
  });
}
