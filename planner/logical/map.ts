// Rewriting logical plans, and the questions rules ask of them: which columns a plan makes, which it needs from outside.
import { unreachable } from "../../common/assert.ts";
import type { AggregateCall, BoundExpression } from "./expression.ts";
import { outputColumns, type LogicalPlan, type ProjectItem } from "./plan.ts";
import {
  childrenOf,
  hasSubquery,
  isVolatile,
  mapExpression,
  mapList,
  mapSortKeys,
  someExpression,
} from "./walk.ts";

/** The plans directly below a node (sub-selects inside expressions are not among them). */
export function inputsOf(plan: LogicalPlan): readonly LogicalPlan[] {
  switch (plan.kind) {
    case "result":
    case "values":
    case "scan":
    case "virtual-scan":
    case "function-scan":
    case "cte-scan":
      return [];
    case "search":
    case "hybrid":
      return [plan.scan];
    case "with":
      return [...plan.ctes.map((cte) => cte.plan), plan.input];
    case "join":
    case "set-operation":
      return [plan.left, plan.right];
    case "append":
      return plan.inputs;
    case "recursive-union":
      return [plan.initial, plan.recursive];
    default:
      return [plan.input];
  }
}

/** The node with `f` applied to each plan directly below. */
export function mapInputs(plan: LogicalPlan, f: (input: LogicalPlan) => LogicalPlan): LogicalPlan {
  switch (plan.kind) {
    case "result":
    case "values":
    case "scan":
    case "virtual-scan":
    case "function-scan":
    case "cte-scan":
    case "search":
    case "hybrid":
      return plan;
    case "with":
      return { ...plan, ctes: plan.ctes.map((cte) => ({ ...cte, plan: f(cte.plan) })), input: f(plan.input) };
    case "join": {
      const left = f(plan.left);
      const right = f(plan.right);
      return left === plan.left && right === plan.right ? plan : { ...plan, left, right };
    }
    case "set-operation":
      return { ...plan, left: f(plan.left), right: f(plan.right) };
    case "append":
      return { ...plan, inputs: plan.inputs.map(f) };
    case "recursive-union":
      return { ...plan, initial: f(plan.initial), recursive: f(plan.recursive) };
    default: {
      const input = f(plan.input);
      return input === plan.input ? plan : { ...plan, input };
    }
  }
}

/** Rewrites a plan bottom-up, the plans of sub-selects inside expressions included. */
export function mapPlan(plan: LogicalPlan, f: (node: LogicalPlan) => LogicalPlan): LogicalPlan {
  const below = mapInputs(plan, (input) => mapPlan(input, f));
  return f(mapNodeExpressions(below, (e) => mapSubplans(e, (subplan) => mapPlan(subplan, f))));
}

/** Volatile functions anywhere in the plan, sub-selects inside expressions included. */
export function isVolatilePlan(plan: LogicalPlan): boolean {
  const isVolatileSubplan = (node: BoundExpression): boolean =>
    node.kind === "subquery" && node.logical !== undefined && isVolatilePlan(node.logical);
  return (
    nodeExpressions(plan).some((e) => isVolatile(e) || someExpression(e, isVolatileSubplan)) ||
    inputsOf(plan).some(isVolatilePlan)
  );
}

/** Applies `f` to the plan of every sub-select inside an expression. */
export function mapSubplans(e: BoundExpression, f: (plan: LogicalPlan) => LogicalPlan): BoundExpression {
  if (!hasSubquery(e)) return e;
  return mapExpression(e, (node) => {
    if (node.kind !== "subquery" || node.logical === undefined) return node;
    const logical = f(node.logical);
    return logical === node.logical ? node : { ...node, logical };
  });
}

