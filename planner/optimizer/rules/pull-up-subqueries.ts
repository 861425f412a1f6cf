// EXISTS and IN in WHERE become semi joins, NOT EXISTS an anti join, so that one hash table replaces a run per row. NOT IN
// stays a subplan: its NULL rules are not those of an anti join. Sub-selects whose correlation cannot be lifted out
// (below an aggregate, a LIMIT, an outer join's inner side) stay too.
import type { BoundExpression, SubqueryExpression } from "../../logical/expression.ts";
import { columnsIn, freeColumns, mapPlan, producedIds } from "../../logical/map.ts";
import { outputColumns, type LogicalPlan } from "../../logical/plan.ts";
import { conjuncts, mapExpression } from "../../logical/walk.ts";
import type { Rule } from "../rule.ts";

export const pullUpSubqueries: Rule = {
  name: "PullUpSubqueries",
  apply: (plan) =>
    mapPlan(plan, (node): LogicalPlan => {
      if (node.kind === "filter") return pullUp(node.input, node.conditions);
      if (node.kind !== "scan" && node.kind !== "virtual-scan") return node;
      if (!node.filter.some((e) => candidateOf(e) !== undefined)) return node;
      const stay = node.filter.filter((e) => candidateOf(e) === undefined);
      return pullUp(
        { ...node, filter: stay },
        node.filter.filter((e) => candidateOf(e) !== undefined),
      );
    }),
};

interface Candidate {
  readonly subquery: SubqueryExpression;
  readonly joinType: "semi" | "anti";
}

function candidateOf(e: BoundExpression): Candidate | undefined {
  if (e.kind === "not" && e.input.kind === "subquery" && e.input.subqueryKind === "exists") {
    return { subquery: e.input, joinType: "anti" };
  }
  if (e.kind !== "subquery") return undefined;
  return e.subqueryKind === "exists" || (e.subqueryKind === "any" && e.isHashable)
    ? { subquery: e, joinType: "semi" }
    : undefined;
}

function pullUp(input: LogicalPlan, conditions: readonly BoundExpression[]): LogicalPlan {
  let plan = input;
  const stay: BoundExpression[] = [];
  for (const condition of conditions.flatMap(conjuncts)) {
    const candidate = candidateOf(condition);
    const joined = candidate === undefined ? undefined : joinWith(plan, candidate);
    if (joined === undefined) stay.push(condition);
    else plan = joined;
  }
  return stay.length === 0 ? plan : { kind: "filter", input: plan, conditions: stay };
}

function joinWith(left: LogicalPlan, { subquery, joinType }: Candidate): LogicalPlan | undefined {
  const { logical } = subquery;
  if (logical === undefined) return undefined;
  const leftIds = producedIds(left);
  const isCorrelated = [...freeColumns(logical)].some((id) => leftIds.has(id));
  // An uncorrelated EXISTS is decided once; no join beats that.
  if (subquery.subqueryKind === "exists" && !isCorrelated) return undefined;
  const test = subquery.subqueryKind === "any" ? testConditions(subquery, logical) : [];
  const core = withoutProject(logical);
  const lifted = lift(core, leftIds);
  if ([...freeColumns(lifted.plan)].some((id) => leftIds.has(id))) return undefined;
  const conditions = [...test, ...lifted.conditions];
  return { kind: "join", joinType, left, right: lifted.plan, conditions };
}

/** The top Project only names what the test reads; its expressions go into the test. */
function withoutProject(plan: LogicalPlan): LogicalPlan {
  return plan.kind === "project" ? plan.input : plan;
}

function testConditions(subquery: SubqueryExpression, plan: LogicalPlan): readonly BoundExpression[] {
  if (subquery.test === undefined) return [];
  const columns = outputColumns(plan);
  const values = columns.map((column, i): BoundExpression => {
    const item = plan.kind === "project" ? plan.items[i] : undefined;
    return (
      item?.expression ?? {
        kind: "column",
        index: column.id,
        name: column.name,
        type: column.type,
        collation: column.collation,
        position: 0,
      }
    );
  });
  const all = [...values, ...subquery.testArgs];
  return conjuncts(
    mapExpression(subquery.test, (node) => (node.kind === "column" ? (all[node.index] ?? node) : node)),
  );
}

interface Lifted {
  readonly plan: LogicalPlan;
  readonly conditions: readonly BoundExpression[];
}

/** Takes the conditions that read the outer row out of a plan, where nothing between them and the top changes rows. */
function lift(plan: LogicalPlan, outer: ReadonlySet<number>): Lifted {
  const isOuter = (e: BoundExpression): boolean => [...columnsIn(e)].some((id) => outer.has(id));
  switch (plan.kind) {
    case "filter": {
      const below = lift(plan.input, outer);
      const stay = plan.conditions.filter((e) => !isOuter(e));
      const input: LogicalPlan =
        stay.length === 0 ? below.plan : { kind: "filter", input: below.plan, conditions: stay };
      return { plan: input, conditions: [...below.conditions, ...plan.conditions.filter(isOuter)] };
    }
    case "scan":
    case "virtual-scan":
      return {
        plan: { ...plan, filter: plan.filter.filter((e) => !isOuter(e)) },
        conditions: plan.filter.filter(isOuter),
      };
    case "join": {
      if (plan.joinType !== "inner") return { plan, conditions: [] };
      const left = lift(plan.left, outer);
      const right = lift(plan.right, outer);
      return {
        plan: {
          ...plan,
          left: left.plan,
          right: right.plan,
          conditions: plan.conditions.filter((e) => !isOuter(e)),
        },
        conditions: [...left.conditions, ...right.conditions, ...plan.conditions.filter(isOuter)],
      };
    }
    default:
      return { plan, conditions: [] };
  }
}
