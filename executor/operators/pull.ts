// Loops that operators share.
import type { Batch } from "../../common/batch/vector.ts";
import type { BoundExpression } from "../../planner/logical/expression.ts";
import { gatherBatch } from "../batch/gather.ts";
import type { ExecutionContext, NodeStatistics } from "../context.ts";
import { compileExpression } from "../expression/compile.ts";
import { trueRows } from "../expression/truth.ts";
import { chain, type MaybePromise } from "../maybe-promise.ts";
import type { Operator } from "./operator.ts";

/** Pulls until `map` makes a batch of one; undefined when the input ends. Without waiting as long as nothing waits. */
export function pullUntil(
  input: Operator,
  map: (batch: Batch) => MaybePromise<Batch | undefined>,
): MaybePromise<Batch | undefined> {
  for (;;) {
    const batch = input.next();
    if (batch instanceof Promise) return batch.then((arrived) => resume(input, arrived, map));
    if (batch === undefined) return undefined;
    const mapped = map(batch);
    if (mapped instanceof Promise) return mapped.then((made) => made ?? pullUntil(input, map));
    if (mapped !== undefined) return mapped;
  }
}

async function resume(
  input: Operator,
  batch: Batch | undefined,
  map: (batch: Batch) => MaybePromise<Batch | undefined>,
): Promise<Batch | undefined> {
  if (batch === undefined) return undefined;
  return (await map(batch)) ?? pullUntil(input, map);
}

/** Runs the input to its end, without waiting as long as nothing waits. */
export function drain(input: Operator, take: (batch: Batch) => MaybePromise<void>): MaybePromise<void> {
  for (;;) {
    const batch = input.next();
    if (batch instanceof Promise) return drainOn(input, take, batch);
    if (batch === undefined) return;
    const taken = take(batch);
    if (taken instanceof Promise) return taken.then(() => drainOn(input, take, input.next()));
  }
}

async function drainOn(
  input: Operator,
  take: (batch: Batch) => MaybePromise<void>,
  next: MaybePromise<Batch | undefined>,
): Promise<void> {
  for (let batch = await next; batch !== undefined; batch = await input.next()) {
    const taken = take(batch);
    if (taken instanceof Promise) await taken;
  }
}

/** The rows of a batch for which a condition holds; undefined when none is left. */
export type BatchFilter = (batch: Batch) => MaybePromise<Batch | undefined>;

export function batchFilter(
  condition: BoundExpression | undefined,
  nodeId: number,
  context: ExecutionContext,
): BatchFilter | undefined {
  if (condition === undefined) return undefined;
  const evaluate = compileExpression(condition);
  const statistics: NodeStatistics | undefined = context.instrument?.get(nodeId);
  return (batch) =>
    chain(evaluate(batch, context), (truth) => {
      const rows = trueRows(truth, batch.rowCount);
      if (rows === undefined) return batch;
      if (statistics !== undefined) statistics.rowsRemovedByFilter += batch.rowCount - rows.length;
      return rows.length === 0 ? undefined : gatherBatch(batch, rows);
    });
}
