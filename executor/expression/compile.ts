// BoundExpression -> Evaluate. Compiled forms are kept per expression object (plans are shared and outlive executions), so
// that running a cached plan compiles nothing.
import { unreachable } from "../../common/assert.ts";
import { type Batch, BoxedVector, ConstantVector, type Vector } from "../../common/batch/vector.ts";
import { notSupported } from "../../common/error.ts";
import type { Datum } from "../../common/types/type.ts";
import type { BoundExpression } from "../../planner/logical/expression.ts";
import type { ExecutionContext } from "../context.ts";
import type { MaybePromise } from "../maybe-promise.ts";
import { compileRowCompare, compileScalarArray } from "./comparison.ts";
import { compileArray, compileField, compileRow, compileSubscript } from "./composite.ts";
import type { Evaluate } from "./evaluate.ts";
import { compileCase, compileCoalesce, compileLogic, compileMinMax, compileNullIf } from "./lazy.ts";
import {
  compileArrayCast,
  compileBooleanTest,
  compileCall,
  compileDistinct,
  compileIoCast,
  compileNot,
  compileNullTest,
  compileRelabel,
  constant,
} from "./simple.ts";
import { compileSubquery } from "./subquery.ts";
import { compileTextScore } from "./text-score.ts";

const compiled = new WeakMap<BoundExpression, Evaluate>();

/** The compiled form of `expression`. 0A000 for what has no evaluation (hybrid_rrf outside a ranking). */
export function compileExpression(expression: BoundExpression): Evaluate {
  let evaluate = compiled.get(expression);
  if (evaluate === undefined) {
    evaluate = compile(expression);
    compiled.set(expression, evaluate);
  }
  return evaluate;
}

function compile(expression: BoundExpression): Evaluate {
  switch (expression.kind) {
    case "constant":
      return constant(expression.value);
    case "parameter": {
      const { index } = expression;
      return (batch, context) => new ConstantVector(context.parameters[index] ?? null, batch.rowCount);
    }
    case "outer": {
      const { id } = expression;
      return (batch, context) => new ConstantVector(context.outer[id] ?? null, batch.rowCount);
    }
    case "column": {
      const { index } = expression;
      return (batch) => batch.columns[index] as Vector;
    }
    case "call":
      return compileCall(expression, compileExpression);
    case "relabel":
      return compileRelabel(compileExpression(expression.input), expression.type);
    case "io-cast":
      return compileIoCast(expression, compileExpression);
    case "array-cast":
      return compileArrayCast(expression, compileExpression);
    case "and":
    case "or":
      return compileLogic(expression, compileExpression);
    case "not":
      return compileNot(expression, compileExpression);
    case "is-null":
    case "is-not-null":
      return compileNullTest(expression, compileExpression);
    case "boolean-test":
      return compileBooleanTest(expression, compileExpression);
    case "distinct":
      return compileDistinct(expression, compileExpression);
    case "case":
      return compileCase(expression, compileExpression);
    case "coalesce":
      return compileCoalesce(expression, compileExpression);
    case "greatest":
    case "least":
      return compileMinMax(expression, compileExpression);
    case "nullif":
      return compileNullIf(expression, compileExpression);
    case "array":
      return compileArray(expression, compileExpression);
    case "row":
      return compileRow(expression, compileExpression);
    case "field":
      return compileField(expression, compileExpression);
    case "subscript":
      return compileSubscript(expression, compileExpression);
    case "scalar-array":
      return compileScalarArray(expression, compileExpression);
    case "row-compare":
      return compileRowCompare(expression, compileExpression);
    case "subquery":
      return compileSubquery(expression, compileExpression);
    case "text-score":
      return compileTextScore(expression, compileExpression);
    case "hybrid-rrf":
      throw notSupported("hybrid_rrf outside ORDER BY ... LIMIT over one table", expression.position);
    default:
      return unreachable(expression);
  }
}

const compiledLists = new WeakMap<readonly BoundExpression[], readonly Evaluate[]>();

/** The compiled forms of a list that belongs to a plan. */
export function compileAll(expressions: readonly BoundExpression[]): readonly Evaluate[] {
  let evaluators = compiledLists.get(expressions);
  if (evaluators === undefined) {
    evaluators = expressions.map(compileExpression);
    compiledLists.set(expressions, evaluators);
  }
  return evaluators;
}

/** What expressions that read no columns are evaluated over. */
export const ONE_ROW: Batch = { columns: [new BoxedVector([null])], rowCount: 1 };

/** The value of an expression that reads no columns: limits, bounds, defaults. */
export function evaluateScalar(expression: BoundExpression, context: ExecutionContext): MaybePromise<Datum> {
  const vector = compileExpression(expression)(ONE_ROW, context);
  return vector instanceof Promise ? vector.then((value) => value.get(0)) : vector.get(0);
}
