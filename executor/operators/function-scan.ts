// Functions in FROM: set-returning ones row by row, others as one row. Several (ROWS FROM) run side by side, the shorter
// padded with NULL; WITH ORDINALITY numbers the rows from 1.
import { type Batch, vectorOf } from "../../common/batch/vector.ts";
import type { Datum } from "../../common/types/type.ts";
import type { FunctionScanPlan } from "../../planner/physical/plan.ts";
import type { ExecutionContext } from "../context.ts";
import { vectorKindOf } from "../expression/caller.ts";
import { type RowSource, setRows } from "../expression/set-call.ts";
import { chain, type MaybePromise, sequence } from "../maybe-promise.ts";
import type { Operator } from "./operator.ts";

const ONE_ROW: Batch = { columns: [], rowCount: 1 };

export class FunctionScanOperator implements Operator {
  readonly #plan: FunctionScanPlan;
  readonly #context: ExecutionContext;
  #sources: (RowSource | undefined)[] = [];
  #ordinal = 0;

  constructor(plan: FunctionScanPlan, context: ExecutionContext) {
    this.#plan = plan;
    this.#context = context;
  }

  open(): MaybePromise<void> {
    const { functions } = this.#plan;
    const start = (i: number): MaybePromise<RowSource> => {
      const { call, columnCount } = functions[i] as FunctionScanPlan["functions"][number];
      return chain(setRows(call, ONE_ROW, this.#context), (rowsOf) => rowsOf(0, columnCount));
    };
    return chain(sequence(functions.length, start), (sources) => {
      this.#sources = sources;
    });
  }

  next(): MaybePromise<Batch | undefined> {
    return chain(this.#context.turn(), () => this.#read());
  }

  close(): void {
    for (const source of this.#sources) source?.close();
  }

  #read(): Batch | undefined {
    const width = this.#plan.output.length;
    const columns = Array.from({ length: width }, (): Datum[] => []);
    let rowCount = 0;
    while (rowCount < this.#context.batchRows && this.#readRow(columns)) rowCount += 1;
    if (rowCount === 0) return undefined;
    return {
      columns: this.#plan.output.map((column, i) => vectorOf(vectorKindOf(column.type), columns[i] ?? [])),
      rowCount,
    };
  }

  /** Appends one row; false when every function is at its end. */
  #readRow(columns: readonly Datum[][]): boolean {
    const rows = this.#sources.map((source) => source?.next());
    if (rows.every((row) => row === undefined)) return false;
    let at = 0;
    for (let i = 0; i < rows.length; i++) {
      const count = this.#plan.functions[i]?.columnCount ?? 0;
      for (let field = 0; field < count; field++) columns[at++]?.push(rows[i]?.[field] ?? null);
    }
    if (this.#plan.withOrdinality) columns[at]?.push(++this.#ordinal);
    return true;
  }
}
