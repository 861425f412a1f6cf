// Direction and null order of an ORDER BY item, and the check that its type can be ordered at all.
import { SqlError, SqlState } from "../../common/error.ts";
import { positionOf, stringsOf, type Node } from "../../parser/tree.ts";
import type { BoundExpression, SortKey } from "../logical/expression.ts";
import type { BindContext } from "./context.ts";
import { resolveOperator } from "./operator.ts";
import { typeName } from "./types.ts";

/** Binds one SortBy node; `bind` turns its expression into a bound one (output names and positions included). */
export function bindSortKey(context: BindContext, node: Node, bind: (e: Node) => BoundExpression): SortKey {
  if (!("SortBy" in node)) throw new SqlError(SqlState.syntaxError, "ORDER BY item expected");
  const sort = node.SortBy;
  const expression = bind(sort.node as Node);
  assertOrderable(context, expression);
  const descending = isDescending(stringsOf(sort.useOp).at(-1), sort.sortby_dir, positionOf(sort.location));
  // NULLs sort as larger than everything: last ascending, first descending.
  const nullsFirst =
    sort.sortby_nulls === "SORTBY_NULLS_FIRST" || (sort.sortby_nulls !== "SORTBY_NULLS_LAST" && descending);
  return { expression, descending, nullsFirst };
}

function isDescending(
  operator: string | undefined,
  direction: string | undefined,
  position: number,
): boolean {
  if (direction !== "SORTBY_USING") return direction === "SORTBY_DESC";
  if (operator === "<") return false;
  if (operator === ">") return true;
  throw new SqlError(
    SqlState.wrongObjectType,
    `operator ${operator ?? ""} is not a valid ordering operator`,
    {
      hint: 'Ordering operators must be "<" or ">" members of btree operator families.',
      position: position || undefined,
    },
  );
}

/** 42883 for json and other types without a btree order. */
export function assertOrderable(context: BindContext, e: BoundExpression): void {
  assertHasOperator(context, e, "<", "an ordering", "Use an explicit ordering operator or modify the query.");
}

/** 42883 for types without equality, as DISTINCT, GROUP BY and UNION need it. */
export function assertHashable(context: BindContext, e: BoundExpression): void {
  assertHasOperator(context, e, "=", "an equality", undefined);
}

function assertHasOperator(
  context: BindContext,
  e: BoundExpression,
  operator: string,
  what: string,
  hint: string | undefined,
): void {
  if (e.kind === "row") {
    for (const field of e.fields) assertHasOperator(context, field, operator, what, hint);
    return;
  }
  try {
    resolveOperator(
      context,
      { schema: "pg_catalog", name: operator, position: e.position },
      e.type.oid,
      e.type.oid,
    );
  } catch (error) {
    if (!(error instanceof SqlError)) throw error;
    throw new SqlError(
      SqlState.undefinedFunction,
      `could not identify ${what} operator for type ${typeName(context, e.type.oid)}`,
      { hint, position: e.position || undefined },
    );
  }
}
