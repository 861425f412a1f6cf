// Sort, or something that gives the order already: a btree read in its order saves the sort, and under a LIMIT most of the
// reading too.
import type { BoundExpression } from "../logical/expression.ts";
import { substituteColumns } from "../logical/map.ts";
import type { LogicalPlan, LogicalSort } from "../logical/plan.ts";
import type { Builder, Built } from "./builder.ts";
import { Cost, estimate, sortCost } from "./cost.ts";
import { orderedScan } from "./scan.ts";

/** How many rows whoever is above will take. */
export interface Wanted {
  /** undefined: only the estimate is known, and rows may be left out on the way up. */
  readonly count: BoundExpression | undefined;
  readonly skip: BoundExpression | undefined;
  readonly rows: number;
}

export function buildOrdered(builder: Builder, plan: LogicalSort, wanted: Wanted | undefined): Built {
  const input = builder.build(plan.input);
  const own = input.plan.estimate;
  const penalty = builder.planner.settings.enableSort ? 0 : Cost.disabled;
  const startup = own.totalCost + penalty + sortCost(own.rows, wanted?.rows);
  const total = startup + Math.min(own.rows, wanted?.rows ?? own.rows) * Cost.cpuOperator;
  const ordered = orderedInput(builder, plan);
  if (ordered !== undefined) {
    const alternative = ordered.plan.estimate;
    const share =
      wanted === undefined || alternative.rows === 0 ? 1 : Math.min(1, wanted.rows / alternative.rows);
    const cost = alternative.startupCost + (alternative.totalCost - alternative.startupCost) * share;
    if (cost < total) return ordered;
  }
  const keys = builder.resolveKeys(plan.keys, input.layout);
  return {
    plan: {
      kind: "sort",
      input: input.plan,
      keys,
      count: wanted?.count,
      skip: wanted?.skip,
      id: builder.nodeId(),
      output: input.plan.output,
      estimate: estimate(startup, total, own.rows, own.width),
    },
    layout: input.layout,
  };
}

/** The sort's input built over an ordered scan: only Projects may lie between, and keys must be what the index computes. */
function orderedInput(builder: Builder, plan: LogicalSort): Built | undefined {
  const projects: Extract<LogicalPlan, { kind: "project" }>[] = [];
  let below = plan.input;
  let keys = plan.keys.map((key) => key.expression);
  while (below.kind === "project") {
    const { items, input } = below;
    projects.push(below);
    const computed = new Map(items.map((item) => [item.column.id, item.expression]));
    keys = keys.map((key) => substituteColumns(key, computed));
    below = input;
  }
  if (below.kind !== "scan") return undefined;
  const scan = orderedScan(
    builder,
    below,
    plan.keys.map((key, i) => ({ ...key, expression: keys[i] ?? key.expression })),
  );
  return scan === undefined
    ? undefined
    : projects.reduceRight((built, project) => builder.projectOver(project, built), scan);
}
