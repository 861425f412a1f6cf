// INSERT. Runs to its end at the first next(); RETURNING rows follow.
//
// ON CONFLICT: rows go in together until one collides. A collision on an arbiter index is skipped (DO NOTHING) or turned
// into an update of the row in the way (DO UPDATE): that row is locked first, so a row that a concurrent transaction
// inserted and committed after our snapshot is found too; one that is deleted meanwhile makes us try the insert again.
// Under REPEATABLE READ a row that the snapshot does not hold is 40001 for either action: locking it says so for
// DO UPDATE, a look at the snapshot for DO NOTHING.
import { must } from "../../common/assert.ts";
import type { Batch } from "../../common/batch/vector.ts";
import { SqlError, SqlState } from "../../common/error.ts";
import { RowLock, RowLockOutcome } from "../../native/engine.ts";
import type { InsertPlan, OnConflict } from "../../planner/physical/plan.ts";
import { gather, sliceBatch } from "../batch/gather.ts";
import type { ExecutionContext } from "../context.ts";
import { arbiterConflict } from "../modify/arbiter.ts";
import { isVisible, readLocked } from "../modify/existing-rows.ts";
import { Returning } from "../modify/returning.ts";
import { type NewRows, RowInserter } from "../modify/row-inserter.ts";
import { RowUpdater } from "../modify/row-updater.ts";
import { type Conflict, insertRows, lockRows } from "../modify/write-rows.ts";
import { compileExpression } from "../expression/compile.ts";
import { chain, type MaybePromise } from "../maybe-promise.ts";
import type { Operator } from "./operator.ts";
import { drain } from "./pull.ts";

type UpdateAction = Extract<OnConflict["action"], { kind: "update" }>;

/** Without ON CONFLICT nobody asks, and nobody writes it. */
const NOTHING_TOUCHED = new Set<number>();

export class InsertOperator implements Operator {
  readonly #plan: InsertPlan;
  readonly #input: Operator;
  readonly #context: ExecutionContext;
  readonly #inserter: RowInserter;
  readonly #returning: Returning;
  /** Rows this statement inserted or updated; meeting one again is 21000 for DO UPDATE. */
  readonly #touched: Set<number>;
  /** A row that was gone and is in the way again: this statement wrote it elsewhere (a modifying CTE). */
  #goneRid: number | undefined;
  #hasRun = false;
  readonly #isRepeatableRead: boolean;

  constructor(plan: InsertPlan, input: Operator, context: ExecutionContext) {
    this.#plan = plan;
    this.#input = input;
    this.#context = context;
    this.#inserter = new RowInserter(plan, context);
    this.#returning = new Returning(plan.returning, context);
    this.#touched = plan.onConflict === undefined ? NOTHING_TOUCHED : new Set();
    this.#isRepeatableRead =
      plan.onConflict !== undefined &&
      /repeatable read|serializable/.test(
        context.functionContext.session.getSetting("transaction_isolation") ?? "",
      );
  }

  open(): MaybePromise<void> {
    return this.#input.open();
  }

