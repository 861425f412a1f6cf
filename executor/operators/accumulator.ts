// One aggregate of an Aggregate node: its states, one per group, and how rows reach them. FILTER, DISTINCT and ORDER BY are
// here; the function body sees plain steps. Aggregates with ORDER BY (and DISTINCT ones that can see the order, which
// PostgreSQL feeds sorted) keep their rows until the end.
import type { AggregateBody, FunctionCall } from "../../catalog/functions/function.ts";
import { type Batch, type Vector, vectorOf } from "../../common/batch/vector.ts";
import type { Datum } from "../../common/types/type.ts";
import type { AggregateCall } from "../../planner/logical/expression.ts";
import { detach } from "../batch/column-builder.ts";
import { rowComparator, type SortOrder } from "../batch/compare.ts";
import { gather } from "../batch/gather.ts";
import { groupingRowKey, type HashKey } from "../batch/hash-key.ts";
import { RowStore } from "../batch/row-store.ts";
import { sortRows } from "../batch/sort-rows.ts";
import type { ExecutionContext } from "../context.ts";
import { argumentsOf, callSite, missingBody, vectorKindOf } from "../expression/caller.ts";
import { compileExpression } from "../expression/compile.ts";
import { type Evaluate, evaluateAll } from "../expression/evaluate.ts";
import { trueRows } from "../expression/truth.ts";
import type { MaybePromise } from "../maybe-promise.ts";

/** Aggregates whose result does not depend on the order of distinct values: a set is enough, no sort. */
const ORDER_BLIND = new Set([
  "count",
  "min",
  "max",
  "sum",
  "avg",
  "bool_and",
  "bool_or",
  "every",
  "bit_and",
  "bit_or",
]);
/** Rough memory of one state, and of one distinct value. */
const STATE_BYTES = 96;
const KEY_BYTES = 64;

export class Accumulator {
  readonly #aggregate: AggregateCall;
  readonly #context: ExecutionContext;
  readonly #body: AggregateBody;
  readonly #call: FunctionCall;
  readonly #args: readonly Evaluate[];
  readonly #filter: Evaluate | undefined;
  readonly #states: unknown[] = [];
  readonly #distinct: Set<HashKey>[] | undefined;
  readonly #keyOf: ReturnType<typeof groupingRowKey> | undefined;
  readonly #ordered: OrderedRows | undefined;

  constructor(aggregate: AggregateCall, context: ExecutionContext) {
    this.#aggregate = aggregate;
    this.#context = context;
    const argumentTypes = aggregate.args.map((arg) => arg.type);
    const { body } = aggregate.function;
    if (body?.kind !== "aggregate") throw missingBody(aggregate.function, argumentTypes, context);
    this.#body = body;
    this.#call = callSite(argumentTypes, aggregate.type)(context);
    this.#args = aggregate.args.map(compileExpression);
    this.#filter = aggregate.filter === undefined ? undefined : compileExpression(aggregate.filter);
    if (aggregate.isDistinct) {
      this.#distinct = [];
      this.#keyOf = groupingRowKey(argumentTypes);
    }
    const needsOrder =
      aggregate.orderBy.length > 0 || (aggregate.isDistinct && !ORDER_BLIND.has(aggregate.function.name));
    this.#ordered = needsOrder ? new OrderedRows(aggregate, context) : undefined;
  }

  /** Makes states up to `count` groups. */
  growTo(count: number): void {
    while (this.#states.length < count) {
      this.#states.push(this.#body.init(this.#call));
      this.#distinct?.push(new Set());
      this.#context.growMemory(STATE_BYTES);
    }
  }

