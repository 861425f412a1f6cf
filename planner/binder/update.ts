// UPDATE: the target's rows joined with FROM, filtered, each with its assignments.
import { notSupported } from "../../common/error.ts";
import type { UpdateStmt } from "../../parser/tree.ts";
import type { LogicalPlan } from "../logical/plan.ts";
import { bindSetList, targetTable } from "./assignment.ts";
import { bindConstraints } from "./constraints.ts";
import type { BindContext, BoundQuery } from "./context.ts";
import { bindModifiedRows } from "./modified-rows.ts";
import { bindReturning } from "./returning.ts";
import { Scope } from "./scope.ts";
import { bindWith } from "./with.ts";

export function bindUpdate(
  context: BindContext,
  statement: UpdateStmt,
  parent: Scope | undefined,
): BoundQuery {
  const scope = new Scope(parent);
  const ctes = statement.withClause === undefined ? [] : bindWith(context, statement.withClause, scope);
  const table = targetTable(context, statement.relation, "update");
  const rows = bindModifiedRows(
    context,
    table,
    statement.relation ?? {},
    statement.fromClause,
    statement.whereClause,
    scope,
  );
  const assignments = bindSetList(context, statement.targetList, table, { scope, clause: "update" });
  if (scope.state.setCalls.length > 0) throw notSupported("a set-returning function in UPDATE");
  const returning = bindReturning(context, statement.returningClause?.exprs, scope);
  const plan: LogicalPlan = {
    kind: "update",
    table,
    alias: rows.alias,
    input: ctes.length === 0 ? rows.plan : { kind: "with", ctes, input: rows.plan },
    rid: rows.scan.rid,
    targetColumns: rows.scan.columns,
    recheck: rows.condition,
    assignments,
    constraints: bindConstraints(context, table),
    returning,
  };
  return { plan, columns: (returning ?? []).map((item) => item.column) };
}
