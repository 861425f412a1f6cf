// EXPLAIN ANALYZE: measures the operator it wraps. Times include the inputs, as PostgreSQL's do.
import type { Batch } from "../../common/batch/vector.ts";
import type { NodeStatistics } from "../context.ts";
import { chain, type MaybePromise } from "../maybe-promise.ts";
import type { Operator } from "./operator.ts";

export function emptyStatistics(): NodeStatistics {
  return { loops: 0, rows: 0, startupMs: 0, totalMs: 0, rowsRemovedByFilter: 0, extra: new Map() };
}

export class InstrumentedOperator implements Operator {
  readonly #inner: Operator;
  readonly #statistics: NodeStatistics;
  readonly #clock: () => number;
  #hasRow = false;
  #elapsedMs = 0;

  constructor(inner: Operator, statistics: NodeStatistics, clock: () => number) {
    this.#inner = inner;
    this.#statistics = statistics;
    this.#clock = clock;
  }

  open(): MaybePromise<void> {
    this.#statistics.loops += 1;
    return this.#timed(() => this.#inner.open());
  }

  next(): MaybePromise<Batch | undefined> {
    return chain(
      this.#timed(() => this.#inner.next()),
      (batch) => {
        if (!this.#hasRow) {
          this.#hasRow = true;
          this.#statistics.startupMs += this.#elapsedMs;
        }
        this.#statistics.rows += batch?.rowCount ?? 0;
        return batch;
      },
    );
  }

  close(): void {
    this.#inner.close();
  }

  #timed<T>(work: () => MaybePromise<T>): MaybePromise<T> {
    const start = this.#clock();
    return chain(work(), (value) => {
      const spent = this.#clock() - start;
      this.#elapsedMs += spent;
      this.#statistics.totalMs += spent;
      return value;
    });
  }
}
