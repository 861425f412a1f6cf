// The first limit + offset rows of a table by vector distance or text score, under a predicate: filter bitmap, ranking,
// fetch. The Limit above skips the offset.
// Emits target columns, then the order value. Order and count equal the exact plan's, whatever path ran.
import { must } from "../../common/assert.ts";
import type { Batch } from "../../common/batch/vector.ts";
import { SearchStat } from "../../native/engine.ts";
import type { SearchPlan } from "../../planner/physical/plan.ts";
import type { ExecutionContext } from "../context.ts";
import { BranchSearch } from "../search/branch.ts";
import { RankedEmitter, type RankedRows } from "../search/emit-ranked.ts";
import { filterAfter } from "../search/filter-after.ts";
import { type FilterBitmap, filterBitmap } from "../search/filter-bitmap.ts";
import type { Operator } from "./operator.ts";
import { rowLimits } from "./row-limits.ts";

export class SearchOperator implements Operator {
  readonly #plan: SearchPlan;
  readonly #context: ExecutionContext;
  #emitter: RankedEmitter | undefined;

  constructor(plan: SearchPlan, context: ExecutionContext) {
    this.#plan = plan;
    this.#context = context;
  }

  open(): void {}

  async next(): Promise<Batch | undefined> {
    const pause = this.#context.turn();
    if (pause !== undefined) await pause;
    this.#emitter ??= new RankedEmitter(await this.#search(), this.#plan.target, this.#context);
    return this.#emitter.next();
  }

  close(): void {
    this.#emitter?.close();
    this.#emitter = undefined;
  }

  async #search(): Promise<RankedRows> {
    const { branch, target, filter } = this.#plan;
    const limits = await rowLimits(this.#plan.count, this.#plan.skip, this.#context);
    const wanted = limits.count + limits.skip;
    const search = new BranchSearch(branch, target.table, this.#context);
    await search.open();
    const matching = async (): Promise<FilterBitmap | undefined> =>
      filterBitmap(filter, target, this.#context);
    const { settings } = this.#context;
    const exact = settings.exact || !settings.enableIndexscan || wanted === Number.POSITIVE_INFINITY;
    const isFiltered = filter !== undefined && !filter.isIndexPredicate;
    if (isFiltered && !exact && limits.count > 0) {
      const found = await filterAfter(this.#plan, search, wanted, this.#context);
      if (found !== undefined) {
        this.#report(search, undefined, "graph, then filter");
        return { ...found, nulls: undefined };
      }
    }
    const bitmap = isFiltered ? await matching() : undefined;
    const ranking = limits.count === 0 ? undefined : await search.top(wanted, bitmap, exact);
    this.#report(search, bitmap?.count);
    if (ranking === undefined)
      return { rids: new Uint32Array(0), values: new Float64Array(0), nulls: undefined };
    if (ranking.rids.length >= wanted) return { ...ranking, nulls: undefined };
    const rest = await search.rest(ranking, bitmap ?? (await matching()));
    const rids = [...ranking.rids, ...rest.map((row) => row.rid)].slice(0, wanted);
    const values = [...ranking.values, ...rest.map((row) => row.value ?? 0)].slice(0, wanted);
    const nulls = [
      ...new Uint8Array(ranking.rids.length),
      ...rest.map((row) => (row.value === null ? 1 : 0)),
    ];
    return {
      rids: Uint32Array.from(rids),
      values: Float64Array.from(values),
      nulls: Uint8Array.from(nulls.slice(0, wanted)),
    };
  }

  /** EXPLAIN ANALYZE: which path ran and what it cost. */
  #report(search: BranchSearch, matching: number | undefined, way?: string): void {
    const extra = this.#context.instrument?.get(this.#plan.id)?.extra;
    if (extra === undefined) return;
    const { stats } = search;
    const count = (slot: number): string => String(must(stats[slot], "a counter"));
    const paths =
      this.#plan.branch.kind === "vector"
        ? ["graph", "graph, then exact", "exact"]
        : ["pruned", "pruned", "exhaustive"];
    extra.set("Search Path", way ?? paths[stats[SearchStat.path] as number] ?? "unknown");
    if (matching !== undefined) {
      extra.set("Rows Matching Filter", String(matching));
      const { rowCount } = this.#context.engine.relationStatistics(this.#plan.target.table.storageId);
      if (rowCount > 0) extra.set("Actual Selectivity", String(Number((matching / rowCount).toPrecision(3))));
    }
    if (this.#plan.branch.kind === "vector") {
      extra.set("Nodes Visited", count(SearchStat.visited));
      extra.set("Distances", count(SearchStat.distances));
      if (search.beam !== undefined) extra.set("Beam Width", String(search.beam));
      const { targetRecall } = this.#context.settings;
      if (targetRecall !== undefined && search.estimate !== undefined) {
        extra.set("Target Recall", String(targetRecall));
        extra.set("Estimated Recall", search.estimate.recall.toFixed(3));
      }
    } else {
      extra.set("Blocks", `${count(SearchStat.blocksRead)} read, ${count(SearchStat.blocksSkipped)} skipped`);
    }
  }
}
