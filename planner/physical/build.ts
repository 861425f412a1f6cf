// LogicalPlan -> PhysicalPlan: access paths, join methods, and column ids turned into positions.
//
// Every node is built bottom-up with its layout, the ids of its output columns by position. Resolving an expression
// replaces ids by positions; an id the input row does not have belongs to an enclosing query and becomes an `outer`
// parameter, which the enclosing operator sets (bindings).
import { must, unreachable } from "../../common/assert.ts";
import type { PlannerContext } from "../context.ts";
import type { AggregateCall, BoundExpression } from "../logical/expression.ts";
import { outputColumns, type LogicalPlan } from "../logical/plan.ts";
import { Builder, ids, type Built } from "./builder.ts";
import { Cost, estimate } from "./cost.ts";
import { buildJoin } from "./join.ts";
import { buildDelete, buildInsert, buildUpdate } from "./modify.ts";
import { buildLockRows } from "./lock-rows.ts";
import { buildOrdered, type Wanted } from "./ordered.ts";
import { buildScan, buildVirtualScan } from "./scan.ts";
import { buildHybrid, buildSearch } from "./search.ts";

/** The physical plan of an optimised logical plan, and the builder with what it depends on. */
export function buildPhysical(
  planner: PlannerContext,
  plan: LogicalPlan,
): { readonly built: Built; readonly builder: Builder } {
  const builder = new Builder(planner, plan, buildNode);
  return { built: builder.build(plan), builder };
}

function buildNode(builder: Builder, plan: LogicalPlan): Built {
  switch (plan.kind) {
    case "result":
      return {
        plan: { kind: "result", condition: undefined, ...builder.base([], estimate(0, Cost.cpuTuple, 1, 0)) },
        layout: [],
      };
    case "values":
      return buildValues(builder, plan);
    case "scan":
      return buildScan(builder, plan);
    case "virtual-scan":
      return buildVirtualScan(builder, plan);
    case "function-scan":
      return buildFunctionScan(builder, plan);
    case "cte-scan": {
      const rows = builder.estimator.rows(plan);
      const base = builder.base(
        plan.columns,
        estimate(0, rows * Cost.cpuTuple * 2, rows, builder.estimator.width(plan.columns)),
      );
      return {
        plan: { kind: "cte-scan", cteId: plan.cteId, name: plan.name, alias: plan.alias, ...base },
        layout: plan.columns.map((c) => c.id),
      };
    }
    case "with":
      return buildWith(builder, plan);
    case "filter":
      return buildFilter(builder, plan);
    case "project":
      return buildProject(builder, plan);
    case "project-set":
      return buildProjectSet(builder, plan);
    case "join":
      return buildJoin(builder, plan);
    case "aggregate":
      return buildAggregate(builder, plan);
    case "distinct":
      return buildDistinct(builder, plan);
    case "sort":
      return buildOrdered(builder, plan, undefined);
    case "limit":
      return buildLimit(builder, plan);
    case "lock-rows":
      return buildLockRows(builder, plan, undefined);
    case "append":
      return buildAppend(builder, plan);
    case "set-operation": {
      const left = builder.build(plan.left);
      const right = builder.build(plan.right);
      const cost = left.plan.estimate.totalCost + right.plan.estimate.totalCost;
      const base = builder.base(
        plan.columns,
        estimate(cost, cost * 1.05, builder.estimator.rows(plan), builder.estimator.width(plan.columns)),
      );
      return {
        plan: {
          kind: "set-operation",
          operation: plan.operation,
          all: plan.all,
          left: left.plan,
          right: right.plan,
          ...base,
        },
        layout: ids(plan.columns),
      };
    }
    case "recursive-union": {
      const initial = builder.build(plan.initial);
      const recursive = builder.build(plan.recursive);
      const cost = initial.plan.estimate.totalCost + 10 * recursive.plan.estimate.totalCost;
      const base = builder.base(
        plan.columns,
        estimate(0, cost, builder.estimator.rows(plan), builder.estimator.width(plan.columns)),
      );
      return {
        plan: {
          kind: "recursive-union",
          cteId: plan.cteId,
          all: plan.all,
          initial: initial.plan,
          recursive: recursive.plan,
          ...base,
        },
        layout: ids(plan.columns),
      };
    }
    case "search":
      return buildSearch(builder, plan);
    case "hybrid":
      return buildHybrid(builder, plan);
    case "insert":
      return buildInsert(builder, plan);
    case "update":
      return buildUpdate(builder, plan);
    case "delete":
      return buildDelete(builder, plan);
    default:
      return unreachable(plan);
  }
}

