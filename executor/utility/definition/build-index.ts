// An index built by the engine over the rows of a table. The engine works in its own pool and answers with tokens.
//
// Writers meanwhile: a graph takes its vectors from the column, where commits add theirs, and what it has not linked is searched
// exactly, so they may go on. Other methods read the rows once, under the caller's SHARE lock, or stronger; or, CONCURRENTLY,
// the index is attached before it is filled and its caller waits for those who wrote without it
// (native/crates/store/src/transaction/beside.rs), under SHARE UPDATE EXCLUSIVE.
import { type BuildLabel, writeLabel } from "../../../catalog/build-label.ts";
import {
  type IndexColumn,
  type IndexEntry,
  storedAttnum,
  type TableEntry,
} from "../../../catalog/entries.ts";
import { must } from "../../../common/assert.ts";
import { notSupported } from "../../../common/error.ts";
import { Oid } from "../../../common/types/oid.ts";
import { codecOf } from "../../../common/types/registry.ts";
import type { IndexColumnSpec, IndexSpec, Metric, Quantization } from "../../../native/engine.ts";
import { columnSpec, packingOf } from "../../storage/column-spec.ts";
import { memoryNotice } from "./build-memory.ts";
import type { DefinitionContext } from "./context.ts";
import { duplicateKeyError } from "./duplicate-key.ts";

export interface BuildWay {
  /** What progress views call it. */
  readonly command: BuildLabel["command"];
  /** The caller holds no lock that keeps writers away, and its transaction has written nothing. */
  readonly besideWriters: boolean;
}

/** pgvector's limits and defaults for WITH (m, ef_construction). */
const HNSW_DEFAULTS = { m: 16, efConstruction: 64 } as const;

/** Dimensions from which on vectors have codes in their index unless something else is said. */
const LEAST_CODED = 128;

/** Whether rows may be written while the index is built, whatever the command. */
export function isBuiltFromVectors({ method }: Pick<IndexEntry, "method">): boolean {
  return method === "hnsw" || method === "ivfflat";
}

/** Builds `index` over the rows of `table`, whose lock the caller holds. */
export async function buildInEngine(
  context: DefinitionContext,
  table: TableEntry,
  index: IndexEntry,
  { command, besideWriters }: BuildWay,
): Promise<void> {
  const { transaction } = context;
  try {
    const spec = indexSpec(context, table, index);
    const label = writeLabel({ command, index });
    if (besideWriters && !isBuiltFromVectors(index)) {
      await buildBesideWriters(context, table, spec, label);
      return;
    }
    const allowedBytes = context.maintenanceMemoryBytes();
    const notice = memoryNotice(transaction.indexMemory(spec), allowedBytes);
    if (notice !== undefined) context.notice(notice);
    const token = transaction.createIndex(spec, allowedBytes, label);
    if (token !== 0) await finished(context, token);
  } catch (error) {
    throw duplicateKeyError(error, context, table, index);
  }
}

async function buildBesideWriters(
  context: DefinitionContext,
  table: TableEntry,
  spec: IndexSpec,
  label: string,
): Promise<void> {
  const { transaction } = context;
  transaction.beginIndex(spec, label);
  await context.awaitWriters(table.oid);
  await finished(context, transaction.fillIndex());
  if (!spec.unique) return;
  await context.awaitWriters(table.oid);
  await finished(context, transaction.validateIndex());
}

async function finished(context: DefinitionContext, token: number): Promise<void> {
  await context.wait(token);
  context.transaction.indexResult();
}