  next(): MaybePromise<Batch | undefined> {
    if (this.#hasRun) return this.#returning.next();
    this.#hasRun = true;
    return chain(
      drain(this.#input, (batch) => this.#insertBatch(batch)),
      () => this.#returning.next(),
    );
  }

  close(): void {
    this.#input.close();
    this.#inserter.close();
    this.#returning.close();
  }

  #insertBatch(batch: Batch): MaybePromise<void> {
    const { onConflict } = this.#plan;
    return chain(this.#context.turn(), () =>
      chain(this.#inserter.complete(batch.columns, batch.rowCount), (rows) =>
        onConflict === undefined
          ? chain(this.#inserter.insert(rows), () => this.#finish(rows, 0, rows.rowCount))
          : this.#insertOrResolve(rows, onConflict),
      ),
    );
  }

  /** Counts rows [from, to) as inserted and computes their RETURNING. */
  #finish(rows: NewRows, from: number, to: number): MaybePromise<void> {
    if (to === from) return;
    this.#context.countAffected(this.#plan.id, to - from);
    if (this.#plan.returning === undefined) return;
    const written = sliceBatch({ columns: rows.columns, rowCount: rows.rowCount }, from, to);
    return this.#returning.add(written.columns, to - from);
  }

  async #insertOrResolve(rows: NewRows, onConflict: OnConflict): Promise<void> {
    const { storageId } = this.#plan.table;
    this.#refuseDeferrableArbiters(onConflict);
    const rids = new Uint32Array(rows.rowCount);
    let at = 0;
    while (at < rows.validCount) {
      const found = await insertRows(storageId, rows.stored, at, rows.validCount, rids, this.#context);
      const end = found?.row ?? rows.validCount;
      this.#inserter.noteWritten(rids.slice(at, end));
      if (onConflict.action.kind === "update" || this.#isRepeatableRead)
        for (let i = at; i < end; i++) this.#touched.add(rids[i] as number);
      await this.#finish(rows, at, end);
      at = end;
      if (found === undefined) break;
      const { table, constraints } = this.#plan;
      const conflict = arbiterConflict(found, onConflict.arbiters, table, constraints, rows, this.#context);
      if (conflict === undefined) this.#inserter.throwConflict(rows.columns, found);
      if (onConflict.action.kind === "nothing") {
        this.#refuseUnseen(conflict.conflictingRid);
        at += 1;
      } else if (await this.#updateExisting(rows, conflict, onConflict.action)) at += 1;
    }
    rows.throwViolation();
  }

  /** A deferrable key cannot say at once whether there is a conflict. */
  #refuseDeferrableArbiters({ arbiters }: OnConflict): void {
    const { table, constraints } = this.#plan;
    const deferrable = constraints.indexes.find(
      (index) => !index.isImmediate && (arbiters.length === 0 || arbiters.includes(index.storageId)),
    );
    if (deferrable === undefined) return;
    throw new SqlError(
      SqlState.objectNotInPrerequisiteState,
      "ON CONFLICT does not support deferrable unique constraints/exclusion constraints as arbiters",
      {
        schema: this.#context.catalog.entry("schema", table.schema)?.name,
        table: table.name,
        constraint: deferrable.name,
      },
    );
  }

  /** DO NOTHING under REPEATABLE READ: a row that this transaction cannot see must not decide what it does. */
  #refuseUnseen(rid: number): void {
    if (!this.#isRepeatableRead || this.#touched.has(rid)) return;
    if (isVisible(this.#plan.table, rid, this.#context)) return;
    throw new SqlError(SqlState.serializationFailure, "could not serialize access due to concurrent update");
  }

  /** DO UPDATE of the row in the way; false when it is gone and the insert has to be tried again. */
  async #updateExisting(rows: NewRows, conflict: Conflict, action: UpdateAction): Promise<boolean> {
    const { table } = this.#plan;
    const rid = conflict.conflictingRid;
    if (this.#touched.has(rid) || rid === this.#goneRid) {
      throw new SqlError(
        SqlState.cardinalityViolation,
        "ON CONFLICT DO UPDATE command cannot affect row a second time",
        {
          hint: "Ensure that no rows proposed for insertion within the same command have duplicate constrained values.",
        },
      );
    }
    const target = Uint32Array.of(rid);
    const [outcome] = await lockRows(table, target, RowLock.update, this.#context);
    if (outcome === RowLockOutcome.gone) {
      this.#goneRid = rid;
      return false;
    }
    const live = table.columns.filter((column) => !column.isDropped).map((column) => column.attnum);
    const existing = readLocked(table, live, target, this.#context);
    const excluded = rows.columns.map((column) => gather(column, Uint32Array.of(conflict.row)));
    const pair: Batch = { columns: [...existing, ...excluded], rowCount: 1 };
    if (action.where !== undefined) {
      const holds = await compileExpression(action.where)(pair, this.#context);
      if (holds.get(0) !== true) return true;
    }
    const updater = new RowUpdater(
      { table, assignments: action.assignments, constraints: this.#plan.constraints },
      this.#context,
    );
    const updated = await updater.update(pair, target, must(existing, "the existing row"));
    updater.close();
    this.#touched.add(rid);
    this.#context.countAffected(this.#plan.id, 1);
    await this.#returning.add(updated, 1);
    return true;
  }
}
