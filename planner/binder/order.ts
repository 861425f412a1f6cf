// What ORDER BY, GROUP BY and DISTINCT ON items may be: an output column's name or position, or an expression (SQL92 and
// SQL99 at once, as PostgreSQL reads them).
import { SqlError, SqlState } from "../../common/error.ts";
import { expressionPosition, stringsOf, type Node } from "../../parser/tree.ts";
import type { BoundExpression } from "../logical/expression.ts";
import { sameExpression } from "../logical/walk.ts";
import type { BindContext, Env } from "./context.ts";
import { integerLiteral } from "./literal.ts";
import type { Target } from "./target-list.ts";
import { unknownToText } from "./target-list.ts";

export type OrderClause = "ORDER BY" | "GROUP BY" | "DISTINCT ON";

/** The bound expression of an item; output columns are found by name or position among `targets`. */
export function bindOrderItem(
  context: BindContext,
  node: Node,
  env: Env,
  targets: readonly Target[],
  clause: OrderClause,
): BoundExpression {
  const position = expressionPosition(node) || undefined;
  const name = bareName(node);
  // GROUP BY prefers the input column of that name, ORDER BY the output column.
  if (
    name !== undefined &&
    !(clause === "GROUP BY" && env.scope.findColumn(name, position ?? 0) !== undefined)
  ) {
    const matches = targets.filter((target) => target.name === name);
    const first = matches[0];
    if (first !== undefined) {
      if (matches.some((match) => !sameExpression(match.expression, first.expression))) {
        throw new SqlError(SqlState.ambiguousColumn, `${clause} "${name}" is ambiguous`, { position });
      }
      return first.expression;
    }
  }
  const ordinal = integerLiteral(node);
  if (ordinal !== undefined) {
    const target = targets[ordinal - 1];
    if (target === undefined) {
      throw new SqlError(
        SqlState.invalidColumnReference,
        `${clause} position ${ordinal} is not in select list`,
        { position },
      );
    }
    return target.expression;
  }
  if ("A_Const" in node)
    throw new SqlError(SqlState.syntaxError, `non-integer constant in ${clause}`, { position });
  return unknownToText(context, context.expression(node, env));
}

function bareName(node: Node): string | undefined {
  if (!("ColumnRef" in node)) return undefined;
  const fields = node.ColumnRef.fields ?? [];
  return fields.length === 1 ? stringsOf(fields)[0] : undefined;
}
