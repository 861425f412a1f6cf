// INSERT: target columns, rows from VALUES, SELECT or DEFAULT VALUES, ON CONFLICT, RETURNING.
import { SqlError, SqlState, notSupported } from "../../common/error.ts";
import {
  expressionPosition,
  listItems,
  positionOf,
  type InsertStmt,
  type Node,
  type SelectStmt,
} from "../../parser/tree.ts";
import type { ColumnEntry, TableEntry } from "../../catalog/entries.ts";
import type { BoundExpression } from "../logical/expression.ts";
import type { LogicalColumn, LogicalPlan, ProjectItem } from "../logical/plan.ts";
import { assign, targetColumn, targetTable } from "./assignment.ts";
import { bindConstraints } from "./constraints.ts";
import type { BindContext, BoundQuery, Env } from "./context.ts";
import { bindOnConflict } from "./on-conflict.ts";
import { ROW_EXCLUSIVE } from "../../common/lock-mode.ts";
import { scanTable, tableItem } from "./relation.ts";
import { bindReturning } from "./returning.ts";
import { columnDefault, hasDefault } from "./scalar.ts";
import { Scope } from "./scope.ts";
import { collationOf } from "./types.ts";
import { bindWith } from "./with.ts";

interface Source {
  readonly plan: LogicalPlan;
  readonly columns: readonly ColumnEntry[];
}

export function bindInsert(
  context: BindContext,
  statement: InsertStmt,
  parent: Scope | undefined,
): BoundQuery {
  const scope = new Scope(parent);
  const ctes = statement.withClause === undefined ? [] : bindWith(context, statement.withClause, scope);
  const table = targetTable(context, statement.relation, "insert into");
  context.isReadOnly = false;
  context.dependOn(table, ROW_EXCLUSIVE);
  const alias = statement.relation?.alias?.aliasname ?? table.name;
  const targets = targetColumns(table, statement.cols);
  const source = bindSource(context, statement, scope, table, targets);

  const row = scanTable(context, table, alias);
  const rowScope = new Scope(scope);
  rowScope.items.push(tableItem(context, row, table, alias, statement.relation ?? {}));
  const excluded = scanTable(context, table, "excluded");
  const onConflict =
    statement.onConflictClause === undefined
      ? undefined
      : bindOnConflict(context, statement.onConflictClause, table, rowScope, excluded);
  const returning = bindReturning(context, statement.returningClause?.exprs, rowScope);
  const given = new Set(source.columns.map((column) => column.attnum));
  const plan: LogicalPlan = {
    kind: "insert",
    table,
    alias,
    input: ctes.length === 0 ? source.plan : { kind: "with", ctes, input: source.plan },
    attnums: source.columns.map((column) => column.attnum),
    defaults: table.columns
      .filter(
        (column) =>
          !column.isDropped &&
          !given.has(column.attnum) &&
          hasDefault(column) &&
          column.generated === undefined,
      )
      .map((column) => ({ attnum: column.attnum, expression: columnDefault(context, column) })),
    constraints: bindConstraints(context, table),
    onConflict,
    returning,
    rowColumns: row.columns,
    excludedColumns: excluded.columns,
  };
  return { plan, columns: (returning ?? []).map((item) => item.column) };
}

interface Target {
  readonly column: ColumnEntry;
  readonly position: number;
}

/** Columns named, or all of them when none are. */
function targetColumns(table: TableEntry, nodes: readonly Node[] | undefined): readonly Target[] {
  if (nodes === undefined) {
    return table.columns.filter((column) => !column.isDropped).map((column) => ({ column, position: 0 }));
  }
  const targets: Target[] = [];
  for (const node of nodes) {
    if (!("ResTarget" in node)) continue;
    const position = positionOf(node.ResTarget.location);
    if ((node.ResTarget.indirection ?? []).length > 0)
      throw notSupported("inserting into an array element or field", position);
    const column = targetColumn(table, node.ResTarget.name ?? "", position);
    if (targets.some((known) => known.column.attnum === column.attnum)) {
      throw new SqlError(SqlState.duplicateColumn, `column "${column.name}" specified more than once`, {
        position,
      });
    }
    targets.push({ column, position });
  }
  return targets;
}

function bindSource(
  context: BindContext,
  statement: InsertStmt,
  scope: Scope,
  table: TableEntry,
  targets: readonly Target[],
): Source {
  const node = statement.selectStmt;
  if (node === undefined) return { plan: { kind: "result" }, columns: [] };
  if (!("SelectStmt" in node)) throw notSupported("this source of INSERT");
  const select = node.SelectStmt;
  const isPlainValues =
    select.valuesLists !== undefined &&
    select.sortClause === undefined &&
    select.limitCount === undefined &&
    select.limitOffset === undefined &&
    select.withClause === undefined;
  return isPlainValues
    ? bindRows(context, statement, select, scope, table, targets)
    : bindSelectSource(context, statement, select, scope, targets);
}

