// VACUUM and ANALYZE. The engine gives dead row versions back by itself when a table has some hundred; VACUUM does it now,
// rewrites chunks with fewer dead rows than the engine would, and lets it write a checkpoint, which is where files shrink.
import { ACCESS_EXCLUSIVE, SHARE_UPDATE_EXCLUSIVE } from "../../common/lock-mode.ts";
import { schemaName } from "../../catalog/deparse/identifier.ts";
import type { TableEntry } from "../../catalog/entries.ts";
import { type NoticeSeverity, SqlError, SqlState } from "../../common/error.ts";
import { LockPolicy, type RelationStatistics } from "../../native/engine.ts";
import type { Node } from "../../parser/tree.ts";
import { analyzeTables } from "../analyze.ts";
import type { SessionCore } from "../core.ts";
import { type UtilityCommand, done } from "./command.ts";
import { checkpoint } from "./maintenance.ts";
import { type VacuumOptions, vacuumOptions } from "./vacuum-options.ts";

interface VacuumStatement {
  readonly is_vacuumcmd?: boolean;
  readonly options?: readonly Node[];
  readonly rels?: readonly Node[];
}

interface Target {
  readonly oid: number;
  readonly name: string;
  /** undefined: something that has nothing to vacuum. */
  readonly table: TableEntry | undefined;
  /** A relation of the system, which has no rows of its own here: done at once. */
  readonly isSystem: boolean;
  readonly columns: readonly string[];
}

/** What PostgreSQL counts in. */
const PAGE_BYTES = 8192;

export function vacuumCommand(statement: VacuumStatement): UtilityCommand {
  const isVacuum = statement.is_vacuumcmd === true;
  const options = vacuumOptions(isVacuum, statement.options);
  if (!options.analyzes && (statement.rels ?? []).some((node) => columnNames(node).length > 0)) {
    const message = "ANALYZE option must be specified when a column list is provided";
    throw new SqlError(SqlState.featureNotSupported, message);
  }
  const tag = isVacuum ? "VACUUM" : "ANALYZE";
  return {
    run: async ({ core }) => {
      if (isVacuum) core.transactions.refuseInBlock("VACUUM");
      core.database.refresh();
      const named = (statement.rels ?? []).map((node) => namedTarget(core, node));
      const targets = named.length > 0 ? named : allTables(core);
      for (const target of targets) await upkeep(core, target, options);
      if (isVacuum) await checkpoint(core);
      return done(tag);
    },
  };
}

async function upkeep(core: SessionCore, target: Target, options: VacuumOptions): Promise<void> {
  const verb = options.isVacuum ? "vacuum" : "analyze";
  if (target.table === undefined) {
    if (target.isSystem) return;
    const message = `skipping "${target.name}" --- cannot ${verb} non-tables or special system tables`;
    say(core, "WARNING", SqlState.warning, message);
    return;
  }
  const { table } = target;
  if (!(await locked(core, table, options))) {
    const message = `skipping ${verb} of "${table.name}" --- lock not available`;
    say(core, "WARNING", SqlState.lockNotAvailable, message);
    return;
  }
  // Dropped while we waited.
  core.database.refresh();
  if (core.catalog().relationByOid(table.oid)?.kind !== "table") return;
  if (options.isVacuum) await vacuum(core, table, options);
  if (options.analyzes) {
    checkColumns(table, target.columns);
    if (options.isVerbose) say(core, "INFO", "00000", `analyzing "${qualified(core, table)}"`);
    await analyzeTables(core, [table.oid]);
  }
}

async function locked(core: SessionCore, table: TableEntry, options: VacuumOptions): Promise<boolean> {
  const mode = options.isFull ? ACCESS_EXCLUSIVE : SHARE_UPDATE_EXCLUSIVE;
  if (!options.skipsLocked) {
    await core.lockRelation(table.oid, mode);
    return true;
  }
  const engine = core.transactions.engine();
  return core.waitForLock(() => engine.lockRelation(table.oid, mode, LockPolicy.nowait));
}

