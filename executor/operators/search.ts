// The first limit + offset rows of a table by vector distance or text score, under a predicate: filter bitmap, ranking,
// fetch. The Limit above skips the offset.
// Emits target columns, then the order value. Order and count equal the exact plan's, whatever path ran.
import { must } from "../../common/assert.ts";
import type { Batch } from "../../common/batch/vector.ts";
import { SearchStat } from "../../native/engine.ts";
import type { SearchPlan } from "../../planner/physical/plan.ts";
import type { ExecutionContext } from "../context.ts";
import { chain, type MaybePromise } from "../maybe-promise.ts";
import { BranchSearch, THEN_FILTER } from "../search/branch.ts";
import { RankedEmitter, type RankedRows } from "../search/emit-ranked.ts";
import { filterAfter } from "../search/filter-after.ts";
import { filterByRange } from "../search/filter-by-range.ts";
import { type FilterBitmap, filterBitmap } from "../search/filter-bitmap.ts";
import type { Ranking } from "../search/ranking.ts";
import type { Operator } from "./operator.ts";
import { rowLimits } from "./row-limits.ts";

const NO_ROWS: RankedRows = { rids: new Uint32Array(0), values: new Float64Array(0), nulls: undefined };

export class SearchOperator implements Operator {
  readonly #plan: SearchPlan;
  readonly #context: ExecutionContext;
  #emitter: RankedEmitter | undefined;
  #branchSearch: BranchSearch | undefined;

  constructor(plan: SearchPlan, context: ExecutionContext) {
    this.#plan = plan;
    this.#context = context;
  }

  open(): void {}

  next(): MaybePromise<Batch | undefined> {
    return chain(this.#context.turn(), () => {
      if (this.#emitter !== undefined) return this.#emitter.next();
      return chain(this.#search(), (rows) => {
        this.#emitter = new RankedEmitter(rows, this.#plan.target, this.#context);
        return this.#emitter.next();
      });
    });
  }

  close(): void {
    this.#emitter?.close();
    this.#emitter = undefined;
    this.#branchSearch?.close();
    this.#branchSearch = undefined;
  }

  #search(): MaybePromise<RankedRows> {
    const { branch, target, count, skip } = this.#plan;
    return chain(rowLimits(count, skip, this.#context), (limits) => {
      if (limits.count === 0) return NO_ROWS;
      const wanted = limits.count + limits.skip;
      const search = new BranchSearch(branch, target.table, this.#context, wanted);
      this.#branchSearch = search;
      return chain(search.open(), () => this.#ranked(search, wanted));
    });
  }

  #ranked(search: BranchSearch, wanted: number): MaybePromise<RankedRows> {
    const { settings } = this.#context;
    const exact = settings.exact || !settings.enableIndexscan || wanted === Number.POSITIVE_INFINITY;
    if (exact || !this.#isFiltered) return this.#rankedByBitmap(search, wanted, exact);
    return chain(filterByRange(this.#plan, search, wanted, this.#context), (inRange) => {
      if (inRange === undefined) return this.#rankedByBitmap(search, wanted, exact);
      if (inRange !== "unknown") return this.#answered(search, inRange);
      return chain(filterAfter(this.#plan, search, wanted, this.#context), (found) =>
        found === undefined ? this.#rankedByBitmap(search, wanted, exact) : this.#answered(search, found),
      );
    });
  }

  /** By a way that needs no bitmap. */
  #answered(search: BranchSearch, ranking: Ranking): RankedRows {
    const isExact = search.stats[SearchStat.path] !== THEN_FILTER;
    this.#report(search, isExact ? search.stats[SearchStat.matching] : undefined);
    return withoutNulls(ranking);
  }

  /** Whether rows have to be tested: a partial index holds those that pass, and no others. */
  get #isFiltered(): boolean {
    const { filter } = this.#plan;
    return filter !== undefined && !filter.isIndexPredicate;
  }

  /** With the rows that pass, where there is a predicate, found before the search. */
  #rankedByBitmap(search: BranchSearch, wanted: number, exact: boolean): MaybePromise<RankedRows> {
    return chain(this.#isFiltered ? this.#matching() : undefined, (bitmap) =>
      chain(search.top(wanted, bitmap, exact), (ranking) => {
        this.#report(search, bitmap?.count);
        if (ranking.rids.length >= wanted) return withoutNulls(ranking);
        return this.#withRest(search, ranking, wanted, bitmap);
      }),
    );
  }

  #matching(): MaybePromise<FilterBitmap | undefined> {
    return filterBitmap(this.#plan.filter, this.#plan.target, this.#context);
  }

  /** Rows without a distance or score follow the ranked ones. */
  async #withRest(
    search: BranchSearch,
    ranking: Ranking,
    wanted: number,
    bitmap: FilterBitmap | undefined,
  ): Promise<RankedRows> {
    const rest = await search.rest(ranking, bitmap ?? (await this.#matching()));
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
  #report(search: BranchSearch, matching: number | undefined): void {
    const extra = this.#context.instrument?.get(this.#plan.id)?.extra;
    if (extra === undefined) return;
    const { stats } = search;
    const count = (slot: number): string => String(must(stats[slot], "a counter"));
    const paths =
      this.#plan.branch.kind === "vector"
        ? ["graph", "graph, then exact", "exact", "graph, then filter"]
        : ["pruned", "pruned", "exhaustive"];
    extra.set("Search Path", paths[stats[SearchStat.path] as number] ?? "unknown");
    if (matching !== undefined) {
      extra.set("Rows Matching Filter", String(matching));
      const { rowCount } = this.#context.engine.relationStatistics(this.#plan.target.table.storageId);
      if (rowCount > 0) extra.set("Actual Selectivity", String(Number((matching / rowCount).toPrecision(3))));
    }
    if (this.#plan.branch.kind === "vector") {
      extra.set("Nodes Visited", count(SearchStat.visited));
      extra.set("Distances", count(SearchStat.distances));
      const [beam, slack, recall] = [SearchStat.beam, SearchStat.slack, SearchStat.recall].map((slot) =>
        must(stats[slot], "a measure"),
      ) as [number, number, number];
      if (beam > 0) extra.set("Beam Width", String(beam));
      if (slack > 0) extra.set("Stop Slack", slack.toFixed(3));
      const { targetRecall } = this.#context.settings;
      if (targetRecall !== undefined && beam > 0) {
        extra.set("Target Recall", String(targetRecall));
        extra.set("Estimated Recall", recall > 0 ? recall.toFixed(3) : "not measured");
      }
    } else {
      extra.set("Blocks", `${count(SearchStat.blocksRead)} read, ${count(SearchStat.blocksSkipped)} skipped`);
    }
  }
}

/** Written out: objects made by spreading one that is now an index's, now the pool's would each be of a shape of its own. */
function withoutNulls({ rids, values }: Ranking): RankedRows {
  return { rids, values, nulls: undefined };
}
