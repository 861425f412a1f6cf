// Function calls as written: plain functions, aggregates, set-returning functions, hybrid_rrf, and type names used as functions.
import { SqlError, SqlState, notSupported } from "../../common/error.ts";
import { Oid } from "../../common/types/oid.ts";
import { positionOf, stringsOf, type FuncCall, type Node } from "../../parser/tree.ts";
import type { AggregateCall, BoundExpression, SortKey } from "../logical/expression.ts";
import { columnsIn } from "../logical/map.ts";
import type { LogicalColumn } from "../logical/plan.ts";
import { sameExpression, someExpression } from "../logical/walk.ts";
import { coerce, coerceOrThrow, coerceToBoolean } from "./coerce.ts";
import type { BindContext, Clause, Env } from "./context.ts";
import { bindHybrid } from "./hybrid.ts";
import {
  functionColumns,
  resolveFunction,
  type Argument,
  type DefaultBinder,
  type FunctionName,
  type ResolvedCall,
} from "./overload.ts";
import type { Scope } from "./scope.ts";
import { bindSortKey } from "./sort-key.ts";
import { TEXT, collationOf } from "./types.ts";

/** How error texts name a clause that may hold neither aggregates nor set-returning functions. */
const CLAUSE_NAMES: Readonly<Partial<Record<Clause, string>>> = {
  where: "WHERE",
  filter: "FILTER",
  "group-by": "GROUP BY",
  "join-on": "JOIN conditions",
  "from-function": "functions in FROM",
  limit: "LIMIT",
  offset: "OFFSET",
  values: "VALUES",
  update: "UPDATE",
  returning: "RETURNING",
  default: "DEFAULT expressions",
  check: "check constraints",
  generated: "column generation expressions",
  transform: "transform expressions",
  "index-expression": "index expressions",
  "index-predicate": "index predicates",
  conflict: "WHERE",
};

/** Clauses whose set-returning calls a ProjectSet can run. */
const SET_CLAUSES: ReadonlySet<Clause> = new Set(["select", "order-by", "distinct-on", "group-by", "insert"]);

/** Binds a call of any sort to an expression over the query's columns. */
export function bindCall(context: BindContext, node: FuncCall, env: Env): BoundExpression {
  const position = positionOf(node.location);
  const name = functionName(context, node, position);
  if (node.over !== undefined) throw notSupported("window functions", position);
  if (node.agg_within_group === true) throw notSupported("ordered-set aggregates (WITHIN GROUP)", position);
  if (name.name === "hybrid_rrf") return bindHybrid(context, bindArguments(context, node, env), position);
  const resolved = resolveCall(context, node, env);
  if ("kind" in resolved) return resolved;
  if (resolved.entry.kind === "a") return bindAggregate(context, node, env, resolved, position);
  rejectAggregateSyntax(node, name, position);
  if (resolved.entry.kind === "w") {
    throw new SqlError(SqlState.wrongObjectType, `window function ${name.name} requires an OVER clause`, {
      position,
    });
  }
  const call = plainCall(context, resolved, position);
  if (!resolved.entry.returnsSet || env.clause === "from-function") return call;
  const column = extractSetCall(context, call, name, env);
  const fields = functionColumns(context, resolved) ?? [];
  if (resolved.resultType.oid === Oid.record && fields.length > 0) {
    context.setFields(
      column,
      fields.map((field) => ({ name: field.name, type: { oid: field.type, typmod: -1 } })),
    );
  }
  return context.reference(column, name.name, position);
}

/** The call resolved, or the cast that a type's name used as a function means. */
export function resolveCall(context: BindContext, node: FuncCall, env: Env): ResolvedCall | BoundExpression {
  const position = positionOf(node.location);
  const name = functionName(context, node, position);
  const args = bindArguments(context, node, env);
  const resolved = resolveFunction(context, name, args, node.func_variadic === true, defaultBinder(context));
  if (resolved !== undefined) {
    if (resolved.entry.volatility === "v") noteWrites(context, resolved);
    return resolved;
  }
  const type = context.catalog.typeByName(name.schema, name.name, context.searchPath);
  const only = args[0];
  if (type === undefined || only === undefined) throw notSupported(`function ${name.name}`, position);
  return coerceOrThrow(context, only.value, { oid: type.oid, typmod: -1 }, "explicit", position);
}

/** Functions that write make a statement one that a read-only transaction refuses. */
const WRITING: ReadonlySet<string> = new Set(["nextval_oid", "setval_oid", "setval3_oid"]);

function noteWrites(context: BindContext, resolved: ResolvedCall): void {
  if (WRITING.has(resolved.entry.source)) context.isReadOnly = false;
}

export function plainCall(context: BindContext, resolved: ResolvedCall, position: number): BoundExpression {
  const { entry, args, resultType } = resolved;
  const own = collationOf(context, resultType.oid);
  const inherited = args.find((arg) => arg.collation !== 0)?.collation;
  return {
    kind: "call",
    function: entry,
    args,
    operator: undefined,
    cast: undefined,
    type: resultType,
    collation: own === 0 ? 0 : (inherited ?? own),
    position,
  };
}

function functionName(context: BindContext, node: FuncCall, position: number): FunctionName {
  const names = stringsOf(node.funcname);
  const schema = names.length > 1 ? names.at(-2) : undefined;
  if (schema !== undefined && context.catalog.schemaByName(schema) === undefined) {
    throw new SqlError(SqlState.invalidSchemaName, `schema "${schema}" does not exist`, {
      position: position || undefined,
    });
  }
  return { schema, name: names.at(-1) ?? "", position };
}