  /** `groups[row]` is the group of each row; undefined = all rows belong to group 0. */
  async add(batch: Batch, groups: Uint32Array | undefined): Promise<void> {
    let input = batch;
    let rowGroups = groups;
    if (this.#filter !== undefined) {
      const rows = trueRows(await this.#filter(batch, this.#context), batch.rowCount);
      if (rows !== undefined) {
        if (rows.length === 0) return;
        input = { columns: batch.columns.map((column) => gather(column, rows)), rowCount: rows.length };
        rowGroups = groups === undefined ? undefined : Uint32Array.from(rows, (row) => groups[row] as number);
      }
    }
    const args = await evaluateAll(this.#args, input, this.#context);
    if (this.#ordered !== undefined) {
      await this.#ordered.add(input, args, rowGroups);
      return;
    }
    if (rowGroups === undefined && this.#distinct === undefined && this.#body.stepBatch !== undefined) {
      const state = this.#body.stepBatch(this.#states[0], args, input.rowCount, this.#call);
      if (state !== undefined) {
        this.#states[0] = state;
        return;
      }
    }
    for (let row = 0; row < input.rowCount; row++) this.#step(args, row, rowGroups?.[row] ?? 0);
  }

  /** The results, one per group. */
  async finish(): Promise<Vector> {
    if (this.#ordered !== undefined) {
      await this.#ordered.forEach((args, row, group) => this.#step(args, row, group));
    }
    const values = this.#states.map((state): Datum => this.#body.finish(state, this.#call));
    return vectorOf(vectorKindOf(this.#aggregate.type), values);
  }

  close(): void {
    this.#ordered?.close();
  }

  #step(args: readonly Vector[], row: number, group: number): void {
    const values = argumentsOf(args, row);
    if (this.#body.strict && values.includes(null)) return;
    const seen = this.#distinct?.[group];
    if (seen !== undefined && this.#keyOf !== undefined) {
      const key = this.#keyOf(args, row);
      if (seen.has(key)) return;
      seen.add(key);
      this.#context.growMemory(KEY_BYTES);
    }
    // States may keep the value; batch memory is reused.
    for (let i = 0; i < values.length; i++) values[i] = detach(values[i] as Datum);
    this.#states[group] = this.#body.step(this.#states[group], values, this.#call);
  }
}

/** Rows of an ordered aggregate, kept with their groups until all have come. */
class OrderedRows {
  readonly #argCount: number;
  readonly #keys: readonly Evaluate[];
  readonly #orders: readonly SortOrder[];
  readonly #store: RowStore;
  readonly #context: ExecutionContext;
  readonly #groups: number[] = [];

  constructor(aggregate: AggregateCall, context: ExecutionContext) {
    this.#context = context;
    this.#argCount = aggregate.args.length;
    // DISTINCT without ORDER BY: by the arguments, as PostgreSQL's sort for duplicates leaves them.
    const keys =
      aggregate.orderBy.length > 0
        ? aggregate.orderBy
        : aggregate.args.map((expression) => ({ expression, descending: false, nullsFirst: false }));
    this.#keys = keys.map((key) => compileExpression(key.expression));
    this.#orders = keys.map((key) => ({ ...key, type: key.expression.type }));
    this.#store = new RowStore(this.#argCount + keys.length, context);
  }

  async add(batch: Batch, args: readonly Vector[], groups: Uint32Array | undefined): Promise<void> {
    const keys = await evaluateAll(this.#keys, batch, this.#context);
    this.#store.append([...args, ...keys], batch.rowCount);
    for (let row = 0; row < batch.rowCount; row++) this.#groups.push(groups?.[row] ?? 0);
  }

  async forEach(
    visit: (args: readonly Vector[], row: number, group: number) => MaybePromise<void>,
  ): Promise<void> {
    const columns = this.#store.columns();
    const args = columns.slice(0, this.#argCount);
    const byKeys = rowComparator(columns.slice(this.#argCount), this.#orders);
    const groups = this.#groups;
    const order = await sortRows(
      this.#store.rowCount,
      (a, b) => (groups[a] as number) - (groups[b] as number) || byKeys(a, b),
      this.#context,
    );
    for (const row of order) {
      const pending = visit(args, row, groups[row] as number);
      // Most functions never wait, and a million rows should not take a million turns of the microtask queue.
      if (pending !== undefined) await pending;
    }
  }

  close(): void {
    this.#store.release();
  }
}
