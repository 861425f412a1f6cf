// One ranking of a search: the nearest vectors or the best texts of a table, by index or exactly, under a bitmap.
//
// The order of a whole table by a branch is: ranked rows by (value, rid); then, for text, rows where no term matches
// (value 0); then NaN (a zero vector under cosine); then NULL; each group by rid. top() gives the first part, rest() the
// others, so that an index never changes how many rows a query returns.
import { must, unreachable } from "../../common/assert.ts";
import { ConstantVector } from "../../common/batch/vector.ts";
import { SqlError, SqlState } from "../../common/error.ts";
import { BitString } from "../../common/types/bit.ts";
import { Oid } from "../../common/types/oid.ts";
import { SparseVector } from "../../common/types/sparsevec.ts";
import { codecOf } from "../../common/types/registry.ts";
import type { Datum, SqlType } from "../../common/types/type.ts";
import type { IndexEntry, TableEntry } from "../../catalog/entries.ts";
import { type IndexRange, SearchMode, SearchStat } from "../../native/engine.ts";
import { choosePath, mostExact } from "../../planner/physical/choose-path.ts";
import { defaultBeam } from "../../planner/physical/beam.ts";
import type { SearchBranch, TextBranch, VectorBranch } from "../../planner/physical/plan.ts";
import type { ExecutionContext } from "../context.ts";
import { makeCaller } from "../expression/caller.ts";
import { evaluateScalar } from "../expression/compile.ts";
import { chain, type MaybePromise } from "../maybe-promise.ts";
import { textBuffer } from "../storage/column-buffer.ts";
import { MAX_INDEXED_ELEMENTS, packingOf } from "../storage/column-spec.ts";
import { packedWords } from "../storage/packed-words.ts";
import { MAX_POOLED_RANKING, type RankingBuffer } from "../storage/buffer-pool.ts";
import { RowFetcher } from "../storage/fetch-rows.ts";
import { columnType } from "../storage/scan-target.ts";
import { setBit } from "../storage/bitmap.ts";
import type { FilterBitmap } from "./filter-bitmap.ts";
import { forEachRid, type Ranking, TopRanking } from "./ranking.ts";

/** What nearestInRange says of a range with too many entries to look at each, and of one too few of the nearest rows lie in. */
const TOO_MANY = -1;
const TOO_FEW_PASS = -3;

/** Places for so many rows are not worth a question how many rows there are. */
const FEW = 1000;

/** SearchStat.path of nearest rows that were asked for their predicate. */
export const THEN_FILTER = 3;

/** From how many entries on a range is asked of the nearest rows: of the first `sure` of `beam`. */
export interface WideRange {
  readonly from: number;
  readonly beam: number;
  readonly sure: number;
}

/** Rows after the ranked ones: their value, NULL as null. */
export interface RestRow {
  readonly rid: number;
  readonly value: number | null;
}

export class BranchSearch {
  readonly #branch: SearchBranch;
  readonly #table: TableEntry;
  readonly #context: ExecutionContext;
  readonly stats: Float64Array;
  /** Rows that pass, at least, as far as a look at their range has told. */
  matchesAtLeast = 0;
  #query: Datum = null;
  /** Of the pool, and whether a ranking lies in it. */
  readonly #room: RankingBuffer | undefined;
  #isRoomTaken = false;

  /** `wanted`: how many rows are about to be asked for. */
  constructor(branch: SearchBranch, table: TableEntry, context: ExecutionContext, wanted: number) {
    this.#branch = branch;
    this.#table = table;
    this.#context = context;
    this.#room = wanted <= MAX_POOLED_RANKING ? context.buffers.takeRanking(wanted) : undefined;
    this.stats = this.#room?.stats ?? new Float64Array(SearchStat.size);
  }

