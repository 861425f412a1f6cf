// SELECT: FROM, WHERE, GROUP BY, HAVING, select list, DISTINCT, ORDER BY, LIMIT, in the order in which they mean something.
//
//   [With]
//     Project        drops columns that only ORDER BY needed
//       Limit
//         Sort
//           Distinct
//             Project        the select list, then ORDER BY's own expressions
//               ProjectSet     set-returning calls of the select list
//                 Filter         HAVING
//                   Aggregate
//                     Filter         WHERE
//                       (FROM)
import { SqlError, SqlState, notSupported } from "../../common/error.ts";
import type { Node, SelectStmt } from "../../parser/tree.ts";
import { nodeKind } from "../../parser/tree.ts";
import type { BoundExpression, SortKey } from "../logical/expression.ts";
import type { LogicalPlan, ProjectItem } from "../logical/plan.ts";
import { sameExpression } from "../logical/walk.ts";
import { coerceToBoolean } from "./coerce.ts";
import type { BindContext, BoundQuery, Env } from "./context.ts";
import { bindFrom } from "./from.ts";
import { Grouping } from "./grouping.ts";
import { bindLimit } from "./limit.ts";
import { bindRowMarks, lockingClauses, recheckOf, refuseLocking } from "./locking.ts";
import { bindOrderItem } from "./order.ts";
import type { Scope } from "./scope.ts";
import { assertHashable, bindSortKey } from "./sort-key.ts";
import { bindTargets, type Target } from "./target-list.ts";

/** A plain SELECT (no set operation, no VALUES); WITH is bound already and in `scope`. */
export function bindSelect(
  context: BindContext,
  statement: SelectStmt,
  scope: Scope,
  resolveUnknown: boolean,
): BoundQuery {
  rejectUnsupported(statement);
  scope.locking = lockingClauses(statement);
  const from = bindFrom(context, statement.fromClause, scope);
  let plan = bindWhere(context, statement.whereClause, { scope, clause: "where" }, from.plan);
  const env: Env = { scope, clause: "select" };
  let targets: readonly Target[] = bindTargets(context, statement.targetList, env, from.star, resolveUnknown);

  const groupEnv: Env = { scope, clause: "group-by" };
  const groupKeys = (statement.groupClause ?? [])
    .flatMap((node) => groupItems(node))
    .map((node) => {
      const key = bindOrderItem(context, node, groupEnv, targets, "GROUP BY");
      assertHashable(context, key);
      return key;
    });
  let having =
    statement.havingClause === undefined
      ? undefined
      : coerceToBoolean(
          context,
          context.expression(statement.havingClause, { scope, clause: "having" }),
          "HAVING",
        );
  const orderEnv: Env = { scope, clause: "order-by" };
  let keys: readonly SortKey[] = (statement.sortClause ?? []).map((node) =>
    bindSortKey(context, node, (e) => bindOrderItem(context, e, orderEnv, targets, "ORDER BY")),
  );
  const isDistinct = statement.distinctClause !== undefined;
  let on = distinctOn(statement)?.map((node) =>
    bindOrderItem(context, node, { scope, clause: "distinct-on" }, targets, "DISTINCT ON"),
  );

  if (scope.locking.length > 0) {
    refuseLocks(statement, scope);
    return lockedProject(context, statement, scope, plan, targets, keys);
  }
  if (scope.state.aggregates.length > 0 || groupKeys.length > 0 || having !== undefined) {
    rejectAggregatedKeys(scope, groupKeys);
    const grouping = new Grouping(context, scope, from.plan, groupKeys);
    const rewrite = (e: BoundExpression): BoundExpression => grouping.rewrite(e);
    targets = targets.map((target) => ({ ...target, expression: rewrite(target.expression) }));
    having = having === undefined ? undefined : rewrite(having);
    keys = keys.map((key) => ({ ...key, expression: rewrite(key.expression) }));
    on = on?.map(rewrite);
    rewriteSetCalls(scope, rewrite);
    plan = { kind: "aggregate", input: plan, keys: grouping.keys, aggregates: scope.state.aggregates };
    if (having !== undefined) plan = { kind: "filter", input: plan, conditions: [having] };
  }
  if (scope.state.setCalls.length > 0)
    plan = { kind: "project-set", input: plan, items: scope.state.setCalls };
  return project(context, statement, scope, plan, targets, keys, isDistinct, on);
}

