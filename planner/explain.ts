// Physical plan -> EXPLAIN's output, in PostgreSQL's wording and layout, because tools parse it. Text and JSON come from one
// list of nodes (explain-node.ts); this file only lays them out.
import type { TypeContext } from "../common/types/type.ts";
import { describePlan } from "./explain-node.ts";
import type { ExplainNode, ExplainProperty } from "./explain-parts.ts";
import type { Estimate, PlannedStatement } from "./physical/plan.ts";

/** What happened at a node, from the executor's instrumentation. */
export interface ActualNode {
  readonly loops: number;
  readonly rows: number;
  readonly startupMs: number;
  readonly totalMs: number;
  readonly rowsRemovedByFilter: number;
  readonly extra: ReadonlyMap<string, string>;
}

export interface ExplainOptions {
  readonly format: "text" | "json";
  readonly costs: boolean;
  readonly timing: boolean;
  readonly verbose: boolean;
  /** Planning and execution time at the end. */
  readonly summary: boolean;
  readonly types: TypeContext;
  /** EXPLAIN ANALYZE: by plan node id. */
  readonly actual?: ReadonlyMap<number, ActualNode> | undefined;
  readonly planningMs?: number | undefined;
  readonly executionMs?: number | undefined;
}

/** The lines of the QUERY PLAN column; JSON is one value, possibly of several lines. */
export function explainPlan(planned: PlannedStatement, options: ExplainOptions): readonly string[] {
  const root = describePlan(planned.plan, options.types);
  if (options.format === "json") return [renderJson(root, options)];
  const lines: string[] = [];
  renderText(root, options, 0, "", lines);
  if (options.summary && options.planningMs !== undefined)
    lines.push(`Planning Time: ${options.planningMs.toFixed(3)} ms`);
  if (options.executionMs !== undefined) lines.push(`Execution Time: ${options.executionMs.toFixed(3)} ms`);
  return lines;
}

/** Children hang six columns deeper than their parent, subplan titles two. */
function renderText(
  node: ExplainNode,
  options: ExplainOptions,
  indent: number,
  prefix: string,
  lines: string[],
): void {
  const actual = node.id === undefined ? undefined : options.actual?.get(node.id);
  lines.push(
    `${" ".repeat(indent)}${prefix}${node.label}${costText(node.estimate, options)}${actualText(node, actual, options)}`,
  );
  const inner = indent + (prefix === "" ? 2 : 6);
  const pad = " ".repeat(inner);
  for (const { name, value } of properties(node, actual, options)) {
    lines.push(`${pad}${name}: ${Array.isArray(value) ? value.join(", ") : String(value)}`);
  }
  for (const { title, node: sub } of node.subplans) {
    lines.push(`${pad}${title}`);
    renderText(sub, options, inner + 2, "->  ", lines);
  }
  for (const child of node.children) renderText(child, options, inner, "->  ", lines);
}

function properties(
  node: ExplainNode,
  actual: ActualNode | undefined,
  options: ExplainOptions,
): readonly ExplainProperty[] {
  const shown = node.properties.filter(({ needs }) => needs === undefined || options[needs]);
  if (actual === undefined) return shown;
  const removed: ExplainProperty[] =
    actual.rowsRemovedByFilter > 0
      ? [
          {
            name: "Rows Removed by Filter",
            value: Math.round(actual.rowsRemovedByFilter / Math.max(1, actual.loops)),
          },
        ]
      : [];
  return [...shown, ...removed, ...[...actual.extra].map(([name, value]) => ({ name, value }))];
}

function costText(estimate: Estimate | undefined, options: ExplainOptions): string {
  if (!options.costs || estimate === undefined) return "";
  const { startupCost, totalCost, rows, width } = estimate;
  return `  (cost=${startupCost.toFixed(2)}..${totalCost.toFixed(2)} rows=${rows} width=${width})`;
}

function actualText(node: ExplainNode, actual: ActualNode | undefined, options: ExplainOptions): string {
  if (options.actual === undefined || node.id === undefined) return "";
  if (actual === undefined || actual.loops === 0) return " (never executed)";
  const rows = Math.round(actual.rows / actual.loops);
  const time = options.timing
    ? `time=${(actual.startupMs / actual.loops).toFixed(3)}..${(actual.totalMs / actual.loops).toFixed(3)} `
    : "";
  return ` (actual ${time}rows=${rows} loops=${actual.loops})`;
}

function renderJson(root: ExplainNode, options: ExplainOptions): string {
  const top: Record<string, unknown> = { Plan: jsonNode(root, undefined, options) };
  if (options.summary && options.planningMs !== undefined) top["Planning Time"] = round3(options.planningMs);
  if (options.actual !== undefined) top.Triggers = [];
  if (options.executionMs !== undefined) top["Execution Time"] = round3(options.executionMs);
  return JSON.stringify([top], undefined, 2);
}

function jsonNode(
  node: ExplainNode,
  relationship: string | undefined,
  options: ExplainOptions,
): Record<string, unknown> {
  const actual = node.id === undefined ? undefined : options.actual?.get(node.id);
  const result: Record<string, unknown> = { "Node Type": node.nodeType };
  if (relationship !== undefined) result["Parent Relationship"] = relationship;
  Object.assign(result, node.attributes);
  result["Parallel Aware"] = false;
  result["Async Capable"] = false;
  if (options.costs && node.estimate !== undefined) {
    result["Startup Cost"] = round2(node.estimate.startupCost);
    result["Total Cost"] = round2(node.estimate.totalCost);
    result["Plan Rows"] = node.estimate.rows;
    result["Plan Width"] = node.estimate.width;
  }
  if (options.actual !== undefined && node.id !== undefined) {
    const loops = Math.max(1, actual?.loops ?? 0);
    if (options.timing) {
      result["Actual Startup Time"] = round3((actual?.startupMs ?? 0) / loops);
      result["Actual Total Time"] = round3((actual?.totalMs ?? 0) / loops);
    }
    result["Actual Rows"] = Math.round((actual?.rows ?? 0) / loops);
    result["Actual Loops"] = actual?.loops ?? 0;
  }
  for (const { name, value } of properties(node, actual, options)) result[name] = value;
  const plans = [
    ...node.subplans.map(({ title, node: sub }) => ({
      ...jsonNode(
        sub,
        title.startsWith("InitPlan") || title.startsWith("CTE") ? "InitPlan" : "SubPlan",
        options,
      ),
      "Subplan Name": title,
    })),
    ...node.children.map((child, i) => jsonNode(child, i === 0 ? "Outer" : "Inner", options)),
  ];
  if (plans.length > 0) result.Plans = plans;
  return result;
}

function round2(value: number): number {
  return Math.round(value * 100) / 100;
}

function round3(value: number): number {
  return Math.round(value * 1000) / 1000;
}
