// Calling a function body over Vectors: whole-batch kernel where the body has one for these representations, else row by
// row; strict NULL handling; bodies that wait. Used by calls, and by every expression that carries an operator (IN, IS
// DISTINCT FROM, NULLIF, row comparison).
import { assert } from "../../common/assert.ts";
import { ConstantVector, type Vector, vectorOf } from "../../common/batch/vector.ts";
import { notSupported, SqlError, SqlState } from "../../common/error.ts";
import { lookupCodec } from "../../common/types/registry.ts";
import type { Datum, SqlType, VectorKind } from "../../common/types/type.ts";
import type { AsyncBody, FunctionCall, FunctionEntry, ScalarBody } from "../../catalog/functions/function.ts";
import type { ExecutionContext } from "../context.ts";
import type { MaybePromise } from "../maybe-promise.ts";

/** A function ready to be called on whole columns of `rowCount` rows. */
export type Caller = (
  args: readonly Vector[],
  rowCount: number,
  context: ExecutionContext,
) => MaybePromise<Vector>;

export function vectorKindOf(type: SqlType): VectorKind {
  return lookupCodec(type.oid)?.vectorKind ?? "boxed";
}

/** The FunctionCall of a call site: made once per session that runs it, because it carries the session. */
export function callSite(
  argumentTypes: readonly SqlType[],
  resultType: SqlType,
): (context: ExecutionContext) => FunctionCall {
  let made: FunctionCall | undefined;
  return (context) => {
    if (made === undefined || made.context !== context.functionContext) {
      made = { context: context.functionContext, argumentTypes, resultType };
    }
    return made;
  };
}

/** 0A000 for a function that is declared and has no body. */
export function missingBody(
  entry: FunctionEntry,
  argumentTypes: readonly SqlType[],
  context: ExecutionContext,
): SqlError {
  const names = context.functionContext.types.names;
  const types = argumentTypes.map(
    (type) => names?.format("regtype", type.oid) ?? lookupCodec(type.oid)?.name ?? String(type.oid),
  );
  return notSupported(`function ${entry.name}(${types.join(", ")})`);
}

export function makeCaller(
  entry: FunctionEntry,
  argumentTypes: readonly SqlType[],
  resultType: SqlType,
): Caller {
  const site = callSite(argumentTypes, resultType);
  const kind = vectorKindOf(resultType);
  const { body } = entry;
  const isVolatile = entry.volatility === "v";
  return (args, rowCount, context) => {
    // Nothing is called for no rows: not even an unsupported function fails over an empty table.
    if (rowCount === 0) return new ConstantVector(null, 0);
    if (body === undefined) throw missingBody(entry, argumentTypes, context);
    const call = site(context);
    switch (body.kind) {
      case "scalar":
        return callScalar(body, entry.isStrict, isVolatile, kind, args, rowCount, call);
      case "async":
        return callAsync(body, entry.isStrict, kind, args, rowCount, call);
      case "set":
        throw new SqlError(
          SqlState.featureNotSupported,
          "set-valued function called in context that cannot accept a set",
        );
      case "aggregate":
        assert(false, `aggregate ${entry.name} is not called as a function`);
    }
  };
}

function callScalar(
  body: ScalarBody,
  isStrict: boolean,
  isVolatile: boolean,
  kind: VectorKind,
  args: readonly Vector[],
  rowCount: number,
  call: FunctionCall,
): Vector {
  if (!isVolatile && args.every((arg) => arg.kind === "constant")) {
    const values = args.map((arg) => arg.get(0));
    if (isStrict && values.includes(null)) return new ConstantVector(null, rowCount);
    return new ConstantVector(body.row(values, call), rowCount);
  }
  if (isStrict && args.some((arg) => arg.kind === "constant" && arg.value === null)) {
    return new ConstantVector(null, rowCount);
  }
  const whole = body.batch?.(args, rowCount, call);
  if (whole !== undefined) return whole;
  const values = new Array<Datum>(rowCount);
  for (let row = 0; row < rowCount; row++) {
    const rowArgs = argumentsOf(args, row);
    values[row] = isStrict && rowArgs.includes(null) ? null : body.row(rowArgs, call);
  }
  return vectorOf(kind, values);
}

async function callAsync(
  body: AsyncBody,
  isStrict: boolean,
  kind: VectorKind,
  args: readonly Vector[],
  rowCount: number,
  call: FunctionCall,
): Promise<Vector> {
  const values = new Array<Datum>(rowCount);
  for (let row = 0; row < rowCount; row++) {
    const rowArgs = argumentsOf(args, row);
    values[row] = isStrict && rowArgs.includes(null) ? null : await body.row(rowArgs, call);
  }
  return vectorOf(kind, values);
}

/** A fresh array each time: bodies may keep it (variadic arrays do). */
export function argumentsOf(args: readonly Vector[], row: number): Datum[] {
  const values = new Array<Datum>(args.length);
  for (let i = 0; i < args.length; i++) values[i] = (args[i] as Vector).get(row);
  return values;
}
