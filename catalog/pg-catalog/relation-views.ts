// pg_tables, pg_views, pg_indexes, pg_sequence and pg_sequences: the readable views over relations.
import { informationSchemaView } from "../information-schema/index.ts";
import { type SystemRelation, systemRelations } from "../builtin/system-relations.ts";
import { CatalogOid, type CatalogSnapshot, type VirtualContext } from "../catalog.ts";
import { indexDefinition } from "../deparse/index-definition.ts";
import { schemaName } from "../deparse/identifier.ts";
import type { SequenceEntry } from "../entries.ts";
import { roleName } from "./shared.ts";
import type { RelationRows, Row } from "./rows.ts";

function systemView(catalog: CatalogSnapshot, relation: SystemRelation): { schema: string; owner: string } {
  return {
    schema: schemaName(catalog, relation.schema),
    owner: roleName(catalog, CatalogOid.bootstrapRole) ?? "",
  };
}

export const pgTables: RelationRows = {
  lookups: [],
  *rows({ catalog }) {
    for (const relation of systemRelations()) {
      if (relation.relkind !== "r") continue;
      const { schema, owner } = systemView(catalog, relation);
      const flags = { hasindexes: false, hasrules: false, hastriggers: false, rowsecurity: false };
      yield { schemaname: schema, tablename: relation.name, tableowner: owner, ...flags };
    }
    for (const entry of catalog.entries()) {
      if (entry.kind !== "table") continue;
      yield {
        schemaname: schemaName(catalog, entry.schema),
        tablename: entry.name,
        tableowner: roleName(catalog, entry.owner) ?? null,
        hasindexes: catalog.indexesOf(entry.oid).length > 0,
        hasrules: false,
        hastriggers: false,
        rowsecurity: false,
      };
    }
  },
};

/** System views only: those of pg_catalog are computed and have no text to show. */
export const pgViews: RelationRows = {
  lookups: [],
  *rows({ catalog }) {
    for (const relation of systemRelations()) {
      if (relation.relkind !== "v") continue;
      const { schema, owner } = systemView(catalog, relation);
      const isPgCatalog = relation.schema === CatalogOid.pgCatalogSchema;
      const definition = isPgCatalog ? null : (informationSchemaView(relation.name) ?? null);
      yield { schemaname: schema, viewname: relation.name, viewowner: owner, definition };
    }
  },
};

export const pgIndexes: RelationRows = {
  lookups: [],
  *rows({ catalog, functions }) {
    const scope = { catalog, searchPath: functions.catalog.searchPath(true) };
    for (const entry of catalog.entries()) {
      if (entry.kind !== "index") continue;
      yield {
        schemaname: schemaName(catalog, entry.schema),
        tablename: catalog.entry("table", entry.tableOid)?.name ?? null,
        indexname: entry.name,
        indexdef: indexDefinition(scope, entry, { pretty: false }),
      };
    }
  },
};

function* sequences(catalog: CatalogSnapshot): Iterable<SequenceEntry> {
  for (const entry of catalog.entries()) if (entry.kind === "sequence") yield entry;
}

/** An int8 Datum: a number where it is exact. */
export function int8(value: bigint | string): number | bigint {
  const exact = BigInt(value);
  return exact >= -(2n ** 53n) + 1n && exact <= 2n ** 53n - 1n ? Number(exact) : exact;
}

export const pgSequence: RelationRows = {
  lookups: ["seqrelid"],
  *rows({ catalog }, equal) {
    for (const sequence of sequences(catalog)) {
      if (equal !== undefined && sequence.oid !== equal.value) continue;
      yield {
        seqrelid: sequence.oid,
        seqtypid: sequence.typeOid,
        seqstart: int8(sequence.start),
        seqincrement: int8(sequence.increment),
        seqmax: int8(sequence.max),
        seqmin: int8(sequence.min),
        seqcache: int8(sequence.cache),
        seqcycle: sequence.cycle,
      };
    }
  },
};

export const pgSequences: RelationRows = {
  lookups: [],
  *rows(context) {
    for (const sequence of sequences(context.catalog)) yield sequenceView(context, sequence);
  },
};

function sequenceView({ catalog, statistics }: VirtualContext, sequence: SequenceEntry): Row {
  const { lastValue, isCalled } = statistics.sequence(sequence.storageId);
  return {
    schemaname: schemaName(catalog, sequence.schema),
    sequencename: sequence.name,
    sequenceowner: roleName(catalog, sequence.owner) ?? null,
    data_type: sequence.typeOid,
    start_value: int8(sequence.start),
    min_value: int8(sequence.min),
    max_value: int8(sequence.max),
    increment_by: int8(sequence.increment),
    cycle: sequence.cycle,
    cache_size: int8(sequence.cache),
    last_value: isCalled ? int8(lastValue) : null,
  };
}
