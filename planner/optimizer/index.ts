// The optimizer: a list of rules in order. Conditions move first, so that the later rules find them where they look; join
// order and search patterns see the final conditions; pruning comes last, when it is known who reads what.
import type { PlannerContext } from "../context.ts";
import type { LogicalColumn, LogicalPlan } from "../logical/plan.ts";
import { Estimator } from "../physical/estimator.ts";
import type { Rule, RuleContext } from "./rule.ts";
import { factorOrs } from "./rules/factor-ors.ts";
import { foldConstants } from "./rules/fold-constants.ts";
import { indexOnlyOrder } from "./rules/index-only-order.ts";
import { inlineCtes } from "./rules/inline-ctes.ts";
import { joinOrder } from "./rules/join-order.ts";
import { limitThroughProject } from "./rules/limit-through-project.ts";
import { minMaxIndex } from "./rules/min-max-index.ts";
import { pruneColumns } from "./rules/prune-columns.ts";
import { pullUpSubqueries } from "./rules/pull-up-subqueries.ts";
import { pushDown } from "./rules/push-down.ts";
import { searchPatterns } from "./rules/search-patterns.ts";
import { simplifyOuterJoins } from "./rules/simplify-outer-joins.ts";

export const RULES: readonly Rule[] = [
  inlineCtes,
  foldConstants,
  factorOrs,
  pushDown,
  simplifyOuterJoins,
  pullUpSubqueries,
  pushDown,
  joinOrder,
  minMaxIndex,
  limitThroughProject,
  searchPatterns,
  indexOnlyOrder,
  pruneColumns,
];

export type NewColumn = (name: string, type: LogicalColumn["type"], collation: number) => LogicalColumn;

/** Runs the rules. `trace` is called after each rule with its result, for plan tests. */
export function optimize(
  plan: LogicalPlan,
  planner: PlannerContext,
  newColumn: NewColumn,
  trace?: (rule: string, plan: LogicalPlan) => void,
): LogicalPlan {
  return RULES.reduce((current, rule) => {
    const context = new LazyRuleContext(planner, current, newColumn);
    const next = rule.apply(current, context);
    trace?.(rule.name, next);
    return next;
  }, plan);
}

/** Most rules never ask for estimates, and most plans give the others nothing to do. */
class LazyRuleContext implements RuleContext {
  readonly planner: PlannerContext;
  readonly newColumn: NewColumn;
  readonly #plan: LogicalPlan;
  #estimator: Estimator | undefined;

  constructor(planner: PlannerContext, plan: LogicalPlan, newColumn: NewColumn) {
    this.planner = planner;
    this.#plan = plan;
    this.newColumn = newColumn;
  }

  get estimator(): Estimator {
    this.#estimator ??= new Estimator(this.planner, this.#plan);
    return this.#estimator;
  }
}
