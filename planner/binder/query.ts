// A query of any form: WITH, then SELECT, VALUES or a set operation.
import type { SelectStmt } from "../../parser/tree.ts";
import type { BindContext, BoundQuery } from "./context.ts";
import { Scope } from "./scope.ts";
import { bindSelect } from "./select.ts";
import { bindSetOperation, bindValues, resolveUnknownOutput } from "./set-operation.ts";
import { bindWith } from "./with.ts";

export function bindQuery(
  statement: SelectStmt,
  parent: Scope | undefined,
  context: BindContext,
  resolveUnknown: boolean,
): BoundQuery {
  const scope = new Scope(parent);
  const ctes = statement.withClause === undefined ? [] : bindWith(context, statement.withClause, scope);
  const body = bindBody(context, statement, scope, resolveUnknown);
  if (ctes.length === 0) return body;
  return { plan: { kind: "with", ctes, input: body.plan }, columns: body.columns };
}

function bindBody(
  context: BindContext,
  statement: SelectStmt,
  scope: Scope,
  resolveUnknown: boolean,
): BoundQuery {
  if (statement.op !== undefined && statement.op !== "SETOP_NONE") {
    const query = bindSetOperation(context, statement, scope);
    return resolveUnknown ? resolveUnknownOutput(context, query) : query;
  }
  if (statement.valuesLists !== undefined) return bindValues(context, statement, scope);
  return bindSelect(context, statement, scope, resolveUnknown);
}
