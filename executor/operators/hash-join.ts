// Equi-join: the right side goes into a hash table, the left side probes it. Rows with a NULL key match nothing. A further
// condition (residual) sees [left..., right...] and decides about pairs, so outer joins count a row as matched only by a pair
// that passed it.
import { must } from "../../common/assert.ts";
import { type Batch, ConstantVector, type Vector } from "../../common/batch/vector.ts";
import type { HashJoinPlan } from "../../planner/physical/plan.ts";
import { gather, gatherBatch } from "../batch/gather.ts";
import { type HashKey, type RowKey, strictRowKey } from "../batch/hash-key.ts";
import { RowStore } from "../batch/row-store.ts";
import type { ExecutionContext } from "../context.ts";
import { compileExpression } from "../expression/compile.ts";
import { type Evaluate, evaluateAll } from "../expression/evaluate.ts";
import { trueRows } from "../expression/truth.ts";
import type { Operator } from "./operator.ts";
import { drain } from "./pull.ts";

/** Rough memory of one entry of the hash table beside the row itself. */
const ENTRY_BYTES = 72;
const NONE = -1;

export class HashJoinOperator implements Operator {
  readonly #plan: HashJoinPlan;
  readonly #left: Operator;
  readonly #right: Operator;
  readonly #context: ExecutionContext;
  readonly #leftKeys: readonly Evaluate[];
  readonly #rightKeys: readonly Evaluate[];
  readonly #leftKeyOf: RowKey;
  readonly #rightKeyOf: RowKey;
  readonly #residual: Evaluate | undefined;
  readonly #store: RowStore;
  /** Key -> last right row with it; `#previous` chains to the others. */
  readonly #heads = new Map<HashKey, number>();
  #previous: number[] = [];
  #rightHasNullKey = false;
  /** right and full joins: right rows that some pair used. */
  #rightMatched = new Uint8Array(0);
  #rightPosition = 0;
  #probe: Probe | undefined;
  #leftEnded = false;

  constructor(plan: HashJoinPlan, left: Operator, right: Operator, context: ExecutionContext) {
    this.#plan = plan;
    this.#left = left;
    this.#right = right;
    this.#context = context;
    this.#leftKeys = plan.leftKeys.map(compileExpression);
    this.#rightKeys = plan.rightKeys.map(compileExpression);
    this.#leftKeyOf = strictRowKey(plan.leftKeys.map((key) => key.type));
    this.#rightKeyOf = strictRowKey(plan.rightKeys.map((key) => key.type));
    this.#residual = plan.residual === undefined ? undefined : compileExpression(plan.residual);
    this.#store = new RowStore(plan.right.output.length, context);
  }

