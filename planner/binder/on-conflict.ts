// ON CONFLICT: which unique indexes arbitrate, and what happens to the row that is there already.
import { SqlError, SqlState } from "../../common/error.ts";
import type { SqlType } from "../../common/types/type.ts";
import { positionOf, type Node, type OnConflictClause } from "../../parser/tree.ts";
import type { IndexEntry, TableEntry } from "../../catalog/entries.ts";
import type { BoundExpression } from "../logical/expression.ts";
import { implies } from "../logical/implication.ts";
import { sameExpression } from "../logical/walk.ts";
import type { OnConflict } from "../physical/plan.ts";
import { bindSetList } from "./assignment.ts";
import { coerceToBoolean } from "./coerce.ts";
import type { BindContext } from "./context.ts";
import { makeItem, type TableScan } from "./relation.ts";
import { bindScalarText, rowScope, type ScalarColumn, tableColumns } from "./scalar.ts";
import { Scope } from "./scope.ts";
import { BOOL } from "./types.ts";

/** Expressions name the existing row by the scope's table and the refused one by `excluded`. */
export function bindOnConflict(
  context: BindContext,
  clause: OnConflictClause,
  table: TableEntry,
  rowScope: Scope,
  excluded: TableScan,
): OnConflict {
  const isUpdate = clause.action === "ONCONFLICT_UPDATE";
  if (isUpdate && clause.infer === undefined) {
    throw new SqlError(
      SqlState.syntaxError,
      "ON CONFLICT DO UPDATE requires inference specification or constraint name",
      {
        hint: "For example, ON CONFLICT (column_name).",
        position: positionOf(clause.location) || undefined,
      },
    );
  }
  const arbiters = clause.infer === undefined ? [] : inferArbiters(context, clause.infer, table);
  if (!isUpdate) return { arbiters, action: { kind: "nothing" } };
  const scope = new Scope(rowScope.parent);
  scope.items.push(...rowScope.items, makeItem(context, "excluded", excluded.columns, undefined, undefined));
  // Bare names mean the existing row, as PostgreSQL has it: excluded is reachable only by its own name.
  scope.items[1] = {
    ...(scope.items[1] as (typeof scope.items)[number]),
    hidden: new Set(excluded.columns.map((column) => column.name)),
  };
  const assignments = bindSetList(context, clause.targetList, table, { scope, clause: "update" });
  const where =
    clause.whereClause === undefined
      ? undefined
      : coerceToBoolean(
          context,
          context.expression(clause.whereClause, { scope, clause: "conflict" }),
          "WHERE",
        );
  return { arbiters, action: { kind: "update", assignments, where } };
}

interface Inference {
  readonly indexElems?: readonly Node[];
  readonly whereClause?: Node;
  readonly conname?: string;
  readonly location?: number;
}

/**
 * Storage ids of the unique indexes over exactly the named columns and expressions; 42P10 when there is none. A partial one
 * serves where its predicate follows from the clause's WHERE.
 */
function inferArbiters(context: BindContext, infer: Inference, table: TableEntry): readonly number[] {
  const indexes = context.catalog.indexesOf(table.oid);
  if (infer.conname !== undefined) return [constraintIndex(infer, table, indexes).storageId];
  const columns = tableColumns(table);
  const scope = rowScope(columns, table.name);
  const stored = (text: string, type?: SqlType): BoundExpression =>
    bindScalarText(
      context,
      text,
      columns,
      type,
      type === undefined ? "index-expression" : "index-predicate",
      table.name,
    );
  const wanted: BoundExpression[] = [];
  for (const element of infer.indexElems ?? []) {
    if (!("IndexElem" in element)) continue;
    const { name, expr } = element.IndexElem;
    const e =
      expr === undefined
        ? columnReference(columns, name ?? "", positionOf(infer.location))
        : context.expression(expr, { scope, clause: "index-expression" });
    if (!wanted.some((known) => sameExpression(known, e))) wanted.push(e);
  }
  const given =
    infer.whereClause === undefined
      ? []
      : [
          coerceToBoolean(
            context,
            context.expression(infer.whereClause, { scope, clause: "index-predicate" }),
            "WHERE",
          ),
        ];
  const found = indexes.filter((index) => {
    if (!index.isUnique || index.keyCount !== wanted.length) return false;
    if (index.predicate !== undefined && !implies(given, stored(index.predicate.text, BOOL))) return false;
    const keys = index.columns
      .slice(0, index.keyCount)
      .map((key) =>
        key.expression === undefined
          ? columns.find((column) => column.index === key.attnum - 1)
          : stored(key.expression.text),
      );
    return wanted.every((e) =>
      keys.some((key) =>
        key !== undefined && "kind" in key
          ? sameExpression(key, e)
          : e.kind === "column" && e.index === key?.index,
      ),
    );
  });
  if (found.length === 0) {
    throw new SqlError(
      SqlState.invalidColumnReference,
      "there is no unique or exclusion constraint matching the ON CONFLICT specification",
    );
  }
  return found.map((index) => index.storageId);
}

function columnReference(columns: readonly ScalarColumn[], name: string, position: number): BoundExpression {
  const column = columns.find((candidate) => candidate.name === name);
  if (column === undefined) {
    throw new SqlError(SqlState.undefinedColumn, `column "${name}" does not exist`, {
      position: position || undefined,
    });
  }
  const { index, type, collation } = column;
  return { kind: "column", index, name, type, collation, position: 0 };
}

function constraintIndex(infer: Inference, table: TableEntry, indexes: readonly IndexEntry[]): IndexEntry {
  const constraint = table.constraints.find((candidate) => candidate.name === infer.conname);
  if (constraint === undefined) {
    throw new SqlError(
      SqlState.undefinedObject,
      `constraint "${infer.conname ?? ""}" for table "${table.name}" does not exist`,
    );
  }
  const index = indexes.find((candidate) => candidate.oid === constraint.indexOid);
  if (index === undefined || constraint.reference !== undefined)
    throw new SqlError(SqlState.wrongObjectType, "constraint in ON CONFLICT clause has no associated index");
  return index;
}
