// vector_recall(index, sample): how much of the truth an index finds. Stored vectors, taken from all over the table, are asked
// for their nearest neighbours by the graph and exactly; the share of the true neighbours that the graph gave is the recall.
import { setImmediate } from "node:timers/promises";
import { must } from "../common/assert.ts";
import { SqlError, SqlState } from "../common/error.ts";
import { type IndexEntry, storedAttnum, type TableEntry } from "../catalog/entries.ts";
import { BufferPool } from "../executor/storage/buffer-pool.ts";
import { packingOf } from "../executor/storage/column-spec.ts";
import { RowReader } from "../executor/storage/row-reader.ts";
import { SearchMode, SearchStat } from "../native/engine.ts";
import { DEFAULT_EF } from "../planner/physical/cost.ts";
import type { SessionCore } from "./core.ts";

const ACCESS_SHARE = 1;
/** Neighbours compared, as recall@10 is commonly given. */
const NEIGHBOURS = 10;
/** Rows read at once. */
const BATCH = 256;

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
  const { type } = must(table.columns[attnum - 1], "the indexed column");
  const { words } = must(packingOf(type), "vectors of a known dimension");
  const transaction = core.transactions.engine();
  const rowLimit = transaction.ridLimit(table.storageId);
  const reader = new RowReader([type], Math.min(sample, BATCH), new BufferPool());
  const columns = Uint16Array.of(attnum - 1);
  const order = scattered(rowLimit);
  let asked = 0;
  let found = 0;
  let total = 0;
  try {
    for (let from = 0; from < rowLimit && asked < sample; from += reader.capacity) {
      const count = Math.min(reader.capacity, rowLimit - from);
      const wanted = Uint32Array.from({ length: count }, (_, i) => order(from + i));
      const rows = reader.fetch(transaction, table.storageId, columns, wanted, 0, count, false);
      const { values, nulls } = must(reader.buffers[0], "one column");
      for (let row = 0; row < rows && asked < sample; row++) {
        if (nulls[row] === 1) continue;
        asked += 1;
        const query = (values as Float32Array).slice(row * words, (row + 1) * words);
        const rid = must(reader.rids[row], "a row id");
        const exact = neighbours(core, index, query, rid, SearchMode.exact);
        const furthest = exact.at(-1) ?? Number.NEGATIVE_INFINITY;
        const graph = neighbours(core, index, query, rid, SearchMode.graph);
        // Of several at the same distance any will do.
        found += Math.min(exact.length, graph.filter((distance) => distance <= furthest).length);
        total += exact.length;
        await setImmediate();
        core.interrupts.check();
      }
    }
  } finally {
    reader.close();
  }
  return total === 0 ? null : found / total;
}

/** A permutation of 0 ... count - 1 that visits all parts alike and follows no period of the data. */
function scattered(count: number): (position: number) => number {
  const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));
  let stride = Math.max(1, Math.floor(count * 0.6180339887));
  while (gcd(stride, count) > 1) stride += 1;
  return (position) => (position * stride) % count;
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
  const ef = Math.max(core.view.planner.efSearch ?? DEFAULT_EF, count);
  const { storageId } = index;
  const found = core.transactions
    .engine()
    .vectorSearch(storageId, query, count, ef, undefined, 0, mode, 0, rids, distances, stats);
  return Array.from(distances.subarray(0, found))
    .filter((_, i) => rids[i] !== self)
    .slice(0, NEIGHBOURS);
}