function bindRows(
  context: BindContext,
  statement: InsertStmt,
  select: SelectStmt,
  scope: Scope,
  table: TableEntry,
  targets: readonly Target[],
): Source {
  const env: Env = { scope, clause: "values" };
  const lists = (select.valuesLists ?? []).map(listItems);
  const width = lists[0]?.length ?? 0;
  for (const list of lists) {
    if (list.length !== width) {
      throw new SqlError(SqlState.syntaxError, "VALUES lists must all be the same length", {
        position: expressionPosition(list[0]) || undefined,
      });
    }
  }
  const used = checkWidth(statement, targets, width, lists[0]);
  // A generated column may appear with DEFAULT in every row; it is then left to its expression.
  const kept = used.filter(
    ({ column }, i) => column.generated === undefined || !lists.every((list) => isDefault(list[i])),
  );
  const rows = lists.map((list) =>
    kept.map(({ column }) => {
      const node = list[used.findIndex((target) => target.column === column)] as Node;
      if (isDefault(node)) return columnDefault(context, column);
      const overridden = rejectAlways(statement, column);
      if (overridden) return columnDefault(context, column);
      return assign(context, context.expression(node, env), column);
    }),
  );
  const columns = kept.map(
    ({ column }): LogicalColumn =>
      context.newColumn(column.name, column.type, collationOf(context, column.type.oid)),
  );
  if (table.columns.length > 0 && columns.length === 0 && rows.length === 1)
    return { plan: { kind: "result" }, columns: [] };
  return { plan: { kind: "values", rows, columns }, columns: kept.map((target) => target.column) };
}

function isDefault(node: Node | undefined): boolean {
  return node !== undefined && "SetToDefault" in node;
}

/** The targets that get values; a list that was not written may be longer than the rows. */
function checkWidth(
  statement: InsertStmt,
  targets: readonly Target[],
  width: number,
  first: readonly Node[] | undefined,
): readonly Target[] {
  if (width > targets.length) {
    throw new SqlError(SqlState.syntaxError, "INSERT has more expressions than target columns", {
      position: expressionPosition(first?.[targets.length]) || undefined,
    });
  }
  if (width < targets.length && statement.cols !== undefined) {
    throw new SqlError(SqlState.syntaxError, "INSERT has more target columns than expressions", {
      position: targets[width]?.position || undefined,
    });
  }
  return targets.slice(0, width);
}

/** Whether OVERRIDING USER VALUE replaces the given value; 428C9 when the column takes none. */
function rejectAlways(statement: InsertStmt, column: ColumnEntry): boolean {
  if (column.generated !== undefined) {
    throw new SqlError(
      SqlState.generatedAlways,
      `cannot insert a non-DEFAULT value into column "${column.name}"`,
      {
        detail: `Column "${column.name}" is a generated column.`,
      },
    );
  }
  if (column.identity === "") return false;
  if (statement.override === "OVERRIDING_USER_VALUE") return true;
  if (column.identity === "a" && statement.override !== "OVERRIDING_SYSTEM_VALUE") {
    throw new SqlError(
      SqlState.generatedAlways,
      `cannot insert a non-DEFAULT value into column "${column.name}"`,
      {
        detail: `Column "${column.name}" is an identity column defined as GENERATED ALWAYS.`,
        hint: "Use OVERRIDING SYSTEM VALUE to override.",
      },
    );
  }
  return false;
}

function bindSelectSource(
  context: BindContext,
  statement: InsertStmt,
  select: SelectStmt,
  scope: Scope,
  targets: readonly Target[],
): Source {
  const query = context.query(select, scope, false);
  const first = select.targetList
    ?.map((node) => ("ResTarget" in node ? node.ResTarget.val : undefined))
    .filter((node) => node !== undefined);
  const used = checkWidth(statement, targets, query.columns.length, first);
  const items: ProjectItem[] = [];
  for (const [i, { column }] of used.entries()) {
    const source = query.columns[i] as LogicalColumn;
    const replaced = rejectAlways(statement, column);
    const value = replaced
      ? columnDefault(context, column)
      : assign(context, literalOr(context, query, source), column);
    items.push({
      column: context.newColumn(column.name, column.type, collationOf(context, column.type.oid)),
      expression: value,
    });
  }
  return {
    plan: { kind: "project", input: query.plan, items },
    columns: used.map((target) => target.column),
  };
}

/** A bare literal in the select list converts by its text, as PostgreSQL does; anything else by its column. */
function literalOr(context: BindContext, query: BoundQuery, column: LogicalColumn): BoundExpression {
  const item =
    query.plan.kind === "project"
      ? query.plan.items.find((candidate) => candidate.column.id === column.id)
      : undefined;
  const e = item?.expression;
  if (e !== undefined && (e.kind === "constant" || e.kind === "parameter")) return e;
  return { ...context.reference(column, column.name, 0), position: e?.position ?? 0 };
}
