// The rows an UPDATE or DELETE may touch: locked, and re-evaluated where a concurrent transaction changed them meanwhile.
//
// READ COMMITTED (PostgreSQL's EvalPlanQual, 13.2.1): a row that was changed after the statement's snapshot takes part with
// its newest version if the condition still holds for it; one that was deleted drops out. Under REPEATABLE READ the engine
// throws 40001 instead. A join may name a target twice: the first time counts.
import { must } from "../../common/assert.ts";
import { type Batch, type Vector } from "../../common/batch/vector.ts";
import { LockPolicy, RowLockOutcome } from "../../native/engine.ts";
import type { DeletePlan, UpdatePlan } from "../../planner/physical/plan.ts";
import { gatherBatch } from "../batch/gather.ts";
import type { ExecutionContext } from "../context.ts";
import { compileExpression } from "../expression/compile.ts";
import { trueRows } from "../expression/truth.ts";
import { chain, type MaybePromise } from "../maybe-promise.ts";
import { POOLED_RIDS } from "../storage/buffer-pool.ts";
import { readLocked } from "./existing-rows.ts";
import { lockRows } from "./write-rows.ts";

/** Valid until the next lock(). */
export interface LockedTargets {
  /** The input rows, target columns as of the newest version. */
  readonly batch: Batch;
  readonly rids: Uint32Array;
}

const NO_RIDS: Uint32Array = new Uint32Array(0);
const NO_OUTCOMES: Uint8Array = new Uint8Array(0);

export class TargetLocker {
  readonly #plan: UpdatePlan | DeletePlan;
  readonly #mode: number;
  readonly #context: ExecutionContext;
  /** Targets named so far; the first one apart, since most statements name no other. */
  #first: number | undefined;
  #others: Set<number> | undefined;
  /** Row ids and outcomes of a small batch: memory from the pool, for small arrays of their own cost more than the call. */
  #rids: Uint32Array = NO_RIDS;
  #outcomes: Uint8Array = NO_OUTCOMES;

  constructor(plan: UpdatePlan | DeletePlan, mode: number, context: ExecutionContext) {
    this.#plan = plan;
    this.#mode = mode;
    this.#context = context;
  }

  /** Gives its memory back. */
  close(): void {
    this.#context.buffers.releaseRids(this.#rids);
    this.#context.buffers.releaseFlags(this.#outcomes);
    this.#rids = NO_RIDS;
    this.#outcomes = NO_OUTCOMES;
  }

  /** Locks the targets of an input batch; gives groups of rows to work on (none, one, or two with re-evaluated rows). */
  lock(batch: Batch): MaybePromise<LockedTargets[]> {
    this.#makeRoom(batch.rowCount);
    const first = this.#firstNamed(batch);
    const { table } = this.#plan;
    const locking = lockRows(table, first.rids, this.#mode, this.#context, LockPolicy.wait, this.#outcomes);
    return locking instanceof Promise
      ? locking.then((outcomes) => this.#groups(first, outcomes))
      : this.#groups(first, locking);
  }

  #groups(first: LockedTargets, outcomes: Uint8Array): MaybePromise<LockedTargets[]> {
    const asSeen = pick(first, outcomes, RowLockOutcome.locked);
    if (asSeen === first) return [first];
    const groups = asSeen === undefined ? [] : [asSeen];
    const changed = pick(first, outcomes, RowLockOutcome.changed);
    if (changed === undefined) return groups;
    return chain(this.#recheck(changed), (rechecked) =>
      rechecked === undefined ? groups : [...groups, rechecked],
    );
  }

  #makeRoom(rowCount: number): void {
    if (rowCount <= this.#rids.length) return;
    this.close();
    const capacity = Math.max(rowCount, POOLED_RIDS);
    this.#rids = this.#context.buffers.takeRids(capacity);
    this.#outcomes = this.#context.buffers.takeFlags(capacity);
  }

  /** Rows whose target was not named before in this statement. A NULL target (outer join) is none. */
  #firstNamed(batch: Batch): LockedTargets {
    const column = must(batch.columns[this.#plan.ridIndex], "a rid column");
    const rows: number[] = [];
    for (let row = 0; row < batch.rowCount; row++) {
      const rid = column.get(row) as number | null;
      if (rid === null || !this.#isNew(rid)) continue;
      this.#rids[rows.length] = rid;
      rows.push(row);
    }
    const all = rows.length === batch.rowCount;
    return {
      batch: all ? batch : gatherBatch(batch, Uint32Array.from(rows)),
      rids: this.#rids.subarray(0, rows.length),
    };
  }

  /** Whether a target is named for the first time; from then on it was. */
  #isNew(rid: number): boolean {
    if (this.#first === undefined) {
      this.#first = rid;
      return true;
    }
    if (rid === this.#first || this.#others?.has(rid) === true) return false;
    (this.#others ??= new Set()).add(rid);
    return true;
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
  const count = targets.rids.length;
  const rows: number[] = [];
  for (let i = 0; i < count; i++) if (outcomes[i] === outcome) rows.push(i);
  if (rows.length === 0) return undefined;
  return rows.length === count ? targets : rowsOf(targets, Uint32Array.from(rows));
}

function rowsOf(targets: LockedTargets, rows: Uint32Array): LockedTargets {
  return {
    batch: gatherBatch(targets.batch, rows),
    rids: Uint32Array.from(rows, (row) => targets.rids[row] as number),
  };
}
