// WITH: each query bound once; references read its kept result. The optimizer's InlineCtes later merges those read once.
import { SqlError, SqlState, notSupported } from "../../common/error.ts";
import { Oid } from "../../common/types/oid.ts";
import {
  positionOf,
  stringsOf,
  type CommonTableExpr,
  type Node,
  type SelectStmt,
  type WithClause,
} from "../../parser/tree.ts";
import type { LogicalColumn, LogicalCte, LogicalPlan } from "../logical/plan.ts";
import { isTrueArray, typeName } from "./types.ts";
import type { BindContext, BoundQuery } from "./context.ts";
import { Scope } from "./scope.ts";
import { convertOutput, outputOf, resolveUnknownOutput } from "./set-operation.ts";

/** Binds the clause into `scope` (its queries see the ones before them) and returns what a With node has to run. */
export function bindWith(context: BindContext, clause: WithClause, scope: Scope): readonly LogicalCte[] {
  const bound: LogicalCte[] = [];
  for (const node of clause.ctes ?? []) {
    if (!("CommonTableExpr" in node)) continue;
    const cte = node.CommonTableExpr;
    const name = cte.ctename ?? "";
    if (scope.ctes.has(name)) {
      throw new SqlError(SqlState.duplicateAlias, `WITH query name "${name}" specified more than once`, {
        position: positionOf(cte.location) || undefined,
      });
    }
    if (cte.search_clause !== undefined) throw notSupported("SEARCH in WITH RECURSIVE");
    if (cte.cycle_clause !== undefined) throw notSupported("CYCLE in WITH RECURSIVE");
    bound.push(bindCte(context, cte, scope, clause.recursive === true));
  }
  return bound;
}

function bindCte(context: BindContext, cte: CommonTableExpr, scope: Scope, isRecursive: boolean): LogicalCte {
  const name = cte.ctename ?? "";
  const id = context.newId();
  const inner = new Scope(scope.parent);
  for (const [key, value] of scope.ctes) inner.ctes.set(key, value);
  const node = cte.ctequery as Node;
  const isSelect = "SelectStmt" in node;
  const recursive = isRecursive && isSelect && mentions(node, name);
  const query = recursive
    ? bindRecursive(context, cte, node.SelectStmt, inner)
    : isSelect
      ? context.query(node.SelectStmt, inner)
      : context.modification(node, inner);
  const columns = renamed(cte, query.columns);
  register(context, scope, name, id, columns, !isSelect && query.columns.length === 0);
  return {
    id,
    name,
    plan: query.plan,
    modifies: !isSelect,
    isMaterialized: cte.ctematerialized === "CTEMaterializeAlways" || recursive,
  };
}

function renamed(cte: CommonTableExpr, columns: readonly LogicalColumn[]): readonly LogicalColumn[] {
  const names = stringsOf(cte.aliascolnames);
  if (names.length > columns.length) {
    throw new SqlError(
      SqlState.invalidColumnReference,
      `WITH query "${cte.ctename ?? ""}" has ${columns.length} columns available but ${names.length} columns specified`,
      { position: positionOf(cte.location) || undefined },
    );
  }
  return columns.map((column, i) => ({ ...column, name: names[i] ?? column.name }));
}

function register(
  context: BindContext,
  scope: Scope,
  name: string,
  id: number,
  columns: readonly LogicalColumn[],
  hasNoResult: boolean,
): void {
  scope.ctes.set(name, {
    name,
    reference: (alias) => {
      if (hasNoResult) {
        throw new SqlError(
          SqlState.featureNotSupported,
          `WITH query "${name}" does not have a RETURNING clause`,
        );
      }
      // A fresh set of ids for every reference: the same CTE may stand twice in one FROM.
      const own = columns.map((column): LogicalColumn => ({ ...column, id: context.newId() }));
      for (const column of own) context.setOrigin(column);
      const plan: LogicalPlan = { kind: "cte-scan", cteId: id, name, alias, columns: own };
      return { plan, columns: own };
    },
  });
}

/** initial UNION [ALL] recursive: the second part reads what the last round made under the CTE's own name. */
function bindRecursive(
  context: BindContext,
  cte: CommonTableExpr,
  statement: SelectStmt,
  scope: Scope,
): BoundQuery {
  const name = cte.ctename ?? "";
  const position = positionOf(cte.location) || undefined;
  if (
    statement.op !== "SETOP_UNION" ||
    statement.larg === undefined ||
    statement.rarg === undefined ||
    mentions({ SelectStmt: statement.larg }, name)
  ) {
    throw new SqlError(
      SqlState.invalidRecursion,
      `recursive query "${name}" does not have the form non-recursive-term UNION [ALL] recursive-term`,
      { position },
    );
  }
  if (statement.sortClause !== undefined) throw notSupported("ORDER BY in a recursive query");
  if (statement.limitCount !== undefined || statement.limitOffset !== undefined)
    throw notSupported("LIMIT in a recursive query");
  if (statement.withClause !== undefined) throw notSupported("WITH inside a recursive query");
  const initial = resolveUnknownOutput(context, context.query(statement.larg, scope, false));
  const workingId = context.newId();
  const inner = new Scope(scope.parent);
  for (const [key, value] of scope.ctes) inner.ctes.set(key, value);
  register(context, inner, name, workingId, renamed(cte, initial.columns), false);
  const recursive = context.query(statement.rarg, inner, false);
  if (recursive.columns.length !== initial.columns.length) {
    throw new SqlError(SqlState.syntaxError, "each UNION query must have the same number of columns", {
      position,
    });
  }
  for (const [i, column] of initial.columns.entries()) {
    const other = recursive.columns[i] as LogicalColumn;
    if (other.type.oid === column.type.oid || other.type.oid === Oid.unknown) continue;
    const type = context.typeByOid(column.type.oid);
    if (type !== undefined && isTrueArray(type)) continue;
    throw new SqlError(
      SqlState.datatypeMismatch,
      `recursive query "${name}" column ${i + 1} has type ${typeName(context, column.type.oid)} in non-recursive term but type ${typeName(context, other.type.oid)} overall`,
      {
        hint: "Cast the output of the non-recursive term to the correct type.",
        position: outputOf(context, initial, i).position || undefined,
      },
    );
  }
  const columns = initial.columns.map((column) =>
    context.newColumn(column.name, column.type, column.collation),
  );
  const plan: LogicalPlan = {
    kind: "recursive-union",
    cteId: workingId,
    all: statement.all === true,
    initial: initial.plan,
    recursive: convertOutput(
      context,
      recursive,
      initial.columns.map((column) => column.type.oid),
      "UNION",
    ),
    columns,
  };
  return { plan, columns };
}

/** Whether a tree has the name as a table without a schema. Good enough to tell a recursive query from a plain one. */
function mentions(value: unknown, name: string): boolean {
  if (Array.isArray(value)) return value.some((item) => mentions(item, name));
  if (typeof value !== "object" || value === null) return false;
  const object = value as Record<string, unknown>;
  for (const key in object) {
    const field = object[key];
    if (key === "RangeVar") {
      const range = field as { readonly relname?: string; readonly schemaname?: string };
      if (range.relname === name && range.schemaname === undefined) return true;
    } else if (mentions(field, name)) return true;
  }
  return false;
}
