// vector_recall(index, sample): how much of the truth an index finds. Stored vectors, taken from all over the table, are asked
// for their nearest neighbours by the graph and exactly; the share of the true neighbours that the graph gave is the recall.
import { ACCESS_SHARE } from "../common/lock-mode.ts";
import { must } from "../common/assert.ts";
import { SqlError, SqlState } from "../common/error.ts";
import { type IndexEntry, storedAttnum, type TableEntry } from "../catalog/entries.ts";
import { sampleVectors } from "../executor/search/sample-vectors.ts";
import { SearchMode, SearchStat } from "../native/engine.ts";
import { defaultBeam } from "../planner/physical/beam.ts";
import type { SessionCore } from "./core.ts";

/** Neighbours compared, as recall@10 is commonly given. */
const NEIGHBOURS = 10;

/** Recall between 0 and 1; null for an index without vectors. 42809 for what is not a vector index, 22023 for no sample. */
export async function vectorRecall(
  core: SessionCore,
  indexOid: number,
  sample: number,
): Promise<number | null> {
  if (sample < 1)
    throw new SqlError(SqlState.invalidParameterValue, "the sample must have at least one vector");
  const { index, table } = vectorIndex(core, indexOid);
  await core.lockRelation(table.oid, ACCESS_SHARE);
  const attnum = storedAttnum(must(index.columns[0], "the indexed column"));
  let found = 0;
  let total = 0;
  for await (const { rid, words } of sampleVectors(core.transactions.engine(), table, attnum, sample)) {
    const exact = neighbours(core, index, words, rid, SearchMode.exact);
    const furthest = exact.at(-1) ?? Number.NEGATIVE_INFINITY;
    const graph = neighbours(core, index, words, rid, SearchMode.graph);
    // Of several at the same distance any will do.
    found += Math.min(exact.length, graph.filter((distance) => distance <= furthest).length);
    total += exact.length;
    core.interrupts.check();
  }
  return total === 0 ? null : found / total;
}

function vectorIndex(
  core: SessionCore,
  oid: number,
): { readonly index: IndexEntry; readonly table: TableEntry } {
  const index = core.catalog().entry("index", oid);
  if (index?.kind !== "index" || (index.method !== "hnsw" && index.method !== "ivfflat")) {
    const name = index?.name ?? core.catalog().entry("table", oid)?.name ?? String(oid);
    throw new SqlError(SqlState.wrongObjectType, `"${name}" is not a vector index`);
  }
  const table = core.catalog().entry("table", index.tableOid);
  return { index, table: must(table?.kind === "table" ? table : undefined, "the table of an index") };
}

/** Distances of the nearest other rows, ascending. */
function neighbours(
  core: SessionCore,
  index: IndexEntry,
  query: Float32Array,
  self: number,
  mode: number,
): number[] {
  const count = NEIGHBOURS + 1;
  const rids = new Uint32Array(count);
  const distances = new Float64Array(count);
  const stats = new Float64Array(SearchStat.size);
  const { storageId } = index;
  const engine = core.transactions.engine();
  const usual = (): number => defaultBeam(index, core.statistics.indexEntries(storageId), count);
  const ef = Math.max(core.view.planner.efSearch ?? usual(), count);
  const found = engine.vectorSearch(
    storageId,
    query,
    count,
    ef,
    undefined,
    0,
    mode,
    0,
    0,
    rids,
    distances,
    stats,
  );
  return Array.from(distances.subarray(0, found))
    .filter((_, i) => rids[i] !== self)
    .slice(0, NEIGHBOURS);
}