  /** Once: the rankings it gave, and its stats, are looked at no longer. */
  close(): void {
    if (this.#room !== undefined) this.#context.buffers.releaseRanking(this.#room);
  }

  /** For `count` rows of an index. */
  #roomFor(count: number): Ranking {
    const room = this.#room;
    if (room === undefined || this.#isRoomTaken || room.rids.length !== count)
      return { rids: new Uint32Array(count), values: new Float64Array(count) };
    this.#isRoomTaken = true;
    return room;
  }

  /** Evaluates the query; before anything else. */
  open(): MaybePromise<void> {
    return chain(evaluateScalar(this.#branch.query, this.#context), (query) => {
      this.#query = query;
      if (this.#branch.kind === "vector" && query !== null) this.#checkDimension(query);
    });
  }

  /** The `count` first ranked rows under the filter; fewer only when no more are ranked. */
  top(count: number, filter: FilterBitmap | undefined, exact: boolean): MaybePromise<Ranking> {
    return this.#top(count, filter, exact, undefined);
  }

  /** The `count` nearest of all rows by a graph, with a beam of just that width where no recall is aimed at. */
  nearestOfAll(count: number): MaybePromise<Ranking> {
    return this.#top(count, undefined, false, count);
  }

  #top(
    count: number,
    filter: FilterBitmap | undefined,
    exact: boolean,
    beam: number | undefined,
  ): MaybePromise<Ranking> {
    const limit = count <= FEW ? count : Math.min(count, filter?.count ?? this.#ridLimit());
    if (this.#query === null || limit === 0) return { rids: new Uint32Array(0), values: new Float64Array(0) };
    switch (this.#branch.kind) {
      case "vector":
        return this.#nearest(this.#branch, this.#query, limit, filter, exact, beam);
      case "text":
        return this.#branch.isUsable
          ? this.#bestTexts(this.#branch, this.#query as string, limit, filter, exact)
          : this.#scoredTexts(this.#branch, this.#query as string, limit, filter);
      default:
        return unreachable(this.#branch);
    }
  }

  /**
   * The `count` nearest rows in a range of a btree index, where they are few enough to look at each, or as many as `wide` says.
   * undefined where a bitmap of them should decide, "unknown" where another way may be tried first: the search is of
   * another kind, or rows without a distance would have to follow.
   */
  nearestInRange(
    keyIndexId: number,
    range: IndexRange,
    count: number,
    wide: WideRange | undefined,
  ): Ranking | "unknown" | undefined {
    const branch = this.#branch;
    if (branch.kind !== "vector" || branch.index === undefined || count > FEW) return "unknown";
    const type = columnType(this.#table, branch.attnum);
    const packing = packingOf(type);
    const query = this.#query;
    if (packing === undefined || query === null || isLargeSparse(query)) return "unknown";
    const indexId = branch.index.storageId;
    const entryCount = this.#context.statistics.indexEntries(indexId);
    const { efSearch, maxScanTuples } = this.#context.settings;
    const few = fewEnough(branch, branch.index, entryCount, count, efSearch, packing.words);
    // From there on the other way is cheaper.
    const most = wide === undefined ? few : Math.min(few, wide.from - 1);
    const { rids, values: distances } = this.#roomFor(count);
    const found = this.#context.transaction.nearestInRange(
      indexId,
      keyIndexId,
      range,
      most,
      wide?.from ?? 0,
      wide?.beam ?? 0,
      wide?.sure ?? 0,
      Math.min(entryCount, maxScanTuples ?? Number.POSITIVE_INFINITY),
      queryWords(type, query, packing.words),
      count,
      rids,
      distances,
      this.stats,
    );
    if (found === count) return { rids, values: distances };
    if (found >= 0) {
      if ((this.stats[SearchStat.matching] as number) > found) return "unknown";
      return { rids: rids.subarray(0, found), values: distances.subarray(0, found) };
    }
    if (found === TOO_MANY) this.matchesAtLeast = most + 1;
    return wide !== undefined && (found === TOO_MANY || found === TOO_FEW_PASS) ? undefined : "unknown";
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

  #nearest(
    branch: VectorBranch,
    query: Datum,
    count: number,
    filter: FilterBitmap | undefined,
    exact: boolean,
    beam: number | undefined,
  ): MaybePromise<Ranking> {
    const type = columnType(this.#table, branch.attnum);
    const packing = packingOf(type);
    if (branch.index === undefined || packing === undefined || isLargeSparse(query))
      return this.#exactNearest(branch, query, count, filter);
    const words = queryWords(type, query, packing.words);
    return this.#nearestByIndex(branch.index, words, count, filter, exact, beam);
  }

  #nearestByIndex(
    index: IndexEntry,
    query: Float32Array,
    count: number,
    filter: FilterBitmap | undefined,
    exact: boolean,
    givenBeam: number | undefined,
  ): Ranking {
    const { rids, values: distances } = this.#roomFor(count);
    const { efSearch, maxScanTuples, targetRecall } = this.#context.settings;
    const indexId = index.storageId;
    const entryCount = this.#context.statistics.indexEntries(indexId);
    // Under a wanted recall the engine knows better; for the choice of a path the usual width will do.
    const saidBeam = givenBeam ?? (targetRecall === undefined ? efSearch : undefined);
    const beam = Math.max(saidBeam ?? defaultBeam(index, entryCount, count), count);
    const { path } = choosePath({
      kind: "vector",
      rowCount: entryCount,
      matchCount: filter?.count,
      k: count,
      ef: beam,
      dimensions: query.length,
      mustBeExact: exact,
    });
    const found = this.#context.transaction.vectorSearch(
      indexId,
      query,
      count,
      beam,
      filter?.bits,
      filter?.count ?? 0,
      path === "exact" ? SearchMode.exact : SearchMode.graph,
      // Looking at every candidate is what the exact answer costs: the graph may not cost more.
      Math.min(filter?.count ?? entryCount, maxScanTuples ?? Number.POSITIVE_INFINITY),
      targetRecall ?? 0,
      rids,
      distances,
      this.stats,
    );
    if (found === count) return { rids, values: distances };
    return { rids: rids.subarray(0, found), values: distances.subarray(0, found) };
  }

  /** One above the largest row id: no ranking is longer. */
  #ridLimit(): number {
    return this.#context.transaction.ridLimit(this.#table.storageId);
  }

  /** Without an index: every candidate's distance. */
  async #exactNearest(
    branch: VectorBranch,
    query: Datum,
    count: number,
    filter: FilterBitmap | undefined,
  ): Promise<Ranking> {
    const top = new TopRanking(count, this.#context);
    const distances = new Float64Array(this.#context.batchRows);
    const { transaction } = this.#context;
    const type = columnType(this.#table, branch.attnum);
    const packing = packingOf(type);
    const words =
      packing === undefined || isLargeSparse(query) ? undefined : queryWords(type, query, packing.words);
    this.stats[SearchStat.path] = 2;
    await forEachRid(this.#table, filter?.bits, undefined, this.#context, async (rids, found) => {
      if (packing !== undefined && words !== undefined) {
        const { form, dimensions } = packing;
        transaction.vectorDistances(
          this.#table.storageId,
          branch.attnum - 1,
          form,
          dimensions,
          branch.metric,
          rids,
          found,
          words,
          distances,
        );
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
    query: Datum,
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
      documentCount: this.#context.statistics.indexEntries(branch.index.storageId),
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

  /** Every row's text scored with the statistics of an index that cannot be searched for these rows. */
  async #scoredTexts(
    branch: TextBranch,
    query: string,
    count: number,
    filter: FilterBitmap | undefined,
  ): Promise<Ranking> {
    const captured = this.#context.textQuery(branch.index.storageId, query);
    const top = new TopRanking(count, this.#context);
    const fetcher = this.#columnFetcher();
    const scores = new Float64Array(fetcher.capacity);
    this.stats[SearchStat.path] = 2;
    try {
      await forEachRid(this.#table, filter?.bits, undefined, this.#context, async (rids, found) => {
        for (let from = 0; from < found; from += fetcher.capacity) {
          const batch = fetcher.fetch(rids, from, Math.min(fetcher.capacity, found - from));
          if (batch === undefined) continue;
          const texts = textBuffer(must(batch.columns[0], "the searched column"), batch.rowCount);
          this.#context.transaction.textScore(captured, texts, batch.rowCount, scores);
          for (let row = 0; row < batch.rowCount; row++) {
            const score = scores[row] as number;
            if (score > 0) top.add(batch.rids[row] as number, -score);
          }
        }
        await top.thin();
      });
    } finally {
      fetcher.close();
    }
    return top.finish();
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
  #checkDimension(query: Datum): void {
    const type = columnType(this.#table, this.#branch.attnum);
    const expected = packingOf(type)?.dimensions;
    const given = dimensionsOf(query);
    if (expected === undefined || given === undefined || expected === given) return;
    const what = query instanceof BitString ? "bit lengths" : `${codecOf(type.oid).name} dimensions`;
    // An index compares the query with its entries, an expression the column with the query.
    const hasIndex = this.#branch.kind === "vector" && this.#branch.index !== undefined;
    const sizes = hasIndex ? [given, expected] : [expected, given];
    throw new SqlError(SqlState.dataException, `different ${what} ${sizes.join(" and ")}`);
  }
}

/** The most rows that are better looked at one by one, as of an index of about this size: asked for in every search. */
interface FewEnough {
  readonly entryCount: number;
  readonly k: number;
  /** hnsw.ef_search where it is set. */
  readonly efSearch: number | undefined;
  readonly most: number;
}

const fewEnoughs = new WeakMap<VectorBranch, FewEnough>();
/** Share of the index's size after which it is worked out again: it is an estimate. */
const DRIFT = 1 / 16;

function fewEnough(
  branch: VectorBranch,
  index: IndexEntry,
  entryCount: number,
  k: number,
  efSearch: number | undefined,
  dimensions: number,
): number {
  const known = fewEnoughs.get(branch);
  const isNear = known !== undefined && Math.abs(known.entryCount - entryCount) <= entryCount * DRIFT;
  if (isNear && known.k === k && known.efSearch === efSearch) return known.most;
  const ef = efSearch ?? defaultBeam(index, entryCount, k);
  const counts = { kind: "vector", rowCount: entryCount, k, ef, dimensions, mustBeExact: false } as const;
  const most = mostExact(counts);
  fewEnoughs.set(branch, { entryCount, k, efSearch, most });
  return most;
}

function dimensionsOf(query: Datum): number | undefined {
  if (query instanceof SparseVector) return query.dimensions;
  return query instanceof BitString || query instanceof Float32Array ? query.length : undefined;
}

/** A query may have more elements than a row of an index has room for; it is compared with the vectors themselves. */
function isLargeSparse(query: Datum): boolean {
  return query instanceof SparseVector && query.indices.length > MAX_INDEXED_ELEMENTS;
}

/** A query in the words of a row. */
function queryWords(type: SqlType, query: Datum, words: number): Float32Array {
  return type.oid === Oid.vector ? (query as Float32Array) : packedWords(type, query, words);
}