function rejectUnsupported(statement: SelectStmt): void {
  if (statement.intoClause !== undefined) throw notSupported("SELECT INTO");
  if ((statement.windowClause ?? []).length > 0) throw notSupported("the WINDOW clause");
  if (statement.groupDistinct === true) throw notSupported("GROUP BY DISTINCT");
}

/** Locks need result rows that stand for rows of tables. */
function refuseLocks(statement: SelectStmt, scope: Scope): void {
  if (statement.distinctClause !== undefined) refuseLocking(statement, "DISTINCT clause");
  if (statement.groupClause !== undefined) refuseLocking(statement, "GROUP BY clause");
  if (statement.havingClause !== undefined) refuseLocking(statement, "HAVING clause");
  if (scope.state.aggregates.length > 0) refuseLocking(statement, "aggregate functions");
  if (scope.state.setCalls.length > 0) refuseLocking(statement, "set-returning functions in the target list");
}

export function bindWhere(
  context: BindContext,
  node: Node | undefined,
  env: Env,
  input: LogicalPlan,
): LogicalPlan {
  if (node === undefined) return input;
  const condition = coerceToBoolean(context, context.expression(node, env), "WHERE");
  return { kind: "filter", input, conditions: [condition] };
}

function groupItems(node: Node): readonly Node[] {
  if ("GroupingSet" in node) {
    if (node.GroupingSet.kind === "GROUPING_SET_EMPTY") return [];
    throw notSupported("GROUPING SETS");
  }
  if ("RowExpr" in node && node.RowExpr.row_format === "COERCE_IMPLICIT_CAST") return node.RowExpr.args ?? [];
  return nodeKind(node) === "" ? [] : [node];
}

/** DISTINCT ON's items; undefined = plain DISTINCT or none. The grammar writes plain DISTINCT as one empty node. */
function distinctOn(statement: SelectStmt): readonly Node[] | undefined {
  const items = (statement.distinctClause ?? []).filter((node) => nodeKind(node) !== "");
  return items.length === 0 ? undefined : items;
}

function rejectAggregatedKeys(scope: Scope, keys: readonly BoundExpression[]): void {
  const made = new Set(scope.state.aggregates.map((aggregate) => aggregate.column.id));
  const bad = keys.find((key) => key.kind === "column" && made.has(key.index));
  if (bad !== undefined) {
    throw new SqlError(SqlState.groupingError, "aggregate functions are not allowed in GROUP BY", {
      position: bad.position || undefined,
    });
  }
}

function rewriteSetCalls(scope: Scope, rewrite: (e: BoundExpression) => BoundExpression): void {
  const { setCalls } = scope.state;
  for (const [i, item] of setCalls.entries()) {
    const call = item.expression;
    // The call's own column stands for it elsewhere; only its arguments read the groups.
    if (call.kind === "call")
      setCalls[i] = { ...item, expression: { ...call, args: call.args.map(rewrite) } };
  }
}

