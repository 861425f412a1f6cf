// CREATE INDEX, and the indexes behind keys: names and catalogue entries around a build of the engine.
import { SHARE_ROW_EXCLUSIVE } from "../../../common/lock-mode.ts";
import type { IndexColumn, IndexEntry, TableEntry } from "../../../catalog/entries.ts";
import { SqlError, SqlState } from "../../../common/error.ts";
import { codecOf } from "../../../common/types/registry.ts";
import type { CreateIndexPlan } from "../../../planner/physical/definition.ts";
import { type BuildWay, buildInEngine, isBuiltFromVectors } from "./build-index.ts";
import type { DefinitionContext } from "./context.ts";
import { refuseDuplicates } from "./duplicate-key.ts";
import { addHiddenColumns } from "./hidden-columns.ts";
import { lockName } from "./name-lock.ts";
import { chooseRelationName, relationExists } from "./names.ts";

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
  const { table, columns, predicate, added } = addHiddenColumns(plan, context);
  const index = {
    name,
    method: plan.method,
    columns,
    predicate,
    isUnique: plan.isUnique,
    isPrimary: false,
    isImmediate: true,
    nullsNotDistinct: plan.nullsNotDistinct,
    options: plan.options,
  };
  const command = plan.isConcurrent ? "CREATE INDEX CONCURRENTLY" : "CREATE INDEX";
  const build = (besideWriters: boolean): Promise<IndexEntry> =>
    buildIndex(context, table, index, { command, besideWriters });
  if (added.length === 0) await build(plan.isConcurrent);
  else if (plan.isConcurrent) await fillBesideWriters(context, table, added, index, () => build(false));
  else {
    await context.fillColumns(table, added);
    await build(false);
  }
}

/**
 * CREATE INDEX CONCURRENTLY over hidden columns, which those who write meanwhile do not know: the rows of now get their values,
 * and a graph is built of them, while others write. Then writers are kept away, only those versions get values that have come since
 * (native/crates/store/src/transaction/backfill.rs), and an index that is made from rows is. Who has been writing for
 * long is waited for before that, keeping nobody who comes later.
 */
async function fillBesideWriters(
  context: DefinitionContext,
  table: TableEntry,
  added: readonly number[],
  index: IndexPlan,
  build: () => Promise<IndexEntry>,
): Promise<void> {
  const seen = await context.fillColumns(table, added);
  const isFromVectors = isBuiltFromVectors(index);
  if (isFromVectors) await build();
  await context.awaitWriters(table.oid);
  await context.lockRelation(table.oid, SHARE_ROW_EXCLUSIVE);
  await context.fillColumns(table, added, seen);
  if (!isFromVectors) await build();
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
  way: BuildWay = { command: "CREATE INDEX", besideWriters: false },
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
  await buildInEngine(context, table, entry, way);
  context.put(entry);
  return entry;
}
