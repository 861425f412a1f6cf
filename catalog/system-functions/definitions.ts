// pg_get_*def and its relatives: objects printed as the SQL that makes them. An unknown oid gives NULL, as in PostgreSQL.
import { SqlError, SqlState } from "../../common/error.ts";
import type { Datum } from "../../common/types/type.ts";
import { constraintByOid, constraintDefinition } from "../deparse/constraint-definition.ts";
import { expressionText, prettyExpression } from "../deparse/expression-text.ts";
import { argumentDefault, functionArguments, functionResult } from "../deparse/function-name.ts";
import type { NameScope } from "../deparse/identifier.ts";
import { indexColumnDefinition, indexDefinition } from "../deparse/index-definition.ts";
import { findRelation, qualifiedRelationName } from "../deparse/reg-names.ts";
import { alwaysNull, type BodyEntry, scalar, scopeOf, snapshotOf } from "./body.ts";
import { plainText } from "../pg-catalog/rows.ts";

export const definitionBodies: readonly BodyEntry[] = [
  scalar("pg_get_indexdef", ([oid], call) => indexText(scopeOf(call), Number(oid), 0, false)),
  scalar("pg_get_indexdef_ext", ([oid, column, pretty], call) =>
    indexText(scopeOf(call), Number(oid), Number(column), pretty === true),
  ),
  scalar("pg_get_constraintdef", ([oid], call) => constraintText(scopeOf(call), Number(oid), false)),
  scalar("pg_get_constraintdef_ext", ([oid, pretty], call) =>
    constraintText(scopeOf(call), Number(oid), pretty === true),
  ),
  // Node trees are stored as SQL text here, so the expression is its own deparsed form.
  scalar("pg_get_expr", ([text], call) => expressionText(scopeOf(call), plainText(text))),
  scalar("pg_get_expr_ext", ([text, , pretty], call) => {
    const printed = expressionText(scopeOf(call), plainText(text));
    return pretty === true ? prettyExpression(printed) : printed;
  }),
  scalar("pg_get_viewdef", ([oid], call) => viewText(scopeOf(call), Number(oid))),
  scalar("pg_get_viewdef_ext", ([oid], call) => viewText(scopeOf(call), Number(oid))),
  scalar("pg_get_viewdef_wrap", ([oid], call) => viewText(scopeOf(call), Number(oid))),
  scalar("pg_get_viewdef_name", ([name], call) =>
    viewText(scopeOf(call), requireRelation(scopeOf(call), plainText(name))),
  ),
  scalar("pg_get_viewdef_name_ext", ([name], call) =>
    viewText(scopeOf(call), requireRelation(scopeOf(call), plainText(name))),
  ),
  scalar("pg_get_serial_sequence", ([table, column], call) =>
    serialSequence(scopeOf(call), plainText(table), plainText(column)),
  ),
  scalar("pg_get_function_arguments", ([oid], call) => {
    const entry = snapshotOf(call).functionByOid(Number(oid));
    return entry && functionArguments(scopeOf(call), entry, true);
  }),
  scalar("pg_get_function_identity_arguments", ([oid], call) => {
    const entry = snapshotOf(call).functionByOid(Number(oid));
    return entry && functionArguments(scopeOf(call), entry, false);
  }),
  scalar("pg_get_function_result", ([oid], call) => {
    const entry = snapshotOf(call).functionByOid(Number(oid));
    return entry && functionResult(scopeOf(call), entry);
  }),
  scalar("pg_get_function_arg_default", ([oid, position], call) => {
    const entry = snapshotOf(call).functionByOid(Number(oid));
    return entry && argumentDefault(entry, Number(position));
  }),
  ...alwaysNull(
    "pg_get_ruledef",
    "pg_get_ruledef_ext",
    "pg_get_triggerdef",
    "pg_get_triggerdef_ext",
    "pg_get_partkeydef",
    "pg_get_partition_constraintdef",
    "pg_get_statisticsobjdef",
    "pg_get_statisticsobjdef_columns",
    "pg_get_statisticsobjdef_expressions",
    "pg_get_function_sqlbody",
    "pg_get_replica_identity_index",
  ),
];

function indexText(scope: NameScope, oid: number, column: number, pretty: boolean): Datum | undefined {
  const entry = scope.catalog.entry("index", oid);
  if (entry?.kind !== "index") return null;
  // A column that does not exist gives the empty string, not NULL.
  return column === 0
    ? indexDefinition(scope, entry, { pretty })
    : (indexColumnDefinition(scope, entry, column, { pretty }) ?? "");
}

function constraintText(scope: NameScope, oid: number, pretty: boolean): Datum {
  const owned = constraintByOid(scope.catalog, oid);
  return owned === undefined ? null : constraintDefinition(scope, owned, pretty);
}

/** Views of information_schema have a text; what is computed has none. */
function viewText(scope: NameScope, oid: number): Datum {
  const ref = scope.catalog.relationByOid(oid);
  return ref?.kind === "view" ? `${ref.view.sql.trim()};` : null;
}

function requireRelation(scope: NameScope, name: string): number {
  const found = findRelation(scope, name);
  if (typeof found !== "number") throw found;
  return found;
}

/** The sequence that serial or identity made for the column, always qualified; NULL when there is none. */
function serialSequence(scope: NameScope, tableText: string, columnName: string): Datum | undefined {
  const oid = requireRelation(scope, tableText);
  const table = scope.catalog.entry("table", oid);
  const column =
    table?.kind === "table"
      ? table.columns.find((candidate) => candidate.name === columnName && !candidate.isDropped)
      : undefined;
  if (column === undefined) {
    const name = table?.name ?? tableText;
    throw new SqlError(
      SqlState.undefinedColumn,
      `column "${columnName}" of relation "${name}" does not exist`,
    );
  }
  return column.ownedSequence === 0 ? null : qualifiedRelationName(scope, column.ownedSequence);
}
