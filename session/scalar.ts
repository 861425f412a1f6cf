// Values of expressions that stand outside a query (the arguments of EXECUTE): evaluated as the one row of a SELECT, so that
// they may be anything a select list may hold, subqueries and $n of the outer statement included.
import { must } from "../common/assert.ts";
import type { Datum } from "../common/types/type.ts";
import type { Node } from "../parser/tree.ts";
import { planStatement } from "../planner/index.ts";
import type { SessionCore } from "./core.ts";
import type { Portal } from "./portal.ts";
import { plannerContext } from "./planning.ts";
import { openPlan } from "./plan-runner.ts";

/** The values of `expressions`, converted to the types. `outer` gives the parameters they may use. */
export async function evaluateAs(
  core: SessionCore,
  expressions: readonly Node[],
  typeOids: readonly number[],
  outer: Portal,
): Promise<readonly Datum[]> {
  if (expressions.length === 0) return [];
  const targetList = expressions.map(
    (expression, index): Node => ({ ResTarget: { val: castTo(core, expression, typeOids[index] ?? 0) } }),
  );
  const node: Node = { SelectStmt: { targetList, limitOption: "LIMIT_OPTION_DEFAULT", op: "SETOP_NONE" } };
  const statement = { node, text: "", location: 0, length: 0 };
  const planned = planStatement(statement, plannerContext(core, outer.statement.parameterTypes));
  const stream = await openPlan(core, planned, outer.parameters, outer);
  try {
    const batch = must(await stream.next(), "a SELECT without FROM gives a row");
    return batch.columns.map((column) => column.get(0));
  } finally {
    stream.close();
  }
}

function castTo(core: SessionCore, expression: Node, typeOid: number): Node {
  const type = must(core.catalog().typeByOid(typeOid), "a parameter's type exists");
  const schema = core.catalog().entry("schema", type.namespace)?.name ?? "pg_catalog";
  return {
    TypeCast: {
      arg: expression,
      typeName: { names: [{ String: { sval: schema } }, { String: { sval: type.name } }], typemod: -1 },
    },
  };
}
