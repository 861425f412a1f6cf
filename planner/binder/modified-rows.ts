// The rows an UPDATE or DELETE works on: target, joined with the other tables, under WHERE.
import type { Node, RangeVar } from "../../parser/tree.ts";
import type { TableEntry } from "../../catalog/entries.ts";
import type { BoundExpression } from "../logical/expression.ts";
import type { LogicalPlan } from "../logical/plan.ts";
import { coerceToBoolean } from "./coerce.ts";
import type { BindContext } from "./context.ts";
import { bindFrom } from "./from.ts";
import { ROW_EXCLUSIVE, scanTable, tableItem, type TableScan } from "./relation.ts";
import { Scope } from "./scope.ts";

export interface ModifiedRows {
  readonly plan: LogicalPlan;
  readonly scan: TableScan;
  readonly alias: string;
  readonly condition: BoundExpression | undefined;
}

/** Leaves the target first and the other tables after it in `scope`. */
export function bindModifiedRows(
  context: BindContext,
  table: TableEntry,
  relation: RangeVar,
  others: readonly Node[] | undefined,
  where: Node | undefined,
  scope: Scope,
): ModifiedRows {
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
  if (where === undefined) return { plan, scan, alias, condition: undefined };
  const condition = coerceToBoolean(context, context.expression(where, { scope, clause: "where" }), "WHERE");
  return { plan: { kind: "filter", input: plan, conditions: [condition] }, scan, alias, condition };
}
