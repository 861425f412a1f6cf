// What EXPLAIN's nodes are made of, and the small questions about physical plans that describing them asks.
import { quoteIdentifier } from "../common/identifier.ts";
import type { BoundExpression } from "./logical/expression.ts";
import type { BitmapSource, Estimate, PhysicalPlan, ScanTarget } from "./physical/plan.ts";

export interface ExplainProperty {
  readonly name: string;
  readonly value: string | number | readonly string[];
  /** Shown under this option alone; absent = always. */
  readonly needs?: "verbose" | "costs";
}

export interface ExplainNode {
  /** Plan node id for actual figures; undefined = a node only EXPLAIN knows. */
  readonly id: number | undefined;
  /** First line in text format: "Index Scan using i on t". */
  readonly label: string;
  /** "Node Type" in JSON. */
  readonly nodeType: string;
  /** Further JSON attributes, such as "Relation Name". */
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly estimate: Estimate | undefined;
  readonly properties: readonly ExplainProperty[];
  readonly subplans: readonly { readonly title: string; readonly node: ExplainNode }[];
  readonly children: readonly ExplainNode[];
}

/** Names are qualified as soon as two relations are in play, as PostgreSQL does. */
export function countRelations(plan: PhysicalPlan): number {
  const own = [
    "seq-scan",
    "index-scan",
    "bitmap-scan",
    "search",
    "hybrid",
    "virtual-scan",
    "function-scan",
    "cte-scan",
    "values",
  ].includes(plan.kind)
    ? 1
    : 0;
  return inputsOf(plan).reduce((sum, input) => sum + countRelations(input), own);
}

export function inputsOf(plan: PhysicalPlan): readonly PhysicalPlan[] {
  switch (plan.kind) {
    case "with":
      return [...plan.ctes.map((cte) => cte.plan), plan.input];
    case "hash-join":
    case "nested-loop":
    case "set-operation":
      return [plan.left, plan.right];
    case "append":
      return plan.inputs;
    case "recursive-union":
      return [plan.initial, plan.recursive];
    default:
      return "input" in plan ? [plan.input] : [];
  }
}

export type Parts = Partial<Pick<ExplainNode, "properties" | "children" | "attributes">>;

export const JOIN_WORDS = {
  inner: "",
  left: " Left",
  right: " Right",
  full: " Full",
  semi: " Semi",
  anti: " Anti",
} as const;

export function make(plan: PhysicalPlan, label: string, nodeType: string, parts: Parts = {}): ExplainNode {
  return {
    id: plan.id,
    label,
    nodeType,
    attributes: parts.attributes ?? {},
    estimate: plan.estimate,
    properties: parts.properties ?? [],
    subplans: [],
    children: parts.children ?? [],
  };
}

export function target(scan: ScanTarget): string {
  const name = quoteIdentifier(scan.table.name);
  return scan.alias === scan.table.name ? name : `${name} ${quoteIdentifier(scan.alias)}`;
}

export function relation(scan: ScanTarget): Readonly<Record<string, unknown>> {
  return { "Relation Name": scan.table.name, Alias: scan.alias };
}

export function bitmapConditions(source: BitmapSource): readonly BoundExpression[] {
  if (source.kind === "index") return source.conditionText;
  return source.kind === "text" ? [] : source.inputs.flatMap(bitmapConditions);
}

export function bitmapNames(source: BitmapSource): readonly string[] {
  if (source.kind === "index") return [source.index.name];
  return source.kind === "text" ? [source.indexName] : source.inputs.flatMap(bitmapNames);
}
