// A rewriting of logical plans that keeps their meaning.
import type { PlannerContext } from "../context.ts";
import type { LogicalColumn, LogicalPlan } from "../logical/plan.ts";
import type { Estimator } from "../physical/estimator.ts";

export interface RuleContext {
  readonly planner: PlannerContext;
  /** Row estimates of the plan as it stands before the rule. */
  readonly estimator: Estimator;
  /** A fresh computed column, for rules that add one. */
  newColumn(name: string, type: LogicalColumn["type"], collation: number): LogicalColumn;
}

export interface Rule {
  readonly name: string;
  /** The same object when the rule found nothing to do. */
  apply(plan: LogicalPlan, context: RuleContext): LogicalPlan;
}
