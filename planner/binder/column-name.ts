// The name of an unnamed output column, as PostgreSQL's FigureColname picks it: the last identifier that has something to do
// with the value, else "?column?".
import { selectOf } from "./subquery.ts";
import { sqlFunctionColumn } from "./sql-functions.ts";
import { stringsOf, type Node } from "../../parser/tree.ts";

interface Figured {
  readonly name: string;
  /** 2 = a real name, 1 = a type's name or "case": good only when nothing better is inside. */
  readonly strength: 0 | 1 | 2;
}

const NONE: Figured = { name: "?column?", strength: 0 };

export function columnName(node: Node | undefined): string {
  return figure(node).name;
}

function figure(node: Node | undefined): Figured {
  if (node === undefined) return NONE;
  if ("ColumnRef" in node) return named(stringsOf(node.ColumnRef.fields).at(-1));
  if ("A_Indirection" in node) {
    const field = stringsOf(node.A_Indirection.indirection).at(-1);
    return field === undefined ? figure(node.A_Indirection.arg) : named(field);
  }
  if ("FuncCall" in node) return named(stringsOf(node.FuncCall.funcname).at(-1));
  if ("A_Expr" in node) return node.A_Expr.kind === "AEXPR_NULLIF" ? named("nullif") : NONE;
  if ("TypeCast" in node) {
    const inner = figure(node.TypeCast.arg);
    if (inner.strength > 1) return inner;
    return { name: stringsOf(node.TypeCast.typeName?.names).at(-1) ?? "?column?", strength: 1 };
  }
  if ("CollateClause" in node) return figure(node.CollateClause.arg);
  if ("CaseExpr" in node) {
    const otherwise = figure(node.CaseExpr.defresult);
    return otherwise.strength > 1 ? otherwise : { name: "case", strength: 1 };
  }
  if ("SubLink" in node) return figureSubLink(node.SubLink);
  if ("CoalesceExpr" in node) return named("coalesce");
  if ("MinMaxExpr" in node) return named(node.MinMaxExpr.op === "IS_GREATEST" ? "greatest" : "least");
  if ("A_ArrayExpr" in node) return named("array");
  if ("RowExpr" in node) return named("row");
  if ("SQLValueFunction" in node) return named(sqlFunctionColumn(String(node.SQLValueFunction.op)));
  return NONE;
}

function figureSubLink(link: { readonly subLinkType?: string; readonly subselect?: Node }): Figured {
  switch (link.subLinkType) {
    case "EXISTS_SUBLINK":
      return named("exists");
    case "ARRAY_SUBLINK":
      return named("array");
    case "EXPR_SUBLINK": {
      const target = selectOf(link.subselect)?.targetList?.[0];
      if (target === undefined || !("ResTarget" in target)) return NONE;
      const { name, val } = target.ResTarget;
      return name !== undefined && name !== "" ? named(name) : figure(val);
    }
    default:
      return NONE;
  }
}

function named(name: string | undefined): Figured {
  return name === undefined ? NONE : { name, strength: 2 };
}
