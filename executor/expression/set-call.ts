// Calls that give sets of rows: in FROM (function-scan) and in select lists (project-set). A function that returns no set
// gives one row, so that both operators treat every function alike.
import type { Batch } from "../../common/batch/vector.ts";
import { SqlRecord } from "../../common/types/record.ts";
import type { Datum } from "../../common/types/type.ts";
import type { BoundExpression } from "../../planner/logical/expression.ts";
import type { ExecutionContext } from "../context.ts";
import { chain, type MaybePromise } from "../maybe-promise.ts";
import { argumentsOf, callSite, missingBody } from "./caller.ts";
import { compileExpression } from "./compile.ts";
import { evaluateAll } from "./evaluate.ts";

/** The rows of one call, pulled one by one; each has as many fields as the caller asked for. */
export interface RowSource {
  next(): readonly Datum[] | undefined;
  close(): void;
}

/** For each input row of the batch, its set of rows: `rowsOf(row, columnCount)`. */
export type SetRows = (row: number, columnCount: number) => RowSource;

export function setRows(
  expression: BoundExpression,
  batch: Batch,
  context: ExecutionContext,
): MaybePromise<SetRows> {
  if (expression.kind !== "call" || !expression.function.returnsSet)
    return singleRow(expression, batch, context);
  const entry = expression.function;
  const argumentTypes = expression.args.map((arg) => arg.type);
  const { body } = entry;
  if (body?.kind !== "set") throw missingBody(entry, argumentTypes, context);
  const call = callSite(argumentTypes, expression.type)(context);
  return chain(
    evaluateAll(expression.args.map(compileExpression), batch, context),
    (args) => (row, columnCount) => {
      const values = argumentsOf(args, row);
      if (entry.isStrict && values.includes(null))
        return new IteratorSource([][Symbol.iterator](), columnCount);
      return new IteratorSource(body.rows(values, call)[Symbol.iterator](), columnCount);
    },
  );
}

function singleRow(
  expression: BoundExpression,
  batch: Batch,
  context: ExecutionContext,
): MaybePromise<SetRows> {
  return chain(
    compileExpression(expression)(batch, context),
    (vector) => (row, columnCount) => new IteratorSource([vector.get(row)][Symbol.iterator](), columnCount),
  );
}

class IteratorSource implements RowSource {
  readonly #iterator: Iterator<Datum | readonly Datum[]>;
  readonly #columnCount: number;

  constructor(iterator: Iterator<Datum | readonly Datum[]>, columnCount: number) {
    this.#iterator = iterator;
    this.#columnCount = columnCount;
  }

  next(): readonly Datum[] | undefined {
    const step = this.#iterator.next();
    if (step.done === true) return undefined;
    const value = step.value;
    if (Array.isArray(value)) return value as readonly Datum[];
    // A composite result spreads into the columns of FROM f() AS t(a, b); one column keeps it whole.
    if (value instanceof SqlRecord && this.#columnCount > 1) return value.values;
    return [value as Datum];
  }

  close(): void {
    this.#iterator.return?.();
  }
}