function buildValues(builder: Builder, plan: Extract<LogicalPlan, { kind: "values" }>): Built {
  const rows = plan.rows.map((row) => builder.resolveAll(row, []));
  const cost = estimate(
    0,
    plan.rows.length * Cost.cpuOperator * 5,
    plan.rows.length,
    builder.estimator.width(plan.columns),
  );
  return { plan: { kind: "values", rows, ...builder.base(plan.columns, cost) }, layout: ids(plan.columns) };
}

function buildFunctionScan(builder: Builder, plan: Extract<LogicalPlan, { kind: "function-scan" }>): Built {
  const rows = builder.estimator.rows(plan);
  const base = builder.base(
    plan.columns,
    estimate(0, rows * Cost.cpuTuple, rows, builder.estimator.width(plan.columns)),
  );
  const functions = plan.functions.map(({ call, columnCount }) => ({
    call: builder.resolve(call, []),
    columnCount,
  }));
  return {
    plan: {
      kind: "function-scan",
      alias: plan.alias,
      functions,
      withOrdinality: plan.withOrdinality,
      ...base,
    },
    layout: ids(plan.columns),
  };
}

function buildWith(builder: Builder, plan: Extract<LogicalPlan, { kind: "with" }>): Built {
  const ctes = plan.ctes.map((cte) => ({
    id: cte.id,
    name: cte.name,
    plan: builder.build(cte.plan).plan,
    modifies: cte.modifies,
  }));
  const input = builder.build(plan.input);
  const extra = ctes.reduce((sum, cte) => sum + cte.plan.estimate.totalCost, 0);
  const own = input.plan.estimate;
  const base = {
    id: builder.nodeId(),
    output: input.plan.output,
    estimate: { ...own, startupCost: own.startupCost + extra, totalCost: own.totalCost + extra },
  };
  return { plan: { kind: "with", ctes, input: input.plan, ...base }, layout: input.layout };
}

function buildFilter(builder: Builder, plan: Extract<LogicalPlan, { kind: "filter" }>): Built {
  const input = builder.build(plan.input);
  const condition = must(builder.condition(plan.conditions, input.layout), "a condition");
  const rows = builder.estimator.rows(plan);
  const own = input.plan.estimate;
  const cost = estimate(
    own.startupCost,
    own.totalCost + own.rows * Cost.cpuOperator * plan.conditions.length,
    rows,
    own.width,
  );
  // A condition over no row at all is PostgreSQL's one-time filter.
  if (input.plan.kind === "result" && input.plan.condition === undefined) {
    return { plan: { ...input.plan, condition, estimate: cost }, layout: input.layout };
  }
  return {
    plan: {
      kind: "filter",
      input: input.plan,
      condition,
      id: builder.nodeId(),
      output: input.plan.output,
      estimate: cost,
    },
    layout: input.layout,
  };
}

function buildProject(builder: Builder, plan: Extract<LogicalPlan, { kind: "project" }>): Built {
  const input = builder.build(plan.input);
  return builder.projectOver(plan, input);
}

function buildProjectSet(builder: Builder, plan: Extract<LogicalPlan, { kind: "project-set" }>): Built {
  const input = builder.build(plan.input);
  const below = outputColumns(plan.input);
  const columns = [...below, ...plan.items.map((item) => item.column)];
  const expressions = [
    ...below.map(
      (column): BoundExpression =>
        builder.resolve(
          {
            kind: "column",
            index: column.id,
            name: column.name,
            type: column.type,
            collation: column.collation,
            position: 0,
          },
          input.layout,
        ),
    ),
    ...plan.items.map((item) => builder.resolve(item.expression, input.layout)),
  ];
  const rows = builder.estimator.rows(plan);
  const own = input.plan.estimate;
  const base = builder.base(
    columns,
    estimate(own.startupCost, own.totalCost + rows * Cost.cpuTuple, rows, builder.estimator.width(columns)),
  );
  return {
    plan: {
      kind: "project-set",
      input: input.plan,
      expressions,
      isSet: expressions.map((_, i) => i >= below.length),
      ...base,
    },
    layout: ids(columns),
  };
}

