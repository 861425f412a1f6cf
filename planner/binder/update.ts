// UPDATE: the target's rows joined with FROM, filtered, each with its assignments.
import { notSupported } from "../../common/error.ts";
import type { UpdateStmt } from "../../parser/tree.ts";
import type { LogicalPlan } from "../logical/plan.ts";
import { bindSetList } from "./assignment.ts";
import { bindConstraints } from "./constraints.ts";
import type { BindContext, BoundQuery } from "./context.ts";
import { bindModifiedRows } from "./modified-rows.ts";
import { bindReturning } from "./returning.ts";
import { Scope } from "./scope.ts";

export function bindUpdate(
  context: BindContext,
  statement: UpdateStmt,
  parent: Scope | undefined,
): BoundQuery {
  const scope = new Scope(parent);
  const rows = bindModifiedRows(context, statement, statement.fromClause, "update", scope);
  const assignments = bindSetList(context, statement.targetList, rows.table, { scope, clause: "update" });
  if (scope.state.setCalls.length > 0) throw notSupported("a set-returning function in UPDATE");
  const returning = bindReturning(context, statement.returningClause?.exprs, scope);
  const plan: LogicalPlan = {
    kind: "update",
    ...rows,
    assignments,
    constraints: bindConstraints(context, rows.table),
    returning,
  };
  return { plan, columns: (returning ?? []).map((item) => item.column) };
}
