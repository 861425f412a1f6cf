// A_Expr: operators, comparisons of rows, IN, BETWEEN, LIKE, ANY/ALL over arrays, IS DISTINCT FROM, NULLIF.
import { SqlError, SqlState, notSupported } from "../../common/error.ts";
import { Oid } from "../../common/types/oid.ts";
import {
  expressionPosition,
  listItems,
  positionOf,
  stringsOf,
  type A_Expr,
  type Node,
} from "../../parser/tree.ts";
import type { BoundExpression, RowCompareExpression } from "../logical/expression.ts";
import { coerce, commonType } from "./coerce.ts";
import type { BindContext, Env } from "./context.ts";
import { bindOperator, operatorFunction, resolveOperator, type OperatorName } from "./operator.ts";
import { bindRowSubLink } from "./subquery.ts";
import { bindTextScore, isTextScore } from "./text-score.ts";
import { BOOL, arrayTypeOf, elementTypeOf } from "./types.ts";

const PLAIN = { type: BOOL, collation: 0 } as const;

export function bindAExpr(context: BindContext, node: A_Expr, env: Env): BoundExpression {
  const position = positionOf(node.location);
  switch (node.kind) {
    case "AEXPR_OP":
      return bindOperation(context, node, env);
    case "AEXPR_LIKE":
    case "AEXPR_ILIKE":
    case "AEXPR_SIMILAR":
      return bindOperator(
        context,
        nameOf(node),
        operand(context, node.lexpr, env),
        required(context, node.rexpr, env),
      );
    case "AEXPR_OP_ANY":
    case "AEXPR_OP_ALL": {
      const quantifier = node.kind === "AEXPR_OP_ANY" ? "any" : "all";
      const left = required(context, node.lexpr, env);
      return bindScalarArray(context, nameOf(node), left, required(context, node.rexpr, env), quantifier);
    }
    case "AEXPR_IN":
      return bindIn(context, node, env);
    case "AEXPR_BETWEEN":
    case "AEXPR_NOT_BETWEEN":
    case "AEXPR_BETWEEN_SYM":
    case "AEXPR_NOT_BETWEEN_SYM":
      return bindBetween(context, node, env);
    case "AEXPR_DISTINCT":
    case "AEXPR_NOT_DISTINCT":
      return bindDistinct(context, node, env);
    case "AEXPR_NULLIF": {
      const left = required(context, node.lexpr, env);
      const right = required(context, node.rexpr, env);
      const equal = bindOperator(context, nameOf(node), left, right);
      if (equal.type.oid !== Oid.bool) {
        throw new SqlError(SqlState.datatypeMismatch, "NULLIF requires = operator to yield boolean", {
          position,
        });
      }
      const first = equal.args[0] as BoundExpression;
      return {
        kind: "nullif",
        equals: equal.function,
        left: first,
        right: equal.args[1] as BoundExpression,
        type: first.type,
        collation: first.collation,
        position,
      };
    }
    default:
      throw notSupported(`expression ${String(node.kind)}`, position);
  }
}

function nameOf(node: A_Expr): OperatorName {
  const names = stringsOf(node.name);
  return {
    schema: names.length > 1 ? names.at(-2) : undefined,
    name: names.at(-1) ?? "",
    position: positionOf(node.location),
  };
}

function operand(context: BindContext, node: Node | undefined, env: Env): BoundExpression | undefined {
  return node === undefined ? undefined : context.expression(node, env);
}

function required(context: BindContext, node: Node | undefined, env: Env): BoundExpression {
  if (node === undefined) throw new SqlError(SqlState.syntaxError, "syntax error: an operand is missing");
  return context.expression(node, env);
}

function bindOperation(context: BindContext, node: A_Expr, env: Env): BoundExpression {
  const name = nameOf(node);
  if (node.lexpr !== undefined && node.rexpr !== undefined && "RowExpr" in node.lexpr) {
    const fields = node.lexpr.RowExpr.args ?? [];
    if ("SubLink" in node.rexpr && node.rexpr.SubLink.subLinkType === "EXPR_SUBLINK") {
      const right = bindRowSubLink(context, node.rexpr.SubLink, env, (count) => {
        if (count === fields.length) return;
        const text = `subquery has too ${count < fields.length ? "few" : "many"} columns`;
        throw new SqlError(SqlState.syntaxError, text, { position: name.position || undefined });
      });
      return bindRowCompare(
        context,
        name,
        fields.map((arg) => context.expression(arg, env)),
        right,
      );
    }
    if ("RowExpr" in node.rexpr) {
      const left = fields.map((arg) => context.expression(arg, env));
      const right = (node.rexpr.RowExpr.args ?? []).map((arg) => context.expression(arg, env));
      return bindRowCompare(context, name, left, right);
    }
  }
  const left = operand(context, node.lexpr, env);
  const right = required(context, node.rexpr, env);
  const call = bindOperator(context, name, left, right);
  return isTextScore(call) ? bindTextScore(context, call) : call;
}

