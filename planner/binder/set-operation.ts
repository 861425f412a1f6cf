// UNION, INTERSECT, EXCEPT, and VALUES: queries whose output columns get their types from several rows or branches; and
// the ORDER BY and LIMIT that may follow them.
import { must } from "../../common/assert.ts";
import { SqlError, SqlState, notSupported } from "../../common/error.ts";
import { Oid } from "../../common/types/oid.ts";
import { expressionPosition, listItems, nodeKind, type Node, type SelectStmt } from "../../parser/tree.ts";
import type { BoundExpression, SortKey } from "../logical/expression.ts";
import type { LogicalColumn, LogicalPlan, ProjectItem } from "../logical/plan.ts";
import { coerceToCommon, commonModifier, commonType } from "./coerce.ts";
import type { BindContext, BoundQuery, Env } from "./context.ts";
import { bindLimit } from "./limit.ts";
import { integerLiteral } from "./literal.ts";
import { refuseLocking, refuseLockingValues } from "./locking.ts";
import { Scope } from "./scope.ts";
import { assertHashable, bindSortKey } from "./sort-key.ts";
import { collationOf } from "./types.ts";

export function bindSetOperation(context: BindContext, statement: SelectStmt, scope: Scope): BoundQuery {
  const word =
    statement.op === "SETOP_UNION" ? "UNION" : statement.op === "SETOP_INTERSECT" ? "INTERSECT" : "EXCEPT";
  refuseLocking(statement, "UNION/INTERSECT/EXCEPT");
  const left = bindBranch(context, statement.larg as SelectStmt, scope);
  const right = bindBranch(context, statement.rarg as SelectStmt, scope);
  const { leftPlan, rightPlan, columns } = unify(context, left, right, word, statement.rarg);
  const all = statement.all === true;
  if (!all)
    for (const [i, column] of columns.entries())
      assertHashable(context, { ...outputOf(context, left, i), type: column.type });
  let plan: LogicalPlan;
  if (word === "UNION") {
    plan = { kind: "append", inputs: [leftPlan, rightPlan], columns };
    if (!all) plan = { kind: "distinct", input: plan, on: undefined };
  } else {
    const operation = word === "INTERSECT" ? "intersect" : "except";
    plan = { kind: "set-operation", operation, all, left: leftPlan, right: rightPlan, columns };
  }
  return orderAndLimit(context, statement, scope, { plan, columns }, word);
}

function bindBranch(context: BindContext, statement: SelectStmt, scope: Scope): BoundQuery {
  const inner = new Scope(scope.parent);
  for (const [name, cte] of scope.ctes) inner.ctes.set(name, cte);
  return context.query(statement, inner, false);
}

/** Both branches with the same column types; output columns named after the left one. */
export function unify(
  context: BindContext,
  left: BoundQuery,
  right: BoundQuery,
  word: string,
  rightStatement: SelectStmt | undefined,
): {
  readonly leftPlan: LogicalPlan;
  readonly rightPlan: LogicalPlan;
  readonly columns: readonly LogicalColumn[];
} {
  if (left.columns.length !== right.columns.length) {
    const target = rightStatement?.targetList?.[0];
    const at = target !== undefined && "ResTarget" in target ? expressionPosition(target.ResTarget.val) : 0;
    throw new SqlError(SqlState.syntaxError, `each ${word} query must have the same number of columns`, {
      position: at || undefined,
    });
  }
  const types = left.columns.map((column, i) => {
    const sides = [outputOf(context, left, i), outputOf(context, right, i)];
    const oid = commonType(context, sides, word);
    return { name: column.name, oid, typmod: commonModifier(sides, oid) };
  });
  const oids = types.map((type) => type.oid);
  return {
    leftPlan: convertOutput(context, left, oids, word),
    rightPlan: convertOutput(context, right, oids, word),
    columns: types.map(({ name, oid, typmod }) =>
      context.newColumn(name, { oid, typmod }, collationOf(context, oid)),
    ),
  };
}

/** The expression behind an output column where the plan shows it, so that errors point at it. */
export function outputOf(context: BindContext, query: BoundQuery, i: number): BoundExpression {
  const column = must(query.columns[i], "a column of the branch");
  const item =
    query.plan.kind === "project"
      ? query.plan.items.find((candidate) => candidate.column.id === column.id)
      : undefined;
  return item?.expression ?? context.reference(column, column.name, 0);
}

/** The query with its columns converted: literals in place, other columns by a Project on top. */
export function convertOutput(
  context: BindContext,
  query: BoundQuery,
  oids: readonly number[],
  word: string,
): LogicalPlan {
  if (query.columns.every((column, i) => column.type.oid === oids[i])) return query.plan;
  const { plan } = query;
  if (plan.kind === "project" && plan.items.length === query.columns.length) {
    return {
      ...plan,
      items: plan.items.map((item, i): ProjectItem => {
        const oid = oids[i] as number;
        if (item.column.type.oid === oid) return item;
        const expression = coerceToCommon(context, item.expression, oid, word);
        return {
          column: { ...item.column, type: expression.type, collation: expression.collation },
          expression,
        };
      }),
    };
  }
  const items = query.columns.map((column, i): ProjectItem => {
    const expression = coerceToCommon(
      context,
      context.reference(column, column.name, 0),
      oids[i] as number,
      word,
    );
    return { column: context.outputColumn(column.name, expression), expression };
  });
  return { kind: "project", input: plan, items };
}

