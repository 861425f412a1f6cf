// DELETE. Runs to its end at the first next(); RETURNING rows follow, over [old row, input row].
import type { Batch } from "../../common/batch/vector.ts";
import { RowLock } from "../../native/engine.ts";
import type { DeletePlan } from "../../planner/physical/plan.ts";
import { noteDeleted } from "../constraint/note.ts";
import type { ExecutionContext } from "../context.ts";
import { chain, forEach, type MaybePromise } from "../maybe-promise.ts";
import { readLocked } from "../modify/existing-rows.ts";
import { type LockedTargets, TargetLocker } from "../modify/locked-targets.ts";
import { Returning } from "../modify/returning.ts";
import type { Operator } from "./operator.ts";
import { drain } from "./pull.ts";

export class DeleteOperator implements Operator {
  readonly #plan: DeletePlan;
  readonly #input: Operator;
  readonly #context: ExecutionContext;
  readonly #locker: TargetLocker;
  readonly #returning: Returning;
  #hasRun = false;

  constructor(plan: DeletePlan, input: Operator, context: ExecutionContext) {
    this.#plan = plan;
    this.#input = input;
    this.#context = context;
    this.#locker = new TargetLocker(plan, RowLock.update, context);
    this.#returning = new Returning(plan.returning, context);
  }

  open(): MaybePromise<void> {
    return this.#input.open();
  }

  next(): MaybePromise<Batch | undefined> {
    if (this.#hasRun) return this.#returning.next();
    this.#hasRun = true;
    return chain(
      drain(this.#input, (batch) => this.#deleteBatch(batch)),
      () => this.#returning.next(),
    );
  }

  close(): void {
    this.#input.close();
    this.#locker.close();
    this.#returning.close();
  }

  #deleteBatch(batch: Batch): MaybePromise<void> {
    return chain(this.#context.turn(), () =>
      chain(this.#locker.lock(batch), (groups) => forEach(groups, (group) => this.#deleteGroup(group))),
    );
  }

  #deleteGroup({ batch, rids }: LockedTargets): MaybePromise<void> {
    const { table, referencedBy } = this.#plan;
    const returned = [...this.#returning.columnsUsed]
      .filter((position) => position < table.columns.length)
      .map((position) => position + 1);
    const needed = [...new Set([...returned, ...referencedBy.flatMap(({ columns }) => columns)])];
    const old = readLocked(table, needed, rids, this.#context);
    this.#context.transaction.deleteRows(table.storageId, rids, 0, rids.length);
    noteDeleted(referencedBy, old, rids.length, this.#context);
    this.#context.countAffected(this.#plan.id, rids.length);
    if (this.#plan.returning !== undefined)
      return this.#returning.add([...old, ...batch.columns], rids.length);
  }
}
