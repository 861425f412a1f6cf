// RETURNING lists.
import type { Node } from "../../parser/tree.ts";
import type { ProjectItem } from "../logical/plan.ts";
import { notSupported } from "../../common/error.ts";
import type { BindContext } from "./context.ts";
import type { Scope } from "./scope.ts";
import { bindTargets } from "./target-list.ts";

/** Items over the columns in `scope`; undefined = no RETURNING. */
export function bindReturning(
  context: BindContext,
  nodes: readonly Node[] | undefined,
  scope: Scope,
): readonly ProjectItem[] | undefined {
  if (nodes === undefined || nodes.length === 0) return undefined;
  const star = scope.items.flatMap((item) => item.columns);
  const targets = bindTargets(context, nodes, { scope, clause: "returning" }, star, true);
  if (scope.state.setCalls.length > 0) throw notSupported("a set-returning function in RETURNING");
  return targets.map((target) => ({
    column: context.outputColumn(target.name, target.expression),
    expression: target.expression,
  }));
}
