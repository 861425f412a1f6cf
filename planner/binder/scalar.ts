// Stored expression texts (DEFAULT, CHECK, generated columns) -> bound expressions over a table's row, where column
// attnum stands at position attnum - 1.
import { must } from "../../common/assert.ts";
import type { SqlType } from "../../common/types/type.ts";
import { parse } from "../../parser/parse.ts";
import type { CatalogSnapshot } from "../../catalog/catalog.ts";
import type { ColumnEntry, TableEntry } from "../../catalog/entries.ts";
import { Oid } from "../../common/types/oid.ts";
import { SqlError, SqlState } from "../../common/error.ts";
import type { BoundExpression } from "../logical/expression.ts";
import { coerce, coerceToBoolean } from "./coerce.ts";
import type { BindContext, Clause } from "./context.ts";
import { Scope, type ScopeItem } from "./scope.ts";
import { typeName } from "./types.ts";

/** A column a stored expression may read. */
export interface ScalarColumn {
  readonly name: string;
  readonly type: SqlType;
  readonly collation: number;
  /** Position in the row the expression will run over. */
  readonly index: number;
}

/** Texts bound per snapshot: INSERT asks for the same defaults and checks every time. */
const memo = new WeakMap<CatalogSnapshot, Map<string, BoundExpression>>();
const MAX_MEMO = 10_000;

/**
 * Binds an expression's text. `targetType` undefined = as it comes; a boolean target words its error as `clause` does.
 * Throws what binding throws; positions count from the start of `text`.
 */
export function bindScalarText(
  context: BindContext,
  text: string,
  columns: readonly ScalarColumn[],
  targetType: SqlType | undefined,
  clause: Clause,
  relationName = "",
): BoundExpression {
  const byText = memo.get(context.catalog) ?? new Map<string, BoundExpression>();
  memo.set(context.catalog, byText);
  const key = [
    clause,
    relationName,
    targetType?.oid,
    targetType?.typmod,
    context.searchPath.join(),
    text,
    ...columns.map((c) => `${c.name}:${c.type.oid}:${c.index}`),
  ].join("\u0000");
  const known = byText.get(key);
  if (known !== undefined) return known;
  const bound = bindFresh(context, text, columns, targetType, clause, relationName);
  if (byText.size < MAX_MEMO) byText.set(key, bound);
  return bound;
}

const PREFIX = "SELECT ";

function bindFresh(
  context: BindContext,
  text: string,
  columns: readonly ScalarColumn[],
  targetType: SqlType | undefined,
  clause: Clause,
  relationName: string,
): BoundExpression {
  const statement = must(parse(PREFIX + text)[0], "one expression").node;
  const target = "SelectStmt" in statement ? statement.SelectStmt.targetList?.[0] : undefined;
  const node = must(
    target !== undefined && "ResTarget" in target ? target.ResTarget.val : undefined,
    "one expression",
  );
  const bound = context.expression(node, { scope: rowScope(columns, relationName), clause });
  if (targetType === undefined) return bound;
  if (targetType.oid === Oid.bool && clause === "check") return coerceToBoolean(context, bound, "CHECK");
  const converted = coerce(context, bound, targetType, "assignment");
  if (converted !== undefined) return converted;
  throw new SqlError(
    SqlState.datatypeMismatch,
    `expression is of type ${typeName(context, bound.type.oid)} but ${typeName(context, targetType.oid)} is wanted`,
    { hint: "You will need to rewrite or cast the expression." },
  );
}

/** A scope in which only a row's columns are visible, under `relationName` where that is given. */
export function rowScope(columns: readonly ScalarColumn[], relationName: string): Scope {
  const scope = new Scope(undefined);
  scope.items.push(rowItem(columns, relationName));
  return scope;
}

function rowItem(columns: readonly ScalarColumn[], relationName: string): ScopeItem {
  return {
    alias: relationName === "" ? undefined : relationName,
    relationName: relationName === "" ? undefined : relationName,
    schemaName: undefined,
    columns: columns.map((column) => ({
      name: column.name,
      value: {
        kind: "column",
        index: column.index,
        name: column.name,
        type: column.type,
        collation: column.collation,
        position: 0,
      },
      tableOid: 0,
      attnum: 0,
    })),
    hidden: new Set(),
    table: undefined,
    rowType: { oid: Oid.record, typmod: -1 },
    systemColumn: undefined,
    isScalarFunction: false,
    fromKind: "a table",
  };
}

export function tableColumns(table: TableEntry): readonly ScalarColumn[] {
  return table.columns
    .filter((column) => !column.isDropped)
    .map((column) => ({
      name: column.name,
      type: column.type,
      collation: column.collation,
      index: column.attnum - 1,
    }));
}

/** A column's default; NULL of its type where it has none. Identity columns draw from their sequence. */
export function columnDefault(context: BindContext, column: ColumnEntry): BoundExpression {
  if (column.default !== undefined)
    return bindScalarText(context, column.default, [], column.type, "default");
  if (column.identity !== "" && column.ownedSequence !== 0) {
    const text = `pg_catalog.nextval(${column.ownedSequence}::pg_catalog.oid::pg_catalog.regclass)`;
    return bindScalarText(context, text, [], column.type, "default");
  }
  return { ...context.constant(null, column.type.oid), type: column.type };
}

export function hasDefault(column: ColumnEntry): boolean {
  return column.default !== undefined || (column.identity !== "" && column.ownedSequence !== 0);
}
