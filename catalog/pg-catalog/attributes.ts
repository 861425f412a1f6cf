// pg_attribute and pg_attrdef.
import {
  type SystemRelation,
  systemRelation,
  systemRelationByOid,
  systemRelations,
} from "../builtin/system-relations.ts";
import type { Datum } from "../../common/types/type.ts";
import { generatedTable, rowsBy } from "../builtin/tables.ts";
import { type CatalogSnapshot, CatalogOid } from "../catalog.ts";
import {
  type ColumnEntry,
  type IndexEntry,
  shownColumns,
  storedAttnum,
  type TableEntry,
} from "../entries.ts";
import { must } from "../../common/assert.ts";
import type { StoredRelation } from "../state.ts";
import { storedMatches } from "./classes.ts";
import { type RelationRows, type Row, rowBuilder } from "./rows.ts";

/** PostgreSQL's system columns of a table: name, type, attnum. */
const SYSTEM_COLUMNS: readonly (readonly [string, number, number])[] = [
  ["tableoid", 26, -6],
  ["cmax", 29, -5],
  ["xmax", 28, -4],
  ["cmin", 29, -3],
  ["xmin", 28, -2],
  ["ctid", 27, -1],
];

const SEQUENCE_COLUMNS: readonly (readonly [string, number])[] = [
  ["last_value", 20],
  ["log_cnt", 20],
  ["is_called", 16],
];

export const pgAttribute: RelationRows = {
  lookups: ["attrelid"],
  *rows(context, equal) {
    const system = equal === undefined ? systemRelations() : [systemRelationByOid(Number(equal.value))];
    for (const relation of system) if (relation !== undefined) yield* systemRows(relation);
    const byOid = equal === undefined ? undefined : { column: "oid", value: equal.value };
    for (const relation of storedMatches(context, byOid)) yield* storedAttributes(context.catalog, relation);
  },
};

export const pgAttrdef: RelationRows = {
  lookups: ["adrelid"],
  *rows({ catalog }, equal) {
    for (const table of tables(catalog, equal?.value)) {
      for (const column of table.columns) {
        const expression = column.default ?? column.generated;
        if (expression === undefined || column.isDropped) continue;
        yield {
          oid: attrdefOid(table.oid, column.attnum),
          adrelid: table.oid,
          adnum: column.attnum,
          adbin: expression,
        };
      }
    }
  },
};

/** Tables in general, or the one of that oid. */
export function* tables(catalog: CatalogSnapshot, oid: unknown): Iterable<TableEntry> {
  if (oid !== undefined) {
    const entry = catalog.entry("table", Number(oid));
    if (entry?.kind === "table") yield entry;
    return;
  }
  for (const entry of catalog.entries()) if (entry.kind === "table") yield entry;
}

/**
 * Defaults are part of their column's entry and have no oid of their own. This one is made from table and column, in the
 * upper half of the oid space, which the engine's counter does not reach; MAX_COLUMNS keeps neighbours apart.
 */
export function attrdefOid(tableOid: number, attnum: number): number {
  const MAX_COLUMNS = 1600;
  return 2 ** 31 + ((tableOid * (MAX_COLUMNS + 1) + attnum) % 2 ** 31);
}

const keptRows = new Map<number, readonly (readonly Datum[])[]>();

/** Complete rows, made once: 2,400 of them are read whenever somebody asks for the columns of his tables. */
function systemRows(relation: SystemRelation): readonly (readonly Datum[])[] {
  let rows = keptRows.get(relation.oid);
  if (rows === undefined) {
    const own = must(systemRelation(CatalogOid.pgCatalogSchema, "pg_attribute"), "pg_attribute");
    rows = Array.from(systemAttributes(relation), rowBuilder(own.columns));
    keptRows.set(relation.oid, rows);
  }
  return rows;
}

function* systemAttributes(relation: SystemRelation): Iterable<Row> {
  for (const [i, column] of relation.columns.entries()) {
    const collation = typeStorage(column.declaredType).collation;
    yield {
      ...attribute(relation.oid, column.name, column.declaredType, i + 1),
      attstattarget: -1,
      attnotnull: column.notNull,
      // Catalogue texts compare in byte order; domains of information_schema bring their own.
      attcollation: collation === CatalogOid.defaultCollation ? CatalogOid.cCollation : collation,
    };
  }
  if (relation.relkind === "r") yield* systemColumns(relation.oid);
}

