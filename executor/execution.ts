// Runs a planned statement: the face of the executor towards the session.
//
// executePlan() gives a ResultStream at once; nothing runs before the first next(). A portal pulls batches as the client
// asks for them and closes the stream on every path. INSERT, UPDATE and DELETE without RETURNING give no batches: their
// next() runs the statement to the end and says undefined, after which rowsAffected holds.
import { assert } from "../common/assert.ts";
import type { Batch } from "../common/batch/vector.ts";
import type { OutputColumn } from "../planner/logical/expression.ts";
import type { PlannedStatement } from "../planner/physical/plan.ts";
import { buildOperator } from "./build.ts";
import { fireEvents } from "./constraint/fire.ts";
import { ExecutionContext, type ExecutionOptions } from "./context.ts";
import { chain, type MaybePromise } from "./maybe-promise.ts";
import type { Operator } from "./operators/operator.ts";

export interface ResultStream {
  /** Columns of the result; undefined when the statement gives none. */
  readonly columns: readonly OutputColumn[] | undefined;
  /** The following rows (never an empty batch), valid until the call after; undefined at the end. */
  next(): MaybePromise<Batch | undefined>;
  /** Idempotent; also right after an error or before the end. */
  close(): void;
  /** Rows inserted, updated or deleted so far. */
  readonly rowsAffected: number;
}

/** Starts an execution. Throws nothing itself; errors come out of next(). */
export function executePlan(planned: PlannedStatement, options: ExecutionOptions): ResultStream {
  return new PlanExecution(planned, createContext(options));
}

/** A context outside a statement's plan, for COPY, ANALYZE and definition commands that evaluate expressions. */
export function createContext(options: ExecutionOptions): ExecutionContext {
  return new ExecutionContext(options, buildOperator);
}

class PlanExecution implements ResultStream {
  readonly columns: readonly OutputColumn[] | undefined;
  readonly #planned: PlannedStatement;
  readonly #context: ExecutionContext;
  #operator: Operator | undefined;
  #state: "new" | "running" | "closed" = "new";

  constructor(planned: PlannedStatement, context: ExecutionContext) {
    this.#planned = planned;
    this.#context = context;
    this.columns = planned.result;
    let main = planned.plan;
    while (main.kind === "with") main = main.input;
    context.mainPlanId = main.id;
  }

  get rowsAffected(): number {
    return this.#context.rowsAffected;
  }

  next(): MaybePromise<Batch | undefined> {
    assert(this.#state !== "closed", "a closed execution is not pulled");
    const pulled = this.#pull();
    return this.#planned.isReadOnly ? pulled : chain(pulled, (batch) => this.#withConstraints(batch));
  }

  #pull(): MaybePromise<Batch | undefined> {
    if (this.#operator !== undefined) return this.#operator.next();
    this.#state = "running";
    const operator = buildOperator(this.#planned.plan, this.#context);
    this.#operator = operator;
    return chain(operator.open(), () => operator.next());
  }

  /**
   * Looks at constraints once all rows are written: INSERT, UPDATE and DELETE have written them before their first row comes
   * out, a SELECT over modifying CTEs is through when it ends.
   */
  #withConstraints(batch: Batch | undefined): MaybePromise<Batch | undefined> {
    const isWritten = batch === undefined || this.#planned.commandType !== "select";
    if (!isWritten || !this.#context.hasEvents) return batch;
    return fireEvents(this.#context).then(() => batch);
  }

  close(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#operator?.close();
    this.#context.close();
  }
}
