// What building any node needs: node ids, the fields every node has, and column ids resolved to positions.
import { must } from "../../common/assert.ts";
import type { CatalogEntry } from "../../catalog/entries.ts";
import type { PlannerContext } from "../context.ts";
import type { BoundExpression, OuterBinding, OutputColumn, SortKey } from "../logical/expression.ts";
import { freeColumns } from "../logical/map.ts";
import type { LogicalColumn, LogicalPlan } from "../logical/plan.ts";
import { mapExpression, mapSortKeys } from "../logical/walk.ts";
import { Cost, estimate } from "./cost.ts";
import { Estimator } from "./estimator.ts";
import type { Estimate, PhysicalPlan } from "./plan.ts";

/** A physical plan and what its columns are. */
export interface Built {
  readonly plan: PhysicalPlan;
  /** Column ids by position. */
  readonly layout: readonly number[];
}

export class Builder {
  readonly planner: PlannerContext;
  readonly estimator: Estimator;
  /** Entries the physical choice rests on besides those the binder noted. */
  readonly dependencies = new Map<string, CatalogEntry>();
  readonly #build: (builder: Builder, plan: LogicalPlan) => Built;
  #nextNodeId = 1;

  /** `build` is build.ts's switch, handed in so that the files of the single nodes need not import it. */
  constructor(
    planner: PlannerContext,
    plan: LogicalPlan,
    build: (builder: Builder, plan: LogicalPlan) => Built,
  ) {
    this.planner = planner;
    this.#build = build;
    this.estimator = new Estimator(planner, plan);
  }

  nodeId(): number {
    return this.#nextNodeId++;
  }

  dependOn(entry: CatalogEntry): void {
    this.dependencies.set(`${entry.kind}/${entry.oid}`, entry);
  }

  /** The fields every node has. */
  base(
    columns: readonly LogicalColumn[],
    cost: Estimate,
  ): { readonly id: number; readonly output: readonly OutputColumn[]; readonly estimate: Estimate } {
    return {
      id: this.nodeId(),
      output: columns.map(({ name, type, collation, tableOid, attnum }) => ({
        name,
        type,
        collation,
        tableOid,
        attnum,
      })),
      estimate: cost,
    };
  }

  /** Ids -> positions in a row of this layout; sub-selects are planned on the way. */
  resolve(e: BoundExpression, layout: readonly number[]): BoundExpression {
    return mapExpression(e, (node) => {
      if (node.kind === "column") {
        const index = layout.indexOf(node.index);
        if (index >= 0) return { ...node, index };
        return {
          kind: "outer",
          id: node.index,
          name: node.name,
          type: node.type,
          collation: node.collation,
          position: node.position,
        };
      }
      if (node.kind !== "subquery" || node.logical === undefined) return node;
      const { logical } = node;
      return {
        ...node,
        logical: undefined,
        plan: this.build(logical).plan,
        bindings: this.bindings(logical, layout),
      };
    });
  }

  resolveAll(list: readonly BoundExpression[], layout: readonly number[]): readonly BoundExpression[] {
    return list.map((e) => this.resolve(e, layout));
  }

  resolveKeys(keys: readonly SortKey[], layout: readonly number[]): readonly SortKey[] {
    return mapSortKeys(keys, (e) => this.resolve(e, layout));
  }

  /** One condition out of several over a layout; undefined = none. */
  condition(conditions: readonly BoundExpression[], layout: readonly number[]): BoundExpression | undefined {
    const resolved = this.resolveAll(conditions, layout);
    const first = resolved[0];
    if (first === undefined || resolved.length === 1) return first;
    return { kind: "and", args: resolved, type: first.type, collation: 0, position: 0 };
  }

  /** What an inner plan reads from the row around it. Ids from further out are passed on, so that the inner plan reruns. */
  bindings(inner: LogicalPlan, layout: readonly number[]): readonly OuterBinding[] {
    return [...freeColumns(inner)].map((id): OuterBinding => {
      const column = must(this.estimator.column(id), `a column with id ${id}`);
      const reference: BoundExpression = {
        kind: "column",
        index: id,
        name: column.name,
        type: column.type,
        collation: column.collation,
        position: 0,
      };
      return { id, value: this.resolve(reference, layout) };
    });
  }

  build(plan: LogicalPlan): Built {
    return this.#build(this, plan);
  }

  /** A Project over an input that was built already. */
  projectOver(plan: Extract<LogicalPlan, { kind: "project" }>, input: Built): Built {
    const columns = plan.items.map((item) => item.column);
    const expressions = plan.items.map((item) => this.resolve(item.expression, input.layout));
    const own = input.plan.estimate;
    const computed = expressions.filter((e) => e.kind !== "column" && e.kind !== "constant").length;
    const cost = estimate(
      own.startupCost,
      own.totalCost + own.rows * Cost.cpuOperator * computed,
      own.rows,
      this.estimator.width(columns),
    );
    return {
      plan: { kind: "project", input: input.plan, expressions, ...this.base(columns, cost) },
      layout: ids(columns),
    };
  }
}

export function ids(columns: readonly LogicalColumn[]): readonly number[] {
  return columns.map((column) => column.id);
}
