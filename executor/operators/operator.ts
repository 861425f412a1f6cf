// The contract of every operator.
//
//   open()   once, before the first next(). Evaluates what is fixed for the run; does not read rows.
//   next()   the following Batch, or undefined at the end; a promise only when something really waits. Not called again
//            after undefined, nor before the last promise settled.
//   close()  once, on every path, also after an error and also when next() never said undefined. Closes inputs.
//
// A Batch and everything reachable from it (typed arrays, embeddings, byte strings) belongs to the caller until the
// following next() of the same operator: whoever keeps rows longer copies them (batch/column-builder.ts does). Batches
// are never empty: rowCount > 0. Results never depend on the batch size. Leaves check for cancellation and give way to
// other sessions once per batch (`context.turn()`); operators that loop over many rows without pulling do so themselves.
import type { Batch } from "../../common/batch/vector.ts";
import type { MaybePromise } from "../maybe-promise.ts";

export interface Operator {
  open(): MaybePromise<void>;
  next(): MaybePromise<Batch | undefined>;
  close(): void;
}
