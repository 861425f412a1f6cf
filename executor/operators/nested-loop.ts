// For each left row: set the outer slots, run the right side, keep the pairs for which the condition holds. A right side that
// reads nothing of the left row runs once and is kept.
import { type Batch, ConstantVector, type Vector } from "../../common/batch/vector.ts";
import type { NestedLoopPlan } from "../../planner/physical/plan.ts";
import { detach } from "../batch/column-builder.ts";
import { Emitter } from "../batch/emitter.ts";
import { gather, gatherBatch } from "../batch/gather.ts";
import { RowStore } from "../batch/row-store.ts";
import type { ExecutionContext } from "../context.ts";
import { compileExpression } from "../expression/compile.ts";
import { type Evaluate, evaluateAll } from "../expression/evaluate.ts";
import { trueRows } from "../expression/truth.ts";
import type { MaybePromise } from "../maybe-promise.ts";
import type { Operator } from "./operator.ts";
import { drain } from "./pull.ts";

export class NestedLoopOperator implements Operator {
  readonly #plan: NestedLoopPlan;
  readonly #left: Operator;
  readonly #context: ExecutionContext;
  readonly #bindings: readonly { readonly id: number; readonly evaluate: Evaluate }[];
  readonly #condition: Evaluate | undefined;
  readonly #rightWidth: number;
  /** The right side's rows when it reads nothing of the left row. */
  #kept: RowStore | undefined;
  #output: RowStore;
  #emitter: Emitter | undefined;
  #isDone = false;

  constructor(plan: NestedLoopPlan, left: Operator, context: ExecutionContext) {
    this.#plan = plan;
    this.#left = left;
    this.#context = context;
    this.#bindings = plan.bindings.map((binding) => ({
      id: binding.id,
      evaluate: compileExpression(binding.value),
    }));
    this.#condition = plan.condition === undefined ? undefined : compileExpression(plan.condition);
    this.#rightWidth = plan.right.output.length;
    this.#output = new RowStore(plan.output.length, context);
  }

  open(): MaybePromise<void> {
    return this.#left.open();
  }

  async next(): Promise<Batch | undefined> {
    for (;;) {
      const ready = this.#emitter?.next();
      if (ready !== undefined) return ready;
      this.#output.release();
      if (this.#isDone) return undefined;
      this.#output = new RowStore(this.#plan.output.length, this.#context);
      const batch = await this.#left.next();
      if (batch === undefined) {
        this.#isDone = true;
        return undefined;
      }
      await this.#joinBatch(batch);
      this.#emitter = new Emitter(
        this.#output.columns(),
        undefined,
        0,
        this.#output.rowCount,
        this.#context.batchRows,
      );
    }
  }

  close(): void {
    this.#left.close();
    this.#kept?.release();
    this.#output.release();
  }

  async #joinBatch(batch: Batch): Promise<void> {
    const bound = await evaluateAll(
      this.#bindings.map((binding) => binding.evaluate),
      batch,
      this.#context,
    );
    for (let row = 0; row < batch.rowCount; row++) {
      for (let i = 0; i < this.#bindings.length; i++) {
        this.#context.outer[(this.#bindings[i] as { id: number }).id] = detach((bound[i] as Vector).get(row));
      }
      await this.#joinRow(batch, row);
      const pause = this.#context.turn();
      if (pause !== undefined) await pause;
    }
  }

  async #joinRow(batch: Batch, row: number): Promise<void> {
    const { joinType } = this.#plan;
    let hasMatch = false;
    const right = await this.#openRight();
    try {
      for (let inner = await right.next(); inner !== undefined; inner = await right.next()) {
        const matches = await this.#matching(batch, row, inner);
        if (matches === undefined) continue;
        hasMatch = true;
        if (joinType === "semi" || joinType === "anti") break;
        this.#output.append(
          [...repeated(batch, row, matches.rowCount), ...matches.columns],
          matches.rowCount,
        );
      }
    } finally {
      right.close();
    }
    if (joinType === "semi" ? hasMatch : joinType !== "inner" && !hasMatch) {
      const nulls = Array.from(
        { length: joinType === "left" ? this.#rightWidth : 0 },
        () => new ConstantVector(null, 1),
      );
      this.#output.append([...repeated(batch, row, 1), ...nulls], 1);
    }
  }

  /** The right rows for which the condition holds beside the left row; undefined when none. */
  async #matching(batch: Batch, row: number, inner: Batch): Promise<Batch | undefined> {
    if (this.#condition === undefined) return inner;
    const left = batch.columns.map((column) => new ConstantVector(column.get(row), inner.rowCount));
    const pairs: Batch = { columns: [...left, ...inner.columns], rowCount: inner.rowCount };
    const rows = trueRows(await this.#condition(pairs, this.#context), inner.rowCount);
    if (rows === undefined) return inner;
    return rows.length === 0 ? undefined : gatherBatch(inner, rows);
  }

  async #openRight(): Promise<{ next(): MaybePromise<Batch | undefined>; close(): void }> {
    if (this.#kept !== undefined) return this.#readKept(this.#kept);
    const right = this.#context.buildOperator(this.#plan.right, this.#context);
    try {
      await right.open();
      if (this.#bindings.length > 0) return right;
      const kept = new RowStore(this.#rightWidth, this.#context);
      await drain(right, (batch) => kept.append(batch.columns, batch.rowCount));
      this.#kept = kept;
      right.close();
      return this.#readKept(kept);
    } catch (error) {
      right.close();
      throw error;
    }
  }

  #readKept(kept: RowStore): { next(): Batch | undefined; close(): void } {
    const emitter = new Emitter(kept.columns(), undefined, 0, kept.rowCount, this.#context.batchRows);
    return { next: () => emitter.next(), close: () => {} };
  }
}

/** A row of the batch, `count` times, in the batch's own representations. */
function repeated(batch: Batch, row: number, count: number): Vector[] {
  const rows = new Uint32Array(count).fill(row);
  return batch.columns.map((column) => gather(column, rows));
}
