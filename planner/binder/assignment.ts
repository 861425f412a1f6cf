// Assigning to a table's columns: the conversion to a column's type, and the SET lists of UPDATE and ON CONFLICT.
import { SqlError, SqlState, notSupported } from "../../common/error.ts";
import { expressionPosition, positionOf, type Node, type RangeVar } from "../../parser/tree.ts";
import type { ColumnEntry, TableEntry } from "../../catalog/entries.ts";
import type { BoundExpression } from "../logical/expression.ts";
import { coerce } from "./coerce.ts";
import type { BindContext, Env } from "./context.ts";
import { lookupRelation } from "./relation.ts";
import { columnDefault } from "./scalar.ts";
import { bindRowSubLink } from "./subquery.ts";
import { typeName } from "./types.ts";

export interface Assignment {
  readonly attnum: number;
  readonly expression: BoundExpression;
}

/** The table a statement writes. Views and system catalogues refuse. */
export function targetTable(context: BindContext, node: RangeVar | undefined, verb: string): TableEntry {
  if (node === undefined) throw notSupported(verb);
  const relation = lookupRelation(context, node);
  const position = positionOf(node.location) || undefined;
  switch (relation.kind) {
    case "table":
      return relation.table;
    case "virtual":
      throw new SqlError(
        SqlState.insufficientPrivilege,
        `permission denied: "${relation.virtual.name}" is a system catalog`,
        { position },
      );
    case "view":
      throw new SqlError(
        SqlState.objectNotInPrerequisiteState,
        `cannot ${verb} view "${relation.view.name}"`,
        { position },
      );
    case "sequence":
      throw new SqlError(SqlState.wrongObjectType, `cannot change sequence "${relation.sequence.name}"`, {
        position,
      });
    case "index":
      throw new SqlError(SqlState.wrongObjectType, `cannot open relation "${relation.index.name}"`, {
        detail: "This operation is not supported for indexes.",
        position,
      });
  }
}

/** A live column by name; 42703 `column "x" of relation "t" does not exist`. */
export function targetColumn(table: TableEntry, name: string, position: number): ColumnEntry {
  const found = table.columns.find((column) => column.name === name && !column.isDropped);
  if (found !== undefined) return found;
  throw new SqlError(
    SqlState.undefinedColumn,
    `column "${name}" of relation "${table.name}" does not exist`,
    {
      position: position || undefined,
    },
  );
}

/** The value as the column's type, length checks included. 42804 when there is no assignment cast. */
export function assign(context: BindContext, e: BoundExpression, column: ColumnEntry): BoundExpression {
  const converted = coerce(context, e, column.type, "assignment");
  if (converted !== undefined) return converted;
  throw new SqlError(
    SqlState.datatypeMismatch,
    `column "${column.name}" is of type ${typeName(context, column.type.oid)} but expression is of type ${typeName(context, e.type.oid)}`,
    { hint: "You will need to rewrite or cast the expression.", position: e.position || undefined },
  );
}

/** SET a = .., (b, c) = (.., ..), d = DEFAULT. */
export function bindSetList(
  context: BindContext,
  nodes: readonly Node[] | undefined,
  table: TableEntry,
  env: Env,
): readonly Assignment[] {
  const assignments: Assignment[] = [];
  for (const node of nodes ?? []) {
    if (!("ResTarget" in node)) continue;
    const { name, indirection, val, location } = node.ResTarget;
    const position = positionOf(location);
    if ((indirection ?? []).length > 0)
      throw notSupported("assigning to an array element or field", position);
    const column = targetColumn(table, name ?? "", position);
    if (assignments.some((known) => known.attnum === column.attnum)) {
      throw new SqlError(SqlState.syntaxError, `multiple assignments to same column "${column.name}"`);
    }
    const selected = val === undefined ? undefined : bindSelected(context, val, env, position);
    if (selected !== undefined) {
      rejectGenerated(column, "updated", selected.position);
      assignments.push({ attnum: column.attnum, expression: assign(context, selected, column) });
      continue;
    }
    const value = val === undefined ? undefined : sourceOf(val, position);
    if (value === undefined) throw notSupported("SET without a value", position);
    if ("SetToDefault" in value) {
      // A generated column set to DEFAULT is computed like any other time.
      if (column.generated === undefined)
        assignments.push({ attnum: column.attnum, expression: columnDefault(context, column) });
      continue;
    }
    rejectGenerated(column, "updated", expressionPosition(value));
    assignments.push({
      attnum: column.attnum,
      expression: assign(context, context.expression(value, env), column),
    });
  }
  return assignments;
}

/** The value for one column of a row assignment. */
function sourceOf(node: Node, position: number): Node {
  if (!("MultiAssignRef" in node)) return node;
  const { source, colno, ncolumns } = node.MultiAssignRef;
  if (source === undefined || !("RowExpr" in source)) {
    throw new SqlError(
      SqlState.featureNotSupported,
      "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression",
      { position: source === undefined ? undefined : expressionPosition(source) || undefined },
    );
  }
  const args = source.RowExpr.args ?? [];
  const value = args[(colno ?? 1) - 1];
  if (value === undefined || args.length !== ncolumns) throw valueCount(position);
  return value;
}

/** The column's share of `(a, b) = (SELECT ...)`; undefined for every other kind of value. */
function bindSelected(
  context: BindContext,
  node: Node,
  env: Env,
  position: number,
): BoundExpression | undefined {
  if (!("MultiAssignRef" in node)) return undefined;
  const { source, colno, ncolumns } = node.MultiAssignRef;
  if (source === undefined || !("SubLink" in source)) return undefined;
  const values = bindRowSubLink(context, source.SubLink, env, (count) => {
    if (count !== ncolumns) throw valueCount(position);
  });
  return values[(colno ?? 1) - 1];
}

function valueCount(position: number): SqlError {
  return new SqlError(SqlState.syntaxError, "number of columns does not match number of values", {
    position: position || undefined,
  });
}

function rejectGenerated(column: ColumnEntry, verb: "updated", position: number): void {
  if (column.generated === undefined && column.identity !== "a") return;
  const what =
    column.generated === undefined
      ? `Column "${column.name}" is an identity column defined as GENERATED ALWAYS.`
      : `Column "${column.name}" is a generated column.`;
  throw new SqlError(SqlState.generatedAlways, `column "${column.name}" can only be ${verb} to DEFAULT`, {
    detail: what,
    position: position || undefined,
  });
}
