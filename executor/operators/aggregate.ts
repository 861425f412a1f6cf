// GROUP BY and aggregates, by hash. Groups come out in the order they first came in. Without keys there is exactly one group,
// also over no rows.
import { type Batch, type Vector } from "../../common/batch/vector.ts";
import type { AggregatePlan } from "../../planner/physical/plan.ts";
import { Emitter } from "../batch/emitter.ts";
import { gather } from "../batch/gather.ts";
import { groupingRowKey, type HashKey } from "../batch/hash-key.ts";
import { RowStore } from "../batch/row-store.ts";
import type { ExecutionContext } from "../context.ts";
import { compileExpression } from "../expression/compile.ts";
import { type Evaluate, evaluateAll } from "../expression/evaluate.ts";
import type { MaybePromise } from "../maybe-promise.ts";
import { Accumulator } from "./accumulator.ts";
import type { Operator } from "./operator.ts";
import { drain } from "./pull.ts";

/** Rough memory of one group's entry in the Map. */
const GROUP_BYTES = 72;

export class AggregateOperator implements Operator {
  readonly #input: Operator;
  readonly #context: ExecutionContext;
  readonly #keys: readonly Evaluate[];
  readonly #keyOf: ReturnType<typeof groupingRowKey> | undefined;
  readonly #accumulators: readonly Accumulator[];
  readonly #groups = new Map<HashKey, number>();
  readonly #groupKeys: RowStore;
  #emitter: Emitter | undefined;

  constructor(plan: AggregatePlan, input: Operator, context: ExecutionContext) {
    this.#input = input;
    this.#context = context;
    this.#keys = plan.keys.map(compileExpression);
    this.#keyOf = plan.keys.length === 0 ? undefined : groupingRowKey(plan.keys.map((key) => key.type));
    this.#accumulators = plan.aggregates.map((aggregate) => new Accumulator(aggregate, context));
    this.#groupKeys = new RowStore(plan.keys.length, context);
  }

  open(): MaybePromise<void> {
    return this.#input.open();
  }

  async next(): Promise<Batch | undefined> {
    this.#emitter ??= await this.#aggregate();
    return this.#emitter.next();
  }

  close(): void {
    this.#input.close();
    this.#groupKeys.release();
    this.#context.shrinkMemory(this.#groups.size * GROUP_BYTES);
    this.#groups.clear();
    for (const accumulator of this.#accumulators) accumulator.close();
  }

  async #aggregate(): Promise<Emitter> {
    if (this.#keyOf === undefined) for (const accumulator of this.#accumulators) accumulator.growTo(1);
    await drain(this.#input, (batch) => this.#addBatch(batch));
    const results: Vector[] = [];
    for (const accumulator of this.#accumulators) results.push(await accumulator.finish());
    const groupCount = this.#keyOf === undefined ? 1 : this.#groups.size;
    const columns = [...this.#groupKeys.columns(), ...results];
    return new Emitter(columns, undefined, 0, groupCount, this.#context.batchRows);
  }

  async #addBatch(batch: Batch): Promise<void> {
    const groups = this.#keyOf === undefined ? undefined : await this.#groupsOf(batch, this.#keyOf);
    for (const accumulator of this.#accumulators) {
      if (groups !== undefined) accumulator.growTo(this.#groups.size);
      await accumulator.add(batch, groups);
    }
    const pause = this.#context.turn();
    if (pause !== undefined) await pause;
  }

  /** Group number of each row; new groups keep their key values. */
  async #groupsOf(batch: Batch, keyOf: ReturnType<typeof groupingRowKey>): Promise<Uint32Array> {
    const keys = await evaluateAll(this.#keys, batch, this.#context);
    const groups = new Uint32Array(batch.rowCount);
    const fresh: number[] = [];
    for (let row = 0; row < batch.rowCount; row++) {
      const key = keyOf(keys, row);
      let group = this.#groups.get(key);
      if (group === undefined) {
        group = this.#groups.size;
        this.#groups.set(key, group);
        fresh.push(row);
      }
      groups[row] = group;
    }
    if (fresh.length > 0) {
      this.#context.growMemory(fresh.length * GROUP_BYTES);
      const rows = Uint32Array.from(fresh);
      this.#groupKeys.append(
        keys.map((key) => gather(key, rows)),
        rows.length,
      );
    }
    return groups;
  }
}
