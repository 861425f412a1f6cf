// UPDATE. Runs to its end at the first next(); RETURNING rows follow, over [new row, input row].
import type { Batch } from "../../common/batch/vector.ts";
import type { UpdatePlan } from "../../planner/physical/plan.ts";
import type { ExecutionContext } from "../context.ts";
import { chain, forEach, type MaybePromise } from "../maybe-promise.ts";
import { readLocked } from "../modify/existing-rows.ts";
import { type LockedTargets, TargetLocker } from "../modify/locked-targets.ts";
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

  next(): MaybePromise<Batch | undefined> {
    if (this.#hasRun) return this.#returning.next();
    this.#hasRun = true;
    return chain(
      drain(this.#input, (batch) => this.#updateBatch(batch)),
      () => this.#returning.next(),
    );
  }

  close(): void {
    this.#input.close();
    this.#locker.close();
    this.#updater.close();
    this.#returning.close();
  }

  #updateBatch(batch: Batch): MaybePromise<void> {
    return chain(this.#context.turn(), () =>
      chain(this.#locker.lock(batch), (groups) => forEach(groups, (group) => this.#updateGroup(group))),
    );
  }

  #updateGroup({ batch, rids }: LockedTargets): MaybePromise<void> {
    const needed = this.#updater.oldColumnsNeeded(this.#returning.columnsUsed);
    const old = readLocked(this.#plan.table, needed, rids, this.#context);
    return chain(this.#updater.update(batch, rids, old), (updated) => {
      this.#context.countAffected(this.#plan.id, rids.length);
      if (this.#plan.returning !== undefined)
        return this.#returning.add([...updated, ...batch.columns], rids.length);
    });
  }
}
