// INSERT, UPDATE, DELETE. Their expressions over "the new row" count attnum - 1; over the input row they follow its layout.
import { must } from "../../common/assert.ts";
import type { BoundExpression } from "../logical/expression.ts";
import type {
  LogicalColumn,
  LogicalDelete,
  LogicalPlan,
  LogicalUpdate,
  ProjectItem,
} from "../logical/plan.ts";
import type { Builder, Built } from "./builder.ts";
import { ids } from "./builder.ts";
import { Cost, estimate } from "./cost.ts";
import type { Estimate, ModifyPlan, OnConflict } from "./plan.ts";

/** A layout where every live column stands at attnum - 1; -1 marks dropped ones, which no id equals. */
function rowLayout(columns: readonly LogicalColumn[], columnCount: number): readonly number[] {
  const layout = Array.from({ length: columnCount }, () => -1);
  for (const column of columns) layout[column.attnum - 1] = column.id;
  return layout;
}

function modifyCost(input: Built): Estimate {
  const own = input.plan.estimate;
  return estimate(own.startupCost, own.totalCost + own.rows * Cost.cpuTuple, own.rows, own.width);
}

function returningOf(
  builder: Builder,
  items: readonly ProjectItem[] | undefined,
  layout: readonly number[],
): readonly BoundExpression[] | undefined {
  return items?.map((item) => builder.resolve(item.expression, layout));
}

function columnsOf(items: readonly ProjectItem[] | undefined): readonly LogicalColumn[] {
  return (items ?? []).map((item) => item.column);
}

export function buildInsert(builder: Builder, plan: Extract<LogicalPlan, { kind: "insert" }>): Built {
  const input = builder.build(plan.input);
  const row = rowLayout(plan.rowColumns, plan.table.columns.length);
  const columns = columnsOf(plan.returning);
  return {
    plan: {
      kind: "insert",
      table: plan.table,
      input: input.plan,
      attnums: plan.attnums,
      defaults: plan.defaults,
      constraints: plan.constraints,
      onConflict: resolveConflict(builder, plan, row),
      returning: returningOf(builder, plan.returning, row),
      ...builder.base(columns, modifyCost(input)),
    },
    layout: ids(columns),
  };
}

function resolveConflict(
  builder: Builder,
  plan: Extract<LogicalPlan, { kind: "insert" }>,
  row: readonly number[],
): OnConflict | undefined {
  const { onConflict } = plan;
  if (onConflict === undefined || onConflict.action.kind === "nothing") return onConflict;
  const layout = [...row, ...rowLayout(plan.excludedColumns, plan.table.columns.length)];
  const { assignments, where } = onConflict.action;
  return {
    arbiters: onConflict.arbiters,
    action: {
      kind: "update",
      assignments: assignments.map((a) => ({
        attnum: a.attnum,
        expression: builder.resolve(a.expression, layout),
      })),
      where: where === undefined ? undefined : builder.resolve(where, layout),
    },
  };
}

/** Positions of the target's columns in the input row. */
function targetPositions(
  targets: readonly LogicalColumn[],
  input: Built,
): readonly { readonly index: number; readonly attnum: number }[] {
  return targets.flatMap((column) => {
    const index = input.layout.indexOf(column.id);
    return index < 0 ? [] : [{ index, attnum: column.attnum }];
  });
}

/** RETURNING reads the target at attnum - 1 and everything else behind it. */
function returningLayout(
  targets: readonly LogicalColumn[],
  columnCount: number,
  input: Built,
): readonly number[] {
  const own = new Set(targets.map((column) => column.id));
  return [...rowLayout(targets, columnCount), ...input.layout.map((id) => (own.has(id) ? -1 : id))];
}

/** All that the plans of UPDATE and DELETE have in common, over their built `input`. */
function modifyPlan(builder: Builder, plan: LogicalUpdate | LogicalDelete, input: Built): ModifyPlan {
  const ridIndex = input.layout.indexOf(plan.rid.id);
  must(ridIndex < 0 ? undefined : ridIndex, "the target's row id in the input of UPDATE or DELETE");
  const layout = returningLayout(plan.targetColumns, plan.table.columns.length, input);
  return {
    table: plan.table,
    input: input.plan,
    ridIndex,
    targetColumns: targetPositions(plan.targetColumns, input),
    recheck: plan.recheck === undefined ? undefined : builder.resolve(plan.recheck, input.layout),
    returning: returningOf(builder, plan.returning, layout),
    ...builder.base(columnsOf(plan.returning), modifyCost(input)),
  };
}

export function buildUpdate(builder: Builder, plan: LogicalUpdate): Built {
  const input = builder.build(plan.input);
  const assignments = plan.assignments.map((a) => ({
    attnum: a.attnum,
    expression: builder.resolve(a.expression, input.layout),
  }));
  return {
    plan: {
      ...modifyPlan(builder, plan, input),
      kind: "update",
      assignments,
      constraints: plan.constraints,
    },
    layout: ids(columnsOf(plan.returning)),
  };
}

export function buildDelete(builder: Builder, plan: LogicalDelete): Built {
  const input = builder.build(plan.input);
  return {
    plan: { ...modifyPlan(builder, plan, input), kind: "delete", referencedBy: plan.referencedBy },
    layout: ids(columnsOf(plan.returning)),
  };
}
