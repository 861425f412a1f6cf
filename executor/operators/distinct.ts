// SELECT DISTINCT by hash, rows in the order they come first; DISTINCT ON over sorted input, the first row of each group.
import type { Batch } from "../../common/batch/vector.ts";
import type { DistinctPlan } from "../../planner/physical/plan.ts";
import { gatherBatch } from "../batch/gather.ts";
import { groupingRowKey, type HashKey } from "../batch/hash-key.ts";
import type { ExecutionContext } from "../context.ts";
import { compileExpression } from "../expression/compile.ts";
import { type Evaluate, evaluateAll } from "../expression/evaluate.ts";
import { chain, type MaybePromise } from "../maybe-promise.ts";
import type { Operator } from "./operator.ts";
import { pullUntil } from "./pull.ts";

/** Rough memory of one key in a Set. */
const KEY_BYTES = 64;

export class DistinctOperator implements Operator {
  readonly #input: Operator;
  readonly #context: ExecutionContext;
  readonly #on: readonly Evaluate[] | undefined;
  readonly #keyOf: ReturnType<typeof groupingRowKey>;
  readonly #seen = new Set<HashKey>();
  #lastKey: HashKey | undefined;

  constructor(plan: DistinctPlan, input: Operator, context: ExecutionContext) {
    this.#input = input;
    this.#context = context;
    this.#on = plan.on?.map(compileExpression);
    this.#keyOf = groupingRowKey((plan.on ?? plan.output).map((key) => key.type));
  }

  open(): MaybePromise<void> {
    return this.#input.open();
  }

  next(): MaybePromise<Batch | undefined> {
    return pullUntil(this.#input, (batch) => {
      if (this.#on === undefined)
        return this.#pick(batch, (row) => this.#isNew(this.#keyOf(batch.columns, row)));
      return chain(evaluateAll(this.#on, batch, this.#context), (keys) =>
        this.#pick(batch, (row) => {
          const key = this.#keyOf(keys, row);
          const isFirst = key !== this.#lastKey;
          this.#lastKey = key;
          return isFirst;
        }),
      );
    });
  }

  close(): void {
    this.#input.close();
    this.#context.shrinkMemory(this.#seen.size * KEY_BYTES);
    this.#seen.clear();
  }

  #isNew(key: HashKey): boolean {
    if (this.#seen.has(key)) return false;
    this.#seen.add(key);
    this.#context.growMemory(KEY_BYTES);
    return true;
  }

  #pick(batch: Batch, isWanted: (row: number) => boolean): Batch | undefined {
    const rows = new Uint32Array(batch.rowCount);
    let count = 0;
    for (let row = 0; row < batch.rowCount; row++) if (isWanted(row)) rows[count++] = row;
    if (count === batch.rowCount) return batch;
    return count === 0 ? undefined : gatherBatch(batch, rows.subarray(0, count));
  }
}
