// Which outer parameters a plan reads from outside itself. A subquery's kept result is valid while these have the same
// values; a plan that reads none runs once.
import type { BoundExpression } from "../../planner/logical/expression.ts";
import type { PhysicalPlan } from "../../planner/physical/plan.ts";

const known = new WeakMap<PhysicalPlan, readonly number[]>();

/** Ids of `outer` expressions anywhere below that no node below sets. */
export function freeOuters(plan: PhysicalPlan): readonly number[] {
  let found = known.get(plan);
  if (found === undefined) {
    const reads = new Set<number>();
    const sets = new Set<number>();
    walk(plan, reads, sets);
    found = [...reads].filter((id) => !sets.has(id));
    known.set(plan, found);
  }
  return found;
}

/**
 * Plans and expressions are plain data: every object with a `kind` is one of them, and catalogue entries, which also are
 * data, hold none. Walking all fields keeps this right when a node gains one.
 */
function walk(node: unknown, reads: Set<number>, sets: Set<number>): void {
  if (Array.isArray(node)) {
    for (const item of node) walk(item, reads, sets);
    return;
  }
  if (typeof node !== "object" || node === null || ArrayBuffer.isView(node)) return;
  const fields = node as { readonly kind?: unknown; readonly id?: unknown; readonly bindings?: unknown };
  if (fields.kind === "constant") return;
  if (fields.kind === "outer") {
    reads.add((node as Extract<BoundExpression, { kind: "outer" }>).id);
    return;
  }
  if (Array.isArray(fields.bindings)) {
    for (const binding of fields.bindings as readonly { readonly id: number }[]) sets.add(binding.id);
  }
  for (const [name, value] of Object.entries(node)) {
    if (!CATALOG_FIELDS.has(name)) walk(value, reads, sets);
  }
}

/** Fields that hold catalogue entries or types. (`index` of a column is a number: nothing to walk.) */
const CATALOG_FIELDS = new Set([
  "table",
  "index",
  "relation",
  "function",
  "equals",
  "less",
  "type",
  "output",
  "estimate",
  "indexes",
]);
