// ORDER BY: keeps all rows, sorts positions by the keys, hands rows out in order. With a limit only the best rows are kept:
// whenever the kept rows reach twice the limit, the worse half is dropped.
import type { Batch } from "../../common/batch/vector.ts";
import type { SortPlan } from "../../planner/physical/plan.ts";
import { rowComparator, type SortOrder } from "../batch/compare.ts";
import { Emitter } from "../batch/emitter.ts";
import { gather } from "../batch/gather.ts";
import { RowStore } from "../batch/row-store.ts";
import { sortRows } from "../batch/sort-rows.ts";
import type { ExecutionContext } from "../context.ts";
import { compileExpression } from "../expression/compile.ts";
import { type Evaluate, evaluateAll } from "../expression/evaluate.ts";
import { chain, type MaybePromise } from "../maybe-promise.ts";
import type { Operator } from "./operator.ts";
import { drain } from "./pull.ts";
import { rowLimits } from "./row-limits.ts";

/** Above this many wanted rows a plain sort is simpler and no slower. */
const MAX_TOP_ROWS = 100_000;
/** Kept rows are thinned when there are this many times the wanted ones, and not below MIN_THIN_ROWS. */
const THIN_FACTOR = 2;
const MIN_THIN_ROWS = 1024;

export class SortOperator implements Operator {
  readonly #plan: SortPlan;
  readonly #input: Operator;
  readonly #context: ExecutionContext;
  readonly #keys: readonly Evaluate[];
  readonly #orders: readonly SortOrder[];
  #store: RowStore;
  /** Rows that anybody above will read: count + skip. */
  #wanted = Number.POSITIVE_INFINITY;
  #emitter: Emitter | undefined;

  constructor(plan: SortPlan, input: Operator, context: ExecutionContext) {
    this.#plan = plan;
    this.#input = input;
    this.#context = context;
    this.#keys = plan.keys.map((key) => compileExpression(key.expression));
    this.#orders = plan.keys.map((key) => ({ ...key, type: key.expression.type }));
    this.#store = this.#newStore();
  }

  open(): MaybePromise<void> {
    return chain(rowLimits(this.#plan.count, this.#plan.skip, this.#context), (limits) => {
      this.#wanted = limits.count + limits.skip;
      return this.#input.open();
    });
  }

  next(): MaybePromise<Batch | undefined> {
    if (this.#emitter !== undefined) return this.#emitter.next();
    return this.#sort().then((emitter) => {
      this.#emitter = emitter;
      return emitter.next();
    });
  }

  close(): void {
    this.#input.close();
    this.#store.release();
  }

  /** Output columns first, then the keys. */
  #newStore(): RowStore {
    return new RowStore(this.#plan.output.length + this.#keys.length, this.#context);
  }

  async #sort(): Promise<Emitter> {
    const wanted = this.#wanted;
    const thinAt =
      wanted <= MAX_TOP_ROWS ? Math.max(MIN_THIN_ROWS, wanted * THIN_FACTOR) : Number.POSITIVE_INFINITY;
    if (wanted > 0) {
      await drain(this.#input, (batch) =>
        chain(evaluateAll(this.#keys, batch, this.#context), (keys) => {
          this.#store.append([...batch.columns, ...keys], batch.rowCount);
          return this.#store.rowCount > thinAt ? this.#thin(wanted) : undefined;
        }),
      );
    }
    const order = await this.#order();
    const columns = this.#store.columns().slice(0, this.#plan.output.length);
    const to = Math.min(order.length, wanted);
    return new Emitter(columns, order, 0, to, this.#context.batchRows);
  }

  #order(): Promise<Uint32Array> {
    const keys = this.#store.columns().slice(this.#plan.output.length);
    return sortRows(this.#store.rowCount, rowComparator(keys, this.#orders), this.#context);
  }

  /** Keeps the best `wanted` rows in the order they came, so that equal ones keep it too. */
  async #thin(wanted: number): Promise<void> {
    const best = (await this.#order()).slice(0, wanted).sort();
    const kept = this.#newStore();
    kept.append(
      this.#store.columns().map((column) => gather(column, best)),
      best.length,
    );
    this.#store.release();
    this.#store = kept;
  }
}
