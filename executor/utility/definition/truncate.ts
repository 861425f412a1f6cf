// TRUNCATE: the table gets new, empty storage under the same oid.
import { ACCESS_EXCLUSIVE } from "../../../common/lock-mode.ts";
import type { TableEntry } from "../../../catalog/entries.ts";
import { SqlError, SqlState } from "../../../common/error.ts";
import type { TruncatePlan } from "../../../planner/physical/definition.ts";
import { columnSpec } from "../../storage/column-spec.ts";
import type { DefinitionContext } from "./context.ts";
import { dropTable } from "./drop.ts";
import { type ForeignKeyOf, foreignKeysTo, removeForeignKeys } from "./dependents.ts";
import { moveStorage } from "./storage.ts";

export async function truncate(plan: TruncatePlan, context: DefinitionContext): Promise<void> {
  const tables = [...plan.tables];
  for (const table of tables) {
    await context.lockRelation(table.oid, ACCESS_EXCLUSIVE);
    await context.refuseWhileChecksWait(table, "TRUNCATE");
    const truncated = new Set(tables.map(({ oid }) => oid));
    for (const reference of foreignKeysTo(table, context, (one) => !truncated.has(one.table.oid))) {
      if (!plan.cascade) throw stillReferenced(table, reference);
      if (truncated.has(reference.table.oid)) continue;
      context.notice({
        severity: "NOTICE",
        code: "00000",
        message: `truncate cascades to table "${reference.table.name}"`,
      });
      truncated.add(reference.table.oid);
      tables.push(reference.table);
    }
  }
  for (const oid of new Set(tables.map((table) => table.oid))) {
    const table = context.catalog().entry("table", oid);
    if (table?.kind !== "table") continue;
    await replaceStorage(table, context);
    if (plan.restartIdentity) restartSequences(table, context);
  }
}

function stillReferenced(table: TableEntry, { table: other }: ForeignKeyOf): SqlError {
  return new SqlError(
    SqlState.featureNotSupported,
    "cannot truncate a table referenced in a foreign key constraint",
    {
      detail: `Table "${other.name}" references "${table.name}".`,
      hint: `Truncate table "${other.name}" at the same time, or use TRUNCATE ... CASCADE.`,
    },
  );
}

/**
 * ON COMMIT of temporary tables, before the transaction commits: rows deleted, tables dropped. Tables that have had no rows
 * stay as they are.
 */
export async function runOnCommit(tables: readonly TableEntry[], context: DefinitionContext): Promise<void> {
  for (const table of tables) {
    if (table.onCommit === "drop") {
      await removeForeignKeys(foreignKeysTo(table, context), context);
      await dropTable(table, context);
    } else if (table.onCommit === "delete" && context.transaction.ridLimit(table.storageId) > 0)
      await replaceStorage(table, context);
  }
}

async function replaceStorage(table: TableEntry, context: DefinitionContext): Promise<void> {
  const storageId = context.engine.allocateOid();
  context.transaction.createRelation(
    storageId,
    table.columns.map((column) => columnSpec(column.type)),
    table.persistence === "t",
  );
  const fresh: TableEntry = { ...table, storageId, version: table.version + 1 };
  await moveStorage(table, fresh, context.catalog().indexesOf(table.oid), context);
}

function restartSequences(table: TableEntry, context: DefinitionContext): void {
  for (const column of table.columns) {
    const sequence =
      column.ownedSequence === 0 ? undefined : context.catalog().entry("sequence", column.ownedSequence);
    if (sequence?.kind !== "sequence") continue;
    // As in PostgreSQL the restart is transactional: a new sequence takes the old one's place.
    const storageId = context.engine.allocateOid();
    context.transaction.createSequence({
      sequenceId: storageId,
      start: BigInt(sequence.start),
      increment: BigInt(sequence.increment),
      min: BigInt(sequence.min),
      max: BigInt(sequence.max),
      cycle: sequence.cycle,
      temporary: sequence.persistence === "t",
    });
    context.transaction.dropSequence(sequence.storageId);
    context.put({ ...sequence, storageId, version: sequence.version + 1 });
  }
}
