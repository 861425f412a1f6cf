// Logical plans: what the binder and builder make and the optimizer rewrites. Owned by the planner; see expression.ts.
export type LogicalPlan = { readonly kind: "placeholder" };
