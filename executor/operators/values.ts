// VALUES lists: each expression on its own, since they differ from row to row.
import { type Batch, vectorOf } from "../../common/batch/vector.ts";
import type { Datum } from "../../common/types/type.ts";
import type { ValuesPlan } from "../../planner/physical/plan.ts";
import type { ExecutionContext } from "../context.ts";
import { vectorKindOf } from "../expression/caller.ts";
import { evaluateScalar } from "../expression/compile.ts";
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

  close(): void {}
}
