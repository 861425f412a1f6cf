// AND, OR, CASE, COALESCE, GREATEST/LEAST, NULLIF: expressions whose later arguments must not run on rows that do not need
// them (`CASE WHEN x <> 0 THEN 1/x END`). A later argument runs on a sub-batch: the rows still open, gathered, with only
// the columns it reads; its results are scattered back.
import { assert, must } from "../../common/assert.ts";
import { type Batch, BoxedVector, ConstantVector, type Vector, vectorOf } from "../../common/batch/vector.ts";
import type { Datum, SqlType } from "../../common/types/type.ts";
import type {
  BoundExpression,
  CaseExpression,
  CoalesceExpression,
  LogicExpression,
  MinMaxExpression,
  NullIfExpression,
} from "../../planner/logical/expression.ts";
import { compareOf } from "../batch/compare.ts";
import { gather } from "../batch/gather.ts";
import type { ExecutionContext } from "../context.ts";
import { chain, type MaybePromise } from "../maybe-promise.ts";
import { makeCaller, vectorKindOf } from "./caller.ts";
import { columnsUsed } from "./columns-used.ts";
import { type Compile, type Evaluate, evaluateAll } from "./evaluate.ts";
import { FALSE, fromTruth, TRUE, truthOf, UNKNOWN } from "./truth.ts";

/** Stands in for a column that the expression does not read. */
const UNREAD = new ConstantVector(null, 0);

/** An argument that can run on chosen rows of a batch. */
interface LazyArgument {
  readonly evaluate: Evaluate;
  readonly columns: readonly number[];
}

function lazy(expression: BoundExpression, compile: Compile): LazyArgument {
  return { evaluate: compile(expression), columns: columnsUsed(expression) };
}

/** Runs `argument` on `rows` of `batch` (all rows when undefined). The result has one entry per chosen row. */
function evaluateRows(
  argument: LazyArgument,
  batch: Batch,
  rows: Uint32Array | undefined,
  context: ExecutionContext,
): MaybePromise<Vector> {
  if (rows === undefined || rows.length === batch.rowCount) return argument.evaluate(batch, context);
  const columns = Array.from({ length: batch.columns.length }, (): Vector => UNREAD);
  for (const index of argument.columns) columns[index] = gather(batch.columns[index] as Vector, rows);
  return argument.evaluate({ columns, rowCount: rows.length }, context);
}

export function compileLogic(expression: LogicExpression, compile: Compile): Evaluate {
  const args = expression.args.map((arg) => lazy(arg, compile));
  // AND is decided by a FALSE, OR by a TRUE; UNKNOWN otherwise wins over the neutral value.
  const decisive = expression.kind === "and" ? FALSE : TRUE;
  return (batch, context) => {
    const { rowCount } = batch;
    const truth = new Uint8Array(rowCount).fill(decisive === FALSE ? TRUE : FALSE);
    let open: Uint32Array | undefined;
    const step = (index: number): MaybePromise<Vector> => {
      const argument = args[index];
      if (argument === undefined || open?.length === 0) return fromTruth(truth);
      return chain(evaluateRows(argument, batch, open, context), (vector) => {
        const count = open?.length ?? rowCount;
        const part = truthOf(vector, count);
        const still = new Uint32Array(count);
        let stillCount = 0;
        for (let i = 0; i < count; i++) {
          const row = open === undefined ? i : (open[i] as number);
          if (part[i] === decisive) truth[row] = decisive;
          else {
            if (part[i] === UNKNOWN) truth[row] = UNKNOWN;
            still[stillCount++] = row;
          }
        }
        if (stillCount < count) open = still.subarray(0, stillCount);
        return step(index + 1);
      });
    };
    return step(0);
  };
}

export function compileCase(expression: CaseExpression, compile: Compile): Evaluate {
  const conditions = expression.whens.map((when) => lazy(when.condition, compile));
  const results = expression.whens.map((when) => lazy(when.result, compile));
  const otherwise = expression.otherwise === undefined ? undefined : lazy(expression.otherwise, compile);
  return (batch, context) => {
    const target = new Scatter(batch.rowCount, expression.type);
    let open: Uint32Array | undefined;
    const step = (index: number): MaybePromise<Vector> => {
      const condition = conditions[index];
      if (condition === undefined || open?.length === 0) return finish();
      return chain(evaluateRows(condition, batch, open, context), (vector) => {
        const [hit, miss] = split(vector, open, batch.rowCount);
        open = miss;
        if (hit.length === 0) return step(index + 1);
        // One branch decides every row: its own representation is the answer.
        if (hit.length === batch.rowCount)
          return evaluateRows(results[index] as LazyArgument, batch, hit, context);
        return chain(evaluateRows(results[index] as LazyArgument, batch, hit, context), (values) => {
          target.put(values, hit);
          return step(index + 1);
        });
      });
    };
    const finish = (): MaybePromise<Vector> => {
      if (otherwise === undefined || open?.length === 0) return target.finish();
      if (open === undefined || open.length === batch.rowCount) return otherwise.evaluate(batch, context);
      return chain(evaluateRows(otherwise, batch, open, context), (values) => {
        target.put(values, open);
        return target.finish();
      });
    };
    return step(0);
  };
}