async function vacuum(core: SessionCore, table: TableEntry, options: VacuumOptions): Promise<void> {
  const { engine, waits } = core.database;
  const name = `${core.catalog().database.name}.${qualified(core, table)}`;
  if (options.isVerbose) say(core, "INFO", "00000", `vacuuming "${name}"`);
  const before = engine.relationStatistics(table.storageId);
  const indexes = core.catalog().indexesOf(table.oid);
  const states = indexes.map((index) => engine.indexStatistics(index.storageId));
  await waits.wait(core.engineSession.vacuum(table.storageId, options.isFull));
  if (!options.isVerbose) return;
  const after = engine.relationStatistics(table.storageId);
  const lines = report(before, after, indexes.length > 0);
  indexes.forEach((index, i) => {
    const was = states[i];
    const is = engine.indexStatistics(index.storageId);
    const given = is.reclaimedCount - (was?.reclaimedCount ?? 0);
    if (after.reclaimedCount === before.reclaimedCount && given === 0) return;
    const total = pages(is.sizeBytes);
    const deleted = Math.max(0, pages(was?.sizeBytes ?? 0) - total);
    const line = `index "${index.name}": pages: ${total} in total, ${deleted} newly deleted, 0 currently deleted, 0 reusable`;
    // PostgreSQL's indexes have no entries of their own to count: theirs are the tuples.
    const dead = index.method === "hnsw" ? "vectors" : "documents";
    lines.push(given > 0 ? `${line}; ${given} dead ${dead} removed` : line);
  });
  say(core, "INFO", "00000", `finished vacuuming "${name}": ${lines.join("\n")}`);
}

/** The lines of PostgreSQL's report that mean something here. A page is 8 kB of rows. */
function report(before: RelationStatistics, after: RelationStatistics, hasIndexes: boolean): string[] {
  const removed = after.reclaimedCount - before.reclaimedCount;
  const [was, is] = [pages(before.sizeBytes), pages(after.sizeBytes)];
  return [
    `index scans: ${removed > 0 && hasIndexes ? 1 : 0}`,
    `pages: ${Math.max(0, was - is)} removed, ${is} remain, ${is} scanned (100.00% of total)`,
    `tuples: ${removed} removed, ${after.rowCount} remain, ${after.deadCount} are dead but not yet removable`,
  ];
}

function pages(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES);
}

function say(core: SessionCore, severity: NoticeSeverity, code: string, message: string): void {
  core.notice({ severity, code, message });
}

function qualified(core: SessionCore, table: TableEntry): string {
  return `${schemaName(core.catalog(), table.schema)}.${table.name}`;
}

function allTables(core: SessionCore): readonly Target[] {
  return Array.from(core.catalog().entries()).flatMap((entry) =>
    entry.kind === "table"
      ? [{ oid: entry.oid, name: entry.name, table: entry, isSystem: false, columns: [] }]
      : [],
  );
}

function namedTarget(core: SessionCore, node: Node): Target {
  const name = "VacuumRelation" in node ? node.VacuumRelation.relation : undefined;
  const relname = name?.relname ?? "";
  const ref = core.catalog().relation(name?.schemaname, relname, core.schemaPath(true));
  if (ref === undefined) {
    if (name?.schemaname !== undefined && core.catalog().schemaByName(name.schemaname) === undefined) {
      throw new SqlError(SqlState.invalidSchemaName, `schema "${name.schemaname}" does not exist`);
    }
    const shown = name?.schemaname === undefined ? relname : `${name.schemaname}.${relname}`;
    throw new SqlError(SqlState.undefinedTable, `relation "${shown}" does not exist`);
  }
  const table = ref.kind === "table" ? ref.table : undefined;
  return {
    oid: table?.oid ?? 0,
    name: relname,
    table,
    isSystem: ref.kind === "virtual",
    columns: columnNames(node),
  };
}

function columnNames(node: Node): readonly string[] {
  const columns = "VacuumRelation" in node ? (node.VacuumRelation.va_cols ?? []) : [];
  return columns.flatMap((column) => ("String" in column ? [column.String.sval ?? ""] : []));
}

function checkColumns(table: TableEntry, names: readonly string[]): void {
  names.forEach((name, i) => {
    if (!table.columns.some((column) => column.name === name && !column.isDropped)) {
      const message = `column "${name}" of relation "${table.name}" does not exist`;
      throw new SqlError(SqlState.undefinedColumn, message);
    }
    if (names.indexOf(name) < i) {
      const message = `column "${name}" of relation "${table.name}" appears more than once`;
      throw new SqlError(SqlState.duplicateColumn, message);
    }
  });
}