/** (a, b) op (c, d): fields compare pairwise; = and <> combine with AND and OR, the others lexicographically. */
export function bindRowCompare(
  context: BindContext,
  name: OperatorName,
  left: readonly BoundExpression[],
  right: readonly BoundExpression[],
): BoundExpression {
  const at = { position: name.position || undefined };
  if (left.length !== right.length) {
    throw new SqlError(SqlState.syntaxError, "unequal number of entries in row expressions", at);
  }
  if (left.length === 0)
    throw new SqlError(SqlState.featureNotSupported, "cannot compare rows of zero length", at);
  const calls = left.map((field, i) => bindOperator(context, name, field, right[i] as BoundExpression));
  const first = calls[0];
  if (calls.length === 1 && first !== undefined) return first;
  if (name.name === "=" || name.name === "<>") {
    return { kind: name.name === "=" ? "and" : "or", args: calls, ...PLAIN, position: name.position };
  }
  if (!["<", "<=", ">", ">="].includes(name.name)) {
    throw new SqlError(
      SqlState.featureNotSupported,
      `could not determine interpretation of row comparison operator ${name.name}`,
      { ...at, hint: "Row comparison operators must be associated with btree operator families." },
    );
  }
  const lefts = calls.map((call) => call.args[0] as BoundExpression);
  const rights = calls.map((call) => call.args[1] as BoundExpression);
  const perField = (operator: string): RowCompareExpression["equals"] =>
    lefts.map(
      (field, i) =>
        bindOperator(context, { ...name, name: operator }, field, rights[i] as BoundExpression).function,
    );
  return {
    kind: "row-compare",
    operator: name.name as RowCompareExpression["operator"],
    left: lefts,
    right: rights,
    equals: perField("="),
    less: perField("<"),
    ...PLAIN,
    position: name.position,
  };
}

/** left op ANY/ALL (array). */
export function bindScalarArray(
  context: BindContext,
  name: OperatorName,
  left: BoundExpression,
  right: BoundExpression,
  quantifier: "any" | "all",
): BoundExpression {
  const at = { position: name.position || undefined };
  const element = right.type.oid === Oid.unknown ? Oid.unknown : elementTypeOf(context, right.type.oid);
  if (element === 0) {
    throw new SqlError(SqlState.wrongObjectType, "op ANY/ALL (array) requires array on right side", at);
  }
  const entry = resolveOperator(context, name, left.type.oid, element);
  if (entry.resultType !== Oid.bool) {
    throw new SqlError(SqlState.wrongObjectType, "op ANY/ALL (array) requires operator to yield boolean", at);
  }
  // Polymorphic operators (record = record apart) do not occur on elements: arrays of arrays do not exist.
  const arrayOid = arrayTypeOf(context, entry.rightType);
  const array = coerce(context, right, { oid: arrayOid, typmod: -1 }, "implicit");
  const value = coerce(context, left, { oid: entry.leftType, typmod: -1 }, "implicit");
  if (array === undefined || value === undefined) {
    throw new SqlError(SqlState.undefinedObject, "could not find array type for the operand of ANY/ALL", at);
  }
  return {
    kind: "scalar-array",
    quantifier,
    function: operatorFunction(context, entry, name.position),
    operator: entry.name,
    left: value,
    right: array,
    ...PLAIN,
    position: name.position,
  };
}

