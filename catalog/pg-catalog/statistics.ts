// What ANALYZE found (pg_statistic, pg_stats), and the activity views. Counters that the engine does not keep are NULL or
// absent rather than zeros that would look like measurements.
import { SqlArray } from "../../common/types/array.ts";
import { Oid } from "../../common/types/oid.ts";
import type { Datum } from "../../common/types/type.ts";
import { readLabel } from "../build-label.ts";
import type { CatalogSnapshot, VirtualContext } from "../catalog.ts";
import { schemaName } from "../deparse/identifier.ts";
import type { ColumnStatistics, IndexEntry, TableEntry } from "../entries.ts";
import { PAGE_SIZE_BYTES } from "./classes.ts";
import type { RelationRows } from "./rows.ts";

interface AnalyzedColumn {
  readonly table: TableEntry;
  readonly name: string;
  readonly statistics: ColumnStatistics;
}

function* analyzedColumns(catalog: CatalogSnapshot): Iterable<AnalyzedColumn> {
  for (const entry of catalog.entries()) {
    if (entry.kind !== "table") continue;
    for (const statistics of catalog.statisticsOf(entry.oid)?.columns ?? []) {
      const column = entry.columns.find((candidate) => candidate.attnum === statistics.attnum);
      if (column !== undefined && !column.isDropped) yield { table: entry, name: column.name, statistics };
    }
  }
}

function texts(values: readonly string[]): Datum {
  return values.length === 0 ? null : SqlArray.of(Oid.text, values);
}

function floats(values: readonly number[]): Datum {
  return values.length === 0 ? null : SqlArray.of(Oid.float4, values.map(Math.fround));
}

export const pgStats: RelationRows = {
  lookups: [],
  *rows({ catalog }) {
    for (const { table, name, statistics } of analyzedColumns(catalog)) {
      yield {
        schemaname: schemaName(catalog, table.schema),
        tablename: table.name,
        attname: name,
        inherited: false,
        null_frac: Math.fround(statistics.nullFraction),
        avg_width: statistics.averageWidth,
        n_distinct: Math.fround(statistics.distinct),
        most_common_vals: texts(statistics.commonValues),
        most_common_freqs: floats(statistics.commonFrequencies),
        histogram_bounds: texts(statistics.histogram),
        correlation: Math.fround(statistics.correlation),
      };
    }
  },
};

const MOST_COMMON = 1;
const HISTOGRAM = 2;
const CORRELATION = 3;

export const pgStatistic: RelationRows = {
  lookups: [],
  *rows({ catalog }) {
    for (const { table, statistics } of analyzedColumns(catalog)) {
      yield {
        starelid: table.oid,
        staattnum: statistics.attnum,
        stanullfrac: Math.fround(statistics.nullFraction),
        stawidth: statistics.averageWidth,
        stadistinct: Math.fround(statistics.distinct),
        ...(statistics.commonValues.length > 0 && {
          stakind1: MOST_COMMON,
          stanumbers1: floats(statistics.commonFrequencies),
          stavalues1: texts(statistics.commonValues),
        }),
        ...(statistics.histogram.length > 0 && {
          stakind2: HISTOGRAM,
          stavalues2: texts(statistics.histogram),
        }),
        stakind3: CORRELATION,
        stanumbers3: floats([statistics.correlation]),
      };
    }
  },
};

function* userTables(catalog: CatalogSnapshot): Iterable<TableEntry> {
  for (const entry of catalog.entries()) if (entry.kind === "table") yield entry;
}

const MILLISECONDS_TO_2000 = Date.UTC(2000, 0, 1);

/** A timestamptz of the engine's milliseconds. */
function timestamp(milliseconds: number): Datum {
  return milliseconds === 0 ? null : Math.round((milliseconds - MILLISECONDS_TO_2000) * 1000);
}

export const pgStatUserTables: RelationRows = {
  lookups: [],
  *rows({ catalog, statistics }) {
    for (const table of userTables(catalog)) {
      const found = statistics.relationRows(table.storageId);
      yield {
        relid: table.oid,
        schemaname: schemaName(catalog, table.schema),
        relname: table.name,
        n_live_tup: found.rowCount,
        n_dead_tup: found.deadCount,
        last_vacuum: timestamp(found.lastVacuum),
        last_autovacuum: timestamp(found.lastCollection),
        vacuum_count: found.vacuums,
        autovacuum_count: found.collections,
      };
    }
  },
};

