// Arrays and rows: constructors, element and field access.
import { BoxedVector, ConstantVector, type Vector, vectorOf } from "../../common/batch/vector.ts";
import { notSupported } from "../../common/error.ts";
import { SqlArray } from "../../common/types/array.ts";
import { elementOidOf, Oid } from "../../common/types/oid.ts";
import { SqlRecord } from "../../common/types/record.ts";
import type { Datum } from "../../common/types/type.ts";
import type {
  ArrayExpression,
  FieldExpression,
  RowExpression,
  SubscriptExpression,
} from "../../planner/logical/expression.ts";
import { chain } from "../maybe-promise.ts";
import { argumentsOf, vectorKindOf } from "./caller.ts";
import { type Compile, type Evaluate, evaluateAll } from "./evaluate.ts";

/** ARRAY[...]; constant elements make one constant array, so that IN lists hash once. */
export function compileArray(expression: ArrayExpression, compile: Compile): Evaluate {
  const elements = expression.elements.map(compile);
  const elementOid = elementOidOf(expression.type.oid) ?? Oid.text;
  const make = (values: Datum[]): SqlArray =>
    expression.isNested
      ? SqlArray.stack(elementOid, values as (SqlArray | null)[])
      : SqlArray.of(elementOid, values);
  // Made once where every element is written as a constant: the IN list keeps its hash set by the array's identity.
  const constants = expression.elements.map((e) => (e.kind === "constant" ? e.value : undefined));
  const whole = constants.includes(undefined) ? undefined : make(constants as Datum[]);
  if (whole !== undefined) return (batch) => new ConstantVector(whole, batch.rowCount);
  return (batch, context) =>
    chain(evaluateAll(elements, batch, context), (vectors) => {
      if (vectors.every((vector) => vector.kind === "constant")) {
        return new ConstantVector(
          batch.rowCount === 0 ? null : make(argumentsOf(vectors, 0)),
          batch.rowCount,
        );
      }
      return boxedRows(batch.rowCount, (row) => make(argumentsOf(vectors, row)));
    });
}

export function compileRow(expression: RowExpression, compile: Compile): Evaluate {
  const fields = expression.fields.map(compile);
  const typeOids = expression.fields.map((field) => field.type.oid);
  return (batch, context) =>
    chain(evaluateAll(fields, batch, context), (vectors) =>
      boxedRows(
        batch.rowCount,
        (row) => new SqlRecord(typeOids, argumentsOf(vectors, row), expression.names),
      ),
    );
}

export function compileField(expression: FieldExpression, compile: Compile): Evaluate {
  const input = compile(expression.input);
  const kind = vectorKindOf(expression.type);
  return (batch, context) =>
    chain(input(batch, context), (vector) => {
      const values = new Array<Datum>(batch.rowCount);
      for (let row = 0; row < batch.rowCount; row++) {
        const record = vector.get(row);
        values[row] = record instanceof SqlRecord ? (record.values[expression.fieldIndex] ?? null) : null;
      }
      return vectorOf(kind, values);
    });
}

/** a[i][j] and a[l:u]: NULL outside the bounds, NULL when a subscript is NULL. */
export function compileSubscript(expression: SubscriptExpression, compile: Compile): Evaluate {
  if (expression.input.type.oid === Oid.jsonb)
    throw notSupported("subscripting of jsonb", expression.position);
  const input = compile(expression.input);
  const { subscripts } = expression;
  const isSlice = subscripts.some((subscript) => subscript.isSlice);
  const bounds = subscripts.map((subscript) => ({
    lower: subscript.lower === undefined ? undefined : compile(subscript.lower),
    upper: subscript.upper === undefined ? undefined : compile(subscript.upper),
  }));
  const evaluators = [input, ...bounds.flatMap((b) => [b.lower, b.upper]).filter((e) => e !== undefined)];
  const kind = vectorKindOf(expression.type);
  return (batch, context) =>
    chain(evaluateAll(evaluators, batch, context), (vectors) => {
      const values = new Array<Datum>(batch.rowCount);
      for (let row = 0; row < batch.rowCount; row++) {
        const [array, ...given] = argumentsOf(vectors, row);
        values[row] =
          array instanceof SqlArray && !given.includes(null)
            ? element(array, subscripts, given as number[], isSlice)
            : null;
      }
      return vectorOf(kind, values);
    });
}

/** `given` holds the bounds that were written, in order. In a slice a single subscript i means 1:i. */
function element(
  array: SqlArray,
  subscripts: SubscriptExpression["subscripts"],
  given: readonly number[],
  isSlice: boolean,
): Datum {
  let next = 0;
  const take = (isWritten: boolean): number | undefined => (isWritten ? given[next++] : undefined);
  if (!isSlice) {
    // A plain subscript comes in `upper` or in `lower`, as the grammar had it.
    return array.subscript(
      subscripts.map((s) => take(s.lower !== undefined) ?? take(s.upper !== undefined) ?? 0),
    );
  }
  const ranges = subscripts.map((s) => {
    const lower = take(s.lower !== undefined);
    const upper = take(s.upper !== undefined);
    return s.isSlice ? { lower, upper } : { lower: 1, upper: upper ?? lower };
  });
  return array.slice(ranges);
}

function boxedRows(rowCount: number, make: (row: number) => Datum): Vector {
  const values = new Array<Datum>(rowCount);
  for (let row = 0; row < rowCount; row++) values[row] = make(row);
  return new BoxedVector(values);
}
