// CREATE INDEX, and the indexes behind keys. The caller of CREATE INDEX holds a SHARE lock on the table: nobody writes while the
// engine builds; readers go on. The engine builds in its own pool and answers with a token.
import {
  type IndexColumn,
  type IndexEntry,
  storedAttnum,
  type TableEntry,
} from "../../../catalog/entries.ts";
import { must } from "../../../common/assert.ts";
import { notSupported, SqlError, SqlState } from "../../../common/error.ts";
import { Oid } from "../../../common/types/oid.ts";
import { codecOf } from "../../../common/types/registry.ts";
import type { IndexColumnSpec, IndexSpec, Metric, Quantization } from "../../../native/engine.ts";
import type { CreateIndexPlan } from "../../../planner/physical/definition.ts";
import { columnSpec, packingOf } from "../../storage/column-spec.ts";
import type { DefinitionContext } from "./context.ts";
import { memoryNotice } from "./build-memory.ts";
import { addHiddenColumns } from "./hidden-columns.ts";
import { lockName } from "./name-lock.ts";
import { chooseRelationName, relationExists } from "./names.ts";
import { duplicateKeyError, refuseDuplicates } from "./duplicate-key.ts";

/** pgvector's limits and defaults for WITH (m, ef_construction). */
const HNSW_DEFAULTS = { m: 16, efConstruction: 64 } as const;

export async function createIndex(plan: CreateIndexPlan, context: DefinitionContext): Promise<void> {
  await context.refuseWhileChecksWait(plan.table, "CREATE INDEX");
  const { schema, name: tableName } = plan.table;
  const columnNames = plan.columns.map((column) => column.name);
  const name =
    plan.name ??
    chooseRelationName(context.catalog(), schema, tableName, columnNames.join("_"), "idx", new Set());
  await lockName(context, schema, name);
  if (relationExists(context.catalog(), schema, name)) {
    const message = `relation "${name}" already exists`;
    if (!plan.ifNotExists) throw new SqlError(SqlState.duplicateTable, message);
    context.notice({ severity: "NOTICE", code: SqlState.duplicateTable, message: `${message}, skipping` });
    return;
  }
  const { table, columns, predicate } = await addHiddenColumns(plan, context);
  await buildIndex(context, table, {
    name,
    method: plan.method,
    columns,
    predicate,
    isUnique: plan.isUnique,
    isPrimary: false,
    isImmediate: true,
    nullsNotDistinct: plan.nullsNotDistinct,
    options: plan.options,
  });
}

interface KeyIndex {
  readonly name: string;
  readonly attnums: readonly number[];
  readonly isPrimary: boolean;
  readonly isImmediate: boolean;
  readonly nullsNotDistinct: boolean;
}

/** The unique btree index behind a PRIMARY KEY or UNIQUE constraint. */
export async function createKeyIndex(
  context: DefinitionContext,
  table: TableEntry,
  key: KeyIndex,
): Promise<IndexEntry> {
  const columns = key.attnums.map((attnum): IndexColumn => {
    const column = table.columns[attnum - 1];
    const typeOid = column?.type.oid ?? 0;
    const opclass = context.catalog().operatorClass("btree", typeOid, undefined);
    if (opclass === undefined) {
      throw new SqlError(
        SqlState.undefinedObject,
        `data type ${codecOf(typeOid).name} has no default operator class for access method "btree"`,
        {
          hint: "You must specify an operator class for the index or define a default operator class for the data type.",
        },
      );
    }
    return { attnum, opclass: opclass.oid, descending: false, nullsFirst: false };
  });
  const index = await buildIndex(context, table, {
    name: key.name,
    method: "btree",
    columns,
    isUnique: true,
    isPrimary: key.isPrimary,
    isImmediate: key.isImmediate,
    nullsNotDistinct: key.nullsNotDistinct,
    predicate: undefined,
    options: [],
  });
  if (!key.isImmediate) await refuseDuplicates(context, table, index);
  return index;
}

type IndexPlan = Pick<
  IndexEntry,
  | "name"
  | "method"
  | "columns"
  | "isUnique"
  | "isPrimary"
  | "isImmediate"
  | "nullsNotDistinct"
  | "predicate"
  | "options"
>;

async function buildIndex(
  context: DefinitionContext,
  table: TableEntry,
  plan: IndexPlan,
): Promise<IndexEntry> {
  const oid = context.engine.allocateOid();
  const entry: IndexEntry = {
    kind: "index",
    oid,
    version: 1,
    database: table.database,
    schema: table.schema,
    owner: table.owner,
    tableOid: table.oid,
    storageId: oid,
    keyCount: plan.columns.length,
    persistence: table.persistence,
    ...plan,
  };
  await buildInEngine(context, table, entry);
  context.put(entry);
  return entry;
}

/** Builds `index` over the rows of `table` in the engine; also used by TRUNCATE for the new storage. */
export async function buildInEngine(
  context: DefinitionContext,
  table: TableEntry,
  index: IndexEntry,
): Promise<void> {
  try {
    const spec = indexSpec(context, table, index);
    const allowedBytes = context.maintenanceMemoryBytes();
    const notice = memoryNotice(context.transaction.indexMemory(spec), allowedBytes);
    if (notice !== undefined) context.notice(notice);
    const token = context.transaction.createIndex(spec, allowedBytes);
    if (token === 0) return;
    await context.wait(token);
    context.transaction.indexResult();
  } catch (error) {
    throw duplicateKeyError(error, context, table, index);
  }
}

/** What the engine needs to know of an index. */
export function indexSpec(context: DefinitionContext, table: TableEntry, index: IndexEntry): IndexSpec {
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
  return {
    m: Number(option("m") ?? HNSW_DEFAULTS.m),
    efConstruction: Number(option("ef_construction") ?? HNSW_DEFAULTS.efConstruction),
    metric: metricOf(context, index),
    form,
    dimensions,
    quantization: (option("quantization") ?? "none") as Quantization,
    rerank: Number(option("rerank") ?? 0),
  };
}

/** The metric of a vector operator class, from its name: "halfvec_cosine_ops". */
function metricOf(context: DefinitionContext, index: IndexEntry): Metric {
  const opclass = context.catalog().operatorClassByOid(index.columns[0]?.opclass ?? 0);
  const metric = /^\w+?_(l2|ip|cosine|l1|hamming|jaccard)_ops$/.exec(opclass?.name ?? "")?.[1];
  if (metric === undefined) throw notSupported(`operator class "${opclass?.name ?? ""}"`);
  return metric as Metric;
}
