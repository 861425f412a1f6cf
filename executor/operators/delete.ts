// DELETE. Runs to its end at the first next(); RETURNING rows follow, over [old row, input row].
import type { Batch } from "../../common/batch/vector.ts";
import { RowLock } from "../../native/engine.ts";
import type { DeletePlan } from "../../planner/physical/plan.ts";
import { noteDeleted } from "../constraint/note.ts";
import type { ExecutionContext } from "../context.ts";
import type { MaybePromise } from "../maybe-promise.ts";
import { readLocked } from "../modify/existing-rows.ts";
import { TargetLocker } from "../modify/locked-targets.ts";
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

  async next(): Promise<Batch | undefined> {
    if (!this.#hasRun) {
      this.#hasRun = true;
      await drain(this.#input, (batch) => this.#deleteBatch(batch));
    }
    return this.#returning.next();
  }

  close(): void {
    this.#input.close();
    this.#returning.close();
  }

  async #deleteBatch(batch: Batch): Promise<void> {
    const pause = this.#context.turn();
    if (pause !== undefined) await pause;
    const { table, referencedBy } = this.#plan;
    const returned = [...this.#returning.columnsUsed]
      .filter((position) => position < table.columns.length)
      .map((position) => position + 1);
    const needed = [...new Set([...returned, ...referencedBy.flatMap(({ columns }) => columns)])];
    for (const group of await this.#locker.lock(batch)) {
      const old = readLocked(table, needed, group.rids, this.#context);
      this.#context.transaction.deleteRows(table.storageId, group.rids, 0, group.rids.length);
      noteDeleted(referencedBy, old, group.rids.length, this.#context);
      this.#context.countAffected(this.#plan.id, group.rids.length);
      await this.#returning.add([...old, ...group.batch.columns], group.rids.length);
    }
  }
}