function* storedAttributes(catalog: CatalogSnapshot, relation: StoredRelation): Iterable<Row> {
  switch (relation.kind) {
    case "table":
      for (const column of shownColumns(relation)) yield tableAttribute(relation.oid, column);
      yield* systemColumns(relation.oid);
      return;
    case "index":
      yield* indexAttributes(catalog, relation);
      return;
    case "sequence":
      for (const [i, [name, type]] of SEQUENCE_COLUMNS.entries()) {
        yield { ...attribute(relation.oid, name, type, i + 1), attnotnull: true };
      }
      yield* systemColumns(relation.oid);
  }
}

function tableAttribute(tableOid: number, column: ColumnEntry): Row {
  if (column.isDropped) {
    return {
      ...attribute(tableOid, `........pg.dropped.${column.attnum}........`, column.type.oid, column.attnum),
      atttypid: 0,
      attisdropped: true,
    };
  }
  return {
    ...attribute(tableOid, column.name, column.type.oid, column.attnum),
    attstattarget: -1,
    atttypmod: column.type.typmod,
    attnotnull: column.notNull,
    atthasdef: column.default !== undefined || column.generated !== undefined,
    attidentity: column.identity,
    attgenerated: column.generated === undefined ? "" : "s",
    attcollation: column.collation,
  };
}

function* indexAttributes(catalog: CatalogSnapshot, index: IndexEntry): Iterable<Row> {
  const table = catalog.entry("table", index.tableOid);
  if (table?.kind !== "table") return;
  for (const [i, part] of index.columns.entries()) {
    const column = must(
      table.columns.find((candidate) => candidate.attnum === storedAttnum(part)),
      "the indexed column",
    );
    const shown = part.expression ?? must(table.columns[part.attnum - 1], "the indexed column");
    yield {
      ...attribute(index.oid, shown.name, column.type.oid, i + 1),
      attstattarget: -1,
      atttypmod: column.type.typmod,
      attcollation: column.collation,
    };
  }
}

function* systemColumns(relationOid: number): Iterable<Row> {
  for (const [name, type, attnum] of SYSTEM_COLUMNS) {
    yield { ...attribute(relationOid, name, type, attnum), attnotnull: true };
  }
}

function attribute(
  relation: number,
  name: string,
  type: number,
  attnum: number,
): Record<string, Row[string]> {
  const { length, byValue, align, storage, dimensions } = typeStorage(type);
  return {
    attrelid: relation,
    attname: name,
    atttypid: type,
    attlen: length,
    attnum,
    attndims: dimensions,
    attcacheoff: -1,
    atttypmod: -1,
    attbyval: byValue,
    attalign: align,
    attstorage: storage,
    attislocal: true,
  };
}

interface TypeStorage {
  readonly length: number;
  readonly byValue: boolean;
  readonly align: string;
  readonly storage: string;
  readonly collation: number;
  readonly dimensions: number;
}

const storages = new Map<number, TypeStorage>();

/** pg_type's physical columns; row types and their arrays are all stored alike. */
export function typeStorage(oid: number): TypeStorage {
  let storage = storages.get(oid);
  if (storage === undefined) {
    storage = readStorage(oid);
    // Only built-in types: the oids of row types come and go.
    if (rowsBy("pg_type", "oid", String(oid)).length > 0) storages.set(oid, storage);
  }
  return storage;
}

function readStorage(oid: number): TypeStorage {
  const table = generatedTable("pg_type");
  const row = rowsBy("pg_type", "oid", String(oid))[0];
  if (row === undefined)
    return { length: -1, byValue: false, align: "d", storage: "x", collation: 0, dimensions: 0 };
  const fields = table.fields(row);
  const text = (column: string): string => fields[table.position(column)] ?? "";
  return {
    length: Number(text("typlen")),
    byValue: text("typbyval") === "t",
    align: text("typalign"),
    storage: text("typstorage"),
    collation: Number(text("typcollation")),
    dimensions:
      text("typcategory") === "A" && Number(text("typlen")) === -1 && text("typname").startsWith("_") ? 1 : 0,
  };
}
