// WITH RECURSIVE. The initial rows are the first working table; the recursive part runs over the working table again and
// again, its rows being the next one, until a round gives none. Without ALL a row that came before is dropped, which is what
// ends a cycle.
import type { Batch } from "../../common/batch/vector.ts";
import type { RecursiveUnionPlan } from "../../planner/physical/plan.ts";
import { Emitter } from "../batch/emitter.ts";
import { gatherBatch } from "../batch/gather.ts";
import { groupingRowKey, type HashKey } from "../batch/hash-key.ts";
import { RowStore } from "../batch/row-store.ts";
import type { ExecutionContext } from "../context.ts";
import type { Operator } from "./operator.ts";

/** Rough memory of one key in a Set. */
const KEY_BYTES = 64;

export class RecursiveUnionOperator implements Operator {
  readonly #plan: RecursiveUnionPlan;
  readonly #context: ExecutionContext;
  readonly #keyOf: ReturnType<typeof groupingRowKey> | undefined;
  readonly #seen = new Set<HashKey>();
  #running: Operator;
  #isOpen = false;
  /** What the recursive part reads, and what it makes meanwhile. */
  #working: RowStore | undefined;
  #next: RowStore;

  constructor(plan: RecursiveUnionPlan, context: ExecutionContext) {
    this.#plan = plan;
    this.#context = context;
    this.#keyOf = plan.all ? undefined : groupingRowKey(plan.output.map((column) => column.type));
    this.#running = context.buildOperator(plan.initial, context);
    this.#next = new RowStore(plan.output.length, context);
  }

  open(): void {}

  async next(): Promise<Batch | undefined> {
    for (;;) {
      if (!this.#isOpen) {
        this.#isOpen = true;
        await this.#running.open();
      }
      const batch = await this.#running.next();
      if (batch !== undefined) {
        const fresh = this.#withoutSeen(batch);
        if (fresh === undefined) continue;
        this.#next.append(fresh.columns, fresh.rowCount);
        return fresh;
      }
      if (this.#next.rowCount === 0) return undefined;
      this.#startRound();
    }
  }

  close(): void {
    this.#running.close();
    this.#working?.release();
    this.#next.release();
    this.#context.ctes.delete(this.#plan.cteId);
    this.#context.shrinkMemory(this.#seen.size * KEY_BYTES);
    this.#seen.clear();
  }

  #startRound(): void {
    this.#running.close();
    this.#working?.release();
    const working = this.#next;
    this.#working = working;
    this.#next = new RowStore(this.#plan.output.length, this.#context);
    this.#context.ctes.set(this.#plan.cteId, {
      open: () => new Emitter(working.columns(), undefined, 0, working.rowCount, this.#context.batchRows),
    });
    this.#running = this.#context.buildOperator(this.#plan.recursive, this.#context);
    this.#isOpen = false;
  }

  #withoutSeen(batch: Batch): Batch | undefined {
    if (this.#keyOf === undefined) return batch;
    const rows: number[] = [];
    for (let row = 0; row < batch.rowCount; row++) {
      const key = this.#keyOf(batch.columns, row);
      if (this.#seen.has(key)) continue;
      this.#seen.add(key);
      this.#context.growMemory(KEY_BYTES);
      rows.push(row);
    }
    if (rows.length === batch.rowCount) return batch;
    return rows.length === 0 ? undefined : gatherBatch(batch, Uint32Array.from(rows));
  }
}