/** VALUES (..), (..): columns column1, column2, ... */
export function bindValues(context: BindContext, statement: SelectStmt, scope: Scope): BoundQuery {
  refuseLockingValues(statement);
  const env: Env = { scope, clause: "values" };
  const rows = (statement.valuesLists ?? []).map((list) =>
    listItems(list).map((item) => bindValue(context, item, env)),
  );
  const width = rows[0]?.length ?? 0;
  for (const [i, row] of rows.entries()) {
    if (row.length === width) continue;
    const first = listItems(statement.valuesLists?.[i])[0];
    throw new SqlError(SqlState.syntaxError, "VALUES lists must all be the same length", {
      position: expressionPosition(first) || undefined,
    });
  }
  const columns: LogicalColumn[] = [];
  for (let i = 0; i < width; i++) {
    const cells = rows.map((row) => row[i] as BoundExpression);
    const oid = commonType(context, cells, "VALUES");
    const typmod = commonModifier(cells, oid);
    for (const row of rows) row[i] = coerceToCommon(context, row[i] as BoundExpression, oid, "VALUES");
    columns.push(context.newColumn(`column${i + 1}`, { oid, typmod }, collationOf(context, oid)));
  }
  return orderAndLimit(
    context,
    statement,
    scope,
    { plan: { kind: "values", rows, columns }, columns },
    "VALUES",
  );
}

function bindValue(context: BindContext, node: Node, env: Env): BoundExpression {
  if ("SetToDefault" in node) {
    throw new SqlError(SqlState.syntaxError, "DEFAULT is not allowed in this context", {
      position: expressionPosition(node) || undefined,
    });
  }
  return context.expression(node, env);
}

/** ORDER BY here may only name output columns or positions. */
function orderAndLimit(
  context: BindContext,
  statement: SelectStmt,
  scope: Scope,
  query: BoundQuery,
  word: string,
): BoundQuery {
  const keys = (statement.sortClause ?? []).map(
    (node): SortKey => bindSortKey(context, node, (e) => outputColumn(context, e, query, word)),
  );
  let { plan } = query;
  if (keys.length > 0) plan = { kind: "sort", input: plan, keys };
  return { plan: bindLimit(context, statement, scope, plan, keys), columns: query.columns };
}

function outputColumn(context: BindContext, node: Node, query: BoundQuery, word: string): BoundExpression {
  const position = expressionPosition(node);
  const at = { position: position || undefined };
  const ordinal = integerLiteral(node);
  if (ordinal !== undefined) {
    const column = query.columns[ordinal - 1];
    if (column === undefined) {
      throw new SqlError(
        SqlState.invalidColumnReference,
        `ORDER BY position ${ordinal} is not in select list`,
        at,
      );
    }
    return context.reference(column, column.name, position);
  }
  if ("ColumnRef" in node) {
    const names = (node.ColumnRef.fields ?? []).flatMap((field) =>
      "String" in field ? [field.String.sval ?? ""] : [],
    );
    const matches = query.columns.filter((column) => names.length === 1 && column.name === names[0]);
    const first = matches[0];
    if (first !== undefined) {
      if (matches.length > 1)
        throw new SqlError(SqlState.ambiguousColumn, `ORDER BY "${first.name}" is ambiguous`, at);
      return context.reference(first, first.name, position);
    }
    if (word === "VALUES" || names.length === 1) {
      throw new SqlError(SqlState.undefinedColumn, `column "${names.join(".")}" does not exist`, at);
    }
  }
  if (word === "VALUES") throw notSupported(`ORDER BY ${nodeKind(node)} over VALUES`, position);
  throw new SqlError(SqlState.featureNotSupported, "invalid UNION/INTERSECT/EXCEPT ORDER BY clause", {
    ...at,
    detail: "Only result column names can be used, not expressions or functions.",
    hint: "Add the expression/function to every SELECT, or move the UNION into a FROM clause.",
  });
}

/** A column of unknown type (a bare literal in a branch) becomes text at the top of a query. */
export function resolveUnknownOutput(context: BindContext, query: BoundQuery): BoundQuery {
  if (query.columns.every((column) => column.type.oid !== Oid.unknown)) return query;
  const plan = convertOutput(
    context,
    query,
    query.columns.map((column) => (column.type.oid === Oid.unknown ? Oid.text : column.type.oid)),
    "SELECT",
  );
  if (plan.kind !== "project") return query;
  return { plan, columns: plan.items.map((item) => item.column) };
}
