// VALUES lists: each expression on its own, since they differ from row to row.
import { type Batch, vectorOf } from "../../common/batch/vector.ts";
import type { Datum } from "../../common/types/type.ts";
import type { BoundExpression } from "../../planner/logical/expression.ts";
import type { ValuesPlan } from "../../planner/physical/plan.ts";
import type { ExecutionContext } from "../context.ts";
import { vectorKindOf } from "../expression/caller.ts";
import { compileAll, evaluateScalar, ONE_ROW } from "../expression/compile.ts";
import { evaluateAll } from "../expression/evaluate.ts";
import { chain, type MaybePromise, sequence } from "../maybe-promise.ts";
import type { Operator } from "./operator.ts";

export class ValuesOperator implements Operator {
  readonly #plan: ValuesPlan;
  readonly #context: ExecutionContext;
  #position = 0;

  constructor(plan: ValuesPlan, context: ExecutionContext) {
    this.#plan = plan;
    this.#context = context;
  }

  open(): void {}

  next(): MaybePromise<Batch | undefined> {
    const { rows, output } = this.#plan;
    if (this.#position >= rows.length) return undefined;
    const [row] = rows;
    if (rows.length === 1 && row?.length === output.length) return this.#onlyRow(row);
    return chain(this.#context.turn(), () => {
      const from = this.#position;
      const rowCount = Math.min(this.#context.batchRows, rows.length - from);
      this.#position += rowCount;
      const width = output.length;
      const cell = (i: number): MaybePromise<Datum> => {
        const expression = rows[from + Math.floor(i / width)]?.[i % width];
        return expression === undefined ? null : evaluateScalar(expression, this.#context);
      };
      return chain(sequence(rowCount * width, cell), (cells) => ({
        columns: output.map((column, at) =>
          vectorOf(
            vectorKindOf(column.type),
            Array.from({ length: rowCount }, (_, row) => cells[row * width + at] as Datum),
          ),
        ),
        rowCount,
      }));
    });
  }

  /** The usual INSERT: its values go on as they come. */
  #onlyRow(row: readonly BoundExpression[]): MaybePromise<Batch> {
    this.#context.look();
    this.#position = 1;
    return chain(evaluateAll(compileAll(row), ONE_ROW, this.#context), (columns) => ({
      columns,
      rowCount: 1,
    }));
  }

  close(): void {}
}
