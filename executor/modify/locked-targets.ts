// The rows an UPDATE or DELETE may touch: locked, and re-evaluated where a concurrent transaction changed them meanwhile.
//
// READ COMMITTED (PostgreSQL's EvalPlanQual, 13.2.1): a row that was changed after the statement's snapshot takes part with
// its newest version if the condition still holds for it; one that was deleted drops out. Under REPEATABLE READ the engine
// throws 40001 instead. A join may name a target twice: the first time counts.
import { must } from "../../common/assert.ts";
import { type Batch, type Vector } from "../../common/batch/vector.ts";
import { RowLockOutcome } from "../../native/engine.ts";
import type { DeletePlan, UpdatePlan } from "../../planner/physical/plan.ts";
import { gatherBatch } from "../batch/gather.ts";
import type { ExecutionContext } from "../context.ts";
import { compileExpression } from "../expression/compile.ts";
import { trueRows } from "../expression/truth.ts";
import { chain, type MaybePromise } from "../maybe-promise.ts";
import { readLocked } from "./existing-rows.ts";
import { lockRows } from "./write-rows.ts";

export interface LockedTargets {
  /** The input rows, target columns as of the newest version. */
  readonly batch: Batch;
  readonly rids: Uint32Array;
}

export class TargetLocker {
  readonly #plan: UpdatePlan | DeletePlan;
  readonly #mode: number;
  readonly #context: ExecutionContext;
  readonly #seen = new Set<number>();

  constructor(plan: UpdatePlan | DeletePlan, mode: number, context: ExecutionContext) {
    this.#plan = plan;
    this.#mode = mode;
    this.#context = context;
  }

  /** Locks the targets of an input batch; gives groups of rows to work on (none, one, or two with re-evaluated rows). */
  lock(batch: Batch): MaybePromise<LockedTargets[]> {
    const first = this.#firstNamed(batch);
    return chain(lockRows(this.#plan.table, first.rids, this.#mode, this.#context), (outcomes) => {
      const asSeen = pick(first, outcomes, RowLockOutcome.locked);
      const groups = asSeen === undefined ? [] : [asSeen];
      const changed = pick(first, outcomes, RowLockOutcome.changed);
      if (changed === undefined) return groups;
      return chain(this.#recheck(changed), (rechecked) =>
        rechecked === undefined ? groups : [...groups, rechecked],
      );
    });
  }

  /** Rows whose target was not named before in this statement. A NULL target (outer join) is none. */
  #firstNamed(batch: Batch): LockedTargets {
    const column = must(batch.columns[this.#plan.ridIndex], "a rid column");
    const rows: number[] = [];
    const rids: number[] = [];
    for (let row = 0; row < batch.rowCount; row++) {
      const rid = column.get(row) as number | null;
      if (rid === null || this.#seen.has(rid)) continue;
      this.#seen.add(rid);
      rows.push(row);
      rids.push(rid);
    }
    const all = rows.length === batch.rowCount;
    return { batch: all ? batch : gatherBatch(batch, Uint32Array.from(rows)), rids: new Uint32Array(rids) };
  }

  /** Newest versions in place of the old ones, those that still satisfy the condition. */
  async #recheck(changed: LockedTargets): Promise<LockedTargets | undefined> {
    const { targetColumns, table, recheck } = this.#plan;
    const newest = readLocked(
      table,
      targetColumns.map((column) => column.attnum),
      changed.rids,
      this.#context,
    );
    const columns: Vector[] = [...changed.batch.columns];
    for (const { index, attnum } of targetColumns) columns[index] = must(newest[attnum - 1], "a column read");
    const fresh: LockedTargets = { batch: { columns, rowCount: changed.rids.length }, rids: changed.rids };
    if (recheck === undefined) return fresh;
    const rows = trueRows(await compileExpression(recheck)(fresh.batch, this.#context), fresh.rids.length);
    if (rows === undefined) return fresh;
    return rows.length === 0 ? undefined : rowsOf(fresh, rows);
  }
}

function pick(targets: LockedTargets, outcomes: Uint8Array, outcome: number): LockedTargets | undefined {
  const rows: number[] = [];
  for (let i = 0; i < outcomes.length; i++) if (outcomes[i] === outcome) rows.push(i);
  if (rows.length === 0) return undefined;
  return rows.length === outcomes.length ? targets : rowsOf(targets, Uint32Array.from(rows));
}

function rowsOf(targets: LockedTargets, rows: Uint32Array): LockedTargets {
  return {
    batch: gatherBatch(targets.batch, rows),
    rids: Uint32Array.from(rows, (row) => targets.rids[row] as number),
  };
}
