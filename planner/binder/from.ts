// FROM: tables, joins, sub-selects, functions; LATERAL, USING and NATURAL.
import { SqlError, SqlState, notSupported } from "../../common/error.ts";
import { Oid } from "../../common/types/oid.ts";
import {
  expressionPosition,
  nodeKind,
  stringsOf,
  type JoinExpr,
  type Node,
  type RangeSubselect,
} from "../../parser/tree.ts";
import type { BoundExpression } from "../logical/expression.ts";
import type { LogicalPlan } from "../logical/plan.ts";
import type { JoinType } from "../physical/plan.ts";
import { coerceToBoolean, coerceToCommon, commonType } from "./coerce.ts";
import type { BindContext } from "./context.ts";
import { bindRangeFunction } from "./from-function.ts";
import { withOuterLocks } from "./locking.ts";
import { bindOperator } from "./operator.ts";
import { bindRangeVar, fromItem, makeItem, type FromItem } from "./relation.ts";
import { Scope, type ScopeColumn, type ScopeItem } from "./scope.ts";
import { collationOf } from "./types.ts";

/** Binds a FROM list into `scope`; undefined list = one empty row. Returns the plan and what `*` expands to. */
export function bindFrom(context: BindContext, nodes: readonly Node[] | undefined, scope: Scope): FromItem {
  let joined: FromItem | undefined;
  for (const node of nodes ?? []) {
    const next = bindItem(context, node, scope, joined?.items ?? []);
    joined =
      joined === undefined
        ? next
        : {
            plan: { kind: "join", joinType: "inner", left: joined.plan, right: next.plan, conditions: [] },
            items: [...joined.items, ...next.items],
            star: [...joined.star, ...next.star],
          };
  }
  const result = joined ?? { plan: { kind: "result" }, items: [], star: [] };
  scope.items.push(...result.items);
  scope.assertUniqueAliases();
  return result;
}

function bindItem(context: BindContext, node: Node, scope: Scope, before: readonly ScopeItem[]): FromItem {
  if ("RangeVar" in node) return bindRangeVar(context, node.RangeVar, scope);
  if ("JoinExpr" in node) return bindJoin(context, node.JoinExpr, scope, before);
  if ("RangeSubselect" in node) return bindSubselect(context, node.RangeSubselect, scope, before);
  if ("RangeFunction" in node) {
    // Functions see what stands before them in FROM, LATERAL written or not.
    return bindRangeFunction(context, node.RangeFunction, innerScope(scope, before, true));
  }
  if ("RangeTableSample" in node) throw notSupported("TABLESAMPLE", expressionPosition(node) || undefined);
  throw notSupported(nodeKind(node), expressionPosition(node) || undefined);
}

/** The scope of something inside FROM: the query's WITH and outer queries, and its left neighbours if LATERAL. */
function innerScope(scope: Scope, before: readonly ScopeItem[], isLateral: boolean): Scope {
  const inner = new Scope(scope.parent);
  for (const [name, cte] of scope.ctes) inner.ctes.set(name, cte);
  (isLateral ? inner.items : inner.unreachable).push(...before);
  return inner;
}

function bindSubselect(
  context: BindContext,
  node: RangeSubselect,
  scope: Scope,
  before: readonly ScopeItem[],
): FromItem {
  if (node.subquery === undefined || !("SelectStmt" in node.subquery)) throw notSupported("this sub-select");
  const select = node.subquery.SelectStmt;
  const alias = node.alias?.aliasname;
  if (alias === undefined) {
    // The grammar of version 16 and later lets the alias go; 15 does not.
    const isValues = select.valuesLists !== undefined;
    throw new SqlError(
      SqlState.syntaxError,
      `${isValues ? "VALUES" : "subquery"} in FROM must have an alias`,
      {
        hint: `For example, FROM (${isValues ? "VALUES" : "SELECT"} ...) [AS] foo.`,
      },
    );
  }
  const locked = withOuterLocks(scope, alias, select);
  const query = context.query(locked, innerScope(scope, before, node.lateral === true));
  return fromItem(query.plan, {
    ...makeItem(context, alias, query.columns, node.alias, undefined),
    fromKind: "sub-select",
  });
}

const JOIN_TYPES: Readonly<Record<string, JoinType>> = {
  JOIN_INNER: "inner",
  JOIN_LEFT: "left",
  JOIN_RIGHT: "right",
  JOIN_FULL: "full",
};