function buildAggregate(builder: Builder, plan: Extract<LogicalPlan, { kind: "aggregate" }>): Built {
  const input = builder.build(plan.input);
  const columns = outputColumns(plan);
  const rows = builder.estimator.rows(plan);
  const own = input.plan.estimate;
  const work = own.rows * Cost.cpuOperator * (plan.keys.length + plan.aggregates.length);
  const cost = estimate(
    own.totalCost + work,
    own.totalCost + work + rows * Cost.cpuTuple,
    rows,
    builder.estimator.width(columns),
  );
  const aggregates = plan.aggregates.map(
    ({ call }): AggregateCall => ({
      ...call,
      args: builder.resolveAll(call.args, input.layout),
      filter: call.filter === undefined ? undefined : builder.resolve(call.filter, input.layout),
      orderBy: builder.resolveKeys(call.orderBy, input.layout),
    }),
  );
  const keys = plan.keys.map((key) => builder.resolve(key.expression, input.layout));
  return {
    plan: { kind: "aggregate", input: input.plan, keys, aggregates, ...builder.base(columns, cost) },
    layout: ids(columns),
  };
}

function buildDistinct(builder: Builder, plan: Extract<LogicalPlan, { kind: "distinct" }>): Built {
  const input = builder.build(plan.input);
  const own = input.plan.estimate;
  const rows = builder.estimator.rows(plan);
  const cost = estimate(
    plan.on === undefined ? own.totalCost : own.startupCost,
    own.totalCost + own.rows * Cost.cpuOperator,
    rows,
    own.width,
  );
  const on = plan.on === undefined ? undefined : builder.resolveAll(plan.on, input.layout);
  return {
    plan: {
      kind: "distinct",
      input: input.plan,
      on,
      id: builder.nodeId(),
      output: input.plan.output,
      estimate: cost,
    },
    layout: input.layout,
  };
}

function buildLimit(builder: Builder, plan: Extract<LogicalPlan, { kind: "limit" }>): Built {
  const count = plan.count === undefined ? undefined : builder.resolve(plan.count, []);
  const skip = plan.skip === undefined ? undefined : builder.resolve(plan.skip, []);
  const wanted =
    count === undefined || plan.withTies !== undefined
      ? undefined
      : { count, skip, rows: wantedRows(builder, plan) };
  const input = buildLimited(builder, plan.input, wanted);
  const own = input.plan.estimate;
  const rows = builder.estimator.rows(plan);
  const share = own.rows > 0 ? Math.min(1, wantedRows(builder, plan) / own.rows) : 1;
  const cost = estimate(
    own.startupCost,
    own.startupCost + (own.totalCost - own.startupCost) * share,
    rows,
    own.width,
  );
  const withTies = plan.withTies === undefined ? undefined : builder.resolveKeys(plan.withTies, input.layout);
  return {
    plan: {
      kind: "limit",
      input: input.plan,
      count,
      skip,
      withTies,
      id: builder.nodeId(),
      output: input.plan.output,
      estimate: cost,
    },
    layout: input.layout,
  };
}

/** The input of a Limit, told how many rows are wanted where that helps. */
function buildLimited(builder: Builder, input: LogicalPlan, wanted: Wanted | undefined): Built {
  switch (input.kind) {
    case "sort":
      return buildOrdered(builder, input, wanted);
    case "lock-rows":
      return buildLockRows(builder, input, wanted);
    default:
      return builder.build(input);
  }
}

function wantedRows(builder: Builder, plan: Extract<LogicalPlan, { kind: "limit" }>): number {
  const rows = builder.estimator.rows(plan.input);
  return (
    (builder.estimator.constant(plan.count) ?? (plan.count === undefined ? rows : rows / 10)) +
    (builder.estimator.constant(plan.skip) ?? 0)
  );
}

function buildAppend(builder: Builder, plan: Extract<LogicalPlan, { kind: "append" }>): Built {
  const inputs = plan.inputs.map((input) => builder.build(input).plan);
  const cost = inputs.reduce((sum, input) => sum + input.estimate.totalCost, 0);
  const base = builder.base(
    plan.columns,
    estimate(0, cost, builder.estimator.rows(plan), builder.estimator.width(plan.columns)),
  );
  return { plan: { kind: "append", inputs, ...base }, layout: ids(plan.columns) };
}