/** ORDER BY, the locks, LIMIT, and the select list over the rows as they were locked (see locking.ts). */
function lockedProject(
  context: BindContext,
  statement: SelectStmt,
  scope: Scope,
  input: LogicalPlan,
  targets: readonly Target[],
  keys: readonly SortKey[],
): BoundQuery {
  const marks = bindRowMarks(context, scope.locking, scope);
  let plan = input;
  if (keys.length > 0) plan = { kind: "sort", input: plan, keys };
  if (marks.length > 0) plan = { kind: "lock-rows", input: plan, marks, recheck: recheckOf(input) };
  plan = bindLimit(context, statement, scope, plan, keys);
  const items = targets.map(
    (target): ProjectItem => ({
      column: context.outputColumn(target.name, target.expression),
      expression: target.expression,
    }),
  );
  return { plan: { kind: "project", input: plan, items }, columns: items.map((item) => item.column) };
}

/** Select list, DISTINCT, ORDER BY and LIMIT over a plan whose columns the expressions read. */
function project(
  context: BindContext,
  statement: SelectStmt,
  scope: Scope,
  input: LogicalPlan,
  targets: readonly Target[],
  keys: readonly SortKey[],
  isDistinct: boolean,
  on: readonly BoundExpression[] | undefined,
): BoundQuery {
  const items: ProjectItem[] = targets.map((target) => ({
    column: context.outputColumn(target.name, target.expression),
    expression: target.expression,
  }));
  const visible = items.length;
  /** The output column that carries an expression; one is added where the select list has none. */
  const carry = (e: BoundExpression, mayAdd: () => void): BoundExpression => {
    let item = items.find((candidate) => sameExpression(candidate.expression, e));
    if (item === undefined) {
      mayAdd();
      item = { column: context.outputColumn(`?column?`, e), expression: e };
      items.push(item);
    }
    return context.reference(item.column, item.column.name, e.position);
  };
  const sortKeys = keys.map(
    (key): SortKey => ({
      ...key,
      expression: carry(key.expression, () => {
        if (isDistinct && on === undefined) {
          throw new SqlError(
            SqlState.invalidColumnReference,
            "for SELECT DISTINCT, ORDER BY expressions must appear in select list",
            { position: key.expression.position || undefined },
          );
        }
      }),
    }),
  );
  const onKeys = on?.map((e) => carry(e, () => {}));
  let plan: LogicalPlan = { kind: "project", input, items };
  let ordering = sortKeys;
  if (isDistinct && onKeys === undefined) {
    for (const target of targets) assertHashable(context, target.expression);
    plan = { kind: "distinct", input: plan, on: undefined };
  }
  if (onKeys !== undefined) {
    ordering = distinctOnOrder(onKeys, sortKeys);
    plan = { kind: "sort", input: plan, keys: ordering };
    plan = { kind: "distinct", input: plan, on: onKeys };
  } else if (ordering.length > 0) {
    plan = { kind: "sort", input: plan, keys: ordering };
  }
  plan = bindLimit(context, statement, scope, plan, ordering);
  if (items.length > visible) {
    plan = {
      kind: "project",
      input: plan,
      items: items.slice(0, visible).map(({ column }) => {
        const expression = context.reference(column, column.name, 0);
        return { column: context.outputColumn(column.name, expression), expression };
      }),
    };
  }
  const columns =
    plan.kind === "project" && items.length > visible
      ? plan.items.map((item) => item.column)
      : items.map((item) => item.column);
  return { plan, columns };
}

/** DISTINCT ON needs its expressions first in the order; ORDER BY may continue after them. */
function distinctOnOrder(on: readonly BoundExpression[], keys: readonly SortKey[]): SortKey[] {
  const leading = keys.slice(0, on.length);
  const covers = leading.every((key) => on.some((e) => sameExpression(e, key.expression)));
  if (!covers) {
    throw new SqlError(
      SqlState.invalidColumnReference,
      "SELECT DISTINCT ON expressions must match initial ORDER BY expressions",
      { position: on[0]?.position || undefined },
    );
  }
  const missing = on.filter((e) => !keys.some((key) => sameExpression(e, key.expression)));
  const rest = missing.map((expression): SortKey => ({ expression, descending: false, nullsFirst: false }));
  return [...leading, ...rest, ...keys.slice(on.length)];
}
