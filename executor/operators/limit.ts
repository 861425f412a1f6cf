// LIMIT, OFFSET and FETCH FIRST ... WITH TIES. Stops pulling as soon as it has its rows.
import { must } from "../../common/assert.ts";
import type { Batch } from "../../common/batch/vector.ts";
import type { LimitPlan } from "../../planner/physical/plan.ts";
import { rowComparator } from "../batch/compare.ts";
import { sliceBatch } from "../batch/gather.ts";
import { RowStore } from "../batch/row-store.ts";
import type { ExecutionContext } from "../context.ts";
import { compileExpression } from "../expression/compile.ts";
import { type Evaluate, evaluateAll } from "../expression/evaluate.ts";
import { chain, type MaybePromise } from "../maybe-promise.ts";
import type { Operator } from "./operator.ts";
import { rowLimits } from "./row-limits.ts";

export class LimitOperator implements Operator {
  readonly #plan: LimitPlan;
  readonly #input: Operator;
  readonly #context: ExecutionContext;
  readonly #tieKeys: readonly Evaluate[];
  /** Rows still to skip, and to give. */
  #skip = 0;
  #count = 0;
  /** WITH TIES: sort keys of the last row given, once the count is reached. */
  #lastKeys: RowStore | undefined;
  #isDone = false;

  constructor(plan: LimitPlan, input: Operator, context: ExecutionContext) {
    this.#plan = plan;
    this.#input = input;
    this.#context = context;
    this.#tieKeys = (plan.withTies ?? []).map((key) => compileExpression(key.expression));
  }

  open(): MaybePromise<void> {
    return chain(rowLimits(this.#plan.count, this.#plan.skip, this.#context), (limits) => {
      this.#skip = limits.skip;
      this.#count = limits.count;
      this.#isDone = limits.count === 0;
      return this.#input.open();
    });
  }

  next(): MaybePromise<Batch | undefined> {
    if (this.#isDone) return undefined;
    return chain(this.#input.next(), (batch) => {
      if (batch === undefined) {
        this.#isDone = true;
        return undefined;
      }
      return chain(this.#take(batch), (taken) => taken ?? this.next());
    });
  }

  close(): void {
    this.#input.close();
  }

  /** The part of a batch that is wanted; undefined = nothing of it. */
  #take(batch: Batch): MaybePromise<Batch | undefined> {
    if (this.#lastKeys !== undefined) return this.#takeTies(batch, 0);
    const from = Math.min(this.#skip, batch.rowCount);
    this.#skip -= from;
    const to = Math.min(batch.rowCount, from + this.#count);
    this.#count -= to - from;
    if (this.#count > 0) return from === to ? undefined : sliceBatch(batch, from, to);
    if (this.#plan.withTies === undefined) {
      this.#isDone = true;
      return sliceBatch(batch, from, to);
    }
    return chain(evaluateAll(this.#tieKeys, batch, this.#context), (keys) => {
      const last = new RowStore(keys.length, this.#context);
      last.appendRange(keys, to - 1, to);
      this.#lastKeys = last;
      return chain(this.#tieEnd(batch, to), (end) => sliceBatch(batch, from, end));
    });
  }

  #takeTies(batch: Batch, from: number): MaybePromise<Batch | undefined> {
    return chain(this.#tieEnd(batch, from), (end) =>
      end === from ? undefined : sliceBatch(batch, from, end),
    );
  }

  /** First row at or after `from` that sorts differently from the last row given; ends the operator when there is one. */
  #tieEnd(batch: Batch, from: number): MaybePromise<number> {
    return chain(evaluateAll(this.#tieKeys, batch, this.#context), (keys) => {
      const both = new RowStore(keys.length, this.#context);
      both.append(must(this.#lastKeys, "a last row").columns(), 1);
      both.append(keys, batch.rowCount);
      const orders = must(this.#plan.withTies, "sort keys").map((key) => ({
        ...key,
        type: key.expression.type,
      }));
      const compare = rowComparator(both.columns(), orders);
      let end = from;
      while (end < batch.rowCount && compare(0, end + 1) === 0) end += 1;
      if (end < batch.rowCount) this.#isDone = true;
      both.release();
      return end;
    });
  }
}
