// VACUUM, ANALYZE, CHECKPOINT. Old row versions are reclaimed by the engine on its own; VACUUM lets it write a checkpoint,
// which is where space is given back, and is otherwise accepted as pg_dump's and ORMs' scripts expect.
import { SqlError, SqlState } from "../../common/error.ts";
import type { Node } from "../../parser/tree.ts";
import { analyzeTables } from "../analyze.ts";
import type { SessionCore } from "../core.ts";
import { type UtilityCommand, done } from "./command.ts";
import { booleanOption, commandOptions, unrecognizedOption } from "./option-value.ts";

interface VacuumStatement {
  readonly is_vacuumcmd?: boolean;
  readonly options?: readonly Node[];
  readonly rels?: readonly Node[];
}

const VACUUM_OPTIONS = new Set([
  "full",
  "freeze",
  "disable_page_skipping",
  "skip_locked",
  "index_cleanup",
  "process_toast",
  "truncate",
  "parallel",
]);

export function vacuumCommand(statement: VacuumStatement): UtilityCommand {
  const isVacuum = statement.is_vacuumcmd === true;
  let analyzes = !isVacuum;
  for (const option of commandOptions(statement.options)) {
    if (option.name === "analyze" && isVacuum) analyzes = booleanOption(option);
    else if (option.name === "verbose" || option.name === "skip_locked") booleanOption(option);
    else if (!isVacuum || !VACUUM_OPTIONS.has(option.name)) {
      throw unrecognizedOption(isVacuum ? "VACUUM" : "ANALYZE", option);
    }
  }
  const tag = isVacuum ? "VACUUM" : "ANALYZE";
  return {
    run: async ({ core }) => {
      if (isVacuum) core.transactions.refuseInBlock("VACUUM");
      core.database.refresh();
      const targets = (statement.rels ?? []).map((relation) => targetOid(core, relation));
      if (analyzes) await analyzeTables(core, targets.length > 0 ? targets : undefined);
      if (isVacuum) await checkpoint(core);
      return done(tag);
    },
  };
}

/** The table a VACUUM or ANALYZE names; the columns it may list must exist. */
function targetOid(core: SessionCore, node: Node): number {
  const relation = "VacuumRelation" in node ? node.VacuumRelation : undefined;
  const name = relation?.relation;
  const ref = core.catalog().relation(name?.schemaname, name?.relname ?? "", core.schemaPath(true));
  if (ref?.kind !== "table") {
    throw new SqlError(SqlState.undefinedTable, `relation "${name?.relname ?? ""}" does not exist`);
  }
  const { table } = ref;
  for (const column of relation?.va_cols ?? []) {
    const wanted = "String" in column ? (column.String.sval ?? "") : "";
    if (!table.columns.some((entry) => entry.name === wanted && !entry.isDropped)) {
      throw new SqlError(
        SqlState.undefinedColumn,
        `column "${wanted}" of relation "${table.name}" does not exist`,
      );
    }
  }
  return table.oid;
}

export function checkpointCommand(): UtilityCommand {
  return {
    run: async ({ core }) => {
      await checkpoint(core);
      return done("CHECKPOINT");
    },
  };
}

async function checkpoint(core: SessionCore): Promise<void> {
  await core.database.waits.wait(core.database.engine.checkpoint());
}
