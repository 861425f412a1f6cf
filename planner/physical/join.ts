// Join methods: hash join on equalities, nested loop otherwise, nested loop over an index when few rows come from the left.
import { SqlError, SqlState } from "../../common/error.ts";
import type { FunctionEntry } from "../../catalog/functions/function.ts";
import type { BoundExpression } from "../logical/expression.ts";
import { columnsIn, freeColumns } from "../logical/map.ts";
import { outputColumns, type LogicalJoin, type LogicalPlan } from "../logical/plan.ts";
import { conjuncts, isVolatile } from "../logical/walk.ts";
import { ids, type Builder, type Built } from "./builder.ts";
import { Cost, estimate } from "./cost.ts";
import type { PhysicalPlan } from "./plan.ts";
import { buildScan, buildVirtualScan } from "./scan.ts";

interface EquiKey {
  readonly left: BoundExpression;
  readonly right: BoundExpression;
  readonly equals: FunctionEntry;
  readonly condition: BoundExpression;
}

export function buildJoin(builder: Builder, written: LogicalJoin): Built {
  // Right joins run as left joins with the sides changed: ids make the order of columns a matter of layout alone.
  const plan: LogicalJoin =
    written.joinType === "right"
      ? { ...written, joinType: "left", left: written.right, right: written.left }
      : written;
  const leftIds = new Set(ids(outputColumns(plan.left)));
  const rightIds = new Set(ids(outputColumns(plan.right)));
  const conditions = plan.conditions.flatMap(conjuncts);
  if (readsLeft(plan.right, leftIds))
    return nestedLoop(
      builder,
      plan,
      builder.build(plan.left),
      builder.build(plan.right),
      conditions,
      plan.right,
    );
  const keys = conditions.flatMap((condition) => equiKey(builder, condition, leftIds, rightIds));
  const left = builder.build(plan.left);
  const right = builder.build(plan.right);
  const candidates: Built[] = [];
  if (keys.length > 0) candidates.push(hashJoin(builder, plan, left, right, keys, conditions));
  if (plan.joinType !== "full") {
    candidates.push(...indexedLoop(builder, plan, left, conditions));
    if (plan.joinType === "inner" && !readsLeft(plan.left, rightIds)) {
      // Of an inner join either side may be the one that is looked up.
      const swapped: LogicalJoin = { ...plan, left: plan.right, right: plan.left };
      candidates.push(...indexedLoop(builder, swapped, right, conditions));
    }
    if (keys.length === 0 || candidates.length === 0)
      candidates.push(nestedLoop(builder, plan, left, right, conditions, plan.right));
  }
  const best = candidates.reduce<Built | undefined>(
    (chosen, candidate) =>
      chosen === undefined || candidate.plan.estimate.totalCost < chosen.plan.estimate.totalCost
        ? candidate
        : chosen,
    undefined,
  );
  if (best !== undefined) return best;
  throw new SqlError(
    SqlState.featureNotSupported,
    "FULL JOIN is only supported with merge-joinable or hash-joinable join conditions",
  );
}

/** `left = right` with one side from each input and a hashable operator. */
function equiKey(
  builder: Builder,
  e: BoundExpression,
  leftIds: ReadonlySet<number>,
  rightIds: ReadonlySet<number>,
): readonly EquiKey[] {
  if (e.kind !== "call" || e.operator !== "=" || e.args.length !== 2 || isVolatile(e)) return [];
  if (!canHash(builder, e.function)) return [];
  const [a, b] = e.args as [BoundExpression, BoundExpression];
  const only = (x: BoundExpression, own: ReadonlySet<number>, other: ReadonlySet<number>): boolean => {
    const used = [...columnsIn(x)];
    return used.some((id) => own.has(id)) && !used.some((id) => other.has(id));
  };
  if (only(a, leftIds, rightIds) && only(b, rightIds, leftIds))
    return [{ left: a, right: b, equals: e.function, condition: e }];
  if (only(b, leftIds, rightIds) && only(a, rightIds, leftIds))
    return [{ left: b, right: a, equals: e.function, condition: e }];
  return [];
}

function canHash(builder: Builder, equals: FunctionEntry): boolean {
  return builder.planner.catalog
    .operatorsByName("pg_catalog", "=", [])
    .some((operator) => operator.functionOid === equals.oid && operator.canHash);
}

function joinColumns(
  plan: LogicalJoin,
  left: Built,
  right: Built,
): { readonly layout: readonly number[]; readonly output: PhysicalPlan["output"] } {
  if (plan.joinType === "semi" || plan.joinType === "anti")
    return { layout: left.layout, output: left.plan.output };
  return { layout: [...left.layout, ...right.layout], output: [...left.plan.output, ...right.plan.output] };
}

function hashJoin(
  builder: Builder,
  plan: LogicalJoin,
  left: Built,
  right: Built,
  keys: readonly EquiKey[],
  conditions: readonly BoundExpression[],
): Built {
  // The hashed side is the right one; an inner join hashes the smaller input.
  if (plan.joinType === "inner" && left.plan.estimate.rows < right.plan.estimate.rows) {
    const flipped = keys.map((key) => ({ ...key, left: key.right, right: key.left }));
    return hashJoinOf(builder, plan, right, left, flipped, conditions);
  }
  return hashJoinOf(builder, plan, left, right, keys, conditions);
}

