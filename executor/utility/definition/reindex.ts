// REINDEX and ALTER INDEX ... SET: the index gets new storage, built while the old one serves readers, and takes its place under
// a short ACCESS EXCLUSIVE lock on the table (a statement that walks an index holds a lock on its table). ROLLBACK keeps the
// old one.
import type { IndexEntry, TableEntry } from "../../../catalog/entries.ts";
import { must } from "../../../common/assert.ts";
import type { AlterIndexPlan, ReindexPlan } from "../../../planner/physical/definition.ts";
import type { DefinitionContext } from "./context.ts";
import { buildInEngine } from "./create-index.ts";

const ACCESS_EXCLUSIVE = 8;
/** Access methods whose options say how the index is built. */
const BUILT_BY_OPTIONS: ReadonlySet<IndexEntry["method"]> = new Set(["hnsw", "bm25"]);

/**
 * Whether rows may be written while the index is built. A graph takes its vectors from the column, where commits add theirs:
 * what it has not linked is searched exactly. Other methods read the rows once.
 */
export function isBuiltBesideWriters({ method }: Pick<IndexEntry, "method">): boolean {
  return method === "hnsw" || method === "ivfflat";
}

export async function reindex(plan: ReindexPlan, context: DefinitionContext): Promise<void> {
  for (const index of plan.indexes) {
    const started = Date.now();
    await rebuild(index, context);
    if (!plan.isVerbose) continue;
    const elapsed = ((Date.now() - started) / 1000).toFixed(2);
    context.notice({
      severity: "INFO",
      code: "00000",
      message: `index "${index.name}" was reindexed`,
      detail: `elapsed: ${elapsed} s`,
    });
  }
}

export async function alterIndex(plan: AlterIndexPlan, context: DefinitionContext): Promise<void> {
  const changed: IndexEntry = { ...plan.index, options: plan.options };
  if (BUILT_BY_OPTIONS.has(changed.method)) await rebuild(changed, context);
  else context.put({ ...changed, version: changed.version + 1 });
}

/** `index` with its options as they shall be; its storage is the old one. */
async function rebuild(index: IndexEntry, context: DefinitionContext): Promise<void> {
  const table = must(context.catalog().entry("table", index.tableOid), "the table of an index") as TableEntry;
  const storageId = context.engine.allocateOid();
  const renewed: IndexEntry = { ...index, storageId, version: index.version + 1 };
  await buildInEngine(context, table, renewed);
  await context.lockRelation(table.oid, ACCESS_EXCLUSIVE);
  context.transaction.dropIndex(index.storageId);
  context.put(renewed);
}
