// SELECT ... FOR UPDATE, NO KEY UPDATE, SHARE, KEY SHARE: locks the rows of its input in order, and gives those it got.
//
// READ COMMITTED (PostgreSQL's EvalPlanQual): a row that was changed after the statement's snapshot goes on with its newest
// version if the conditions still hold for it; one that was deleted drops out; neither moves in the order. REPEATABLE READ
// fails with 40001 instead. SKIP LOCKED leaves out what somebody else holds. No more rows are locked than the Limit above
// takes: whoever empties a queue leaves the rest of it to others.
import { must } from "../../common/assert.ts";
import { SqlError, SqlState, toSqlError } from "../../common/error.ts";
import { ConstantVector, type Batch, type Vector } from "../../common/batch/vector.ts";
import type { TableEntry } from "../../catalog/entries.ts";
import { RowLockOutcome } from "../../native/engine.ts";
import type { LockRowsPlan } from "../../planner/physical/plan.ts";
import { gatherBatch, sliceBatch } from "../batch/gather.ts";
import { RowStore } from "../batch/row-store.ts";
import type { ExecutionContext } from "../context.ts";
import { compileExpression } from "../expression/compile.ts";
import { trueRows } from "../expression/truth.ts";
import { chain, type MaybePromise } from "../maybe-promise.ts";
import { readLocked } from "../modify/existing-rows.ts";
import { lockRows } from "../modify/write-rows.ts";
import type { Operator } from "./operator.ts";
import { rowLimits } from "./row-limits.ts";

export class LockRowsOperator implements Operator {
  readonly #plan: LockRowsPlan;
  readonly #input: Operator;
  readonly #context: ExecutionContext;
  /** Rows the operator above still takes. */
  #wanted = Number.POSITIVE_INFINITY;
  /** The input's batch under way, and how many of its rows were tried. */
  #batch: Batch | undefined;
  #tried = 0;
  /** Rows that are locked and not given yet. */
  readonly #ready: Batch[] = [];

  constructor(plan: LockRowsPlan, input: Operator, context: ExecutionContext) {
    this.#plan = plan;
    this.#input = input;
    this.#context = context;
  }

  open(): MaybePromise<void> {
    return chain(rowLimits(this.#plan.count, this.#plan.skip, this.#context), (limits) => {
      this.#wanted = limits.count + limits.skip;
      return this.#input.open();
    });
  }

  async next(): Promise<Batch | undefined> {
    for (;;) {
      const ready = this.#ready.shift();
      if (ready !== undefined) return ready;
      if (this.#wanted <= 0) return undefined;
      if (this.#batch === undefined || this.#tried === this.#batch.rowCount) {
        this.#batch = await this.#input.next();
        this.#tried = 0;
        if (this.#batch === undefined) return undefined;
      }
      const to = Math.min(this.#batch.rowCount, this.#tried + this.#wanted);
      const rows = sliceBatch(this.#batch, this.#tried, to);
      this.#tried = to;
      await this.#lock(rows);
    }
  }

  close(): void {
    this.#input.close();
  }

  /** Locks the rows of a batch; what can go on is put into `#ready` in the order it came. */
  async #lock(batch: Batch): Promise<void> {
    let rows = Array.from({ length: batch.rowCount }, (_, row) => row);
    const isChanged = new Uint8Array(batch.rowCount);
    for (const { table, ridIndex, mode, policy } of this.#plan.marks) {
      const column = must(batch.columns[ridIndex], "a rid column");
      const rids = Uint32Array.from(rows, (row) => column.get(row) as number);
      const outcomes = await this.#outcomes(table, rids, mode, policy);
      rows = rows.filter((row, i) => {
        const outcome = outcomes[i] as number;
        if (outcome === RowLockOutcome.changed) isChanged[row] = 1;
        return outcome === RowLockOutcome.locked || outcome === RowLockOutcome.changed;
      });
    }
    for (let from = 0; from < rows.length; ) {
      const changed = isChanged[rows[from] as number];
      let to = from + 1;
      while (to < rows.length && isChanged[rows[to] as number] === changed) to += 1;
      const part =
        rows.length === batch.rowCount && to - from === batch.rowCount
          ? batch
          : gatherBatch(batch, Uint32Array.from(rows.slice(from, to)));
      const passed = changed === 1 ? await this.#recheck(part) : part;
      if (passed !== undefined) {
        this.#ready.push(passed);
        this.#wanted -= passed.rowCount;
      }
      from = to;
    }
  }

  async #outcomes(table: TableEntry, rids: Uint32Array, mode: number, policy: number): Promise<Uint8Array> {
    try {
      return await lockRows(table, rids, mode, this.#context, policy);
    } catch (error) {
      return asSelect(error);
    }
  }

  /** The newest versions in place of the old ones, those that still pass the conditions. */
  async #recheck(old: Batch): Promise<Batch | undefined> {
    const columns: Vector[] = [...old.columns];
    for (const { table, ridIndex, targetColumns } of this.#plan.marks) {
      const column = must(old.columns[ridIndex], "a rid column");
      const rids = Uint32Array.from({ length: old.rowCount }, (_, row) => column.get(row) as number);
      const attnums = targetColumns.map(({ attnum }) => attnum);
      const newest = readLocked(table, attnums, rids, this.#context);
      for (const { index, attnum } of targetColumns)
        columns[index] = must(newest[attnum - 1], "a column read");
    }
    let batch: Batch = { columns, rowCount: old.rowCount };
    for (const { condition, nullable } of this.#plan.recheck) {
      const truth = await compileExpression(condition)(batch, this.#context);
      const rows = trueRows(truth, batch.rowCount);
      if (rows === undefined) continue;
      if (nullable !== undefined) batch = withoutPartner(batch, rows, nullable, this.#context);
      else if (rows.length === 0) return undefined;
      else batch = gatherBatch(batch, rows);
    }
    return batch;
  }
}

/** PostgreSQL words a deleted row as an update where the statement only locks. */
function asSelect(thrown: unknown): never {
  const error = toSqlError(thrown);
  if (error.code !== SqlState.serializationFailure) throw error;
  throw new SqlError(
    error.code,
    error.message.replace("concurrent delete", "concurrent update"),
    error.fields,
  );
}

/** The batch with NULL in the columns of an outer join's partner, except in the rows that keep theirs. */
function withoutPartner(
  batch: Batch,
  kept: Uint32Array,
  nullable: readonly number[],
  context: ExecutionContext,
): Batch {
  const isKept = new Uint8Array(batch.rowCount);
  for (const row of kept) isKept[row] = 1;
  const isNullable = new Set(nullable);
  const nulls = batch.columns.map((column, i) =>
    isNullable.has(i) ? new ConstantVector(null, batch.rowCount) : column,
  );
  const store = new RowStore(batch.columns.length, context);
  for (let row = 0; row < batch.rowCount; row++) {
    store.appendRange(isKept[row] === 1 ? batch.columns : nulls, row, row + 1);
  }
  const columns = store.columns();
  store.release();
  return { columns, rowCount: batch.rowCount };
}
