// Hands out kept rows in a given order, one batch at a time.
import type { Batch, Vector } from "../../common/batch/vector.ts";
import { gather, type Rows, sliceBatch } from "./gather.ts";

export class Emitter {
  readonly #columns: readonly Vector[];
  readonly #order: Rows | undefined;
  readonly #rowCount: number;
  readonly #batchRows: number;
  #position: number;

  /** `order` undefined = as stored. Gives rows [from, to) of the order. */
  constructor(
    columns: readonly Vector[],
    order: Rows | undefined,
    from: number,
    to: number,
    batchRows: number,
  ) {
    this.#columns = columns;
    this.#order = order;
    this.#rowCount = to;
    this.#batchRows = batchRows;
    this.#position = from;
  }

  next(): Batch | undefined {
    const from = this.#position;
    const to = Math.min(from + this.#batchRows, this.#rowCount);
    if (from >= to) return undefined;
    this.#position = to;
    if (this.#order === undefined) {
      // Columns may be longer than the rows handed out, so the slice is taken per column.
      return sliceBatch({ columns: this.#columns, rowCount: -1 }, from, to);
    }
    const rows = this.#order.subarray(from, to);
    return { columns: this.#columns.map((column) => gather(column, rows)), rowCount: to - from };
  }
}
