// What an index computes, as expressions over the columns of a scan: its keys, and the predicate of a partial one. The
// catalogue keeps them as text over the table's columns; they are bound and folded once per snapshot, as conditions are
// folded, so that equal expressions are equal trees.
import type { CatalogSnapshot } from "../catalog/catalog.ts";
import type { IndexEntry, TableEntry } from "../catalog/entries.ts";
import type { SqlType } from "../common/types/type.ts";
import { makeBindContext } from "./binder/index.ts";
import { bindScalarText, tableColumns } from "./binder/scalar.ts";
import { BOOL } from "./binder/types.ts";
import { type PlannerContext, readableIndexes } from "./context.ts";
import type { BoundExpression } from "./logical/expression.ts";
import type { LogicalColumn, LogicalScan } from "./logical/plan.ts";
import { conjuncts, mapExpression, someExpression } from "./logical/walk.ts";
import { implies } from "./logical/implication.ts";
import { foldExpression } from "./optimizer/fold.ts";

/** The key columns in order; undefined where the scan does not read a column the key needs. */
export function indexKeys(
  planner: PlannerContext,
  scan: LogicalScan,
  index: IndexEntry,
): readonly (BoundExpression | undefined)[] {
  return index.columns.slice(0, index.keyCount).map((key) => {
    if (key.expression === undefined) {
      const column = scan.columns.find((candidate) => candidate.attnum === key.attnum);
      return column === undefined ? undefined : reference(column);
    }
    return overScan(storedExpression(planner, scan.table, key.expression.text, undefined), scan);
  });
}

/** A usable index, and the scan's conditions that its predicate says again. */
export interface UsableIndex {
  readonly index: IndexEntry;
  readonly implied: readonly BoundExpression[];
}

/**
 * The indexes a scan may read by: readable ones whose predicate, if they have one, follows from the scan's conditions.
 */
export function usableIndexes(planner: PlannerContext, scan: LogicalScan): readonly UsableIndex[] {
  const usable: UsableIndex[] = [];
  for (const index of readableIndexes(planner, scan.table.oid)) {
    if (index.predicate === undefined) {
      usable.push({ index, implied: [] });
      continue;
    }
    const text = index.predicate.text;
    const predicate = overScan(storedExpression(planner, scan.table, text, BOOL), scan);
    if (predicate === undefined || !implies(scan.filter, predicate)) continue;
    const parts = conjuncts(predicate);
    usable.push({ index, implied: scan.filter.filter((condition) => implies(parts, condition)) });
  }
  return usable;
}

/** By text: an expression of the same text over the same table version is the same. */
const memo = new WeakMap<CatalogSnapshot, Map<string, BoundExpression>>();

/** Over the table's columns by attnum - 1. */
export function storedExpression(
  planner: PlannerContext,
  table: TableEntry,
  text: string,
  type: SqlType | undefined,
): BoundExpression {
  const byText = memo.get(planner.catalog) ?? new Map<string, BoundExpression>();
  memo.set(planner.catalog, byText);
  const key = `${table.oid}/${table.version}/${type?.oid ?? 0}/${text}`;
  let bound = byText.get(key);
  if (bound === undefined) {
    const context = makeBindContext(planner);
    const clause = type === undefined ? "index-expression" : "index-predicate";
    const fresh = bindScalarText(context, text, tableColumns(table), type, clause, table.name);
    bound = foldExpression(fresh, { functions: planner.functionContext, types: planner.catalog });
    byText.set(key, bound);
  }
  return bound;
}

function overScan(e: BoundExpression, scan: LogicalScan): BoundExpression | undefined {
  const byAttnum = new Map(scan.columns.map((column) => [column.attnum, column]));
  if (someExpression(e, (node) => node.kind === "column" && !byAttnum.has(node.index + 1))) return undefined;
  return mapExpression(e, (node) => {
    const column = node.kind === "column" ? byAttnum.get(node.index + 1) : undefined;
    return column === undefined ? node : reference(column);
  });
}

function reference(column: LogicalColumn): BoundExpression {
  const { id, name, type, collation } = column;
  return { kind: "column", index: id, name, type, collation, position: 0 };
}
