// Plans shared by the sessions of a worker. The key holds everything a plan depends on besides the catalogue: statement
// text, declared parameter types, database, search path and the settings the planner reads. A found plan is still checked
// against the catalogue (planning.ts) before it runs.
import type { PlannedStatement } from "../planner/physical/plan.ts";

/** Plans kept; a plan of a usual statement takes some 5 KB. */
const MAX_PLANS = 1000;
/** Longer statements are not kept: their text alone would fill the cache, and they hardly ever come twice. */
const MAX_TEXT = 16 * 1024;

export interface CachedPlan {
  readonly planned: PlannedStatement;
  /** Database.namesVersion the plan was last found right for. */
  readonly namesVersion: number;
}

export class PlanCache {
  readonly #plans = new Map<string, CachedPlan>();

  get(key: string): CachedPlan | undefined {
    const found = this.#plans.get(key);
    if (found === undefined) return undefined;
    // Maps keep insertion order: the first key is the one unused for longest.
    this.#plans.delete(key);
    this.#plans.set(key, found);
    return found;
  }

  set(key: string, plan: CachedPlan): void {
    if (key.length > MAX_TEXT) return;
    this.#plans.set(key, plan);
    if (this.#plans.size <= MAX_PLANS) return;
    for (const oldest of this.#plans.keys()) {
      this.#plans.delete(oldest);
      break;
    }
  }

  delete(key: string): void {
    this.#plans.delete(key);
  }
}