  async open(): Promise<void> {
    await this.#right.open();
    await drain(this.#right, (batch) => this.#insert(batch));
    this.#rightMatched = new Uint8Array(this.#keepsRight() ? this.#store.rowCount : 0);
    await this.#left.open();
  }

  async next(): Promise<Batch | undefined> {
    for (;;) {
      if (this.#probe === undefined) {
        if (this.#leftEnded) return this.#unmatchedRight();
        const batch = await this.#left.next();
        if (batch === undefined) {
          this.#leftEnded = true;
          continue;
        }
        this.#probe = await this.#startProbe(batch);
      }
      const joined = await this.#continueProbe(this.#probe);
      if (joined !== undefined) return joined;
    }
  }

  close(): void {
    this.#left.close();
    this.#right.close();
    this.#store.release();
    this.#context.shrinkMemory(this.#previous.length * ENTRY_BYTES);
    this.#previous = [];
    this.#heads.clear();
  }

  #keepsRight(): boolean {
    return this.#plan.joinType === "right" || this.#plan.joinType === "full";
  }

  async #insert(batch: Batch): Promise<void> {
    const keys = await evaluateAll(this.#rightKeys, batch, this.#context);
    this.#store.append(batch.columns, batch.rowCount);
    this.#context.growMemory(batch.rowCount * ENTRY_BYTES);
    for (let row = 0; row < batch.rowCount; row++) {
      const key = this.#rightKeyOf(keys, row);
      const position = this.#previous.length;
      if (key === undefined) {
        this.#rightHasNullKey = true;
        this.#previous.push(NONE);
        continue;
      }
      this.#previous.push(this.#heads.get(key) ?? NONE);
      this.#heads.set(key, position);
    }
    const pause = this.#context.turn();
    if (pause !== undefined) await pause;
  }

  /** Looks every left row up and lists the pairs, left rows in order. */
  async #startProbe(batch: Batch): Promise<Probe> {
    const keys = await evaluateAll(this.#leftKeys, batch, this.#context);
    const heads = new Int32Array(batch.rowCount);
    const nullKeys = new Uint8Array(batch.rowCount);
    for (let row = 0; row < batch.rowCount; row++) {
      const key = this.#leftKeyOf(keys, row);
      if (key === undefined) nullKeys[row] = 1;
      heads[row] = key === undefined ? NONE : (this.#heads.get(key) ?? NONE);
    }
    return {
      batch,
      heads,
      nullKeys,
      matched: new Uint8Array(batch.rowCount),
      row: 0,
      chain: heads[0] ?? NONE,
    };
  }

  /** The next output batch of this probe; undefined when it gave none (then it may be over). */
  async #continueProbe(probe: Probe): Promise<Batch | undefined> {
    const { batch } = probe;
    const pairs = this.#nextPairs(probe);
    const passed = await this.#passing(batch, pairs);
    for (const row of passed.left) probe.matched[row] = 1;
    if (this.#keepsRight()) for (const row of passed.right) this.#rightMatched[row] = 1;
    const isOver = probe.row >= batch.rowCount;
    if (isOver) this.#probe = undefined;
    switch (this.#plan.joinType) {
      case "semi":
        return isOver ? rowsWhere(batch, probe.matched, 1) : undefined;
      case "anti":
        return isOver ? this.#antiRows(probe) : undefined;
      case "left":
      case "full": {
        const alone = isOver ? positionsWhere(probe.matched, 0) : new Uint32Array(0);
        return this.#pairBatch(batch, concat(passed.left, alone), concatNone(passed.right, alone.length));
      }
      default:
        return this.#pairBatch(batch, passed.left, passed.right);
    }
  }

  /** Up to a batch of candidate pairs. */
  #nextPairs(probe: Probe): Pairs {
    const limit = this.#context.batchRows;
    const left = new Uint32Array(limit);
    const right = new Int32Array(limit);
    let count = 0;
    while (count < limit && probe.row < probe.batch.rowCount) {
      if (probe.chain === NONE) {
        probe.row += 1;
        probe.chain = probe.heads[probe.row] ?? NONE;
        continue;
      }
      left[count] = probe.row;
      right[count++] = probe.chain;
      probe.chain = this.#previous[probe.chain] as number;
    }
    return { left: left.subarray(0, count), right: right.subarray(0, count) };
  }

  async #passing(batch: Batch, pairs: Pairs): Promise<Pairs> {
    if (this.#residual === undefined || pairs.left.length === 0) return pairs;
    const joined = this.#joinedColumns(batch, pairs.left, pairs.right);
    const count = pairs.left.length;
    const rows = trueRows(await this.#residual({ columns: joined, rowCount: count }, this.#context), count);
    if (rows === undefined) return pairs;
    return {
      left: Uint32Array.from(rows, (row) => pairs.left[row] as number),
      right: Int32Array.from(rows, (row) => pairs.right[row] as number),
    };
  }

  #joinedColumns(batch: Batch, left: Uint32Array, right: Int32Array): Vector[] {
    return [
      ...batch.columns.map((column) => gather(column, left)),
      ...this.#store.columns().map((column) => gather(column, right)),
    ];
  }

  #pairBatch(batch: Batch, left: Uint32Array, right: Int32Array): Batch | undefined {
    if (left.length === 0) return undefined;
    return { columns: this.#joinedColumns(batch, left, right), rowCount: left.length };
  }

  /**
   * NOT EXISTS keeps rows without a match. NOT IN (nullAware) drops every row when the right side holds a NULL key, and
   * rows with a NULL key themselves, unless the right side is empty.
   */
  #antiRows(probe: Probe): Batch | undefined {
    if (this.#plan.nullAware && this.#store.rowCount > 0) {
      if (this.#rightHasNullKey) return undefined;
      for (let row = 0; row < probe.matched.length; row++)
        if (probe.nullKeys[row] === 1) probe.matched[row] = 1;
    }
    return rowsWhere(probe.batch, probe.matched, 0);
  }

  /** After the left side: right rows that no pair used, beside NULLs. */
  #unmatchedRight(): Batch | undefined {
    if (!this.#keepsRight()) return undefined;
    const rows: number[] = [];
    while (rows.length < this.#context.batchRows && this.#rightPosition < this.#rightMatched.length) {
      if (this.#rightMatched[this.#rightPosition] === 0) rows.push(this.#rightPosition);
      this.#rightPosition += 1;
    }
    if (rows.length === 0) return undefined;
    const leftWidth = must(this.#plan.left.output.length, "left columns");
    return {
      columns: [
        ...Array.from({ length: leftWidth }, () => new ConstantVector(null, rows.length)),
        ...this.#store.columns().map((column) => gather(column, Uint32Array.from(rows))),
      ],
      rowCount: rows.length,
    };
  }
}

/** Where the probing of one left batch stands. */
interface Probe {
  readonly batch: Batch;
  readonly heads: Int32Array;
  readonly nullKeys: Uint8Array;
  readonly matched: Uint8Array;
  row: number;
  /** Next right row for `row`. */
  chain: number;
}

interface Pairs {
  readonly left: Uint32Array;
  readonly right: Int32Array;
}

function positionsWhere(flags: Uint8Array, value: 0 | 1): Uint32Array {
  const rows = new Uint32Array(flags.length);
  let count = 0;
  for (let row = 0; row < flags.length; row++) if (flags[row] === value) rows[count++] = row;
  return rows.subarray(0, count);
}

function rowsWhere(batch: Batch, flags: Uint8Array, value: 0 | 1): Batch | undefined {
  const rows = positionsWhere(flags, value);
  if (rows.length === batch.rowCount) return batch;
  return rows.length === 0 ? undefined : gatherBatch(batch, rows);
}

function concat(a: Uint32Array, b: Uint32Array): Uint32Array {
  if (b.length === 0) return a;
  const both = new Uint32Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

/** `a` followed by `count` times "no row". */
function concatNone(a: Int32Array, count: number): Int32Array {
  if (count === 0) return a;
  const both = new Int32Array(a.length + count).fill(NONE);
  both.set(a);
  return both;
}
