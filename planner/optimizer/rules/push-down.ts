// Moves conditions towards the tables they speak of: through projections (rewritten on the way), below sorts, into the sides of
// joins, into scans. Conditions that join two sides become join conditions. What NULL-extension would change stays above it.
import type { BoundExpression } from "../../logical/expression.ts";
import {
  columnsIn,
  mapInputs,
  mapNodeExpressions,
  mapSubplans,
  producedIds,
  substituteColumns,
} from "../../logical/map.ts";
import type { LogicalJoin, LogicalPlan } from "../../logical/plan.ts";
import { conjuncts, isVolatile, returnsSet } from "../../logical/walk.ts";
import type { Rule } from "../rule.ts";

export const pushDown: Rule = { name: "PushDown", apply: (plan) => pushPlan(plan) };

function pushPlan(plan: LogicalPlan): LogicalPlan {
  return push(plan, []);
}

/** The plan under conditions that its rows still have to pass. */
function push(written: LogicalPlan, conditions: readonly BoundExpression[]): LogicalPlan {
  const plan = mapNodeExpressions(written, (e) => mapSubplans(e, pushPlan));
  switch (plan.kind) {
    case "filter":
      return push(plan.input, [
        ...plan.conditions.flatMap(conjuncts).filter((e) => !isTrue(e)),
        ...conditions,
      ]);
    case "scan":
    case "virtual-scan": {
      const [stay, go] = split(conditions, (e) => !isVolatile(e));
      const filter = [...plan.filter, ...go];
      return filtered(filter.length === plan.filter.length ? plan : { ...plan, filter }, stay);
    }
    case "project": {
      const items = new Map(plan.items.map((item) => [item.column.id, item.expression]));
      const isMovable = (e: BoundExpression): boolean =>
        !isVolatile(e) &&
        [...columnsIn(e)].every((id) => {
          const source = items.get(id);
          return source === undefined || (!isVolatile(source) && !returnsSet(source));
        });
      const [stay, go] = split(conditions, isMovable);
      return filtered(
        {
          ...plan,
          input: push(
            plan.input,
            go.map((e) => substituteColumns(e, items)),
          ),
        },
        stay,
      );
    }
    case "project-set": {
      const made = new Set(plan.items.map((item) => item.column.id));
      const [stay, go] = split(conditions, (e) => !isVolatile(e) && !reads(e, made));
      return filtered({ ...plan, input: push(plan.input, go) }, stay);
    }
    case "sort":
      return { ...plan, input: push(plan.input, conditions) };
    case "distinct": {
      const [stay, go] = split(conditions, (e) => plan.on === undefined && !isVolatile(e));
      return filtered({ ...plan, input: push(plan.input, go) }, stay);
    }
    case "with":
      return {
        ...plan,
        ctes: plan.ctes.map((cte) => ({ ...cte, plan: pushPlan(cte.plan) })),
        input: push(plan.input, conditions),
      };
    case "aggregate": {
      const keys = new Map(plan.keys.map((key) => [key.column.id, key.expression]));
      const computed = new Set(plan.aggregates.map((aggregate) => aggregate.column.id));
      // Without keys there is one group even over no rows: nothing may move below it.
      const [stay, go] = split(
        conditions,
        (e) =>
          keys.size > 0 &&
          !isVolatile(e) &&
          !reads(e, computed) &&
          [...keys.values()].every((key) => !isVolatile(key)),
      );
      return filtered(
        {
          ...plan,
          input: push(
            plan.input,
            go.map((e) => substituteColumns(e, keys)),
          ),
        },
        stay,
      );
    }
    case "join":
      return pushJoin(plan, conditions);
    default:
      return filtered(mapInputs(plan, pushPlan), conditions);
  }
}

function pushJoin(plan: LogicalJoin, conditions: readonly BoundExpression[]): LogicalPlan {
  const leftIds = producedIds(plan.left);
  const rightIds = producedIds(plan.right);
  const own = plan.conditions.flatMap(conjuncts).filter((e) => !isTrue(e));
  const onlyLeft = (e: BoundExpression): boolean => !isVolatile(e) && !reads(e, rightIds);
  const onlyRight = (e: BoundExpression): boolean =>
    !isVolatile(e) && !reads(e, leftIds) && reads(e, rightIds);
  switch (plan.joinType) {
    case "inner": {
      const [movable, above] = split([...own, ...conditions], isVolatile);
      const [rest, left] = split(movable, onlyLeft);
      const [both, right] = split(rest, onlyRight);
      return filtered(
        { ...plan, left: push(plan.left, left), right: push(plan.right, right), conditions: both },
        above,
      );
    }
    case "left": {
      const [above, left] = split(conditions, onlyLeft);
      const [both, right] = split(own, onlyRight);
      return filtered(
        { ...plan, left: push(plan.left, left), right: push(plan.right, right), conditions: both },
        above,
      );
    }
    case "semi": {
      const [rest, left] = split([...own, ...conditions], onlyLeft);
      const [both, right] = split(rest, onlyRight);
      return { ...plan, left: push(plan.left, left), right: push(plan.right, right), conditions: both };
    }
    case "anti": {
      const [both, right] = split(own, onlyRight);
      return { ...plan, left: push(plan.left, conditions), right: push(plan.right, right), conditions: both };
    }
    case "right":
      return pushJoin({ ...plan, joinType: "left", left: plan.right, right: plan.left }, conditions);
    case "full":
      return filtered(
        { ...plan, left: pushPlan(plan.left), right: pushPlan(plan.right), conditions: own },
        conditions,
      );
  }
}

/** [those that fail the test, those that pass]. */
function split(
  list: readonly BoundExpression[],
  test: (e: BoundExpression) => boolean,
): [BoundExpression[], BoundExpression[]] {
  const failed: BoundExpression[] = [];
  const passed: BoundExpression[] = [];
  for (const e of list) (test(e) ? passed : failed).push(e);
  return [failed, passed];
}

function reads(e: BoundExpression, ids: ReadonlySet<number>): boolean {
  return [...columnsIn(e)].some((id) => ids.has(id));
}

function isTrue(e: BoundExpression): boolean {
  return e.kind === "constant" && e.value === true;
}

function filtered(input: LogicalPlan, conditions: readonly BoundExpression[]): LogicalPlan {
  return conditions.length === 0 ? input : { kind: "filter", input, conditions };
}
