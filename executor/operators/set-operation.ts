// INTERSECT and EXCEPT [ALL]. Counts the rows of the right side by key, then lets rows of the left side through.
import type { Batch } from "../../common/batch/vector.ts";
import type { SetOperationPlan } from "../../planner/physical/plan.ts";
import { gatherBatch } from "../batch/gather.ts";
import { groupingRowKey, type HashKey } from "../batch/hash-key.ts";
import type { ExecutionContext } from "../context.ts";
import type { MaybePromise } from "../maybe-promise.ts";
import type { Operator } from "./operator.ts";
import { drain, pullUntil } from "./pull.ts";

/** Rough memory of one key in a Map. */
const KEY_BYTES = 80;

export class SetOperationOperator implements Operator {
  readonly #plan: SetOperationPlan;
  readonly #left: Operator;
  readonly #right: Operator;
  readonly #context: ExecutionContext;
  readonly #keyOf: ReturnType<typeof groupingRowKey>;
  readonly #rightCounts = new Map<HashKey, number>();
  /** Without ALL: keys already given. */
  readonly #given = new Set<HashKey>();

  constructor(plan: SetOperationPlan, left: Operator, right: Operator, context: ExecutionContext) {
    this.#plan = plan;
    this.#left = left;
    this.#right = right;
    this.#context = context;
    this.#keyOf = groupingRowKey(plan.output.map((column) => column.type));
  }

  async open(): Promise<void> {
    await this.#right.open();
    await drain(this.#right, (batch) => {
      for (let row = 0; row < batch.rowCount; row++) {
        const key = this.#keyOf(batch.columns, row);
        const count = this.#rightCounts.get(key);
        if (count === undefined) this.#context.growMemory(KEY_BYTES);
        this.#rightCounts.set(key, (count ?? 0) + 1);
      }
    });
    await this.#left.open();
  }

  next(): MaybePromise<Batch | undefined> {
    return pullUntil(this.#left, (batch) => {
      const rows: number[] = [];
      for (let row = 0; row < batch.rowCount; row++) {
        if (this.#passes(this.#keyOf(batch.columns, row))) rows.push(row);
      }
      return rows.length === 0 ? undefined : gatherBatch(batch, Uint32Array.from(rows));
    });
  }

  close(): void {
    this.#left.close();
    this.#right.close();
    this.#context.shrinkMemory((this.#rightCounts.size + this.#given.size) * KEY_BYTES);
    this.#rightCounts.clear();
    this.#given.clear();
  }

  #passes(key: HashKey): boolean {
    const onRight = this.#rightCounts.get(key) ?? 0;
    const wantsRight = this.#plan.operation === "intersect";
    if (this.#plan.all) {
      // Each left row pairs off with one right row: a pair is what INTERSECT keeps and EXCEPT drops.
      if (onRight > 0) this.#rightCounts.set(key, onRight - 1);
      return onRight > 0 === wantsRight;
    }
    if (onRight > 0 !== wantsRight || this.#given.has(key)) return false;
    this.#given.add(key);
    this.#context.growMemory(KEY_BYTES);
    return true;
  }
}