function bindArguments(context: BindContext, node: FuncCall, env: Env): readonly Argument[] {
  return (node.args ?? []).map((arg): Argument => {
    if (!("NamedArgExpr" in arg)) return { value: context.expression(arg, env), name: undefined };
    return { value: context.expression(arg.NamedArgExpr.arg as Node, env), name: arg.NamedArgExpr.name };
  });
}

/** Defaults of built-in functions are constants with casts; their text parses without any name in sight. */
export function defaultBinder(context: BindContext): DefaultBinder {
  return (text, type) => {
    const match = /^'((?:[^']|'')*)'(?:::.*)?$/.exec(text);
    const literal = match === null ? bareDefault(text) : (match[1] ?? "").replaceAll("''", "'");
    const constant = context.constant(literal, Oid.unknown);
    return coerce(context, constant, { oid: type, typmod: -1 }, "implicit") ?? constant;
  };
}

function bareDefault(text: string): string | null {
  return /^NULL(::.*)?$/i.test(text) ? null : text.replace(/::.*$/, "");
}

function rejectAggregateSyntax(node: FuncCall, name: FunctionName, position: number): void {
  const what =
    node.agg_star === true
      ? `${name.name}(*) specified, but ${name.name} is not an aggregate function`
      : node.agg_distinct === true
        ? `DISTINCT specified, but ${name.name} is not an aggregate function`
        : (node.agg_order ?? []).length > 0
          ? `ORDER BY specified, but ${name.name} is not an aggregate function`
          : node.agg_filter !== undefined
            ? `FILTER specified, but ${name.name} is not an aggregate function`
            : undefined;
  if (what !== undefined) throw new SqlError(SqlState.wrongObjectType, what, { position });
}

function bindAggregate(
  context: BindContext,
  node: FuncCall,
  env: Env,
  resolved: ResolvedCall,
  position: number,
): BoundExpression {
  const clause = CLAUSE_NAMES[env.clause];
  if (resolved.args.length === 0 && node.agg_star !== true) {
    throw new SqlError(
      SqlState.wrongObjectType,
      `${resolved.entry.name}(*) must be used to call a parameterless aggregate function`,
      { position },
    );
  }
  const args = resolved.args.map((arg) =>
    arg.type.oid === Oid.unknown ? (coerce(context, arg, TEXT, "implicit") ?? arg) : arg,
  );
  const orderBy = (node.agg_order ?? []).map(
    (item): SortKey =>
      bindSortKey(context, item, (e) => {
        const bound = context.expression(e, env);
        return bound.type.oid === Oid.unknown ? (coerce(context, bound, TEXT, "implicit") ?? bound) : bound;
      }),
  );
  const filter =
    node.agg_filter === undefined
      ? undefined
      : coerceToBoolean(
          context,
          context.expression(node.agg_filter, { scope: env.scope, clause: "filter" }),
          "FILTER",
        );
  const inner = [...args, ...orderBy.map((key) => key.expression), ...(filter === undefined ? [] : [filter])];
  const owner = owningScope(env.scope, inner);
  if (clause !== undefined && owner === env.scope) {
    throw new SqlError(SqlState.groupingError, `aggregate functions are not allowed in ${clause}`, {
      position,
    });
  }
  const nested = new Set(owner.state.aggregates.map((aggregate) => aggregate.column.id));
  for (const e of inner) {
    someExpression(e, (part) => {
      if (part.kind !== "column" || !nested.has(part.index)) return false;
      throw new SqlError(SqlState.groupingError, "aggregate function calls cannot be nested", {
        position: part.position,
      });
    });
  }
  const isDistinct = node.agg_distinct === true;
  if (isDistinct && orderBy.some((key) => !args.some((arg) => sameExpression(arg, key.expression)))) {
    throw new SqlError(
      SqlState.invalidColumnReference,
      "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list",
      { position: orderBy[0]?.expression.position },
    );
  }
  const call: AggregateCall = {
    function: resolved.entry,
    args,
    isDistinct,
    filter,
    orderBy,
    type: resolved.resultType,
    collation:
      args.find((arg) => arg.collation !== 0)?.collation ?? collationOf(context, resolved.resultType.oid),
  };
  const known = owner.state.aggregates.find((aggregate) => sameExpression(aggregate.call, call));
  if (known !== undefined) return context.reference(known.column, resolved.entry.name, position);
  const column = context.newColumn(resolved.entry.name, call.type, call.collation);
  owner.state.aggregates.push({ column, call });
  return context.reference(column, resolved.entry.name, position);
}

/** An aggregate belongs to the innermost query whose columns it reads; without any, to the one it stands in. */
function owningScope(scope: Scope, args: readonly BoundExpression[]): Scope {
  const ids = new Set<number>();
  for (const arg of args) columnsIn(arg, ids);
  if (ids.size === 0) return scope;
  for (let level: Scope | undefined = scope; level !== undefined; level = level.parent) {
    const own = level.ownIds();
    const made = new Set(level.state.aggregates.map((aggregate) => aggregate.column.id));
    if ([...ids].some((id) => own.has(id) || made.has(id))) return level;
  }
  return scope;
}

function extractSetCall(
  context: BindContext,
  call: BoundExpression,
  name: FunctionName,
  env: Env,
): LogicalColumn {
  const at = { position: call.position || undefined };
  if (!SET_CLAUSES.has(env.clause)) {
    const clause = CLAUSE_NAMES[env.clause] ?? env.clause.toUpperCase();
    throw new SqlError(
      SqlState.featureNotSupported,
      `set-returning functions are not allowed in ${clause}`,
      at,
    );
  }
  const { setCalls } = env.scope.state;
  const made = new Set(setCalls.map((item) => item.column.id));
  if ([...columnsIn(call)].some((id) => made.has(id)))
    throw notSupported("nesting set-returning functions", call.position);
  const column = context.newColumn(name.name, call.type, call.collation);
  setCalls.push({ column, expression: call });
  return column;
}
