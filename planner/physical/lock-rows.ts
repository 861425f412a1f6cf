// SELECT ... FOR UPDATE and its kind. PostgreSQL refuses to lock what an outer join may have made up.
import { must } from "../../common/assert.ts";
import { SqlError, SqlState } from "../../common/error.ts";
import type { LogicalLockRows, LogicalPlan } from "../logical/plan.ts";
import { outputColumns } from "../logical/plan.ts";
import { inputsOf } from "../logical/map.ts";
import type { Builder, Built } from "./builder.ts";
import { Cost, estimate } from "./cost.ts";
import { buildOrdered, type Wanted } from "./ordered.ts";
import type { RowMark } from "./plan.ts";

/** `wanted`: how many rows the Limit above takes; rows beyond it must not be locked. */
export function buildLockRows(builder: Builder, plan: LogicalLockRows, wanted: Wanted | undefined): Built {
  refuseNullable(plan);
  // Rows may be skipped here, so the input must be able to give all of them: for it the limit is a hint.
  const hint = wanted === undefined ? undefined : { count: undefined, skip: undefined, rows: wanted.rows };
  const input =
    plan.input.kind === "sort" ? buildOrdered(builder, plan.input, hint) : builder.build(plan.input);
  const own = input.plan.estimate;
  const positions = (ids: readonly { readonly id: number }[]): number[] =>
    ids.map(({ id }) => input.layout.indexOf(id)).filter((index) => index >= 0);
  const marks = plan.marks.map((mark): RowMark => {
    const ridIndex = input.layout.indexOf(mark.rid.id);
    must(ridIndex < 0 ? undefined : ridIndex, "the row id of a locked table");
    return {
      table: mark.table,
      ridIndex,
      targetColumns: mark.columns.flatMap(({ id, attnum }) => {
        const index = input.layout.indexOf(id);
        return index < 0 ? [] : [{ index, attnum }];
      }),
      mode: mark.mode,
      policy: mark.policy,
    };
  });
  return {
    plan: {
      kind: "lock-rows",
      input: input.plan,
      marks,
      recheck: plan.recheck.map(({ condition, nullable }) => ({
        condition: builder.resolve(condition, input.layout),
        nullable: nullable === undefined ? undefined : positions(nullable),
      })),
      count: wanted?.count,
      skip: wanted?.skip,
      id: builder.nodeId(),
      output: input.plan.output,
      estimate: estimate(own.startupCost, own.totalCost + own.rows * Cost.cpuTuple, own.rows, own.width),
    },
    layout: input.layout,
  };
}

function refuseNullable(plan: LogicalLockRows): void {
  const nullable = nullableIds(plan.input);
  const mark = plan.marks.find(({ rid }) => nullable.has(rid.id));
  if (mark === undefined) return;
  throw new SqlError(
    SqlState.featureNotSupported,
    `${mark.words} cannot be applied to the nullable side of an outer join`,
  );
}

/** Columns that an outer join below may fill with NULLs. */
function nullableIds(plan: LogicalPlan, into: Set<number> = new Set()): Set<number> {
  if (plan.kind === "join") {
    const { joinType } = plan;
    const sides: LogicalPlan[] = [];
    if (joinType === "left" || joinType === "full") sides.push(plan.right);
    if (joinType === "right" || joinType === "full") sides.push(plan.left);
    for (const side of sides) for (const column of outputColumns(side)) into.add(column.id);
  }
  for (const input of inputsOf(plan)) nullableIds(input, into);
  return into;
}
