// What INSERT, UPDATE and DELETE note about foreign keys and deferrable keys, as part of their plans, to be looked at when
// the statement or the transaction ends.
import type { CatalogSnapshot } from "../../catalog/catalog.ts";
import type { ConstraintEntry, TableEntry } from "../../catalog/entries.ts";
import { must } from "../../common/assert.ts";
import type { ForeignKeyWatch, KeyWatch } from "../physical/plan.ts";

/** Foreign keys of a table. */
export function watchForeignKeys(table: TableEntry): readonly ForeignKeyWatch[] {
  return table.constraints.flatMap((constraint) => watchOf(constraint, constraint.columns));
}

/** Foreign keys to a table, its own to itself included, in the order in which they were made. */
export function watchReferences(catalog: CatalogSnapshot, table: TableEntry): readonly ForeignKeyWatch[] {
  return catalog
    .referencing(table.oid)
    .flatMap((child) => child.constraints)
    .filter(({ reference }) => reference?.tableOid === table.oid)
    .toSorted((a, b) => a.oid - b.oid)
    .flatMap((constraint) => watchOf(constraint, must(constraint.reference, "a reference").columns));
}

function watchOf(constraint: ConstraintEntry, columns: readonly number[]): ForeignKeyWatch[] {
  const { reference } = constraint;
  if (reference === undefined) return [];
  return [
    {
      constraintOid: constraint.oid,
      columns,
      onUpdate: reference.onUpdate,
      onDelete: reference.onDelete,
      isDeferrable: constraint.isDeferrable,
      isDeferred: constraint.isDeferred,
    },
  ];
}

export function watchKeys(table: TableEntry): readonly KeyWatch[] {
  return table.constraints
    .filter(({ type, isDeferrable }) => isDeferrable && (type === "p" || type === "u"))
    .map((constraint) => ({
      constraintOid: constraint.oid,
      tableOid: table.oid,
      columns: constraint.columns,
      isPrimary: constraint.type === "p",
      isDeferrable: true,
      isDeferred: constraint.isDeferred,
    }));
}
