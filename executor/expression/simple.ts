// Leaves, tests and casts: expressions that are one step over their inputs.
import { must } from "../../common/assert.ts";
import {
  type Batch,
  BoolVector,
  BoxedVector,
  ConstantVector,
  Int32Vector,
  Int64Vector,
  type Vector,
  vectorOf,
} from "../../common/batch/vector.ts";
import { SqlArray } from "../../common/types/array.ts";
import { codecOf } from "../../common/types/registry.ts";
import type { Datum, SqlType } from "../../common/types/type.ts";
import type {
  ArrayCastExpression,
  BooleanTestExpression,
  CallExpression,
  DistinctExpression,
  IoCastExpression,
  NotExpression,
  NullTestExpression,
} from "../../planner/logical/expression.ts";
import { chain } from "../maybe-promise.ts";
import { makeCaller, vectorKindOf } from "./caller.ts";
import { type Compile, type Evaluate, evaluateAll } from "./evaluate.ts";
import { FALSE, fromTruth, TRUE, truthOf, UNKNOWN } from "./truth.ts";

const BOOL: SqlType = { oid: 16, typmod: -1 };

export function constant(value: Datum): Evaluate {
  return (batch) => new ConstantVector(value, batch.rowCount);
}

export function compileCall(expression: CallExpression, compile: Compile): Evaluate {
  const args = expression.args.map(compile);
  const call = makeCaller(
    expression.function,
    expression.args.map((arg) => arg.type),
    expression.type,
  );
  return (batch, context) =>
    chain(evaluateAll(args, batch, context), (values) => call(values, batch.rowCount, context));
}

export function compileNot(expression: NotExpression, compile: Compile): Evaluate {
  const input = compile(expression.input);
  return (batch, context) =>
    chain(input(batch, context), (vector) => {
      if (vector.kind === "bool") {
        const out = new Uint8Array(batch.rowCount);
        for (let i = 0; i < batch.rowCount; i++) out[i] = 1 - (vector.values[i] as number);
        return new BoolVector(out, vector.nulls, batch.rowCount);
      }
      const truth = truthOf(vector, batch.rowCount);
      for (let i = 0; i < truth.length; i++) if (truth[i] !== UNKNOWN) truth[i] = 1 - (truth[i] as number);
      return fromTruth(truth);
    });
}

/** IS [NOT] NULL. Of a row value: IS NULL when all fields are NULL, IS NOT NULL when none is. */
export function compileNullTest(expression: NullTestExpression, compile: Compile): Evaluate {
  const input = compile(expression.input);
  const wantsNull = expression.kind === "is-null";
  return (batch, context) =>
    chain(input(batch, context), (vector) => {
      const out = new Uint8Array(batch.rowCount);
      for (let i = 0; i < batch.rowCount; i++) out[i] = nullTest(vector, i, wantsNull) ? 1 : 0;
      return new BoolVector(out, undefined, batch.rowCount);
    });
}

function nullTest(vector: Vector, row: number, wantsNull: boolean): boolean {
  if (vector.isNull(row)) return wantsNull;
  if (vector.kind === "boxed" || vector.kind === "constant") {
    const value = vector.get(row);
    if (isRecord(value)) return value.values.every((field) => (field === null) === wantsNull);
  }
  return !wantsNull;
}

function isRecord(value: Datum): value is Extract<Datum, { typeOids: unknown }> {
  return typeof value === "object" && value !== null && "typeOids" in value;
}

export function compileBooleanTest(expression: BooleanTestExpression, compile: Compile): Evaluate {
  const input = compile(expression.input);
  const negated = expression.test.startsWith("is-not-");
  const state = expression.test.endsWith("true") ? TRUE : expression.test.endsWith("false") ? FALSE : UNKNOWN;
  return (batch, context) =>
    chain(input(batch, context), (vector) => {
      const truth = truthOf(vector, batch.rowCount);
      for (let i = 0; i < truth.length; i++) truth[i] = (truth[i] === state) !== negated ? 1 : 0;
      return new BoolVector(truth, undefined, batch.rowCount);
    });
}

