// Column references: a, t.a, s.t.a, whole rows (t), system columns.
import { SqlError, SqlState, notSupported } from "../../common/error.ts";
import { Oid } from "../../common/types/oid.ts";
import { positionOf, stringsOf, type ColumnRef } from "../../parser/tree.ts";
import type { BoundExpression } from "../logical/expression.ts";
import type { BindContext, Env } from "./context.ts";
import { missingItem, undefinedColumn, SYSTEM_COLUMNS, type ScopeItem } from "./scope.ts";

/** Throws 42703, 42702 and 42P01 with PostgreSQL's words and hints. */
export function bindColumn(context: BindContext, node: ColumnRef, env: Env): BoundExpression {
  const position = positionOf(node.location);
  const names = stringsOf(node.fields);
  const isStar = (node.fields ?? []).some((field) => "A_Star" in field);
  if (env.clause === "default") {
    throw new SqlError(SqlState.featureNotSupported, "cannot use column reference in DEFAULT expression", {
      position: position || undefined,
    });
  }
  if (isStar) {
    const item = findItem(context, env, names, position);
    return wholeRow(item, position);
  }
  const name = names.at(-1) ?? "";
  if (names.length === 1) {
    const column = env.scope.findColumn(name, position);
    if (column !== undefined) return { ...column.value, position };
    const item = env.scope.findItem(undefined, name, position);
    if (item !== undefined) return wholeRow(item, position);
    throw undefinedColumn(env.scope, undefined, name, position);
  }
  const item = findItem(context, env, names.slice(0, -1), position);
  const found = item.columns.filter((column) => column.name === name);
  if (found.length > 1) {
    throw new SqlError(SqlState.ambiguousColumn, `column reference "${name}" is ambiguous`, {
      position: position || undefined,
    });
  }
  if (found[0] !== undefined) return { ...found[0].value, position };
  const system = SYSTEM_COLUMNS.has(name) ? item.systemColumn?.(name) : undefined;
  if (system !== undefined) return { ...system, position };
  throw undefinedColumn(env.scope, names.at(-2), name, position);
}

/** The FROM item that t, s.t or db.s.t names. */
export function findItem(
  context: BindContext,
  env: Env,
  names: readonly string[],
  position: number,
): ScopeItem {
  const alias = names.at(-1) ?? "";
  const schema = names.length > 1 ? names.at(-2) : undefined;
  if (names.length > 3) {
    throw new SqlError(
      SqlState.syntaxError,
      `improper qualified name (too many dotted names): ${names.join(".")}`,
      {
        position: position || undefined,
      },
    );
  }
  if (names.length === 3 && names[0] !== context.catalog.database.name) {
    throw notSupported(`cross-database reference ${names.join(".")}`, position);
  }
  const item = env.scope.findItem(schema, alias, position);
  if (item === undefined) throw missingItem(env.scope, alias, position);
  return item;
}

/** The row as a composite value; of a function that returns plain values the value itself. */
function wholeRow(item: ScopeItem, position: number): BoundExpression {
  const only = item.columns[0];
  if (item.isScalarFunction && only !== undefined) return { ...only.value, position };
  return {
    kind: "row",
    fields: item.columns.map((column) => column.value),
    names: item.columns.map((column) => column.name),
    type: item.rowType.oid === 0 ? { oid: Oid.record, typmod: -1 } : item.rowType,
    collation: 0,
    position,
  };
}
