// Computes stored columns of rows that exist already: the UPDATE behind an index over an expression.
import { must } from "../common/assert.ts";
import type { TableEntry } from "../catalog/entries.ts";
import { bindConstraints } from "../planner/binder/constraints.ts";
import { makeBindContext } from "../planner/binder/index.ts";
import type { BoundExpression } from "../planner/logical/expression.ts";
import { mapExpression, someExpression } from "../planner/logical/walk.ts";
import type { PlannedStatement } from "../planner/physical/plan.ts";
import type { SessionCore } from "./core.ts";
import { drain, openPlan } from "./plan-runner.ts";
import { plannerContext } from "./planning.ts";

/**
 * Sets the generated columns `attnums` of every row. The caller holds a lock that keeps writers away, and `table` is the
 * catalogue's entry with the columns in it. A later statement of the transaction sees the values.
 */
export async function fillColumns(
  core: SessionCore,
  table: TableEntry,
  attnums: readonly number[],
): Promise<void> {
  const { generated } = bindConstraints(makeBindContext(plannerContext(core, [])), table);
  const wanted = generated.filter((column) => attnums.includes(column.attnum));
  await drain(await openPlan(core, updatePlan(table, wanted), [], undefined));
  core.transactions.beginStatement();
}

type Assignment = { readonly attnum: number; readonly expression: BoundExpression };

/** UPDATE table SET column = expression, over the columns the expressions read. */
function updatePlan(table: TableEntry, columns: readonly Assignment[]): PlannedStatement {
  const read = new Set<number>();
  for (const { expression } of columns) {
    someExpression(expression, (node) => {
      if (node.kind === "column") read.add(node.index + 1);
      return false;
    });
  }
  const attnums = [...read];
  const estimate = { startupCost: 0, totalCost: 0, rows: 0, width: 0 };
  const output = attnums.map((attnum) => {
    const { name, type, collation } = must(table.columns[attnum - 1], "a column");
    return { name, type, collation, tableOid: table.oid, attnum };
  });
  const rid = { name: "rid", type: { oid: 20, typmod: -1 }, collation: 0, tableOid: 0, attnum: 0 };
  // Stored expressions count by attnum, those of a plan by position in its input.
  const overInput = (e: BoundExpression): BoundExpression =>
    mapExpression(e, (node) =>
      node.kind === "column" ? { ...node, index: attnums.indexOf(node.index + 1) } : node,
    );
  return {
    plan: {
      kind: "update",
      id: 0,
      output: [],
      estimate,
      table,
      input: {
        kind: "seq-scan",
        id: 1,
        output: [...output, rid],
        estimate,
        target: { table, alias: table.name, attnums, withRid: true },
        filter: undefined,
      },
      ridIndex: attnums.length,
      targetColumns: attnums.map((attnum, index) => ({ index, attnum })),
      recheck: undefined,
      assignments: columns.map(({ attnum, expression }) => ({ attnum, expression: overInput(expression) })),
      constraints: {
        notNull: [],
        checks: [],
        generated: [],
        indexes: [],
        foreignKeys: [],
        referencedBy: [],
        deferrableKeys: [],
      },
      returning: undefined,
    },
    commandType: "update",
    result: undefined,
    parameterTypes: [],
    dependencies: [],
    locks: [],
    rowLock: undefined,
    isReadOnly: false,
  };
}