function* indexesWithTables(catalog: CatalogSnapshot): Iterable<{ index: IndexEntry; table: TableEntry }> {
  for (const table of userTables(catalog))
    for (const index of catalog.indexesOf(table.oid)) yield { index, table };
}

export const pgStatUserIndexes: RelationRows = {
  lookups: [],
  *rows({ catalog }) {
    for (const { index, table } of indexesWithTables(catalog)) {
      yield {
        relid: table.oid,
        indexrelid: index.oid,
        schemaname: schemaName(catalog, table.schema),
        relname: table.name,
        indexrelname: index.name,
      };
    }
  },
};

/** The session's own line; other sessions live in other threads. */

export const pgStatDatabase: RelationRows = {
  lookups: [],
  *rows({ catalog }) {
    for (const database of catalog.databases()) yield { datid: database.oid, datname: database.name };
  },
};

/** Backups as the engine reports them. All files lie in one folder, which is one tablespace to PostgreSQL. */
export const pgStatProgressBasebackup: RelationRows = {
  lookups: [],
  *rows({ statistics }) {
    for (const { processId, phase, done, total } of statistics.backups()) {
      yield {
        pid: processId,
        phase,
        backup_total: total === 0 ? null : total,
        backup_streamed: done,
        tablespaces_total: 1,
        tablespaces_streamed: 0,
      };
    }
  },
};

/**
 * Index builds as the engine reports them: rows done and to do, in the engine's unit of work. Blocks stand in the same
 * relation, because pgvector's documentation tells users to divide those.
 */
export const pgStatProgressCreateIndex: RelationRows = {
  lookups: [],
  *rows({ catalog, statistics }) {
    const builds = statistics.builds();
    if (builds.length === 0) return;
    const tables = new Map(Array.from(userTables(catalog), (table) => [table.storageId, table]));
    for (const build of builds) {
      const table = tables.get(build.relationId);
      if (table === undefined) continue;
      const { command, index } = readLabel(build.label);
      const pages = pagesOf(statistics, table);
      yield {
        pid: build.processId,
        datid: catalog.database.oid,
        datname: catalog.database.name,
        relid: table.oid,
        // As PostgreSQL has it: 0 where no entry can be seen before the build is over.
        index_relid: command === "CREATE INDEX" ? 0 : index.oid,
        command,
        phase: build.phase,
        blocks_total: pages,
        blocks_done: Math.floor(pages * Math.min(1, build.done / Math.max(1, build.total))),
        tuples_total: build.total,
        tuples_done: build.done,
      };
    }
  },
};

/**
 * VACUUM as the engine reports it. What it counts in chunks stands in pages of the table. PostgreSQL's list of dead row
 * versions has a bound (max_dead_tuples); the engine's has none, so all of them are in it, and num_dead_tuples says how many
 * are dealt with.
 */
export const pgStatProgressVacuum: RelationRows = {
  lookups: [],
  *rows({ catalog, statistics }) {
    const vacuums = statistics.vacuums();
    if (vacuums.length === 0) return;
    const tables = new Map(Array.from(userTables(catalog), (table) => [table.storageId, table]));
    for (const { processId, relationId, phase, chunks, scanned, rewritten, dead, dropped } of vacuums) {
      const table = tables.get(relationId);
      if (table === undefined) continue;
      const pages = pagesOf(statistics, table);
      const inPages = (count: number): number => Math.floor((pages * count) / Math.max(1, chunks));
      yield {
        pid: processId,
        datid: catalog.database.oid,
        datname: catalog.database.name,
        relid: table.oid,
        phase,
        heap_blks_total: pages,
        heap_blks_scanned: inPages(scanned),
        heap_blks_vacuumed: inPages(rewritten),
        index_vacuum_count: phase === "initializing" || phase === "vacuuming indexes" ? 0 : 1,
        max_dead_tuples: dead,
        num_dead_tuples: dropped,
      };
    }
  },
};

function pagesOf(statistics: VirtualContext["statistics"], table: TableEntry): number {
  return Math.ceil(statistics.relationRows(table.storageId).sizeBytes / PAGE_SIZE_BYTES);
}
