// One ranking of a search: the nearest vectors or the best texts of a table, by index or exactly, under a bitmap.
//
// The order of a whole table by a branch is: ranked rows by (value, rid); then, for text, rows where no term matches
// (value 0); then NaN (a zero vector under cosine); then NULL; each group by rid. top() gives the first part, rest() the
// others, so that an index never changes how many rows a query returns.
import { must, unreachable } from "../../common/assert.ts";
import { ConstantVector } from "../../common/batch/vector.ts";
import { SqlError, SqlState } from "../../common/error.ts";
import type { Datum } from "../../common/types/type.ts";
import type { TableEntry } from "../../catalog/entries.ts";
import { SearchMode, SearchStat } from "../../native/engine.ts";
import { choosePath } from "../../planner/physical/choose-path.ts";
import { DEFAULT_EF } from "../../planner/physical/cost.ts";
import type { SearchBranch, TextBranch, VectorBranch } from "../../planner/physical/plan.ts";
import type { ExecutionContext } from "../context.ts";
import { makeCaller } from "../expression/caller.ts";
import { evaluateScalar } from "../expression/compile.ts";
import { columnSpec } from "../storage/column-spec.ts";
import { RowFetcher } from "../storage/fetch-rows.ts";
import { columnType } from "../storage/scan-target.ts";
import { setBit } from "../storage/bitmap.ts";
import type { FilterBitmap } from "./filter-bitmap.ts";
import { forEachRid, type Ranking, TopRanking } from "./ranking.ts";

/** Rows after the ranked ones: their value, NULL as null. */
export interface RestRow {
  readonly rid: number;
  readonly value: number | null;
}

export class BranchSearch {
  readonly #branch: SearchBranch;
  readonly #table: TableEntry;
  readonly #context: ExecutionContext;
  readonly stats = new Float64Array(SearchStat.size);
  #query: Datum = null;

  constructor(branch: SearchBranch, table: TableEntry, context: ExecutionContext) {
    this.#branch = branch;
    this.#table = table;
    this.#context = context;
  }

