// LOCK TABLE: takes the lock of the mode named and keeps it to the end of the transaction.
import { notSupported, SqlError, SqlState } from "../../common/error.ts";
import { LockPolicy } from "../../native/engine.ts";
import type { Node } from "../../parser/tree.ts";
import type { SessionCore } from "../core.ts";
import { type UtilityCommand, done } from "./command.ts";

interface LockStatement {
  readonly relations?: readonly Node[];
  /** PostgreSQL's mode number, 1 ACCESS SHARE .. 8 ACCESS EXCLUSIVE. */
  readonly mode?: number;
  readonly nowait?: boolean;
}

export function lockCommand(statement: LockStatement): UtilityCommand {
  return {
    run: async ({ core }) => {
      if (!core.transactions.isInBlock) {
        throw new SqlError(
          SqlState.noActiveSqlTransaction,
          "LOCK TABLE can only be used in transaction blocks",
        );
      }
      for (const relation of statement.relations ?? []) {
        if ("RangeVar" in relation) {
          await lockOne(core, relation.RangeVar, statement.mode ?? 8, statement.nowait === true);
        }
      }
      return done("LOCK TABLE");
    },
  };
}

async function lockOne(
  core: SessionCore,
  name: { readonly schemaname?: string; readonly relname?: string },
  mode: number,
  isNoWait: boolean,
): Promise<void> {
  core.database.refresh();
  const relname = name.relname ?? "";
  const ref = core.catalog().relation(name.schemaname, relname, core.schemaPath(true));
  if (ref === undefined) {
    const shown = name.schemaname === undefined ? relname : `${name.schemaname}.${relname}`;
    throw new SqlError(SqlState.undefinedTable, `relation "${shown}" does not exist`);
  }
  if (ref.kind === "sequence") {
    throw new SqlError(SqlState.wrongObjectType, `cannot lock relation "${relname}"`, {
      detail: "This operation is not supported for sequences.",
    });
  }
  if (ref.kind === "virtual" || ref.kind === "view") throw notSupported("LOCK TABLE on a system catalog");
  if (ref.kind !== "table")
    throw new SqlError(SqlState.wrongObjectType, `"${relname}" is not a table or view`);
  if (!isNoWait) return core.lockRelation(ref.table.oid, mode);
  const engine = core.transactions.engine();
  const isGranted = await core.waitForLock(() => engine.lockRelation(ref.table.oid, mode, LockPolicy.nowait));
  if (!isGranted) {
    throw new SqlError(SqlState.lockNotAvailable, `could not obtain lock on relation "${relname}"`);
  }
}
