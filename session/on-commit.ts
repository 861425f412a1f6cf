// ON COMMIT DELETE ROWS and ON COMMIT DROP: what every commit of the session does to its temporary tables.
import { runOnCommit } from "../executor/utility/definition/index.ts";
import type { TableEntry } from "../catalog/entries.ts";
import type { SessionCore } from "./core.ts";
import { definitionContext } from "./utility/definition.ts";

/** Temporary tables that a commit empties or drops. */
export function tablesOnCommit(core: SessionCore): readonly TableEntry[] {
  const schema = core.temporarySchema;
  // A transaction that has not come to the engine has written nothing.
  if (schema === undefined || core.transactions.started === undefined) return [];
  return Array.from(core.catalog().relationsIn(schema.oid)).flatMap((ref) =>
    ref.kind === "table" && ref.table.onCommit !== undefined ? [ref.table] : [],
  );
}

/** In the transaction that is about to commit. */
export async function cleanOnCommit(core: SessionCore, tables: readonly TableEntry[]): Promise<void> {
  await runOnCommit(tables, definitionContext(core));
}