function hashJoinOf(
  builder: Builder,
  plan: LogicalJoin,
  left: Built,
  right: Built,
  keys: readonly EquiKey[],
  conditions: readonly BoundExpression[],
): Built {
  const { layout, output } = joinColumns(plan, left, right);
  const both = [...left.layout, ...right.layout];
  const rest = conditions.filter((condition) => !keys.some((key) => key.condition === condition));
  const rows = builder.estimator.rows(plan);
  const l = left.plan.estimate;
  const r = right.plan.estimate;
  const penalty = builder.planner.settings.enableHashjoin ? 0 : Cost.disabled;
  const startup =
    penalty + r.totalCost + l.startupCost + r.rows * (Cost.cpuOperator * keys.length + Cost.cpuTuple);
  const total =
    startup +
    (l.totalCost - l.startupCost) +
    l.rows * Cost.cpuOperator * keys.length +
    rows * (Cost.cpuTuple + rest.length * Cost.cpuOperator);
  return {
    plan: {
      kind: "hash-join",
      joinType: plan.joinType,
      left: left.plan,
      right: right.plan,
      leftKeys: keys.map((key) => builder.resolve(key.left, left.layout)),
      rightKeys: keys.map((key) => builder.resolve(key.right, right.layout)),
      equals: keys.map((key) => key.equals),
      residual: builder.condition(rest, both),
      nullAware: false,
      id: builder.nodeId(),
      output,
      estimate: estimate(startup, total, rows, l.width + r.width),
    },
    layout,
  };
}

function readsLeft(side: LogicalPlan, other: ReadonlySet<number>): boolean {
  return [...freeColumns(side)].some((id) => other.has(id));
}

function indexedLoop(
  builder: Builder,
  plan: LogicalJoin,
  left: Built,
  conditions: readonly BoundExpression[],
): readonly Built[] {
  const inner = parameterised(builder, plan, conditions);
  return inner === undefined
    ? []
    : [nestedLoop(builder, plan, left, inner.built, inner.remaining, inner.plan)];
}

interface Parameterised {
  readonly built: Built;
  readonly plan: LogicalPlan;
  readonly remaining: readonly BoundExpression[];
}

/** The right side as a scan whose index conditions read the left row; undefined = no index or look-up gains from it. */
function parameterised(
  builder: Builder,
  plan: LogicalJoin,
  conditions: readonly BoundExpression[],
): Parameterised | undefined {
  const inner = plan.right;
  if (inner.kind !== "scan" && inner.kind !== "virtual-scan") return undefined;
  const usable = conditions.filter((condition) => !isVolatile(condition));
  if (usable.length === 0) return undefined;
  const narrowed = { ...inner, filter: [...inner.filter, ...usable] };
  builder.estimator.register(narrowed);
  const built = narrowed.kind === "scan" ? buildScan(builder, narrowed) : buildVirtualScan(builder, narrowed);
  const usesKey =
    built.plan.kind === "index-scan" ||
    built.plan.kind === "bitmap-scan" ||
    (built.plan.kind === "virtual-scan" && built.plan.equal !== undefined);
  return usesKey
    ? { built, plan: narrowed, remaining: conditions.filter((condition) => !usable.includes(condition)) }
    : undefined;
}

function nestedLoop(
  builder: Builder,
  plan: LogicalJoin,
  left: Built,
  right: Built,
  conditions: readonly BoundExpression[],
  inner: LogicalPlan,
): Built {
  if (plan.joinType === "right" || plan.joinType === "full") {
    throw new SqlError(
      SqlState.invalidColumnReference,
      "invalid reference to FROM-clause entry in a RIGHT or FULL JOIN",
      {
        detail: "The combining JOIN type must be INNER or LEFT for a LATERAL reference.",
      },
    );
  }
  const { layout, output } = joinColumns(plan, left, right);
  const leftIds = new Set(left.layout);
  const bindings = builder.bindings(inner, left.layout).filter((binding) => leftIds.has(binding.id));
  const rows = builder.estimator.rows(plan);
  const l = left.plan.estimate;
  const r = right.plan.estimate;
  const penalty = builder.planner.settings.enableNestloop ? 0 : Cost.disabled;
  // An uncorrelated inner side is kept after its first run: later rounds only read it.
  const rerun = bindings.length > 0 ? r.totalCost : r.rows * Cost.cpuOperator;
  const compared = l.rows * r.rows * (Cost.cpuTuple + conditions.length * Cost.cpuOperator);
  const total = penalty + l.totalCost + r.totalCost + Math.max(0, l.rows - 1) * rerun + compared;
  return {
    plan: {
      kind: "nested-loop",
      joinType: plan.joinType,
      left: left.plan,
      right: right.plan,
      bindings,
      condition: builder.condition(conditions, [...left.layout, ...right.layout]),
      id: builder.nodeId(),
      output,
      estimate: estimate(penalty + l.startupCost + r.startupCost, total, rows, l.width + r.width),
    },
    layout,
  };
}
