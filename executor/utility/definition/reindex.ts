// REINDEX and ALTER INDEX ... SET: the index gets new storage, built while the old one serves readers, and takes its place under
// a short ACCESS EXCLUSIVE lock on the table (a statement that walks an index holds a lock on its table). ROLLBACK keeps the
// old one.
import { ACCESS_EXCLUSIVE } from "../../../common/lock-mode.ts";
import type { IndexEntry, TableEntry } from "../../../catalog/entries.ts";
import { must } from "../../../common/assert.ts";
import type { AlterIndexPlan, ReindexPlan } from "../../../planner/physical/definition.ts";
import type { DefinitionContext } from "./context.ts";
import { type BuildWay, buildInEngine } from "./build-index.ts";

/** Access methods whose options say how the index is built. */
const BUILT_BY_OPTIONS: ReadonlySet<IndexEntry["method"]> = new Set(["hnsw", "bm25"]);

export async function reindex(plan: ReindexPlan, context: DefinitionContext): Promise<void> {
  const way: BuildWay = {
    command: plan.isConcurrent ? "REINDEX CONCURRENTLY" : "REINDEX",
    besideWriters: plan.isConcurrent,
  };
  const renewed: Renewed[] = [];
  for (const index of plan.indexes) {
    const started = Date.now();
    renewed.push(await build(index, context, way));
    if (!plan.isVerbose) continue;
    const elapsed = ((Date.now() - started) / 1000).toFixed(2);
    context.notice({
      severity: "INFO",
      code: "00000",
      message: `index "${index.name}" was reindexed`,
      detail: `elapsed: ${elapsed} s`,
    });
  }
  await replace(renewed, context);
}

export async function alterIndex(plan: AlterIndexPlan, context: DefinitionContext): Promise<void> {
  const changed: IndexEntry = { ...plan.index, options: plan.options };
  if (!BUILT_BY_OPTIONS.has(changed.method)) {
    context.put({ ...changed, version: changed.version + 1 });
    return;
  }
  const renewed = await build(changed, context, { command: "REINDEX", besideWriters: false });
  await replace([renewed], context);
}

interface Renewed {
  readonly index: IndexEntry;
  readonly oldStorageId: number;
}

/** New storage for `index`, with its options as they shall be; its storage is the old one. */
async function build(index: IndexEntry, context: DefinitionContext, way: BuildWay): Promise<Renewed> {
  const table = must(context.catalog().entry("table", index.tableOid), "the table of an index") as TableEntry;
  const storageId = context.engine.allocateOid();
  const renewed: IndexEntry = { ...index, storageId, version: index.version + 1 };
  await buildInEngine(context, table, renewed, way);
  return { index: renewed, oldStorageId: index.storageId };
}

/** Once all are built: from the first lock on their tables stand still. */
async function replace(renewed: readonly Renewed[], context: DefinitionContext): Promise<void> {
  for (const { index } of renewed) await context.lockRelation(index.tableOid, ACCESS_EXCLUSIVE);
  for (const { index, oldStorageId } of renewed) {
    context.transaction.dropIndex(oldStorageId);
    context.put(index);
  }
}
