// ANALYZE of one table: what the planner should know about it, as a catalogue entry that the session stores.
import { must } from "../../common/assert.ts";
import { codecOf } from "../../common/types/registry.ts";
import type { ColumnStatistics, StatisticsEntry, TableEntry } from "../../catalog/entries.ts";
import type { ExecutionContext } from "../context.ts";
import { columnStatistics } from "./analyze/column-statistics.ts";
import { sampleTable } from "./analyze/sample.ts";

/**
 * Samples the table and computes statistics of all its columns. The entry carries the table's oid and a version above the
 * `previous` one's.
 */
export async function analyzeTable(
  table: TableEntry,
  previous: StatisticsEntry | undefined,
  context: ExecutionContext,
): Promise<StatisticsEntry> {
  const analysed = table.columns.filter((column) => !column.isDropped);
  const sample = await sampleTable(
    table,
    analysed.map((column) => column.attnum),
    context,
  );
  const columns: ColumnStatistics[] = [];
  for (let i = 0; i < analysed.length; i++) {
    const column = must(analysed[i], "a column");
    columns.push(
      columnStatistics(
        {
          attnum: column.attnum,
          codec: codecOf(column.type.oid),
          values: must(sample.columns[i], "a sampled column"),
          totalRows: sample.totalRows,
        },
        context.functionContext.types,
      ),
    );
    const pause = context.turn();
    if (pause !== undefined) await pause;
  }
  return {
    kind: "statistics",
    oid: table.oid,
    name: table.name,
    version: (previous?.version ?? 0) + 1,
    database: table.database,
    tableOid: table.oid,
    rowCount: sample.totalRows,
    columns,
  };
}