function bindJoin(
  context: BindContext,
  node: JoinExpr,
  scope: Scope,
  before: readonly ScopeItem[],
): FromItem {
  const joinType = JOIN_TYPES[String(node.jointype)];
  if (joinType === undefined) throw notSupported(String(node.jointype));
  const left = bindItem(context, node.larg as Node, scope, before);
  const right = bindItem(context, node.rarg as Node, scope, [...before, ...left.items]);
  const shared = node.isNatural === true ? commonNames(left, right) : stringsOf(node.usingClause);
  if (node.isNatural === true || node.usingClause !== undefined) {
    return aliased(context, node, bindUsing(context, joinType, left, right, shared));
  }
  const items = [...left.items, ...right.items];
  const conditions: BoundExpression[] = [];
  if (node.quals !== undefined) {
    const inner = innerScope(scope, items, true);
    inner.unreachable.push(...before);
    const condition = context.expression(node.quals, { scope: inner, clause: "join-on" });
    conditions.push(coerceToBoolean(context, condition, "JOIN/ON"));
  }
  const plan: LogicalPlan = { kind: "join", joinType, left: left.plan, right: right.plan, conditions };
  return aliased(context, node, { plan, items, star: [...left.star, ...right.star] });
}

function commonNames(left: FromItem, right: FromItem): readonly string[] {
  const rights = new Set(right.star.map((column) => column.name));
  return left.star.map((column) => column.name).filter((name) => rights.has(name));
}

function bindUsing(
  context: BindContext,
  joinType: JoinType,
  left: FromItem,
  right: FromItem,
  names: readonly string[],
): FromItem {
  const conditions: BoundExpression[] = [];
  const merged: ScopeColumn[] = [];
  for (const name of names) {
    const l = usingColumn(left, name, "left");
    const r = usingColumn(right, name, "right");
    conditions.push(bindOperator(context, { schema: undefined, name: "=", position: 0 }, l.value, r.value));
    merged.push(mergedColumn(context, joinType, l, r));
  }
  const plan: LogicalPlan = { kind: "join", joinType, left: left.plan, right: right.plan, conditions };
  if (names.length === 0)
    return { plan, items: [...left.items, ...right.items], star: [...left.star, ...right.star] };
  const used = new Set(names);
  const hide = (item: ScopeItem): ScopeItem => ({ ...item, hidden: new Set([...item.hidden, ...used]) });
  const nameless: ScopeItem = {
    alias: undefined,
    relationName: undefined,
    schemaName: undefined,
    columns: merged,
    hidden: new Set(),
    table: undefined,
    rowType: { oid: Oid.record, typmod: -1 },
    systemColumn: undefined,
    isScalarFunction: false,
    fromKind: "a join",
  };
  const rest = (side: FromItem): readonly ScopeColumn[] =>
    side.star.filter((column) => !used.has(column.name));
  return {
    plan,
    items: [...left.items.map(hide), ...right.items.map(hide), nameless],
    star: [...merged, ...rest(left), ...rest(right)],
  };
}

function usingColumn(side: FromItem, name: string, which: "left" | "right"): ScopeColumn {
  const found = side.star.filter((column) => column.name === name);
  if (found.length > 1) {
    throw new SqlError(
      SqlState.ambiguousColumn,
      `common column name "${name}" appears more than once in ${which} table`,
    );
  }
  const only = found[0];
  if (only === undefined) {
    throw new SqlError(
      SqlState.undefinedColumn,
      `column "${name}" specified in USING clause does not exist in ${which} table`,
    );
  }
  return only;
}

/** Which side a merged column shows: the one that cannot be NULL-extended; for FULL the first that is there. */
function mergedColumn(
  context: BindContext,
  joinType: JoinType,
  left: ScopeColumn,
  right: ScopeColumn,
): ScopeColumn {
  const oid = commonType(context, [left.value, right.value], "JOIN/USING");
  const l = coerceToCommon(context, left.value, oid, "JOIN/USING");
  const r = coerceToCommon(context, right.value, oid, "JOIN/USING");
  if (joinType === "right") return { ...right, value: r };
  if (joinType !== "full") return { ...left, value: l };
  return {
    name: left.name,
    value: {
      kind: "coalesce",
      args: [l, r],
      type: { oid, typmod: -1 },
      collation: collationOf(context, oid),
      position: 0,
    },
    tableOid: 0,
    attnum: 0,
  };
}

/** (a JOIN b) AS x: one name for the columns of both, the inner names gone. */
function aliased(context: BindContext, node: JoinExpr, joined: FromItem): FromItem {
  const alias = node.alias?.aliasname;
  if (node.join_using_alias !== undefined) throw notSupported("an alias for JOIN USING");
  if (alias === undefined) return joined;
  const names = stringsOf(node.alias?.colnames);
  const columns = joined.star.map((column, i) => ({ ...column, name: names[i] ?? column.name }));
  const item: ScopeItem = {
    ...makeItem(context, alias, [], undefined, undefined),
    columns,
    fromKind: "a join",
  };
  return { plan: joined.plan, items: [item], star: columns };
}