export function compileCoalesce(expression: CoalesceExpression, compile: Compile): Evaluate {
  const args = expression.args.map((arg) => lazy(arg, compile));
  return (batch, context) => {
    const target = new Scatter(batch.rowCount, expression.type);
    let open: Uint32Array | undefined;
    const step = (index: number): MaybePromise<Vector> => {
      const argument = args[index];
      if (argument === undefined || open?.length === 0) return target.finish();
      return chain(evaluateRows(argument, batch, open, context), (values) => {
        const count = open?.length ?? batch.rowCount;
        const missing = new Uint32Array(count);
        let missingCount = 0;
        for (let i = 0; i < count; i++) {
          if (values.isNull(i)) missing[missingCount++] = open === undefined ? i : (open[i] as number);
        }
        if (missingCount === 0 && open === undefined) return values;
        target.put(values, open);
        open = missing.subarray(0, missingCount);
        return step(index + 1);
      });
    };
    return step(0);
  };
}

/** GREATEST and LEAST skip NULLs. All arguments run on all rows, as in PostgreSQL. */
export function compileMinMax(expression: MinMaxExpression, compile: Compile): Evaluate {
  const args = expression.args.map(compile);
  const sign = expression.kind === "greatest" ? 1 : -1;
  const kind = vectorKindOf(expression.type);
  return (batch, context) =>
    chain(evaluateAll(args, batch, context), (vectors) => {
      const compare = compareOf(expression.type);
      const best = new Array<Datum>(batch.rowCount).fill(null);
      for (let row = 0; row < batch.rowCount; row++) {
        let chosen: Datum = null;
        for (const vector of vectors) {
          const value = vector.get(row);
          if (value !== null && (chosen === null || sign * compare(value, chosen) > 0)) chosen = value;
        }
        best[row] = chosen;
      }
      return vectorOf(kind, best);
    });
}

export function compileNullIf(expression: NullIfExpression, compile: Compile): Evaluate {
  const left = compile(expression.left);
  const right = compile(expression.right);
  const equals = makeCaller(expression.equals, [expression.left.type, expression.right.type], {
    oid: 16,
    typmod: -1,
  });
  const kind = vectorKindOf(expression.type);
  return (batch, context) =>
    chain(evaluateAll([left, right], batch, context), (sides) =>
      chain(equals(sides, batch.rowCount, context), (same) => {
        const source = must(sides[0], "two sides");
        const values = new Array<Datum>(batch.rowCount);
        for (let row = 0; row < batch.rowCount; row++)
          values[row] = same.get(row) === true ? null : source.get(row);
        return vectorOf(kind, values);
      }),
    );
}

/** Rows where the condition is TRUE, and the rest. */
function split(vector: Vector, open: Uint32Array | undefined, rowCount: number): [Uint32Array, Uint32Array] {
  const count = open?.length ?? rowCount;
  const hit = new Uint32Array(count);
  const miss = new Uint32Array(count);
  let hits = 0;
  let misses = 0;
  for (let i = 0; i < count; i++) {
    const row = open === undefined ? i : (open[i] as number);
    if (vector.get(i) === true) hit[hits++] = row;
    else miss[misses++] = row;
  }
  return [hit.subarray(0, hits), miss.subarray(0, misses)];
}

/** Collects results of different rows into one column; rows never put are NULL. */
class Scatter {
  readonly #values: Datum[];
  readonly #type: SqlType;

  constructor(rowCount: number, type: SqlType) {
    this.#values = new Array<Datum>(rowCount).fill(null);
    this.#type = type;
  }

  put(vector: Vector, rows: Uint32Array | undefined): void {
    const count = rows?.length ?? this.#values.length;
    assert(vector.length >= count, "a value per chosen row");
    for (let i = 0; i < count; i++) {
      const value = vector.get(i);
      if (value !== null) this.#values[rows === undefined ? i : (rows[i] as number)] = value;
    }
  }

  finish(): Vector {
    const kind = vectorKindOf(this.#type);
    return kind === "text" ? new BoxedVector(this.#values) : vectorOf(kind, this.#values);
  }
}
