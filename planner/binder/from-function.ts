// Functions in FROM: f(..), ROWS FROM (f(..), g(..)), unnest(a, b), WITH ORDINALITY, and the columns they have.
import { SqlError, SqlState, notSupported } from "../../common/error.ts";
import { Oid } from "../../common/types/oid.ts";
import {
  listItems,
  positionOf,
  stringsOf,
  type FuncCall,
  type Node,
  type RangeFunction,
} from "../../parser/tree.ts";
import type { BoundExpression } from "../logical/expression.ts";
import type { LogicalColumn } from "../logical/plan.ts";
import { plainCall, resolveCall } from "./call.ts";
import { columnName } from "./column-name.ts";
import { fieldsOf } from "./composite.ts";
import type { BindContext, Env } from "./context.ts";
import { functionColumns } from "./overload.ts";
import { fromItem, makeItem, type FromItem } from "./relation.ts";
import type { Scope } from "./scope.ts";
import { INT8, collationOf } from "./types.ts";

interface BoundFunction {
  readonly call: BoundExpression;
  readonly columns: readonly { readonly name: string; readonly type: number }[];
  /** One unnamed value: a table alias then names the column too. */
  readonly isScalar: boolean;
}

export function bindRangeFunction(context: BindContext, node: RangeFunction, scope: Scope): FromItem {
  const env: Env = { scope, clause: "from-function" };
  if ((node.coldeflist ?? []).length > 0) throw notSupported("a column definition list (AS t(a int, ...))");
  const calls = (node.functions ?? []).flatMap((item) => expandUnnest(listItems(item)[0]));
  const functions = calls.map((call) => bindFunction(context, call, env));
  const first = functions[0];
  if (first === undefined) throw notSupported("an empty ROWS FROM");
  const isScalar = functions.length === 1 && first.isScalar;
  const alias = node.alias?.aliasname ?? columnName(calls[0]);
  const columns: LogicalColumn[] = functions.flatMap((f) =>
    f.columns.map((column) =>
      context.newColumn(
        isScalar && node.alias !== undefined ? alias : column.name,
        { oid: column.type, typmod: -1 },
        collationOf(context, column.type),
      ),
    ),
  );
  const withOrdinality = node.ordinality === true;
  if (withOrdinality) columns.push(context.newColumn("ordinality", INT8, 0));
  const item = makeItem(context, alias, columns, node.alias, undefined);
  return fromItem(
    {
      kind: "function-scan",
      alias,
      functions: functions.map((f) => ({ call: f.call, columnCount: f.columns.length })),
      withOrdinality,
      columns,
    },
    { ...item, isScalarFunction: isScalar && !withOrdinality, fromKind: "a function" },
  );
}

/** unnest(a, b) with several arguments means ROWS FROM (unnest(a), unnest(b)). */
function expandUnnest(node: Node | undefined): readonly Node[] {
  if (node === undefined) return [];
  if (!("FuncCall" in node) || stringsOf(node.FuncCall.funcname).at(-1) !== "unnest") return [node];
  const args = node.FuncCall.args ?? [];
  if (args.length < 2) return [node];
  return args.map((arg): Node => ({ FuncCall: { ...node.FuncCall, args: [arg] } }));
}

function bindFunction(context: BindContext, node: Node, env: Env): BoundFunction {
  if (!("FuncCall" in node)) {
    const call = context.expression(node, env);
    return { call, columns: [{ name: columnName(node), type: call.type.oid }], isScalar: true };
  }
  return bindNamedFunction(context, node.FuncCall, env);
}

function bindNamedFunction(context: BindContext, node: FuncCall, env: Env): BoundFunction {
  const position = positionOf(node.location);
  const name = stringsOf(node.funcname).at(-1) ?? "";
  const resolved = resolveCall(context, node, env);
  if ("kind" in resolved)
    return { call: resolved, columns: [{ name, type: resolved.type.oid }], isScalar: true };
  if (resolved.entry.kind === "a") {
    throw new SqlError(SqlState.groupingError, "aggregate functions are not allowed in functions in FROM", {
      position,
    });
  }
  if (resolved.entry.kind === "w") throw notSupported("window functions", position);
  const call = plainCall(context, resolved, position);
  const declared = functionColumns(context, resolved);
  if (declared !== undefined) {
    // One OUT column is a plain value under its own name.
    return {
      call,
      columns: declared,
      isScalar: declared.length === 1 && resolved.resultType.oid !== Oid.record,
    };
  }
  const fields =
    context.typeByOid(resolved.resultType.oid)?.kind === "c" ? fieldsOf(context, call) : undefined;
  if (fields !== undefined) {
    return {
      call,
      columns: fields.map((field) => ({ name: field.name, type: field.type.oid })),
      isScalar: false,
    };
  }
  if (resolved.resultType.oid === Oid.record) {
    throw new SqlError(
      SqlState.syntaxError,
      'a column definition list is required for functions returning "record"',
      { position },
    );
  }
  return { call, columns: [{ name, type: resolved.resultType.oid }], isScalar: true };
}
