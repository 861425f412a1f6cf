// LIMIT, OFFSET, FETCH FIRST ... WITH TIES.
import { SqlError, SqlState } from "../../common/error.ts";
import type { Node, SelectStmt } from "../../parser/tree.ts";
import type { BoundExpression, SortKey } from "../logical/expression.ts";
import { columnsIn } from "../logical/map.ts";
import type { LogicalPlan } from "../logical/plan.ts";
import { coerceToSpecific } from "./coerce.ts";
import type { BindContext } from "./context.ts";
import type { Scope } from "./scope.ts";
import { INT8 } from "./types.ts";

/** Adds a Limit node where the statement asks for one. */
export function bindLimit(
  context: BindContext,
  statement: SelectStmt,
  scope: Scope,
  input: LogicalPlan,
  keys: readonly SortKey[],
): LogicalPlan {
  const count = bindCount(context, statement.limitCount, scope, "LIMIT");
  const skip = bindCount(context, statement.limitOffset, scope, "OFFSET");
  if (count === undefined && skip === undefined) return input;
  const hasTies = statement.limitOption === "LIMIT_OPTION_WITH_TIES";
  if (hasTies && keys.length === 0) {
    throw new SqlError(SqlState.syntaxError, "WITH TIES cannot be specified without ORDER BY clause");
  }
  return { kind: "limit", input, count, skip, withTies: hasTies ? keys : undefined };
}

function bindCount(
  context: BindContext,
  node: Node | undefined,
  scope: Scope,
  word: "LIMIT" | "OFFSET",
): BoundExpression | undefined {
  if (node === undefined) return undefined;
  // LIMIT ALL and LIMIT NULL are no limit.
  if ("A_Const" in node && node.A_Const.isnull === true) return undefined;
  const env = { scope, clause: word === "LIMIT" ? "limit" : "offset" } as const;
  const value = coerceToSpecific(context, context.expression(node, env), INT8, word);
  const own = scope.ownIds();
  if ([...columnsIn(value)].some((id) => own.has(id))) {
    throw new SqlError(SqlState.invalidColumnReference, `argument of ${word} must not contain variables`, {
      position: value.position || undefined,
    });
  }
  return value;
}
