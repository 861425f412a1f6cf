// Sub-selects in expressions: EXISTS, scalar, x IN (SELECT ..), x op ANY/ALL (SELECT ..), ARRAY(SELECT ..).
import { SqlError, SqlState, notSupported } from "../../common/error.ts";
import { Oid } from "../../common/types/oid.ts";
import { positionOf, stringsOf, type Node, type SelectStmt, type SubLink } from "../../parser/tree.ts";
import type { BoundExpression, CallExpression, SubqueryExpression } from "../logical/expression.ts";
import { isVolatilePlan } from "../logical/map.ts";
import type { BindContext, BoundQuery, Clause, Env } from "./context.ts";
import { bindOperator, resolveOperator, type OperatorName } from "./operator.ts";
import { BOOL, arrayTypeOf, collationOf, typeName } from "./types.ts";

/** Expressions the catalogue keeps hold no sub-selects; how PostgreSQL names them. */
const STORED_CLAUSES: Readonly<Partial<Record<Clause, string>>> = {
  check: "check constraint",
  default: "DEFAULT expression",
  generated: "column generation expression",
  transform: "transform expression",
  "index-expression": "index expression",
  "index-predicate": "index predicate",
};

export function bindSubLink(context: BindContext, node: SubLink, env: Env): BoundExpression {
  const position = positionOf(node.location);
  const stored = STORED_CLAUSES[env.clause];
  if (stored !== undefined)
    throw new SqlError(SqlState.featureNotSupported, `cannot use subquery in ${stored}`, { position });
  if (node.subselect === undefined || !("SelectStmt" in node.subselect))
    throw notSupported("this sub-select", position);
  const query = context.query(node.subselect.SelectStmt, env.scope);
  const base = {
    kind: "subquery",
    logical: query.plan,
    plan: undefined,
    testArgs: [],
    test: undefined,
    isHashable: false,
    bindings: [],
    position,
  } as const;
  switch (node.subLinkType) {
    case "EXISTS_SUBLINK":
      return { ...base, subqueryKind: "exists", type: BOOL, collation: 0 };
    case "EXPR_SUBLINK": {
      const column = onlyColumn(query, position);
      return { ...base, subqueryKind: "scalar", type: column.type, collation: column.collation };
    }
    case "ARRAY_SUBLINK": {
      const column = onlyColumn(query, position);
      const oid = arrayTypeOf(context, column.type.oid);
      if (oid === 0) {
        throw new SqlError(
          SqlState.undefinedObject,
          `could not find array type for data type ${typeName(context, column.type.oid)}`,
          { position },
        );
      }
      return {
        ...base,
        subqueryKind: "array",
        type: { oid, typmod: -1 },
        collation: collationOf(context, oid),
      };
    }
    case "ANY_SUBLINK":
    case "ALL_SUBLINK":
      return quantified(context, node, env, query, position);
    default:
      throw notSupported(String(node.subLinkType), position);
  }
}

/**
 * `(SELECT a, b)` where a row is wanted: one expression for each column, NULLs when there is no row. Each is a sub-select of its
 * own, bound apart, so what runs more than once must not be volatile (0A000). `check` is told the number of columns first.
 */
export function bindRowSubLink(
  context: BindContext,
  node: SubLink,
  env: Env,
  check: (columnCount: number) => void,
): readonly BoundExpression[] {
  const position = positionOf(node.location);
  const select = selectOf(node.subselect);
  if (node.subLinkType !== "EXPR_SUBLINK" || select === undefined)
    throw notSupported("this sub-select as a row", position);
  const first = context.query(select, env.scope);
  check(first.columns.length);
  if (first.columns.length > 1 && isVolatilePlan(first.plan))
    throw notSupported("a volatile function in a sub-select of several columns", position);
  return first.columns.map((_, i) => {
    const query = i === 0 ? first : context.query(select, env.scope);
    const column = query.columns[i] as BoundQuery["columns"][number];
    const expression = context.reference(column, column.name, position);
    const item = { column: context.outputColumn(column.name, expression), expression };
    return {
      kind: "subquery",
      subqueryKind: "scalar",
      logical: { kind: "project", input: query.plan, items: [item] },
      plan: undefined,
      testArgs: [],
      test: undefined,
      isHashable: false,
      bindings: [],
      type: column.type,
      collation: column.collation,
      position,
    };
  });
}

function onlyColumn(query: BoundQuery, position: number): BoundQuery["columns"][number] {
  const column = query.columns[0];
  if (query.columns.length !== 1 || column === undefined) {
    throw new SqlError(SqlState.syntaxError, "subquery must return only one column", { position });
  }
  return column;
}

function quantified(
  context: BindContext,
  node: SubLink,
  env: Env,
  query: BoundQuery,
  position: number,
): SubqueryExpression {
  const names = stringsOf(node.operName);
  const name: OperatorName = {
    schema: names.length > 1 ? names.at(-2) : undefined,
    name: names.at(-1) ?? "=",
    position,
  };
  const test = node.testexpr as Node;
  const isRow = "RowExpr" in test;
  const lefts = (isRow ? (test.RowExpr.args ?? []) : [test]).map((arg) => context.expression(arg, env));
  if (lefts.length < query.columns.length) {
    throw new SqlError(SqlState.syntaxError, "subquery has too many columns", { position });
  }
  if (lefts.length > query.columns.length) {
    throw new SqlError(SqlState.syntaxError, "subquery has too few columns", { position });
  }
  if (lefts.length > 1 && name.name !== "=" && name.name !== "<>") {
    throw notSupported(`row comparison ${name.name} with a sub-select`, position);
  }
  const testArgs: BoundExpression[] = [];
  const tests = lefts.map((left, i) => {
    const column = query.columns[i] as BoundQuery["columns"][number];
    const slot = context.reference({ ...column, id: i }, column.name, position);
    const call = bindOperator(context, name, left, slot);
    if (call.type.oid !== Oid.bool) {
      throw new SqlError(
        SqlState.datatypeMismatch,
        `operator ${name.name} must return type boolean, not type ${typeName(context, call.type.oid)}`,
        { position },
      );
    }
    const value = call.args[0] as BoundExpression;
    testArgs.push(value);
    const argument = context.reference(
      {
        id: lefts.length + i,
        name: "",
        type: value.type,
        collation: value.collation,
        tableOid: 0,
        attnum: 0,
      },
      "",
      position,
    );
    return { ...call, args: [argument, call.args[1] as BoundExpression] };
  });
  const isAny = node.subLinkType === "ANY_SUBLINK";
  const combined: BoundExpression =
    tests.length === 1
      ? (tests[0] as CallExpression)
      : { kind: name.name === "<>" ? "or" : "and", args: tests, type: BOOL, collation: 0, position };
  const isHashable =
    isAny &&
    name.name === "=" &&
    lefts.every((left, i) => {
      const column = query.columns[i] as BoundQuery["columns"][number];
      return resolveOperator(context, name, left.type.oid, column.type.oid).canHash;
    });
  return {
    kind: "subquery",
    subqueryKind: isAny ? "any" : "all",
    logical: query.plan,
    plan: undefined,
    testArgs,
    test: combined,
    isHashable,
    bindings: [],
    type: BOOL,
    collation: 0,
    position,
  };
}

/** The select statement inside a node, where there is one. */
export function selectOf(node: Node | undefined): SelectStmt | undefined {
  return node !== undefined && "SelectStmt" in node ? node.SelectStmt : undefined;
}
