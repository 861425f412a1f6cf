// pg_class: system relations, tables, indexes and sequences.
import { SqlArray } from "../../common/types/array.ts";
import { Oid } from "../../common/types/oid.ts";
import { accessMethodOid } from "../builtin/operator-classes.ts";
import {
  type SystemRelation,
  systemRelation,
  systemRelationByOid,
  systemRelations,
} from "../builtin/system-relations.ts";
import { CatalogOid, type CatalogSnapshot, type EngineStatistics, type VirtualContext } from "../catalog.ts";
import { type IndexEntry, shownColumns, type TableEntry } from "../entries.ts";
import type { StoredRelation } from "../state.ts";
import { plainText, type Lookup, type RelationRows, type Row } from "./rows.ts";

const HEAP = 2;
/** Size of a page in PostgreSQL: what relpages counts, whatever the engine reads and writes. */
export const PAGE_SIZE_BYTES = 8192;

export const pgClass: RelationRows = {
  lookups: ["oid", "relname"],
  *rows(context, equal) {
    for (const relation of systemMatches(equal)) yield systemRow(relation);
    for (const relation of storedMatches(context, equal)) yield storedRow(context, relation);
  },
};

function systemMatches(equal: Lookup | undefined): Iterable<SystemRelation> {
  if (equal === undefined) return systemRelations();
  if (equal.column === "oid") {
    const relation = systemRelationByOid(Number(equal.value));
    return relation === undefined ? [] : [relation];
  }
  return [CatalogOid.pgCatalogSchema, CatalogOid.informationSchema]
    .map((schema) => systemRelation(schema, plainText(equal.value)))
    .filter((relation) => relation !== undefined);
}

export function* storedMatches(
  { catalog }: VirtualContext,
  equal: Lookup | undefined,
): Iterable<StoredRelation> {
  if (equal?.column === "oid") {
    const ref = catalog.relationByOid(Number(equal.value));
    if (ref?.kind === "table") yield ref.table;
    else if (ref?.kind === "index") yield ref.index;
    else if (ref?.kind === "sequence") yield ref.sequence;
    return;
  }
  for (const entry of catalog.entries()) {
    if (entry.kind !== "table" && entry.kind !== "index" && entry.kind !== "sequence") continue;
    if (equal === undefined || entry.name === equal.value) yield entry;
  }
}

/** What every relation has alike. */
function commonRow(oid: number, name: string, schema: number, owner: number): Record<string, Row[string]> {
  return {
    oid,
    relname: name,
    relnamespace: schema,
    relowner: owner,
    reltuples: -1,
    relpersistence: "p",
    relispopulated: true,
    relreplident: "n",
  };
}

function systemRow(relation: SystemRelation): Row {
  const isTable = relation.relkind === "r";
  return {
    ...commonRow(relation.oid, relation.name, relation.schema, CatalogOid.bootstrapRole),
    reltype: relation.rowTypeOid,
    relam: isTable ? HEAP : 0,
    relisshared: relation.isShared,
    relkind: relation.relkind,
    relnatts: relation.columns.length,
    relhasrules: !isTable,
  };
}

function storedRow({ catalog, statistics }: VirtualContext, relation: StoredRelation): Row {
  const row = {
    ...commonRow(relation.oid, relation.name, relation.schema, relation.owner),
    relfilenode: relation.oid,
    relpersistence: relation.persistence,
  };
  switch (relation.kind) {
    case "table":
      return {
        ...row,
        ...tableFields(relation, catalog),
        ...analyzed(catalog.statisticsOf(relation.oid)?.rowCount, relation, statistics),
      };
    case "index":
      return { ...row, ...indexFields(relation, statistics) };
    case "sequence":
      return { ...row, ...SEQUENCE_FIELDS };
  }
}

function tableFields(table: TableEntry, catalog: CatalogSnapshot): Row {
  return {
    reltype: table.rowTypeOid,
    relam: HEAP,
    relhasindex: catalog.indexesOf(table.oid).length > 0,
    // In PostgreSQL foreign keys are triggers on both tables, by which clients know that there are any.
    relhastriggers:
      table.constraints.some((constraint) => constraint.type === "f") ||
      catalog.referencing(table.oid).length > 0,
    relkind: "r",
    relnatts: shownColumns(table).length,
    relchecks: table.constraints.filter((constraint) => constraint.type === "c").length,
    relreplident: "d",
  };
}

/** reltuples and relpages move with ANALYZE only, as in PostgreSQL; -1 until then. */
function analyzed(rowCount: number | undefined, table: TableEntry, statistics: EngineStatistics): Row {
  if (rowCount === undefined) return {};
  return { reltuples: rowCount, relpages: pages(statistics.relationRows(table.storageId).sizeBytes) };
}

function indexFields(index: IndexEntry, statistics: EngineStatistics): Row {
  const { entryCount, sizeBytes } = statistics.indexRows(index.storageId);
  return {
    relam: accessMethodOid(index.method) ?? 0,
    relpages: pages(sizeBytes),
    reltuples: entryCount,
    relkind: "i",
    relnatts: index.columns.length,
    reloptions:
      index.options.length === 0
        ? null
        : SqlArray.of(
            Oid.text,
            index.options.map(([name, value]) => `${name}=${value}`),
          ),
  };
}

/** A sequence is one row of three columns in PostgreSQL, and shown so. */
const SEQUENCE_FIELDS: Row = { relpages: 1, reltuples: 1, relkind: "S", relnatts: 3 };

function pages(sizeBytes: number): number {
  return Math.ceil(sizeBytes / PAGE_SIZE_BYTES);
}
