// The rows of a SCROLL cursor with a place among them: before the first (0), on row n (1 .. count), after the last
// (count + 1). Moving follows PostgreSQL's FETCH.
import { must } from "../common/assert.ts";
import { type Batch, BoxedVector } from "../common/batch/vector.ts";
import type { Datum } from "../common/types/type.ts";

export type FetchDirection = "forward" | "backward" | "absolute" | "relative";

export class ScrollRows {
  readonly #rows: readonly (readonly Datum[])[];
  readonly #columnCount: number;
  #position = 0;

  constructor(batches: readonly Batch[], columnCount: number) {
    this.#columnCount = columnCount;
    this.#rows = batches.flatMap((batch) =>
      Array.from({ length: batch.rowCount }, (_, row) => batch.columns.map((column) => column.get(row))),
    );
  }

  /** Moves and gives the rows passed over, in the order met. `count` Infinity = ALL; negative turns the direction. */
  fetch(direction: FetchDirection, count: number): Batch {
    const numbers = this.#move(direction, count);
    const rows = numbers.map((number) => must(this.#rows[number - 1], "a row in range"));
    const columns = Array.from(
      { length: this.#columnCount },
      (_, column) => new BoxedVector(rows.map((row) => row[column] ?? null)),
    );
    return { columns, rowCount: rows.length };
  }

  /** Row numbers from 1. */
  #move(direction: FetchDirection, count: number): number[] {
    switch (direction) {
      case "forward":
        return count < 0 ? this.#step(-1, -count) : this.#step(1, count);
      case "backward":
        return count < 0 ? this.#step(1, -count) : this.#step(-1, count);
      case "absolute":
        return this.#goTo(count < 0 ? this.#rows.length + 1 + count : count);
      case "relative":
        return this.#goTo(this.#position + count);
    }
  }

  /** Zero steps show the present row again. */
  #step(by: 1 | -1, count: number): number[] {
    if (count === 0) return this.#isOnRow ? [this.#position] : [];
    const numbers: number[] = [];
    while (numbers.length < count) {
      this.#position = Math.min(Math.max(this.#position + by, 0), this.#rows.length + 1);
      if (!this.#isOnRow) break;
      numbers.push(this.#position);
    }
    return numbers;
  }

  #goTo(number: number): number[] {
    this.#position = Math.min(Math.max(number, 0), this.#rows.length + 1);
    return this.#isOnRow ? [this.#position] : [];
  }

  get #isOnRow(): boolean {
    return this.#position >= 1 && this.#position <= this.#rows.length;
  }
}
