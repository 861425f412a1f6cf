// Sort, or something that gives the order already: a btree read in its order saves the sort, and under a LIMIT most of the
// reading too.
import type { BoundExpression } from "../logical/expression.ts";
import type { LogicalPlan, LogicalScan, LogicalSort } from "../logical/plan.ts";
import type { Builder, Built } from "./builder.ts";
import { Cost, estimate, sortCost } from "./cost.ts";
import { orderedScan, type ScanOrder } from "./scan.ts";

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

/** The sort's input built over an ordered scan: only Projects may lie between, and keys must be the table's columns. */
function orderedInput(builder: Builder, plan: LogicalSort): Built | undefined {
  const projects: Extract<LogicalPlan, { kind: "project" }>[] = [];
  let below = plan.input;
  let keys = plan.keys.map((key) => key.expression);
  while (below.kind === "project") {
    const { items, input } = below;
    projects.push(below);
    keys = keys.map((key) =>
      key.kind === "column" ? (items.find((item) => item.column.id === key.index)?.expression ?? key) : key,
    );
    below = input;
  }
  if (below.kind !== "scan") return undefined;
  const order = scanOrder(below, keys, plan);
  const scan = order === undefined ? undefined : orderedScan(builder, below, order);
  return scan === undefined
    ? undefined
    : projects.reduceRight((built, project) => builder.projectOver(project, built), scan);
}

function scanOrder(
  scan: LogicalScan,
  keys: readonly BoundExpression[],
  plan: LogicalSort,
): ScanOrder | undefined {
  const attnums = keys.map((key) =>
    key.kind === "column" ? scan.columns.find((column) => column.id === key.index)?.attnum : undefined,
  );
  if (attnums.some((attnum) => attnum === undefined)) return undefined;
  return {
    keys: plan.keys.map((key, i) => ({
      attnum: attnums[i] as number,
      descending: key.descending,
      nullsFirst: key.nullsFirst,
    })),
  };
}