  /** Evaluates the query; before anything else. */
  async open(): Promise<void> {
    this.#query = await evaluateScalar(this.#branch.query, this.#context);
    if (this.#branch.kind === "vector" && this.#query instanceof Float32Array)
      this.#checkDimension(this.#query);
  }

  /** The `count` first ranked rows under the filter; fewer only when no more are ranked. */
  async top(count: number, filter: FilterBitmap | undefined, exact: boolean): Promise<Ranking> {
    const { transaction } = this.#context;
    const limit = Math.min(count, filter?.count ?? transaction.ridLimit(this.#table.storageId));
    if (this.#query === null || limit === 0) return { rids: new Uint32Array(0), values: new Float64Array(0) };
    switch (this.#branch.kind) {
      case "vector":
        return this.#nearest(this.#branch, this.#query as Float32Array, limit, filter, exact);
      case "text":
        return this.#bestTexts(this.#branch, this.#query as string, limit, filter, exact);
      default:
        return unreachable(this.#branch);
    }
  }

  /** Rows under the filter that are not in `ranked`, which holds every ranked row: in order. */
  async rest(ranked: Ranking, filter: FilterBitmap | undefined): Promise<RestRow[]> {
    const { storageId } = this.#table;
    const except = new Uint8Array((this.#context.transaction.ridLimit(storageId) + 7) >> 3);
    for (const rid of ranked.rids) setBit(except, rid);
    // With a NULL query every value is NULL; else the column decides between "no match" or NaN, and NULL.
    const valued: RestRow[] = [];
    const nulls: RestRow[] = [];
    const present = this.#branch.kind === "text" ? 0 : Number.NaN;
    const fetcher = this.#columnFetcher();
    try {
      await forEachRid(this.#table, filter?.bits, except, this.#context, (rids, count) => {
        for (let from = 0; from < count; from += fetcher.capacity) {
          const batch = fetcher.fetch(rids, from, Math.min(fetcher.capacity, count - from));
          if (batch === undefined) continue;
          const column = must(batch.columns[0], "the searched column");
          for (let row = 0; row < batch.rowCount; row++) {
            const rid = batch.rids[row] as number;
            if (this.#query === null || column.isNull(row)) nulls.push({ rid, value: null });
            else valued.push({ rid, value: present });
          }
        }
      });
    } finally {
      fetcher.close();
    }
    const byRid = (a: RestRow, b: RestRow): number => a.rid - b.rid;
    return [...valued.sort(byRid), ...nulls.sort(byRid)];
  }

  async #nearest(
    branch: VectorBranch,
    query: Float32Array,
    count: number,
    filter: FilterBitmap | undefined,
    exact: boolean,
  ): Promise<Ranking> {
    if (branch.index === undefined || branch.metric === "l1")
      return this.#exactNearest(branch, query, count, filter);
    const rids = new Uint32Array(count);
    const distances = new Float64Array(count);
    const { efSearch } = this.#context.settings;
    const { entryCount } = this.#context.statistics.indexRows(branch.index.storageId);
    const { path } = choosePath({
      kind: "vector",
      rowCount: entryCount,
      matchCount: filter?.count,
      k: count,
      ef: efSearch,
      dimensions: query.length,
      mustBeExact: exact,
    });
    const found = this.#context.transaction.vectorSearch(
      branch.index.storageId,
      query,
      count,
      Math.max(efSearch ?? DEFAULT_EF, count),
      filter?.bits,
      path === "exact" ? SearchMode.exact : SearchMode.graph,
      // Looking at every candidate is what the exact answer costs: the graph may not cost more.
      filter?.count ?? entryCount,
      rids,
      distances,
      this.stats,
    );
    return { rids: rids.subarray(0, found), values: distances.subarray(0, found) };
  }

  /** Without an index: every candidate's distance. */
  async #exactNearest(
    branch: VectorBranch,
    query: Float32Array,
    count: number,
    filter: FilterBitmap | undefined,
  ): Promise<Ranking> {
    const top = new TopRanking(count, this.#context);
    const distances = new Float64Array(this.#context.batchRows);
    const column = branch.attnum - 1;
    const { transaction } = this.#context;
    const { metric } = branch;
    const isNative = metric !== "l1" && columnSpec(columnType(this.#table, branch.attnum)).kind === "vector";
    this.stats[SearchStat.path] = 2;
    await forEachRid(this.#table, filter?.bits, undefined, this.#context, async (rids, found) => {
      if (isNative) {
        transaction.vectorDistances(this.#table.storageId, column, metric, rids, found, query, distances);
        for (let i = 0; i < found; i++) top.add(rids[i] as number, distances[i] as number);
      } else await this.#callDistances(branch, query, rids, found, top);
      this.stats[SearchStat.distances] = (this.stats[SearchStat.distances] as number) + found;
      await top.thin();
    });
    return top.finish();
  }

  /** By the SQL function over fetched vectors: metrics and columns that the engine has no kernel for. */
  async #callDistances(
    branch: VectorBranch,
    query: Float32Array,
    rids: Uint32Array,
    count: number,
    top: TopRanking,
  ): Promise<void> {
    const type = columnType(this.#table, branch.attnum);
    const distance = makeCaller(branch.function, [type, branch.query.type], { oid: 701, typmod: -1 });
    const fetcher = this.#columnFetcher();
    try {
      for (let from = 0; from < count; from += fetcher.capacity) {
        const batch = fetcher.fetch(rids, from, Math.min(fetcher.capacity, count - from));
        if (batch === undefined) continue;
        const args = [
          must(batch.columns[0], "the searched column"),
          new ConstantVector(query, batch.rowCount),
        ];
        const values = await distance(args, batch.rowCount, this.#context);
        for (let row = 0; row < batch.rowCount; row++) {
          const value = values.get(row);
          if (value !== null) top.add(batch.rids[row] as number, value as number);
        }
      }
    } finally {
      fetcher.close();
    }
  }

  #bestTexts(
    branch: TextBranch,
    query: string,
    count: number,
    filter: FilterBitmap | undefined,
    exact: boolean,
  ): Ranking {
    const captured = this.#context.textQuery(branch.index.storageId, query);
    // The postings of the newest state bound nothing: rows of this transaction, and ones deleted after its snapshot, match too.
    const rids = new Uint32Array(count);
    const scores = new Float64Array(count);
    const { path } = choosePath({
      kind: "text",
      documentCount: this.#context.statistics.indexRows(branch.index.storageId).entryCount,
      postingCount: captured.matchBound,
      matchCount: filter?.count,
      k: count,
      mustBeExact: exact,
    });
    const found = this.#context.transaction.textSearch(
      branch.index.storageId,
      captured,
      count,
      filter?.bits,
      path === "text-exhaustive" ? SearchMode.exact : SearchMode.auto,
      rids,
      scores,
      this.stats,
    );
    for (let i = 0; i < found; i++) scores[i] = -(scores[i] as number);
    return { rids: rids.subarray(0, found), values: scores.subarray(0, found) };
  }

  #columnFetcher(): RowFetcher {
    const target = {
      table: this.#table,
      alias: this.#table.name,
      attnums: [this.#branch.attnum],
      withRid: false,
    };
    return new RowFetcher(target, this.#context.batchRows, this.#context);
  }

  /** pgvector's words for a query of the wrong dimension. */
  #checkDimension(query: Float32Array): void {
    const { dim } = columnSpec(columnType(this.#table, this.#branch.attnum));
    if (dim === 0 || dim === query.length) return;
    throw new SqlError(SqlState.dataException, `different vector dimensions ${dim} and ${query.length}`);
  }
}
