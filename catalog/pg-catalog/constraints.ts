// pg_index, pg_constraint and pg_depend.
import { SqlArray } from "../../common/types/array.ts";
import { Oid } from "../../common/types/oid.ts";
import { type CatalogSnapshot, CatalogOid } from "../catalog.ts";
import { type OwnedConstraint, constraints } from "../deparse/constraint-definition.ts";
import {
  type ConstraintEntry,
  type IndexEntry,
  type SequenceEntry,
  storedAttnum,
  type TableEntry,
} from "../entries.ts";
import { attrdefOid, tables } from "./attributes.ts";
import type { Lookup, RelationRows, Row } from "./rows.ts";

const {
  pgClass: CLASS,
  pgType: TYPE,
  pgConstraint: CONSTRAINT,
  pgAttrdef: ATTRDEF,
  pgNamespace: NAMESPACE,
} = CatalogOid;

export const pgIndex: RelationRows = {
  lookups: ["indexrelid", "indrelid"],
  *rows({ catalog }, equal) {
    for (const index of indexes(catalog, equal)) {
      const table = catalog.entry("table", index.tableOid);
      yield indexRow(index, table?.kind === "table" ? table : undefined);
    }
  },
};

function* indexes(catalog: CatalogSnapshot, equal: Lookup | undefined): Iterable<IndexEntry> {
  if (equal?.column === "indrelid") yield* catalog.indexesOf(Number(equal.value));
  else if (equal !== undefined) {
    const entry = catalog.entry("index", Number(equal.value));
    if (entry?.kind === "index") yield entry;
  } else {
    for (const entry of catalog.entries()) if (entry.kind === "index") yield entry;
  }
}

function indexRow(index: IndexEntry, table: TableEntry | undefined): Row {
  const key = index.columns.slice(0, index.keyCount);
  const collationOf = (attnum: number): number =>
    table?.columns.find((column) => column.attnum === attnum)?.collation ?? 0;
  return {
    indexrelid: index.oid,
    indrelid: index.tableOid,
    indnatts: index.columns.length,
    indnkeyatts: index.keyCount,
    indisunique: index.isUnique,
    indnullsnotdistinct: index.nullsNotDistinct,
    indisprimary: index.isPrimary,
    indimmediate: index.isImmediate,
    indisvalid: true,
    indisready: true,
    indislive: true,
    indkey: vector(
      Oid.int2,
      index.columns.map((column) => column.attnum),
    ),
    indcollation: vector(
      Oid.oid,
      key.map((column) => collationOf(storedAttnum(column))),
    ),
    indclass: vector(
      Oid.oid,
      key.map((column) => column.opclass),
    ),
    indexprs: expressionList(index),
    indpred: index.predicate?.text ?? null,
    // Bit 0 descending, bit 1 nulls first: what JDBC and ORMs read for the order of keys.
    indoption: vector(
      Oid.int2,
      key.map((column) => (column.descending ? 1 : 0) | (column.nullsFirst ? 2 : 0)),
    ),
  };
}

/** Expressions as pg_get_expr prints a list of them. */
function expressionList(index: IndexEntry): string | null {
  const texts = index.columns.flatMap((column) => column.expression?.text ?? []);
  return texts.length === 0 ? null : texts.join(", ");
}

/** int2vector and oidvector count from 0. */
function vector(elementOid: number, elements: readonly number[]): SqlArray {
  return new SqlArray(elementOid, [elements.length], [0], elements);
}

export const pgConstraint: RelationRows = {
  lookups: ["conrelid"],
  *rows({ catalog }, equal) {
    const owned =
      equal === undefined
        ? constraints(catalog)
        : [...tables(catalog, equal.value)].flatMap((table) =>
            table.constraints.map((constraint) => ({ table, constraint })),
          );
    for (const one of owned) yield constraintRow(catalog, one);
  },
};

function constraintRow(catalog: CatalogSnapshot, { table, constraint }: OwnedConstraint): Row {
  return {
    oid: constraint.oid,
    conname: constraint.name,
    connamespace: table.schema,
    contype: constraint.type,
    condeferrable: constraint.isDeferrable,
    condeferred: constraint.isDeferred,
    convalidated: constraint.isValidated,
    conrelid: table.oid,
    conindid: constraint.indexOid,
    confupdtype: " ",
    confdeltype: " ",
    confmatchtype: " ",
    conislocal: true,
    connoinherit: constraint.type !== "c" || constraint.noInherit,
    conkey: constraint.columns.length === 0 ? null : SqlArray.of(Oid.int2, constraint.columns),
    conbin: constraint.expression ?? null,
    ...foreignKeyFields(catalog, table, constraint),
  };
}

