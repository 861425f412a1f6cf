// Evaluates what is constant: immutable functions over constants run now, with the very bodies the executor would run.
// What throws stays as it is: the error belongs to execution, where a CASE or an empty table may never reach it.
import { SqlArray } from "../../common/types/array.ts";
import { Oid } from "../../common/types/oid.ts";
import { lookupCodec } from "../../common/types/registry.ts";
import type { Datum } from "../../common/types/type.ts";
import type { FunctionContext } from "../../common/function-context.ts";
import type { BoundExpression, CallExpression, ConstantExpression } from "../logical/expression.ts";
import { mapExpression } from "../logical/walk.ts";
import { elementTypeOf, type TypeLookup } from "../binder/types.ts";

export interface FoldContext {
  readonly functions: FunctionContext;
  readonly types: TypeLookup;
}

export function foldExpression(e: BoundExpression, context: FoldContext): BoundExpression {
  return mapExpression(e, (node) => foldNode(node, context));
}

function isConstant(e: BoundExpression | undefined): e is ConstantExpression {
  return e?.kind === "constant";
}

function constant(value: Datum, like: BoundExpression): ConstantExpression {
  return { kind: "constant", value, type: like.type, collation: like.collation, position: like.position };
}

function foldNode(e: BoundExpression, context: FoldContext): BoundExpression {
  switch (e.kind) {
    case "call":
      return foldCall(e, context);
    case "and":
    case "or":
      return foldLogic(e);
    case "not":
      return isConstant(e.input) ? constant(e.input.value === null ? null : e.input.value !== true, e) : e;
    case "is-null":
      return isConstant(e.input) ? constant(e.input.value === null, e) : e;
    case "is-not-null":
      return isConstant(e.input) ? constant(e.input.value !== null, e) : e;
    case "relabel":
      return isConstant(e.input) && e.input.type.oid !== Oid.unknown ? constant(e.input.value, e) : e;
    case "io-cast":
      return foldIoCast(e, context);
    case "coalesce": {
      const args = e.args.filter((arg) => !(isConstant(arg) && arg.value === null));
      const first = args[0];
      if (first === undefined) return constant(null, e);
      return isConstant(first) || args.length === 1
        ? first
        : args.length === e.args.length
          ? e
          : { ...e, args };
    }
    case "case":
      return foldCase(e);
    case "array":
      return foldArray(e, context);
    default:
      return e;
  }
}

function foldCall(e: CallExpression, context: FoldContext): BoundExpression {
  const { body } = e.function;
  if (
    e.function.volatility !== "i" ||
    body?.kind !== "scalar" ||
    e.function.returnsSet ||
    e.type.oid === Oid.record
  )
    return e;
  if (e.function.isStrict && e.args.some((arg) => isConstant(arg) && arg.value === null))
    return constant(null, e);
  const values: Datum[] = [];
  for (const arg of e.args) {
    if (!isConstant(arg)) return e;
    values.push(arg.value);
  }
  try {
    const value = body.row(values, {
      context: context.functions,
      argumentTypes: e.args.map((arg) => arg.type),
      resultType: e.type,
    });
    return constant(value, e);
  } catch {
    return e;
  }
}

function foldLogic(e: Extract<BoundExpression, { kind: "and" | "or" }>): BoundExpression {
  const absorbing = e.kind === "or";
  const args: BoundExpression[] = [];
  for (const arg of e.args) {
    if (isConstant(arg) && arg.value === absorbing) return constant(absorbing, e);
    if (isConstant(arg) && arg.value === !absorbing) continue;
    if (arg.kind === e.kind) args.push(...arg.args);
    else args.push(arg);
  }
  const first = args[0];
  if (first === undefined) return constant(!absorbing, e);
  return args.length === 1 ? first : { ...e, args };
}

/** Types whose text form depends on no setting. */
const PLAIN_TEXT: ReadonlySet<number> = new Set<number>([
  Oid.bool,
  Oid.int2,
  Oid.int4,
  Oid.int8,
  Oid.numeric,
  Oid.text,
  Oid.varchar,
  Oid.bpchar,
  Oid.name,
  Oid.uuid,
  Oid.json,
  Oid.jsonb,
]);

function foldIoCast(e: Extract<BoundExpression, { kind: "io-cast" }>, context: FoldContext): BoundExpression {
  const { input } = e;
  if (!isConstant(input)) return e;
  if (input.value === null) return constant(null, e);
  if (!PLAIN_TEXT.has(input.type.oid) || !PLAIN_TEXT.has(e.type.oid)) return e;
  const from = lookupCodec(input.type.oid);
  const to = lookupCodec(e.type.oid);
  if (from === undefined || to === undefined) return e;
  try {
    return constant(
      to.parse(from.format(input.value, context.functions.types), -1, context.functions.types),
      e,
    );
  } catch {
    return e;
  }
}

function foldCase(e: Extract<BoundExpression, { kind: "case" }>): BoundExpression {
  const whens: { readonly condition: BoundExpression; readonly result: BoundExpression }[] = [];
  for (const when of e.whens) {
    if (!isConstant(when.condition)) {
      whens.push(when);
      continue;
    }
    if (when.condition.value !== true) continue;
    // Everything after a condition that always holds is unreachable.
    if (whens.length === 0) return when.result;
    return { ...e, whens, otherwise: when.result };
  }
  if (whens.length === e.whens.length) return e;
  return whens.length === 0 ? (e.otherwise ?? constant(null, e)) : { ...e, whens };
}

function foldArray(e: Extract<BoundExpression, { kind: "array" }>, context: FoldContext): BoundExpression {
  if (e.isNested) return e;
  const values: Datum[] = [];
  for (const element of e.elements) {
    if (!isConstant(element)) return e;
    values.push(element.value);
  }
  return constant(SqlArray.of(elementTypeOf(context.types, e.type.oid), values), e);
}
