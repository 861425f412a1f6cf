// RETURNING: computed per written batch and kept, because the statement runs to its end before its first row goes out (as in
// PostgreSQL: a client that stops fetching does not stop the writing).
import type { Batch, Vector } from "../../common/batch/vector.ts";
import type { BoundExpression } from "../../planner/logical/expression.ts";
import { Emitter } from "../batch/emitter.ts";
import { RowStore } from "../batch/row-store.ts";
import type { ExecutionContext } from "../context.ts";
import { columnsUsed } from "../expression/columns-used.ts";
import { compileAll } from "../expression/compile.ts";
import { type Evaluate, evaluateAll } from "../expression/evaluate.ts";
import { chain, type MaybePromise } from "../maybe-promise.ts";

export class Returning {
  /** Input columns the expressions read. */
  readonly columnsUsed: ReadonlySet<number>;
  readonly #expressions: readonly Evaluate[] | undefined;
  readonly #store: RowStore | undefined;
  readonly #context: ExecutionContext;
  #emitter: Emitter | undefined;

  constructor(expressions: readonly BoundExpression[] | undefined, context: ExecutionContext) {
    this.#context = context;
    this.columnsUsed = expressions === undefined ? NO_COLUMNS : columnsOf(expressions);
    if (expressions === undefined) return;
    this.#expressions = compileAll(expressions);
    this.#store = new RowStore(expressions.length, context);
  }

  /** Adds the results for written rows. */
  add(columns: readonly Vector[], rowCount: number): MaybePromise<void> {
    const store = this.#store;
    if (this.#expressions === undefined || store === undefined || rowCount === 0) return;
    return chain(evaluateAll(this.#expressions, { columns, rowCount }, this.#context), (values) =>
      store.append(values, rowCount),
    );
  }

  /** The kept rows, batch by batch; undefined at once without RETURNING. */
  next(): Batch | undefined {
    const store = this.#store;
    if (store === undefined) return undefined;
    this.#emitter ??= new Emitter(store.columns(), undefined, 0, store.rowCount, this.#context.batchRows);
    return this.#emitter.next();
  }

  close(): void {
    this.#store?.release();
  }
}

const NO_COLUMNS: ReadonlySet<number> = new Set();
const columnsOfLists = new WeakMap<readonly BoundExpression[], ReadonlySet<number>>();

function columnsOf(expressions: readonly BoundExpression[]): ReadonlySet<number> {
  let columns = columnsOfLists.get(expressions);
  if (columns === undefined) {
    columns = new Set(expressions.flatMap((expression) => columnsUsed(expression)));
    columnsOfLists.set(expressions, columns);
  }
  return columns;
}