/** x IN (a, b, c): one ANY over an array where the items share a type, else a chain of comparisons, as PostgreSQL does. */
function bindIn(context: BindContext, node: A_Expr, env: Env): BoundExpression {
  const name = nameOf(node);
  const isNegated = name.name === "<>";
  const left = node.lexpr;
  const items = listItems(node.rexpr);
  if (left !== undefined && "RowExpr" in left) {
    const tests = items.map((item) => {
      if (!("RowExpr" in item))
        throw notSupported("comparing a row with something else", expressionPosition(item));
      const fields = (left.RowExpr.args ?? []).map((arg) => context.expression(arg, env));
      return bindRowCompare(
        context,
        name,
        fields,
        (item.RowExpr.args ?? []).map((arg) => context.expression(arg, env)),
      );
    });
    return tests.length === 1
      ? (tests[0] as BoundExpression)
      : { kind: isNegated ? "and" : "or", args: tests, ...PLAIN, position: name.position };
  }
  const value = required(context, left, env);
  const values = items.map((item) => context.expression(item, env));
  if (values.length > 1) {
    const common = commonType(context, [value, ...values], undefined);
    const arrayOid = common === undefined ? 0 : arrayTypeOf(context, common);
    if (common !== undefined && arrayOid !== 0 && values.every((e) => e.kind !== "row")) {
      const elements = values.map((e) => coerce(context, e, { oid: common, typmod: -1 }, "implicit"));
      if (elements.every((e) => e !== undefined)) {
        const array: BoundExpression = {
          kind: "array",
          elements,
          isNested: false,
          type: { oid: arrayOid, typmod: -1 },
          collation: elements[0]?.collation ?? 0,
          position: values[0]?.position ?? 0,
        };
        return bindScalarArray(context, name, value, array, isNegated ? "all" : "any");
      }
    }
  }
  const tests = values.map((e) => bindOperator(context, name, value, e));
  return tests.length === 1
    ? (tests[0] as BoundExpression)
    : { kind: isNegated ? "and" : "or", args: tests, ...PLAIN, position: name.position };
}

function bindBetween(context: BindContext, node: A_Expr, env: Env): BoundExpression {
  const position = positionOf(node.location);
  const [low, high] = listItems(node.rexpr).map((item) => context.expression(item, env));
  const value = required(context, node.lexpr, env);
  if (low === undefined || high === undefined)
    throw new SqlError(SqlState.syntaxError, "BETWEEN needs two bounds", { position });
  const compare = (operator: string, bound: BoundExpression): BoundExpression =>
    bindOperator(context, { schema: undefined, name: operator, position }, value, bound);
  const inside = (a: BoundExpression, b: BoundExpression): BoundExpression => ({
    kind: "and",
    args: [compare(">=", a), compare("<=", b)],
    ...PLAIN,
    position,
  });
  const outside = (a: BoundExpression, b: BoundExpression): BoundExpression => ({
    kind: "or",
    args: [compare("<", a), compare(">", b)],
    ...PLAIN,
    position,
  });
  switch (node.kind) {
    case "AEXPR_BETWEEN":
      return inside(low, high);
    case "AEXPR_NOT_BETWEEN":
      return outside(low, high);
    case "AEXPR_BETWEEN_SYM":
      return { kind: "or", args: [inside(low, high), inside(high, low)], ...PLAIN, position };
    default:
      return { kind: "and", args: [outside(low, high), outside(high, low)], ...PLAIN, position };
  }
}

function bindDistinct(context: BindContext, node: A_Expr, env: Env): BoundExpression {
  const position = positionOf(node.location);
  const negated = node.kind === "AEXPR_NOT_DISTINCT";
  const left = required(context, node.lexpr, env);
  const right = required(context, node.rexpr, env);
  const isNull = (e: BoundExpression): boolean =>
    e.kind === "constant" && e.value === null && e.type.oid === Oid.unknown;
  // IS DISTINCT FROM NULL is a null test, as in PostgreSQL.
  if (isNull(right)) return { kind: negated ? "is-null" : "is-not-null", input: left, ...PLAIN, position };
  if (isNull(left)) return { kind: negated ? "is-null" : "is-not-null", input: right, ...PLAIN, position };
  if (left.kind === "row" && right.kind === "row" && left.fields.length === right.fields.length) {
    const tests = left.fields.map((field, i) =>
      distinct(context, field, right.fields[i] as BoundExpression, negated, position),
    );
    return { kind: negated ? "and" : "or", args: tests, ...PLAIN, position };
  }
  return distinct(context, left, right, negated, position);
}

function distinct(
  context: BindContext,
  left: BoundExpression,
  right: BoundExpression,
  negated: boolean,
  position: number,
): BoundExpression {
  const equal = bindOperator(context, { schema: undefined, name: "=", position }, left, right);
  return {
    kind: "distinct",
    negated,
    equals: equal.function,
    left: equal.args[0] as BoundExpression,
    right: equal.args[1] as BoundExpression,
    ...PLAIN,
    position,
  };
}
