// DELETE: the target's rows joined with USING, filtered.
import type { DeleteStmt } from "../../parser/tree.ts";
import type { LogicalPlan } from "../logical/plan.ts";
import { targetTable } from "./assignment.ts";
import type { BindContext, BoundQuery } from "./context.ts";
import { watchReferences } from "./watches.ts";
import { bindModifiedRows } from "./modified-rows.ts";
import { bindReturning } from "./returning.ts";
import { Scope } from "./scope.ts";
import { bindWith } from "./with.ts";

export function bindDelete(
  context: BindContext,
  statement: DeleteStmt,
  parent: Scope | undefined,
): BoundQuery {
  const scope = new Scope(parent);
  const ctes = statement.withClause === undefined ? [] : bindWith(context, statement.withClause, scope);
  const table = targetTable(context, statement.relation, "delete from");
  const rows = bindModifiedRows(
    context,
    table,
    statement.relation ?? {},
    statement.usingClause,
    statement.whereClause,
    scope,
  );
  const returning = bindReturning(context, statement.returningClause?.exprs, scope);
  const plan: LogicalPlan = {
    kind: "delete",
    table,
    alias: rows.alias,
    input: ctes.length === 0 ? rows.plan : { kind: "with", ctes, input: rows.plan },
    rid: rows.scan.rid,
    targetColumns: rows.scan.columns,
    recheck: rows.condition,
    referencedBy: watchReferences(context.catalog, table),
    returning,
  };
  return { plan, columns: (returning ?? []).map((item) => item.column) };
}
