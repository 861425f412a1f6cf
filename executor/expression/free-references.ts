// What a plan reads from outside itself: outer parameters, and CTEs of an enclosing WITH. A subquery's kept result is valid
// while these are the same; a plan that reads neither runs once.
import type { Datum } from "../../common/types/type.ts";
import type { BoundExpression } from "../../planner/logical/expression.ts";
import type { PhysicalPlan } from "../../planner/physical/plan.ts";
import type { ExecutionContext } from "../context.ts";

interface FreeReferences {
  readonly outers: readonly number[];
  readonly ctes: readonly number[];
}

const known = new WeakMap<PhysicalPlan, FreeReferences>();

/** The present values of everything the plan reads from outside; a CTE by the identity of its run. */
export function freeValues(
  plan: PhysicalPlan,
  context: ExecutionContext,
): readonly (Datum | object | undefined)[] {
  const { outers, ctes } = freeReferences(plan);
  return [...outers.map((id) => context.outer[id] ?? null), ...ctes.map((id) => context.ctes.get(id))];
}

function freeReferences(plan: PhysicalPlan): FreeReferences {
  let found = known.get(plan);
  if (found === undefined) {
    const walked: Walked = { outers: new Set(), boundOuters: new Set(), ctes: new Set(), ownCtes: new Set() };
    walk(plan, walked);
    found = {
      outers: [...walked.outers].filter((id) => !walked.boundOuters.has(id)),
      ctes: [...walked.ctes].filter((id) => !walked.ownCtes.has(id)),
    };
    known.set(plan, found);
  }
  return found;
}

interface Walked {
  readonly outers: Set<number>;
  readonly boundOuters: Set<number>;
  readonly ctes: Set<number>;
  readonly ownCtes: Set<number>;
}

/**
 * Plans and expressions are plain data: every object with a `kind` is one of them, and catalogue entries, which also are
 * data, hold none. Walking all fields keeps this right when a node gains one.
 */
function walk(node: unknown, walked: Walked): void {
  if (Array.isArray(node)) {
    for (const item of node) walk(item, walked);
    return;
  }
  if (typeof node !== "object" || node === null || ArrayBuffer.isView(node)) return;
  note(node as PhysicalPlan | BoundExpression, walked);
  if ((node as { kind?: unknown }).kind === "constant") return;
  for (const [name, value] of Object.entries(node)) {
    if (!CATALOG_FIELDS.has(name)) walk(value, walked);
  }
}

function note(node: PhysicalPlan | BoundExpression, walked: Walked): void {
  switch (node.kind) {
    case "outer":
      walked.outers.add(node.id);
      break;
    case "subquery":
    case "nested-loop":
      for (const binding of node.bindings) walked.boundOuters.add(binding.id);
      break;
    case "cte-scan":
      walked.ctes.add(node.cteId);
      break;
    case "recursive-union":
      walked.ownCtes.add(node.cteId);
      break;
    case "with":
      for (const cte of node.ctes) walked.ownCtes.add(cte.id);
      break;
    default:
      break;
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
