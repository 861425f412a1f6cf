// Order of inner joins: from the smallest relation, always the next that keeps the intermediate result smallest, connected
// ones before cross products. Greedy, so linear plans only and not always the best, but never quadratic in surprises.
// Trees with LATERAL between their parts keep the order they were written in.
import type { BoundExpression } from "../../logical/expression.ts";
import { columnsIn, freeColumns, mapPlan, producedIds } from "../../logical/map.ts";
import type { LogicalJoin, LogicalPlan } from "../../logical/plan.ts";
import { conjuncts } from "../../logical/walk.ts";
import type { Rule, RuleContext } from "../rule.ts";

/** Above this the written order stays: each step looks at every pair of what is left. */
const MAX_RELATIONS = 32;

export const joinOrder: Rule = {
  name: "JoinOrder",
  apply: (plan, context) =>
    mapPlan(plan, (node) =>
      node.kind === "join" && node.joinType === "inner" ? order(node, context) : node,
    ),
};

interface Leaf {
  readonly plan: LogicalPlan;
  readonly ids: ReadonlySet<number>;
}

function order(join: LogicalJoin, context: RuleContext): LogicalPlan {
  const leaves: Leaf[] = [];
  const conditions: BoundExpression[] = [];
  collect(join, leaves, conditions);
  if (leaves.length < 3 || leaves.length > MAX_RELATIONS || hasLateral(leaves)) return join;
  const rest = [...leaves];
  const first = rest.reduce((best, leaf) =>
    context.estimator.rows(leaf.plan) < context.estimator.rows(best.plan) ? leaf : best,
  );
  rest.splice(rest.indexOf(first), 1);
  let plan = first.plan;
  let ids = new Set(first.ids);
  let open: readonly BoundExpression[] = conditions;
  while (rest.length > 0) {
    const steps = rest.map((leaf) => step(plan, ids, leaf, open, leaves, context));
    const best = steps.reduce((a, b) => (isBetter(b, a) ? b : a));
    plan = best.plan;
    ids = new Set([...ids, ...best.leaf.ids]);
    open = open.filter((e) => !best.used.includes(e));
    rest.splice(rest.indexOf(best.leaf), 1);
  }
  return open.length === 0 ? plan : { kind: "filter", input: plan, conditions: open };
}

function collect(plan: LogicalPlan, leaves: Leaf[], conditions: BoundExpression[]): void {
  if (plan.kind === "join" && plan.joinType === "inner") {
    collect(plan.left, leaves, conditions);
    collect(plan.right, leaves, conditions);
    conditions.push(...plan.conditions.flatMap(conjuncts));
  } else leaves.push({ plan, ids: producedIds(plan) });
}

function hasLateral(leaves: readonly Leaf[]): boolean {
  return leaves.some((leaf) =>
    [...freeColumns(leaf.plan)].some((id) => leaves.some((other) => other !== leaf && other.ids.has(id))),
  );
}

interface Step {
  readonly leaf: Leaf;
  readonly plan: LogicalPlan;
  readonly used: readonly BoundExpression[];
  readonly rows: number;
}

function step(
  plan: LogicalPlan,
  ids: ReadonlySet<number>,
  leaf: Leaf,
  open: readonly BoundExpression[],
  leaves: readonly Leaf[],
  context: RuleContext,
): Step {
  const missing = (id: number): boolean =>
    !ids.has(id) && !leaf.ids.has(id) && leaves.some((other) => other.ids.has(id));
  const used = open.filter((e) => ![...columnsIn(e)].some(missing));
  const joined: LogicalPlan = {
    kind: "join",
    joinType: "inner",
    left: plan,
    right: leaf.plan,
    conditions: used,
  };
  return { leaf, plan: joined, used, rows: context.estimator.rows(joined) };
}

function isBetter(a: Step, b: Step): boolean {
  const isConnected = a.used.length > 0;
  if (isConnected !== b.used.length > 0) return isConnected;
  return a.rows < b.rows;
}
