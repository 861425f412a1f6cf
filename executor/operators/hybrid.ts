// hybrid_rrf: reciprocal rank fusion of several rankings of one table in one snapshot, under one filter bitmap.
//
// A row's value is -sum of weight / (k + rank) over the branches that rank it (rank 1 = best, by (value, rid)); ascending is
// best, ties by rid. Each branch gives its `candidates` best rows, all of them in exact mode. A row whose text has no
// matching term, or whose vector or text is NULL, is not ranked by that branch; rows that no branch ranks come last with
// value 0, so that LIMIT gets its rows.
import { must } from "../../common/assert.ts";
import type { Batch } from "../../common/batch/vector.ts";
import { SqlError, SqlState } from "../../common/error.ts";
import { SqlArray } from "../../common/types/array.ts";
import { codecOf } from "../../common/types/registry.ts";
import type { Datum } from "../../common/types/type.ts";
import type { BoundExpression } from "../../planner/logical/expression.ts";
import type { HybridPlan } from "../../planner/physical/plan.ts";
import type { ExecutionContext } from "../context.ts";
import { evaluateScalar } from "../expression/compile.ts";
import { BranchSearch } from "../search/branch.ts";
import { RankedEmitter, type RankedRows } from "../search/emit-ranked.ts";
import { type FilterBitmap, filterBitmap } from "../search/filter-bitmap.ts";
import { forEachRid, TopRanking } from "../search/ranking.ts";
import { setBit } from "../storage/bitmap.ts";
import type { Operator } from "./operator.ts";
import { rowLimits } from "./row-limits.ts";

/** Cormack, Clarke and Büttcher (SIGIR 2009). */
const DEFAULT_K = 60;
/** Candidates per branch unless given: at least MIN_CANDIDATES, else this many times the wanted rows. */
const MIN_CANDIDATES = 200;
const CANDIDATES_PER_ROW = 10;

export class HybridOperator implements Operator {
  readonly #plan: HybridPlan;
  readonly #context: ExecutionContext;
  #emitter: RankedEmitter | undefined;

  constructor(plan: HybridPlan, context: ExecutionContext) {
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
    const limits = await rowLimits(this.#plan.count, this.#plan.skip, this.#context);
    const wanted = limits.count + limits.skip;
    const weights = await this.#weights();
    const k = (await this.#positive(this.#plan.k, "k")) ?? DEFAULT_K;
    const candidates = await this.#candidates(wanted);
    const bitmap = await filterBitmap(this.#plan.filter, this.#plan.target, this.#context);
    const fused = await this.#fuse(weights, k, candidates, bitmap);
    const top = new TopRanking(wanted, this.#context);
    for (const [rid, value] of fused) top.add(rid, value);
    const best = await top.finish();
    return this.#withUnranked(best, fused, bitmap, wanted);
  }

  /** rid -> value, over all branches. */
  async #fuse(
    weights: readonly number[],
    k: number,
    candidates: number,
    bitmap: FilterBitmap | undefined,
  ): Promise<Map<number, number>> {
    const { branches, target } = this.#plan;
    const { settings } = this.#context;
    const exact = settings.exact || !settings.enableIndexscan;
    const fused = new Map<number, number>();
    for (let i = 0; i < branches.length; i++) {
      const wanted = exact ? Number.POSITIVE_INFINITY : candidates;
      const search = new BranchSearch(must(branches[i], "a branch"), target.table, this.#context, wanted);
      await search.open();
      const ranking = await search.top(wanted, bitmap, exact);
      const weight = must(weights[i], "a weight per branch");
      for (let rank = 1; rank <= ranking.rids.length; rank++) {
        const rid = ranking.rids[rank - 1] as number;
        fused.set(rid, (fused.get(rid) ?? 0) - weight / (k + rank));
      }
      search.close();
      this.#report(i, ranking.rids.length, bitmap?.count);
    }
    return fused;
  }

  /** Rows that no branch ranked fill up to the wanted ones with value 0. */
  async #withUnranked(
    best: { readonly rids: Uint32Array; readonly values: Float64Array },
    fused: ReadonlyMap<number, number>,
    bitmap: FilterBitmap | undefined,
    wanted: number,
  ): Promise<RankedRows> {
    const rids = [...best.rids];
    const values = [...best.values];
    if (rids.length < wanted) {
      const { table } = this.#plan.target;
      const ranked = new Uint8Array((this.#context.transaction.ridLimit(table.storageId) + 7) >> 3);
      for (const rid of fused.keys()) setBit(ranked, rid);
      const unranked: number[] = [];
      await forEachRid(table, bitmap?.bits, ranked, this.#context, (found, count) => {
        for (let i = 0; i < count; i++) unranked.push(found[i] as number);
      });
      for (const rid of unranked.sort((a, b) => a - b)) {
        rids.push(rid);
        values.push(0);
      }
    }
    return {
      rids: Uint32Array.from(rids.slice(0, wanted)),
      values: Float64Array.from(values.slice(0, wanted)),
      nulls: undefined,
    };
  }

  async #weights(): Promise<number[]> {
    const count = this.#plan.branches.length;
    if (this.#plan.weights === undefined) return new Array<number>(count).fill(1);
    const value = await evaluateScalar(this.#plan.weights, this.#context);
    const weights =
      value instanceof SqlArray
        ? value.elements.map((element) => this.#number(element, value.elementOid))
        : [];
    if (weights.length !== count || weights.some((weight) => !(weight >= 0))) {
      throw new SqlError(
        SqlState.invalidParameterValue,
        "weights of hybrid_rrf must be one non-negative number per branch",
        {
          detail: `There are ${count} branches.`,
        },
      );
    }
    return weights;
  }

  async #candidates(wanted: number): Promise<number> {
    const given = await this.#positive(this.#plan.candidates, "candidates");
    return given ?? Math.max(MIN_CANDIDATES, CANDIDATES_PER_ROW * wanted);
  }

  async #positive(expression: BoundExpression | undefined, name: string): Promise<number | undefined> {
    if (expression === undefined) return undefined;
    const value = this.#number(await evaluateScalar(expression, this.#context), expression.type.oid);
    if (value >= 1) return value;
    throw new SqlError(SqlState.invalidParameterValue, `${name} of hybrid_rrf must be positive`);
  }

  /** A value of any number type; NaN for NULL. */
  #number(value: Datum, oid: number): number {
    if (value === null) return Number.NaN;
    return typeof value === "number"
      ? value
      : Number(codecOf(oid).format(value, this.#context.functionContext.types));
  }

  #report(branch: number, found: number, matching: number | undefined): void {
    const extra = this.#context.instrument?.get(this.#plan.id)?.extra;
    if (extra === undefined) return;
    extra.set(`Branch ${branch + 1} Candidates`, String(found));
    if (matching !== undefined) extra.set("Rows Matching Filter", String(matching));
  }
}
