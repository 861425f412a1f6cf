// DELETE: the target's rows joined with USING, filtered.
import type { DeleteStmt } from "../../parser/tree.ts";
import type { LogicalPlan } from "../logical/plan.ts";
import type { BindContext, BoundQuery } from "./context.ts";
import { watchReferences } from "./watches.ts";
import { bindModifiedRows } from "./modified-rows.ts";
import { bindReturning } from "./returning.ts";
import { Scope } from "./scope.ts";

export function bindDelete(
  context: BindContext,
  statement: DeleteStmt,
  parent: Scope | undefined,
): BoundQuery {
  const scope = new Scope(parent);
  const rows = bindModifiedRows(context, statement, statement.usingClause, "delete from", scope);
  const returning = bindReturning(context, statement.returningClause?.exprs, scope);
  const plan: LogicalPlan = {
    kind: "delete",
    ...rows,
    referencedBy: watchReferences(context.catalog, rows.table),
    returning,
  };
  return { plan, columns: (returning ?? []).map((item) => item.column) };
}
