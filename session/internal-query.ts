// Queries the session asks on its own behalf, inside the running transaction: checking existing rows before ADD CHECK,
// dropping temporary tables. They go the same way as a client's.
import { must } from "../common/assert.ts";
import type { Datum } from "../common/types/type.ts";
import { executePlan } from "../executor/execution.ts";
import { parse } from "../parser/parse.ts";
import type { BoundExpression } from "../planner/logical/expression.ts";
import type { PhysicalPlan } from "../planner/physical/plan.ts";
import type { SessionCore } from "./core.ts";
import { lockedPlan } from "./planning.ts";
import { PreparedStatement } from "./prepared-statement.ts";
import { drain, openPlan } from "./plan-runner.ts";

/** The first row of a SELECT; undefined when there is none. */
export async function firstRow(core: SessionCore, sql: string): Promise<readonly Datum[] | undefined> {
  const statement = must(parse(sql)[0], "one statement");
  const planned = await lockedPlan(core, new PreparedStatement("", statement, [], true), statement);
  const stream = await openPlan(core, planned, [], undefined);
  try {
    const batch = await stream.next();
    return batch?.columns.map((column) => column.get(0));
  } finally {
    stream.close();
  }
}

/** Runs a statement whose result nobody wants. */
export async function execute(core: SessionCore, sql: string): Promise<void> {
  const statement = must(parse(sql)[0], "one statement");
  const planned = await lockedPlan(core, new PreparedStatement("", statement, [], true), statement);
  await drain(await openPlan(core, planned, [], undefined));
  core.transactions.beginStatement();
}

/** The value of a bound expression that reads no columns. */
export async function evaluate(core: SessionCore, expression: BoundExpression): Promise<Datum> {
  const estimate = { startupCost: 0, totalCost: 0, rows: 1, width: 0 };
  const output = [
    { name: "value", type: expression.type, collation: expression.collation, tableOid: 0, attnum: 0 },
  ];
  const plan: PhysicalPlan = {
    kind: "project",
    id: 0,
    output,
    estimate,
    expressions: [expression],
    input: { kind: "result", id: 1, output: [], estimate, condition: undefined },
  };
  const stream = executePlan(
    {
      plan,
      commandType: "select",
      result: output,
      parameterTypes: [],
      dependencies: [],
      locks: [],
      isReadOnly: true,
      rowLock: undefined,
    },
    core.executionOptions([]),
  );
  try {
    const batch = must(await stream.next(), "one row");
    return must(batch.columns[0], "one column").get(0);
  } finally {
    stream.close();
  }
}