/** What the engine needs to know of an index. */
function indexSpec(context: DefinitionContext, table: TableEntry, index: IndexEntry): IndexSpec {
  const option = (name: string): string | undefined => index.options.find(([key]) => key === name)?.[1];
  const base = {
    indexId: index.storageId,
    relationId: table.storageId,
    // A deferrable key is checked after its rows went in.
    unique: index.isUnique && index.isImmediate,
    nullsNotDistinct: index.nullsNotDistinct,
    columns: [
      ...index.columns.map((column) => columnSpecOf(table, index, column)),
      ...guardOf(index.predicate?.hiddenAttnum ?? 0),
    ],
  };
  switch (index.method) {
    case "btree":
      return { ...base, method: "btree" };
    case "hnsw":
    case "ivfflat":
      return { ...base, method: "hnsw", ...graphSpec(context, table, index, option) };
    case "bm25":
      return {
        ...base,
        method: "bm25",
        textConfig: option("text_config") === "simple" ? "simple" : "english",
        k1: Number(option("k1") ?? 1.2),
        b: Number(option("b") ?? 0.75),
      };
  }
}

function columnSpecOf(table: TableEntry, index: IndexEntry, column: IndexColumn): IndexColumnSpec {
  const attnum = storedAttnum(column);
  const type = table.columns[attnum - 1]?.type;
  const keyKind = type === undefined ? undefined : codecOf(type.oid).keyKind;
  // A key is made of the bytes of a row; those of a vector column with a dimension lie in segments of their own.
  const isInSegments = type !== undefined && columnSpec(type).kind === "vector";
  if (index.method === "btree" && (keyKind === undefined || isInSegments)) {
    throw notSupported(`a btree index on type ${codecOf(type?.oid ?? Oid.unknown).name}`);
  }
  return {
    column: attnum - 1,
    keyKind: keyKind ?? "bytes",
    descending: column.descending,
    nullsFirst: column.nullsFirst,
  };
}

/** The column that keeps rows outside a predicate from the index. */
function guardOf(attnum: number): readonly IndexColumnSpec[] {
  if (attnum === 0) return [];
  return [{ column: attnum - 1, keyKind: "guard", descending: false, nullsFirst: false }];
}

/** What a graph is made of. `lists` of ivfflat has no meaning for it. */
function graphSpec(
  context: DefinitionContext,
  table: TableEntry,
  index: IndexEntry,
  option: (name: string) => string | undefined,
): Pick<IndexSpec, "m" | "efConstruction" | "metric" | "form" | "dimensions" | "quantization" | "rerank"> {
  const key = must(index.columns[0], "a vector index has one column");
  const type = must(table.columns[storedAttnum(key) - 1], "the indexed column").type;
  const { form, dimensions } = must(packingOf(type), "vectors of a known dimension");
  const metric = metricOf(context, index);
  return {
    m: Number(option("m") ?? HNSW_DEFAULTS.m),
    efConstruction: Number(option("ef_construction") ?? HNSW_DEFAULTS.efConstruction),
    metric,
    form,
    dimensions,
    quantization: quantizationOf(option("quantization"), form, dimensions, metric),
    rerank: Number(option("rerank") ?? 0),
  };
}

/**
 * `auto`, the default, is codes of a byte a dimension where they were measured to make searches cheaper at the recall of floats:
 * 384 dimensions cost half, 128 three quarters, 64 as much. Halves and other metrics were not measured.
 */
function quantizationOf(
  said: string | undefined,
  form: IndexSpec["form"],
  dimensions: number,
  metric: Metric,
): Quantization {
  const option = (said ?? "auto").toLowerCase();
  if (option !== "auto") return option as Quantization;
  const isMeasured = form === "f32" && (metric === "l2" || metric === "ip" || metric === "cosine");
  return isMeasured && dimensions >= LEAST_CODED ? "sq8" : "none";
}

/** The metric of a vector operator class, from its name: "halfvec_cosine_ops". */
function metricOf(context: DefinitionContext, index: IndexEntry): Metric {
  const opclass = context.catalog().operatorClassByOid(index.columns[0]?.opclass ?? 0);
  const metric = /^\w+?_(l2|ip|cosine|l1|hamming|jaccard)_ops$/.exec(opclass?.name ?? "")?.[1];
  if (metric === undefined) throw notSupported(`operator class "${opclass?.name ?? ""}"`);
  return metric as Metric;
}