/** The node with `f` applied to each expression it holds itself; the same object where nothing changed. */
export function mapNodeExpressions(
  plan: LogicalPlan,
  f: (e: BoundExpression) => BoundExpression,
): LogicalPlan {
  const maybe = (e: BoundExpression | undefined): BoundExpression | undefined =>
    e === undefined ? undefined : f(e);
  const item = (old: ProjectItem): ProjectItem => {
    const expression = f(old.expression);
    return expression === old.expression ? old : { ...old, expression };
  };
  const optionalItems = (items: readonly ProjectItem[] | undefined): readonly ProjectItem[] | undefined =>
    items === undefined ? undefined : mapList(items, item);
  switch (plan.kind) {
    case "result":
    case "cte-scan":
    case "with":
    case "append":
    case "set-operation":
    case "recursive-union":
      return plan;
    case "values": {
      const rows = mapList(plan.rows, (row) => mapList(row, f));
      return rows === plan.rows ? plan : { ...plan, rows };
    }
    case "scan":
    case "virtual-scan": {
      const filter = mapList(plan.filter, f);
      return filter === plan.filter ? plan : { ...plan, filter };
    }
    case "function-scan":
      return { ...plan, functions: plan.functions.map((called) => ({ ...called, call: f(called.call) })) };
    case "filter":
    case "join": {
      const conditions = mapList(plan.conditions, f);
      return conditions === plan.conditions ? plan : { ...plan, conditions };
    }
    case "project":
    case "project-set": {
      const items = mapList(plan.items, item);
      return items === plan.items ? plan : { ...plan, items };
    }
    case "aggregate": {
      const keys = mapList(plan.keys, item);
      const aggregates = mapList(plan.aggregates, (old) => {
        const call = mapCall(old.call, f);
        return call === old.call ? old : { ...old, call };
      });
      return keys === plan.keys && aggregates === plan.aggregates ? plan : { ...plan, keys, aggregates };
    }
    case "distinct": {
      const on = plan.on === undefined ? undefined : mapList(plan.on, f);
      return on === plan.on ? plan : { ...plan, on };
    }
    case "sort": {
      const keys = mapSortKeys(plan.keys, f);
      return keys === plan.keys ? plan : { ...plan, keys };
    }
    case "lock-rows": {
      const recheck = mapList(plan.recheck, (old) => {
        const condition = f(old.condition);
        return condition === old.condition ? old : { ...old, condition };
      });
      return recheck === plan.recheck ? plan : { ...plan, recheck };
    }
    case "limit": {
      const count = maybe(plan.count);
      const skip = maybe(plan.skip);
      const withTies = plan.withTies === undefined ? undefined : mapSortKeys(plan.withTies, f);
      const isSame = count === plan.count && skip === plan.skip && withTies === plan.withTies;
      return isSame ? plan : { ...plan, count, skip, withTies };
    }
    case "search":
    case "hybrid": {
      // The scan's filter is what these nodes evaluate besides their queries, which are constant per execution.
      const filter = mapList(plan.scan.filter, f);
      return filter === plan.scan.filter ? plan : { ...plan, scan: { ...plan.scan, filter } };
    }
    case "insert": {
      const returning = optionalItems(plan.returning);
      return returning === plan.returning ? plan : { ...plan, returning };
    }
    case "update":
      return {
        ...plan,
        recheck: maybe(plan.recheck),
        assignments: plan.assignments.map((a) => ({ ...a, expression: f(a.expression) })),
        returning: optionalItems(plan.returning),
      };
    case "delete":
      return { ...plan, recheck: maybe(plan.recheck), returning: optionalItems(plan.returning) };
    default:
      return unreachable(plan);
  }
}

function mapCall(call: AggregateCall, f: (e: BoundExpression) => BoundExpression): AggregateCall {
  const args = mapList(call.args, f);
  const filter = call.filter === undefined ? undefined : f(call.filter);
  const orderBy = mapSortKeys(call.orderBy, f);
  const isSame = args === call.args && filter === call.filter && orderBy === call.orderBy;
  return isSame ? call : { ...call, args, filter, orderBy };
}

/** The expressions a node holds itself. */
export function nodeExpressions(plan: LogicalPlan): readonly BoundExpression[] {
  const found: BoundExpression[] = [];
  mapNodeExpressions(plan, (e) => {
    found.push(e);
    return e;
  });
  return found;
}

/** Ids an expression reads, those its sub-selects read from outside included. */
export function columnsIn(e: BoundExpression, into: Set<number> = new Set()): Set<number> {
  if (e.kind === "column") into.add(e.index);
  if (e.kind === "subquery" && e.logical !== undefined) {
    for (const id of freeColumns(e.logical)) into.add(id);
  }
  for (const child of childrenOf(e)) columnsIn(child, into);
  return into;
}

const freeColumnsMemo = new WeakMap<LogicalPlan, ReadonlySet<number>>();

/** Ids a plan reads but no node in it makes: its correlation with the query around it. */
export function freeColumns(plan: LogicalPlan): ReadonlySet<number> {
  const known = freeColumnsMemo.get(plan);
  if (known !== undefined) return known;
  const made = new Set<number>();
  const used = new Set<number>();
  collect(plan, made, used);
  const free = new Set([...used].filter((id) => !made.has(id)));
  freeColumnsMemo.set(plan, free);
  return free;
}

function collect(plan: LogicalPlan, made: Set<number>, used: Set<number>): void {
  for (const column of outputColumns(plan)) made.add(column.id);
  if (plan.kind === "insert")
    for (const column of [...plan.rowColumns, ...plan.excludedColumns]) made.add(column.id);
  for (const e of nodeExpressions(plan)) columnsIn(e, used);
  if (plan.kind === "search" || plan.kind === "hybrid") {
    const branches = plan.kind === "search" ? [plan.branch] : plan.branches;
    for (const branch of branches) columnsIn(branch.query, used);
  }
  for (const input of inputsOf(plan)) collect(input, made, used);
}

/** Ids a plan makes for whoever is above it. */
export function producedIds(plan: LogicalPlan): Set<number> {
  return new Set(outputColumns(plan).map((column) => column.id));
}

/** Replaces column references by expressions, also inside sub-selects. */
export function substituteColumns(
  e: BoundExpression,
  replacement: ReadonlyMap<number, BoundExpression>,
): BoundExpression {
  return mapExpression(e, (node) => {
    if (node.kind === "column") return replacement.get(node.index) ?? node;
    if (node.kind !== "subquery" || node.logical === undefined) return node;
    if (![...freeColumns(node.logical)].some((id) => replacement.has(id))) return node;
    return {
      ...node,
      logical: mapPlan(node.logical, (inner) =>
        mapNodeExpressions(inner, (x) => substituteColumns(x, replacement)),
      ),
    };
  });
}
