// UPDATE. Runs to its end at the first next(); RETURNING rows follow, over [new row, input row].
import type { Batch } from "../../common/batch/vector.ts";
import type { UpdatePlan } from "../../planner/physical/plan.ts";
import type { ExecutionContext } from "../context.ts";
import type { MaybePromise } from "../maybe-promise.ts";
import { readLocked } from "../modify/existing-rows.ts";
import { TargetLocker } from "../modify/locked-targets.ts";
import { Returning } from "../modify/returning.ts";
import { RowUpdater } from "../modify/row-updater.ts";
import type { Operator } from "./operator.ts";
import { drain } from "./pull.ts";

export class UpdateOperator implements Operator {
  readonly #plan: UpdatePlan;
  readonly #input: Operator;
  readonly #context: ExecutionContext;
  readonly #updater: RowUpdater;
  readonly #locker: TargetLocker;
  readonly #returning: Returning;
  #hasRun = false;

  constructor(plan: UpdatePlan, input: Operator, context: ExecutionContext) {
    this.#plan = plan;
    this.#input = input;
    this.#context = context;
    this.#updater = new RowUpdater(plan, context);
    this.#locker = new TargetLocker(plan, this.#updater.lockMode, context);
    this.#returning = new Returning(plan.returning, context);
  }

  open(): MaybePromise<void> {
    return this.#input.open();
  }

  async next(): Promise<Batch | undefined> {
    if (!this.#hasRun) {
      this.#hasRun = true;
      await drain(this.#input, (batch) => this.#updateBatch(batch));
    }
    return this.#returning.next();
  }

  close(): void {
    this.#input.close();
    this.#returning.close();
  }

  async #updateBatch(batch: Batch): Promise<void> {
    const pause = this.#context.turn();
    if (pause !== undefined) await pause;
    const needed = this.#updater.oldColumnsNeeded(this.#returning.columnsUsed);
    for (const group of await this.#locker.lock(batch)) {
      const old = readLocked(this.#plan.table, needed, group.rids, this.#context);
      const updated = await this.#updater.update(group.batch, group.rids, old);
      this.#context.countAffected(this.#plan.id, group.rids.length);
      await this.#returning.add([...updated, ...group.batch.columns], group.rids.length);
    }
  }
}