function foreignKeyFields(catalog: CatalogSnapshot, table: TableEntry, constraint: ConstraintEntry): Row {
  const { reference, columns } = constraint;
  const parent = reference === undefined ? undefined : catalog.entry("table", reference.tableOid);
  if (reference === undefined || parent?.kind !== "table") return {};
  const types = columns.map((attnum, i) => ({
    own: table.columns[attnum - 1]?.type.oid ?? 0,
    other: parent.columns[(reference.columns[i] ?? 0) - 1]?.type.oid ?? 0,
  }));
  // Where the types have no operator of their own, PostgreSQL converts to the referenced type and compares within it.
  const between = types.map(
    ({ own, other }) => equality(catalog, other, own) ?? equality(catalog, other, other),
  );
  return {
    confrelid: parent.oid,
    confupdtype: reference.onUpdate,
    confdeltype: reference.onDelete,
    confmatchtype: reference.match,
    confkey: SqlArray.of(Oid.int2, reference.columns),
    conpfeqop: SqlArray.of(
      Oid.oid,
      between.map((operator) => operator ?? 0),
    ),
    conppeqop: SqlArray.of(
      Oid.oid,
      types.map(({ other }) => equality(catalog, other, other) ?? 0),
    ),
    conffeqop: SqlArray.of(
      Oid.oid,
      types.map(({ own }) => equality(catalog, own, own) ?? 0),
    ),
    confdelsetcols:
      reference.deleteColumns.length === 0 ? null : SqlArray.of(Oid.int2, reference.deleteColumns),
  };
}

function equality(catalog: CatalogSnapshot, left: number, right: number): number | undefined {
  const asText = (oid: number): number => (oid === Oid.varchar ? Oid.text : oid);
  return catalog
    .operatorsByName("pg_catalog", "=", [])
    .find((operator) => operator.leftType === asText(left) && operator.rightType === asText(right))?.oid;
}

/** i internal, a auto, n normal: what DROP takes along, what it takes silently, what it asks about. */
export const pgDepend: RelationRows = {
  lookups: ["objid", "refobjid"],
  *rows({ catalog }, equal) {
    for (const row of dependencies(catalog)) {
      if (equal === undefined || row[equal.column] === equal.value) yield row;
    }
  },
};

function* dependencies(catalog: CatalogSnapshot): Iterable<Row> {
  for (const entry of catalog.entries()) {
    if (entry.kind === "table") yield* tableDependencies(entry);
    else if (entry.kind === "index") yield* indexDependencies(catalog, entry);
    else if (entry.kind === "sequence") yield* sequenceDependencies(entry);
  }
}

function dependency(
  [classid, objid]: readonly [number, number],
  [refclassid, refobjid, refobjsubid]: readonly [number, number, number],
  deptype: string,
): Row {
  return { classid, objid, objsubid: 0, refclassid, refobjid, refobjsubid, deptype };
}

function* tableDependencies(table: TableEntry): Iterable<Row> {
  yield dependency([CLASS, table.oid], [NAMESPACE, table.schema, 0], "n");
  yield dependency([TYPE, table.rowTypeOid], [CLASS, table.oid, 0], "i");
  yield dependency([TYPE, table.arrayTypeOid], [TYPE, table.rowTypeOid, 0], "i");
  for (const column of table.columns) {
    if (column.isDropped || (column.default === undefined && column.generated === undefined)) continue;
    const object = [ATTRDEF, attrdefOid(table.oid, column.attnum)] as const;
    yield dependency(object, [CLASS, table.oid, column.attnum], column.generated === undefined ? "a" : "i");
    if (column.ownedSequence !== 0) yield dependency(object, [CLASS, column.ownedSequence, 0], "n");
  }
  for (const constraint of table.constraints) {
    for (const attnum of constraint.columns) {
      yield dependency([CONSTRAINT, constraint.oid], [CLASS, table.oid, attnum], "a");
    }
    const { reference } = constraint;
    if (reference === undefined) continue;
    yield dependency([CONSTRAINT, constraint.oid], [CLASS, constraint.indexOid, 0], "n");
    for (const attnum of reference.columns)
      yield dependency([CONSTRAINT, constraint.oid], [CLASS, reference.tableOid, attnum], "n");
  }
}

function* indexDependencies(catalog: CatalogSnapshot, index: IndexEntry): Iterable<Row> {
  const table = catalog.entry("table", index.tableOid);
  const constraint =
    table?.kind === "table"
      ? table.constraints.find(({ indexOid, reference }) => indexOid === index.oid && reference === undefined)
      : undefined;
  if (constraint !== undefined) {
    yield dependency([CLASS, index.oid], [CONSTRAINT, constraint.oid, 0], "i");
    return;
  }
  if (index.columns.some((column) => column.expression !== undefined) || index.predicate !== undefined)
    yield dependency([CLASS, index.oid], [CLASS, index.tableOid, 0], "a");
  const read = index.columns.flatMap((column) => column.expression?.reads ?? [column.attnum]);
  for (const attnum of new Set([...read, ...(index.predicate?.reads ?? [])]))
    yield dependency([CLASS, index.oid], [CLASS, index.tableOid, attnum], "a");
}

function* sequenceDependencies(sequence: SequenceEntry): Iterable<Row> {
  yield dependency([CLASS, sequence.oid], [NAMESPACE, sequence.schema, 0], "n");
  if (sequence.ownerTable === 0 || sequence.dependency === "") return;
  yield dependency(
    [CLASS, sequence.oid],
    [CLASS, sequence.ownerTable, sequence.ownerAttnum],
    sequence.dependency,
  );
}
