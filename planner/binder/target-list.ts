// The select list (and RETURNING): stars expanded, names given, literals of unknown type decided.
import { SqlError, SqlState, notSupported } from "../../common/error.ts";
import { Oid } from "../../common/types/oid.ts";
import { positionOf, stringsOf, type Node } from "../../parser/tree.ts";
import type { BoundExpression } from "../logical/expression.ts";
import { coerce } from "./coerce.ts";
import { findItem } from "./column.ts";
import { columnName } from "./column-name.ts";
import { bindField, fieldsOf } from "./composite.ts";
import type { BindContext, Env } from "./context.ts";
import type { ScopeColumn } from "./scope.ts";
import { TEXT } from "./types.ts";

export interface Target {
  readonly name: string;
  readonly expression: BoundExpression;
}

/** Binds ResTargets; `star` is what a bare * stands for. */
export function bindTargets(
  context: BindContext,
  nodes: readonly Node[] | undefined,
  env: Env,
  star: readonly ScopeColumn[],
  resolveUnknown: boolean,
): Target[] {
  const targets: Target[] = [];
  for (const node of nodes ?? []) {
    if (!("ResTarget" in node)) continue;
    const { name, val } = node.ResTarget;
    if (val === undefined) continue;
    const expanded = expandStar(context, val, env, star);
    if (expanded !== undefined) {
      targets.push(...expanded);
      continue;
    }
    const expression = context.expression(val, env);
    targets.push({
      name: name !== undefined && name !== "" ? name : columnName(val),
      expression,
    });
  }
  // Only now: a later mention of the same parameter may still have decided its type.
  return resolveUnknown
    ? targets.map((item) => ({ ...item, expression: unknownToText(context, item.expression) }))
    : targets;
}

export function unknownToText(context: BindContext, e: BoundExpression): BoundExpression {
  return e.type.oid === Oid.unknown ? (coerce(context, e, TEXT, "implicit") ?? e) : e;
}

function expandStar(
  context: BindContext,
  node: Node,
  env: Env,
  star: readonly ScopeColumn[],
): readonly Target[] | undefined {
  if ("ColumnRef" in node) {
    const fields = node.ColumnRef.fields ?? [];
    const last = fields.at(-1);
    if (last === undefined || !("A_Star" in last)) return undefined;
    const position = positionOf(node.ColumnRef.location);
    if (fields.length > 1) {
      const item = findItem(context, env, stringsOf(fields), position);
      return item.columns.map((column) => target(column, position));
    }
    if (star.length === 0 && env.scope.items.length === 0) {
      throw new SqlError(SqlState.syntaxError, "SELECT * with no tables specified is not valid", {
        position: position || undefined,
      });
    }
    return star.map((column) => target(column, position));
  }
  if ("A_Indirection" in node) {
    const steps = node.A_Indirection.indirection ?? [];
    const last = steps.at(-1);
    if (last === undefined || !("A_Star" in last)) return undefined;
    const inner =
      steps.length === 1
        ? (node.A_Indirection.arg as Node)
        : { A_Indirection: { ...node.A_Indirection, indirection: steps.slice(0, -1) } };
    const value = context.expression(inner, env);
    const fields = fieldsOf(context, value);
    if (fields === undefined) throw notSupported("expanding this value with .*", value.position);
    return fields.map((field) => ({ name: field.name, expression: bindField(context, value, field.name) }));
  }
  return undefined;
}

function target(column: ScopeColumn, position: number): Target {
  return { name: column.name, expression: { ...column.value, position } };
}
