// A table that moves to other storage under its oid: TRUNCATE and rewrites. The old storage goes at commit, so ROLLBACK brings
// it back.
import type { IndexEntry, TableEntry } from "../../../catalog/entries.ts";
import type { DefinitionContext } from "./context.ts";
import { buildInEngine } from "./build-index.ts";

/** Puts `moved`, which has another storage than `table`, and builds `indexes` over it. */
export async function moveStorage(
  table: TableEntry,
  moved: TableEntry,
  indexes: readonly IndexEntry[],
  context: DefinitionContext,
): Promise<void> {
  context.put(moved);
  for (const index of indexes) {
    context.transaction.dropIndex(index.storageId);
    const renewed: IndexEntry = {
      ...index,
      storageId: context.engine.allocateOid(),
      version: index.version + 1,
    };
    await buildInEngine(context, moved, renewed, {
      command: "CREATE INDEX",
      besideWriters: false,
    });
    context.put(renewed);
  }
  context.transaction.dropRelation(table.storageId);
}
