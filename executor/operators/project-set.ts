// A select list with set-returning functions. All sets of a row run in step; the longest decides how many rows come out,
// the others are padded with NULL (PostgreSQL 10 and later), and plain expressions repeat. No set row: no output row.
import { type Batch, type Vector, vectorOf } from "../../common/batch/vector.ts";
import type { Datum } from "../../common/types/type.ts";
import { SqlRecord } from "../../common/types/record.ts";
import type { ProjectSetPlan } from "../../planner/physical/plan.ts";
import { detach } from "../batch/column-builder.ts";
import type { ExecutionContext } from "../context.ts";
import { vectorKindOf } from "../expression/caller.ts";
import { compileExpression } from "../expression/compile.ts";
import { type RowSource, type SetRows, setRows } from "../expression/set-call.ts";
import type { MaybePromise } from "../maybe-promise.ts";
import type { Operator } from "./operator.ts";

/** Position in the current input batch. */
interface InputState {
  readonly rowCount: number;
  readonly plain: readonly (Vector | undefined)[];
  readonly sets: readonly (SetRows | undefined)[];
  row: number;
  /** Sets of the current row; undefined = not begun. */
  open: (RowSource | undefined)[] | undefined;
}

export class ProjectSetOperator implements Operator {
  readonly #plan: ProjectSetPlan;
  readonly #input: Operator;
  readonly #context: ExecutionContext;
  #state: InputState | undefined;

  constructor(plan: ProjectSetPlan, input: Operator, context: ExecutionContext) {
    this.#plan = plan;
    this.#input = input;
    this.#context = context;
  }

  open(): MaybePromise<void> {
    return this.#input.open();
  }

  async next(): Promise<Batch | undefined> {
    const columns = this.#plan.output.map((): Datum[] => []);
    let rowCount = 0;
    while (rowCount < this.#context.batchRows) {
      const pause = this.#context.turn();
      if (pause !== undefined) await pause;
      this.#state ??= await this.#nextInput();
      if (this.#state === undefined) break;
      rowCount = this.#fill(this.#state, columns, rowCount);
      if (this.#state.row === this.#state.rowCount) this.#state = undefined;
    }
    if (rowCount === 0) return undefined;
    return {
      columns: this.#plan.output.map((column, i) => vectorOf(vectorKindOf(column.type), columns[i] ?? [])),
      rowCount,
    };
  }

  close(): void {
    for (const source of this.#state?.open ?? []) source?.close();
    this.#input.close();
  }

  async #nextInput(): Promise<InputState | undefined> {
    const batch = await this.#input.next();
    if (batch === undefined) return undefined;
    const plain: (Vector | undefined)[] = [];
    const sets: (SetRows | undefined)[] = [];
    for (let i = 0; i < this.#plan.expressions.length; i++) {
      const expression = this.#plan.expressions[i] as ProjectSetPlan["expressions"][number];
      const isSet = this.#plan.isSet[i] === true;
      plain.push(isSet ? undefined : await compileExpression(expression)(batch, this.#context));
      sets.push(isSet ? await setRows(expression, batch, this.#context) : undefined);
    }
    return { rowCount: batch.rowCount, plain, sets, row: 0, open: undefined };
  }

  /** Appends output rows until the batch is full or the input batch is done; returns the new row count. */
  #fill(state: InputState, columns: readonly Datum[][], already: number): number {
    let rowCount = already;
    while (state.row < state.rowCount && rowCount < this.#context.batchRows) {
      state.open ??= state.sets.map((set) => set?.(state.row, 1));
      const values = state.open.map((source) => source?.next());
      if (values.every((value) => value === undefined)) {
        state.open = undefined;
        state.row += 1;
        continue;
      }
      for (let i = 0; i < columns.length; i++) {
        const source = state.plain[i];
        columns[i]?.push(source === undefined ? this.#fieldOf(values[i], i) : detach(source.get(state.row)));
      }
      rowCount += 1;
    }
    return rowCount;
  }

  /** Several OUT columns in a select list are one composite value. */
  #fieldOf(values: readonly Datum[] | undefined, expression: number): Datum {
    if (values === undefined) return null;
    if (values.length === 1) return values[0] as Datum;
    const call = this.#plan.expressions[expression];
    const entry = call?.kind === "call" ? call.function : undefined;
    const isOutput = (i: number): boolean => OUTPUT_MODES.has(entry?.argumentModes?.[i] ?? "");
    const types = (entry?.allArgumentTypes ?? []).filter((_, i) => isOutput(i));
    const names = (entry?.argumentNames ?? []).filter((_, i) => isOutput(i));
    return new SqlRecord(types, values, names);
  }
}

/** pg_proc.proargmodes of result columns: OUT, INOUT, TABLE. */
const OUTPUT_MODES = new Set(["o", "b", "t"]);
