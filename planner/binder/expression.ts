// One expression of the parse tree -> BoundExpression. This file only decides who binds which node type.
import { SqlError, SqlState, notSupported } from "../../common/error.ts";
import { Oid } from "../../common/types/oid.ts";
import { expressionPosition, nodeKind, positionOf, type Node, type TypeCast } from "../../parser/tree.ts";
import type { BoundExpression } from "../logical/expression.ts";
import { bindCall } from "./call.ts";
import { coerceOrThrow } from "./coerce.ts";
import { bindColumn } from "./column.ts";
import { bindAExpr } from "./comparison.ts";
import { bindArray, bindIndirection, bindRow } from "./composite.ts";
import {
  bindBooleanTest,
  bindCase,
  bindCollate,
  bindLogic,
  bindNullTest,
  bindVariadicConditional,
} from "./conditional.ts";
import type { BindContext, Env } from "./context.ts";
import { bindConstant, bindParameter } from "./literal.ts";
import { bindSqlFunction } from "./sql-functions.ts";
import { bindSubLink } from "./subquery.ts";
import { resolveTypeName } from "./type-name.ts";

/** Names and types resolved, overloads chosen; throws what PostgreSQL's parse analysis throws. */
export function bindExpression(node: Node, env: Env, context: BindContext): BoundExpression {
  if ("ColumnRef" in node) return bindColumn(context, node.ColumnRef, env);
  if ("A_Const" in node) return bindConstant(context, node.A_Const);
  if ("ParamRef" in node)
    return bindParameter(context, node.ParamRef.number ?? 0, positionOf(node.ParamRef.location));
  if ("A_Expr" in node) return bindAExpr(context, node.A_Expr, env);
  if ("BoolExpr" in node) return bindLogic(context, node.BoolExpr, env);
  if ("FuncCall" in node) return bindCall(context, node.FuncCall, env);
  if ("TypeCast" in node) return bindCast(context, node.TypeCast, env);
  if ("CaseExpr" in node) return bindCase(context, node.CaseExpr, env);
  if ("SubLink" in node) return bindSubLink(context, node.SubLink, env);
  if ("NullTest" in node) {
    const test = node.NullTest;
    return bindNullTest(
      context,
      test.arg as Node,
      test.nulltesttype === "IS_NULL",
      env,
      positionOf(test.location),
    );
  }
  if ("BooleanTest" in node) {
    const test = node.BooleanTest;
    return bindBooleanTest(
      context,
      test.arg as Node,
      String(test.booltesttype),
      env,
      positionOf(test.location),
    );
  }
  if ("CoalesceExpr" in node) {
    return bindVariadicConditional(
      context,
      "coalesce",
      node.CoalesceExpr.args ?? [],
      env,
      positionOf(node.CoalesceExpr.location),
    );
  }
  if ("MinMaxExpr" in node) {
    const kind = node.MinMaxExpr.op === "IS_GREATEST" ? "greatest" : "least";
    return bindVariadicConditional(
      context,
      kind,
      node.MinMaxExpr.args ?? [],
      env,
      positionOf(node.MinMaxExpr.location),
    );
  }
  if ("A_ArrayExpr" in node) return bindArray(context, node.A_ArrayExpr, env, undefined);
  if ("RowExpr" in node) return bindRow(context, node.RowExpr, env);
  if ("A_Indirection" in node) return bindIndirection(context, node.A_Indirection, env);
  if ("CollateClause" in node) {
    const collate = node.CollateClause;
    return bindCollate(context, collate.arg as Node, collate.collname, env, positionOf(collate.location));
  }
  if ("SQLValueFunction" in node) {
    const f = node.SQLValueFunction;
    return bindSqlFunction(context, String(f.op), f.typmod ?? 0, positionOf(f.location));
  }
  if ("SetToDefault" in node) {
    throw new SqlError(SqlState.syntaxError, "DEFAULT is not allowed in this context", {
      position: expressionPosition(node) || undefined,
    });
  }
  throw unsupported(node);
}

function bindCast(context: BindContext, node: TypeCast, env: Env): BoundExpression {
  const type = resolveTypeName(context, node.typeName ?? {});
  const arg = node.arg as Node;
  const position = positionOf(node.location) || expressionPosition(arg);
  if (type.oid === Oid.unknown) return context.expression(arg, env);
  const value =
    "A_ArrayExpr" in arg ? bindArray(context, arg.A_ArrayExpr, env, type) : context.expression(arg, env);
  return coerceOrThrow(context, value, type, "explicit", position);
}

const FEATURES: Readonly<Record<string, string>> = {
  GroupingFunc: "GROUPING",
  XmlExpr: "XML",
  XmlSerialize: "XMLSERIALIZE",
  CurrentOfExpr: "WHERE CURRENT OF",
  MultiAssignRef: "this form of row assignment",
};

function unsupported(node: Node): Error {
  const kind = nodeKind(node);
  return notSupported(FEATURES[kind] ?? kind, expressionPosition(node) || undefined);
}
