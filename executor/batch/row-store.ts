// Rows kept by an operator, column by column, counted against the statement's memory.
import type { Batch, Vector } from "../../common/batch/vector.ts";
import type { ExecutionContext } from "../context.ts";
import { ColumnBuilder } from "./column-builder.ts";

export class RowStore {
  readonly #builders: readonly ColumnBuilder[];
  readonly #context: ExecutionContext;
  #rowCount = 0;
  #countedBytes = 0;
  #columns: readonly Vector[] | undefined;

  constructor(columnCount: number, context: ExecutionContext) {
    this.#builders = Array.from({ length: columnCount }, () => new ColumnBuilder());
    this.#context = context;
  }

  get rowCount(): number {
    return this.#rowCount;
  }

  /** Copies all rows of `columns`. */
  append(columns: readonly Vector[], rowCount: number): void {
    this.appendRange(columns, 0, rowCount);
  }

  appendRange(columns: readonly Vector[], from: number, to: number): void {
    this.#columns = undefined;
    for (let i = 0; i < this.#builders.length; i++) {
      (this.#builders[i] as ColumnBuilder).append(columns[i] as Vector, from, to);
    }
    this.#rowCount += to - from;
    let bytes = 0;
    for (const builder of this.#builders) bytes += builder.sizeBytes;
    if (bytes > this.#countedBytes) {
      this.#context.growMemory(bytes - this.#countedBytes);
      this.#countedBytes = bytes;
    }
  }

  /** All rows as one batch; valid until the next append. */
  columns(): readonly Vector[] {
    this.#columns ??= this.#builders.map((builder) => builder.finish());
    return this.#columns;
  }

  batch(): Batch {
    return { columns: this.columns(), rowCount: this.#rowCount };
  }

  /** Gives the counted memory back; the rows stay readable for whoever still holds them. */
  release(): void {
    this.#context.shrinkMemory(this.#countedBytes);
    this.#countedBytes = 0;
  }
}
