// The target of an UPDATE or DELETE: WITH, the target joined with the other tables, under WHERE.
import type { Node, RangeVar, WithClause } from "../../parser/tree.ts";
import type { BoundExpression } from "../logical/expression.ts";
import type { LogicalPlan, ModifiedRows } from "../logical/plan.ts";
import { targetTable } from "./assignment.ts";
import { coerceToBoolean } from "./coerce.ts";
import type { BindContext } from "./context.ts";
import { bindFrom } from "./from.ts";
import { ROW_EXCLUSIVE } from "../../common/lock-mode.ts";
import { scanTable, tableItem } from "./relation.ts";
import { Scope } from "./scope.ts";
import { bindWith } from "./with.ts";

interface Modification {
  readonly relation?: RangeVar | undefined;
  readonly withClause?: WithClause | undefined;
  readonly whereClause?: Node | undefined;
}

/** Leaves the target first and `others`, the tables of FROM or USING, after it in `scope`. */
export function bindModifiedRows(
  context: BindContext,
  statement: Modification,
  others: readonly Node[] | undefined,
  verb: string,
  scope: Scope,
): ModifiedRows {
  const { relation = {}, withClause, whereClause } = statement;
  const ctes = withClause === undefined ? [] : bindWith(context, withClause, scope);
  const table = targetTable(context, statement.relation, verb);
  context.isReadOnly = false;
  context.dependOn(table, ROW_EXCLUSIVE);
  const alias = relation.alias?.aliasname ?? table.name;
  const scan = scanTable(context, table, alias);
  let plan: LogicalPlan = scan.plan;
  if (others !== undefined && others.length > 0) {
    // The other tables do not see the target sideways: LATERAL over it is refused, as in PostgreSQL.
    const inner = new Scope(scope.parent);
    for (const [name, cte] of scope.ctes) inner.ctes.set(name, cte);
    const from = bindFrom(context, others, inner);
    plan = { kind: "join", joinType: "inner", left: plan, right: from.plan, conditions: [] };
    scope.items.push(tableItem(context, scan, table, alias, relation), ...inner.items);
    scope.assertUniqueAliases();
  } else {
    scope.items.push(tableItem(context, scan, table, alias, relation));
  }
  let recheck: BoundExpression | undefined;
  if (whereClause !== undefined) {
    const where = context.expression(whereClause, { scope, clause: "where" });
    recheck = coerceToBoolean(context, where, "WHERE");
    plan = { kind: "filter", input: plan, conditions: [recheck] };
  }
  const input: LogicalPlan = ctes.length === 0 ? plan : { kind: "with", ctes, input: plan };
  return { table, alias, input, rid: scan.rid, targetColumns: scan.columns, recheck };
}
