// ANALYZE: statistics of tables as catalogue entries of the running transaction.
import { SHARE_UPDATE_EXCLUSIVE } from "../common/lock-mode.ts";
import { entryKey, type StatisticsEntry, type TableEntry } from "../catalog/entries.ts";
import { createContext } from "../executor/execution.ts";
import { analyzeTable } from "../executor/utility/analyze.ts";
import type { SessionCore } from "./core.ts";

/** undefined = every table of the database. Column lists only restrict what is looked at; all columns are refreshed. */
export async function analyzeTables(
  core: SessionCore,
  tableOids: readonly number[] | undefined,
): Promise<void> {
  core.database.refresh();
  for (const oid of tableOids ?? allTables(core)) {
    // Two ANALYZE of one table wait for each other, nobody else does.
    await core.lockRelation(oid, SHARE_UPDATE_EXCLUSIVE);
    core.database.refresh();
    const ref = core.catalog().relationByOid(oid);
    // Dropped while we waited.
    if (ref?.kind !== "table") continue;
    const entry = await statistics(core, ref.table, core.catalog().statisticsOf(oid));
    core.putEntry(entry, entryKey(entry));
  }
}

async function statistics(
  core: SessionCore,
  table: TableEntry,
  previous: StatisticsEntry | undefined,
): Promise<StatisticsEntry> {
  const options = core.executionOptions([]);
  core.transactions.beginStatement();
  const context = createContext(options);
  try {
    return await analyzeTable(table, previous, context);
  } finally {
    context.close();
  }
}

function allTables(core: SessionCore): readonly number[] {
  return Array.from(core.catalog().entries()).flatMap((entry) => (entry.kind === "table" ? [entry.oid] : []));
}
