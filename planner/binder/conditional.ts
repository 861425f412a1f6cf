// CASE, COALESCE, GREATEST, LEAST, AND, OR, NOT, IS tests, COLLATE.
import { SqlError, SqlState, notSupported } from "../../common/error.ts";
import { Oid } from "../../common/types/oid.ts";
import { positionOf, stringsOf, type BoolExpr, type CaseExpr, type Node } from "../../parser/tree.ts";
import type { BooleanTestExpression, BoundExpression } from "../logical/expression.ts";
import { coerce, coerceToBoolean, coerceToCommon, commonModifier, commonType } from "./coerce.ts";
import type { BindContext, Env } from "./context.ts";
import { bindOperator } from "./operator.ts";
import { BOOL, TEXT, collationOf, typeName } from "./types.ts";

const PLAIN = { type: BOOL, collation: 0 } as const;

export function bindLogic(context: BindContext, node: BoolExpr, env: Env): BoundExpression {
  const position = positionOf(node.location);
  const word = node.boolop === "AND_EXPR" ? "AND" : node.boolop === "OR_EXPR" ? "OR" : "NOT";
  const args = (node.args ?? []).map((arg) => coerceToBoolean(context, context.expression(arg, env), word));
  const first = args[0];
  if (word === "NOT" && first !== undefined) return { kind: "not", input: first, ...PLAIN, position };
  return { kind: word === "AND" ? "and" : "or", args, ...PLAIN, position };
}

export function bindCase(context: BindContext, node: CaseExpr, env: Env): BoundExpression {
  const position = positionOf(node.location);
  let subject = node.arg === undefined ? undefined : context.expression(node.arg, env);
  if (subject?.type.oid === Oid.unknown) subject = coerce(context, subject, TEXT, "implicit") ?? subject;
  const whens: { condition: BoundExpression; result: BoundExpression }[] = [];
  for (const item of node.args ?? []) {
    if (!("CaseWhen" in item)) continue;
    const when = item.CaseWhen;
    const test = context.expression(when.expr as Node, env);
    const condition =
      subject === undefined
        ? test
        : bindOperator(
            context,
            { schema: undefined, name: "=", position: positionOf(when.location) },
            subject,
            test,
          );
    whens.push({
      condition: coerceToBoolean(context, condition, "CASE/WHEN"),
      result: context.expression(when.result as Node, env),
    });
  }
  const otherwise = node.defresult === undefined ? undefined : context.expression(node.defresult, env);
  // PostgreSQL lets ELSE speak first when the result type is chosen.
  const results = [...(otherwise === undefined ? [] : [otherwise]), ...whens.map((when) => when.result)];
  const oid = commonType(context, results, "CASE");
  const typmod = otherwise === undefined ? -1 : commonModifier(results, oid);
  return {
    kind: "case",
    whens: whens.map((when) => ({ ...when, result: coerceToCommon(context, when.result, oid, "CASE/WHEN") })),
    otherwise: otherwise === undefined ? undefined : coerceToCommon(context, otherwise, oid, "CASE/ELSE"),
    type: { oid, typmod },
    collation: collationOf(context, oid),
    position,
  };
}

/** COALESCE, GREATEST, LEAST: arguments to one type. */
export function bindVariadicConditional(
  context: BindContext,
  kind: "coalesce" | "greatest" | "least",
  nodes: readonly Node[],
  env: Env,
  position: number,
): BoundExpression {
  const args = nodes.map((node) => context.expression(node, env));
  const word = kind.toUpperCase();
  const oid = commonType(context, args, word);
  return {
    kind,
    args: args.map((arg) => coerceToCommon(context, arg, oid, word)),
    type: { oid, typmod: commonModifier(args, oid) },
    collation: collationOf(context, oid),
    position,
  };
}

const BOOLEAN_TESTS: Readonly<
  Record<string, { readonly test: BooleanTestExpression["test"]; readonly words: string }>
> = {
  IS_TRUE: { test: "is-true", words: "IS TRUE" },
  IS_NOT_TRUE: { test: "is-not-true", words: "IS NOT TRUE" },
  IS_FALSE: { test: "is-false", words: "IS FALSE" },
  IS_NOT_FALSE: { test: "is-not-false", words: "IS NOT FALSE" },
  IS_UNKNOWN: { test: "is-unknown", words: "IS UNKNOWN" },
  IS_NOT_UNKNOWN: { test: "is-not-unknown", words: "IS NOT UNKNOWN" },
};

export function bindBooleanTest(
  context: BindContext,
  arg: Node,
  kind: string,
  env: Env,
  position: number,
): BoundExpression {
  const known = BOOLEAN_TESTS[kind];
  if (known === undefined) throw notSupported(kind, position);
  const input = coerceToBoolean(context, context.expression(arg, env), known.words);
  return { kind: "boolean-test", test: known.test, input, ...PLAIN, position };
}

/** IS [NOT] NULL. Of a bare literal the type does not matter; text stands in. A parameter stays undecided: 42P18 later. */
export function bindNullTest(
  context: BindContext,
  arg: Node,
  isNull: boolean,
  env: Env,
  position: number,
): BoundExpression {
  const bound = context.expression(arg, env);
  const input =
    bound.kind === "constant" && bound.type.oid === Oid.unknown
      ? (coerce(context, bound, TEXT, "implicit") ?? bound)
      : bound;
  return { kind: isNull ? "is-null" : "is-not-null", input, ...PLAIN, position };
}

/** The one database collation and its other names; ICU names are not there yet. */
const COLLATIONS: ReadonlyMap<string, number> = new Map([
  ["default", 100],
  ["C", 950],
  ["POSIX", 951],
]);

/** Oid of a collation by name; 42704 for an unknown one. */
export function resolveCollation(names: readonly string[], position: number): number {
  const name = names.at(-1) ?? "";
  const oid = COLLATIONS.get(name);
  if (oid !== undefined) return oid;
  throw new SqlError(
    SqlState.undefinedObject,
    `collation "${names.join(".")}" for encoding "UTF8" does not exist`,
    {
      position: position || undefined,
    },
  );
}

/** x COLLATE "C": all collations here order by bytes, so only the label changes. */
export function bindCollate(
  context: BindContext,
  arg: Node,
  names: readonly Node[] | undefined,
  env: Env,
  position: number,
): BoundExpression {
  const bound = context.expression(arg, env);
  const value = bound.type.oid === Oid.unknown ? (coerce(context, bound, TEXT, "implicit") ?? bound) : bound;
  if (collationOf(context, value.type.oid) === 0) {
    throw new SqlError(
      SqlState.datatypeMismatch,
      `collations are not supported by type ${typeName(context, value.type.oid)}`,
      { position: position || undefined },
    );
  }
  return { ...value, collation: resolveCollation(stringsOf(names), position) };
}