/** IS [NOT] DISTINCT FROM: never NULL. */
export function compileDistinct(expression: DistinctExpression, compile: Compile): Evaluate {
  const sides = [compile(expression.left), compile(expression.right)];
  const equals = makeCaller(expression.equals, [expression.left.type, expression.right.type], BOOL);
  return (batch, context) =>
    chain(evaluateAll(sides, batch, context), (vectors) =>
      chain(equals(vectors, batch.rowCount, context), (same) => {
        const [left, right] = vectors as [Vector, Vector];
        const out = new Uint8Array(batch.rowCount);
        for (let i = 0; i < batch.rowCount; i++) {
          const leftNull = left.isNull(i);
          const rightNull = right.isNull(i);
          const isDistinct = leftNull || rightNull ? leftNull !== rightNull : same.get(i) !== true;
          out[i] = isDistinct !== expression.negated ? 1 : 0;
        }
        return new BoolVector(out, undefined, batch.rowCount);
      }),
    );
}

/** A value in the memory form of its new type: binary-coercible types may differ in it (text -> "boxed" never, int4 -> oid does). */
export function compileRelabel(input: Evaluate, type: SqlType): Evaluate {
  const kind = vectorKindOf(type);
  return (batch, context) => chain(input(batch, context), (vector) => relabel(vector, kind, batch.rowCount));
}

function relabel(vector: Vector, kind: ReturnType<typeof vectorKindOf>, rowCount: number): Vector {
  const same = vector.kind === kind || vector.kind === "constant" || vector.kind === "boxed";
  if (same || kind === "boxed" || kind === "text" || kind === "embedding") return vector;
  if (kind === "i64" && vector.kind === "i32") {
    // int4 -> oid keeps the bits: negative numbers become large ones.
    const out = new Float64Array(rowCount);
    for (let i = 0; i < rowCount; i++) out[i] = (vector.values[i] as number) >>> 0;
    return new Int64Vector(out, undefined, vector.nulls, rowCount);
  }
  if (kind === "i32" && vector.kind === "i64" && vector.values !== undefined) {
    const out = new Int32Array(rowCount);
    for (let i = 0; i < rowCount; i++) out[i] = vector.values[i] as number;
    return new Int32Vector(out, vector.nulls, rowCount);
  }
  return vector;
}

/** Cast through the text forms of both types. */
export function compileIoCast(expression: IoCastExpression, compile: Compile): Evaluate {
  const input = compile(expression.input);
  const from = expression.input.type;
  const to = expression.type;
  return (batch, context) =>
    chain(input(batch, context), (vector) => {
      const source = codecOf(from.oid);
      const target = codecOf(to.oid);
      const { types } = context.functionContext;
      return mapValues(vector, batch.rowCount, target.vectorKind, (value) =>
        target.parse(source.format(value, types), to.typmod, types),
      );
    });
}

/** Casts every element; dimensions and bounds stay. */
export function compileArrayCast(expression: ArrayCastExpression, compile: Compile): Evaluate {
  const input = compile(expression.input);
  const element = compile(expression.element);
  const elementType = expression.element.type.oid;
  return (batch, context) =>
    chain(input(batch, context), async (vector) => {
      const values = new Array<Datum>(batch.rowCount);
      for (let row = 0; row < batch.rowCount; row++) {
        const array = vector.get(row);
        if (!(array instanceof SqlArray)) {
          values[row] = null;
          continue;
        }
        const inner: Batch = { columns: [new BoxedVector(array.elements)], rowCount: array.elements.length };
        const cast = inner.rowCount === 0 ? undefined : await element(inner, context);
        const elements = array.elements.map((_, i) => must(cast, "elements were cast").get(i));
        values[row] = new SqlArray(elementType, array.dimensions, array.lowerBounds, elements);
      }
      return new BoxedVector(values);
    });
}

/** Applies `map` to every value that is not NULL; a constant stays one. */
export function mapValues(
  vector: Vector,
  rowCount: number,
  kind: ReturnType<typeof vectorKindOf>,
  map: (value: Datum) => Datum,
): Vector {
  if (rowCount === 0) return new ConstantVector(null, 0);
  if (vector.kind === "constant") {
    return new ConstantVector(vector.value === null ? null : map(vector.value), rowCount);
  }
  const values = new Array<Datum>(rowCount);
  for (let i = 0; i < rowCount; i++) {
    const value = vector.get(i);
    values[i] = value === null ? null : map(value);
  }
  return vectorOf(kind, values);
}
