// PhysicalPlan -> Operator tree. One case per kind of plan; with instrumentation each operator is wrapped by one that counts.
import { unreachable } from "../common/assert.ts";
import type { PhysicalPlan } from "../planner/physical/plan.ts";
import type { ExecutionContext } from "./context.ts";
import { AggregateOperator } from "./operators/aggregate.ts";
import { AppendOperator } from "./operators/append.ts";
import { BitmapScanOperator } from "./operators/bitmap-scan.ts";
import { CteScanOperator } from "./operators/cte-scan.ts";
import { DeleteOperator } from "./operators/delete.ts";
import { DistinctOperator } from "./operators/distinct.ts";
import { FilterOperator } from "./operators/filter.ts";
import { FunctionScanOperator } from "./operators/function-scan.ts";
import { HashJoinOperator } from "./operators/hash-join.ts";
import { HybridOperator } from "./operators/hybrid.ts";
import { IndexScanOperator } from "./operators/index-scan.ts";
import { InsertOperator } from "./operators/insert.ts";
import { emptyStatistics, InstrumentedOperator } from "./operators/instrument.ts";
import { LimitOperator } from "./operators/limit.ts";
import { LockRowsOperator } from "./operators/lock-rows.ts";
import { NestedLoopOperator } from "./operators/nested-loop.ts";
import type { Operator } from "./operators/operator.ts";
import { ProjectOperator } from "./operators/project.ts";
import { ProjectSetOperator } from "./operators/project-set.ts";
import { RecursiveUnionOperator } from "./operators/recursive-union.ts";
import { ResultOperator } from "./operators/result.ts";
import { SearchOperator } from "./operators/search.ts";
import { SeqScanOperator } from "./operators/seq-scan.ts";
import { SetOperationOperator } from "./operators/set-operation.ts";
import { SortOperator } from "./operators/sort.ts";
import { UpdateOperator } from "./operators/update.ts";
import { ValuesOperator } from "./operators/values.ts";
import { VirtualScanOperator } from "./operators/virtual-scan.ts";
import { WithOperator } from "./operators/with.ts";

/** The operator of `plan` and everything below it, ready to be opened. */
export function buildOperator(plan: PhysicalPlan, context: ExecutionContext): Operator {
  const { instrument } = context;
  if (instrument === undefined) return build(plan, context);
  let statistics = instrument.get(plan.id);
  if (statistics === undefined) {
    statistics = emptyStatistics();
    instrument.set(plan.id, statistics);
  }
  return new InstrumentedOperator(build(plan, context), statistics, context.clock);
}

function build(plan: PhysicalPlan, context: ExecutionContext): Operator {
  const input = (below: PhysicalPlan): Operator => buildOperator(below, context);
  switch (plan.kind) {
    case "result":
      return new ResultOperator(plan, context);
    case "values":
      return new ValuesOperator(plan, context);
    case "seq-scan":
      return new SeqScanOperator(plan, context);
    case "index-scan":
      return new IndexScanOperator(plan, context);
    case "bitmap-scan":
      return new BitmapScanOperator(plan, context);
    case "search":
      return new SearchOperator(plan, context);
    case "hybrid":
      return new HybridOperator(plan, context);
    case "virtual-scan":
      return new VirtualScanOperator(plan, context);
    case "function-scan":
      return new FunctionScanOperator(plan, context);
    case "cte-scan":
      return new CteScanOperator(plan, context);
    case "with":
      return new WithOperator(plan, input(plan.input), context);
    case "filter":
      return new FilterOperator(plan, input(plan.input), context);
    case "project":
      return new ProjectOperator(plan, input(plan.input), context);
    case "project-set":
      return new ProjectSetOperator(plan, input(plan.input), context);
    case "limit":
      return new LimitOperator(plan, input(plan.input), context);
    case "lock-rows":
      return new LockRowsOperator(plan, input(plan.input), context);
    case "sort":
      return new SortOperator(plan, input(plan.input), context);
    case "distinct":
      return new DistinctOperator(plan, input(plan.input), context);
    case "aggregate":
      return new AggregateOperator(plan, input(plan.input), context);
    case "hash-join":
      return new HashJoinOperator(plan, input(plan.left), input(plan.right), context);
    case "nested-loop":
      return new NestedLoopOperator(plan, input(plan.left), context);
    case "append":
      return new AppendOperator(plan.inputs.map(input));
    case "set-operation":
      return new SetOperationOperator(plan, input(plan.left), input(plan.right), context);
    case "recursive-union":
      return new RecursiveUnionOperator(plan, context);
    case "insert":
      return new InsertOperator(plan, input(plan.input), context);
    case "update":
      return new UpdateOperator(plan, input(plan.input), context);
    case "delete":
      return new DeleteOperator(plan, input(plan.input), context);
    default:
      return unreachable(plan);
  }
}
