// For tests over the real engine: one in memory per test file, sessions with their wait tokens, tables made straight in the
// engine with the entries that plans need.
import { must } from "../../common/assert.ts";
import { Oid } from "../../common/types/oid.ts";
import type { Datum, SqlType } from "../../common/types/type.ts";
import { setVectorKernels } from "../../catalog/functions/vector-distance.ts";
import type { IndexEntry, TableEntry } from "../../catalog/entries.ts";
import {
  type Engine,
  type EngineSession,
  type EngineTransaction,
  type IndexSpec,
  type Isolation,
  distance,
  openEngine,
} from "../../native/index.ts";
import type { BoundExpression } from "../../planner/logical/expression.ts";
import type { PhysicalPlan, ScanTarget, TableConstraints } from "../../planner/physical/plan.ts";
import { executePlan } from "../execution.ts";
import type { ExecutionOptions } from "../context.ts";
import { columnSpec } from "../storage/column-spec.ts";
import { column, node, options, planned } from "./support.ts";

const arrived = new Set<number>();
const waiting = new Map<number, () => void>();
let opened: Engine | undefined;
let nextId = 20_000;

// As start-up does: functions and indexes measure with the same kernels.
setVectorKernels({
  l2: (a, b) => distance("l2", a, b),
  innerProduct: (a, b) => -distance("ip", a, b),
  cosine: (a, b) => distance("cosine", a, b),
});

export function engine(): Engine {
  opened ??= openEngine({ path: undefined, poolThreads: 1 });
  return opened;
}

/** Resolves when the engine delivered the token. */
export function wait(token: number): Promise<void> {
  if (arrived.delete(token)) return Promise.resolve();
  return new Promise((resolve) => waiting.set(token, resolve));
}

function deliver(tokens: readonly number[] | number): void {
  for (const token of typeof tokens === "number" ? [tokens] : tokens) {
    const wake = waiting.get(token);
    if (wake === undefined) arrived.add(token);
    else {
      waiting.delete(token);
      wake();
    }
  }
}

export class TestSession {
  readonly session: EngineSession;
  transaction: EngineTransaction | undefined;

  constructor() {
    this.session = engine().openSession(engine().openChannel(deliver));
  }

  begin(isolation: Isolation = "read committed"): void {
    this.transaction = this.session.begin(isolation, false);
  }

  /** Commits, or what a failed statement leaves of it. */
  async commit(): Promise<void> {
    const transaction = this.#open();
    this.transaction = undefined;
    const token = transaction.commit(false);
    if (token === 0) return;
    await wait(token);
    transaction.commitResult();
  }

  abort(): void {
    const transaction = this.#open();
    this.transaction = undefined;
    transaction.abort();
  }

  /** All rows of a plan in the open transaction. */
  async run(
    plan: PhysicalPlan,
    more: Partial<ExecutionOptions> = {},
  ): Promise<{ rows: Datum[][]; affected: number }> {
    const transaction = this.#open();
    transaction.beginStatement();
    const stream = executePlan(
      planned(plan),
      options({
        transaction,
        engine: engine(),
        wait,
        statistics: {
          sessions: () => [],
          locks: () => [],
          blockers: () => [],
          relationRows: (id) => engine().relationStatistics(id),
          indexRows: (id) => engine().indexStatistics(id),
          indexEntries: (id) => engine().indexEntryCount(id),
          sequence: (id) => transaction.sequenceState(id),
          builds: () => engine().buildProgress(),
          backups: () => engine().backupProgress(),
          vacuums: () => engine().vacuumProgress(),
        },
        ...more,
      }),
    );
    const rows: Datum[][] = [];
    try {
      for (let batch = await stream.next(); batch !== undefined; batch = await stream.next()) {
        for (let row = 0; row < batch.rowCount; row++) {
          rows.push(batch.columns.map((vector) => copied(vector.get(row))));
        }
      }
      return { rows, affected: stream.rowsAffected };
    } finally {
      stream.close();
    }
  }

  /** One statement in its own transaction. */
  async once(
    plan: PhysicalPlan,
    more: Partial<ExecutionOptions> = {},
  ): Promise<{ rows: Datum[][]; affected: number }> {
    this.begin();
    try {
      const result = await this.run(plan, more);
      await this.commit();
      return result;
    } catch (error) {
      this.abort();
      throw error;
    }
  }

  #open(): EngineTransaction {
    return must(this.transaction, "an open transaction");
  }
}

function copied(value: Datum): Datum {
  return value instanceof Float32Array ? value.slice() : value;
}

/** Name, type oid, typmod. */
export type TestColumn = readonly [name: string, oid: number, typmod?: number];

export interface TestTable {
  readonly table: TableEntry;
  readonly indexes: IndexEntry[];
}

export async function createTable(
  session: TestSession,
  name: string,
  columns: readonly TestColumn[],
  notNull: readonly string[] = [],
): Promise<TestTable> {
  const table: TableEntry = {
    kind: "table",
    oid: nextId++,
    name,
    version: 1,
    database: 5,
    schema: 2200,
    owner: 10,
    storageId: nextId++,
    rowTypeOid: 0,
    arrayTypeOid: 0,
    persistence: "p",
    columns: columns.map(([columnName, oid, typmod], i) => ({
      name: columnName,
      attnum: i + 1,
      type: { oid, typmod: typmod ?? -1 },
      notNull: notNull.includes(columnName),
      default: undefined,
      identity: "",
      generated: undefined,
      collation: 0,
      isDropped: false,
      ownedSequence: 0,
    })),
    constraints: [],
  };
  session.begin();
  must(session.transaction, "a transaction").createRelation(
    table.storageId,
    table.columns.map((entry) => columnSpec(entry.type)),
    false,
  );
  await session.commit();
  return { table, indexes: [] };
}

export async function createIndex(
  session: TestSession,
  target: TestTable,
  name: string,
  column: string,
  more: Partial<IndexSpec> & { readonly method: IndexSpec["method"] },
): Promise<IndexEntry> {
  const { table } = target;
  const attnum = must(
    table.columns.find((entry) => entry.name === column),
    "a column",
  ).attnum;
  const index: IndexEntry = {
    kind: "index",
    oid: nextId++,
    name,
    version: 1,
    database: 5,
    schema: 2200,
    owner: 10,
    tableOid: table.oid,
    storageId: nextId++,
    method: more.method,
    columns: [{ attnum, opclass: 0, descending: false, nullsFirst: false }],
    keyCount: 1,
    isUnique: more.unique ?? false,
    isPrimary: false,
    isImmediate: true,
    nullsNotDistinct: false,
    options: [],
    persistence: "p",
  };
  session.begin();
  const transaction = must(session.transaction, "a transaction");
  const spec: IndexSpec = {
    indexId: index.storageId,
    relationId: table.storageId,
    columns: [{ column: attnum - 1, keyKind: "int", descending: false, nullsFirst: false }],
    unique: false,
    nullsNotDistinct: false,
    ...(more.method === "hnsw"
      ? { dimensions: must(table.columns[attnum - 1], "a column").type.typmod }
      : {}),
    ...more,
  };
  const token = transaction.createIndex(spec, Number.MAX_SAFE_INTEGER, "");
  if (token !== 0) {
    await wait(token);
    transaction.indexResult();
  }
  await session.commit();
  target.indexes.push(index);
  return index;
}

export function target(of: TestTable, columns: readonly string[], withRid = false): ScanTarget {
  const attnums = columns.map(
    (name) =>
      must(
        of.table.columns.find((entry) => entry.name === name),
        `column ${name}`,
      ).attnum,
  );
  return { table: of.table, alias: of.table.name, attnums, withRid };
}

export function typesOf(of: ScanTarget): number[] {
  const oids = of.attnums.map((attnum) => (of.table.columns[attnum - 1] as { type: SqlType }).type.oid);
  return of.withRid ? [...oids, Oid.int8] : oids;
}

export function seqScan(
  of: TestTable,
  columns: readonly string[],
  filter?: BoundExpression,
  withRid = false,
): PhysicalPlan {
  const scanned = target(of, columns, withRid);
  return { kind: "seq-scan", ...node(typesOf(scanned)), target: scanned, filter };
}

/** NOT NULL from the table, its indexes, and given checks. */
export function constraintsOf(of: TestTable, more: Partial<TableConstraints> = {}): TableConstraints {
  return {
    notNull: of.table.columns.filter((entry) => entry.notNull).map((entry) => entry.attnum),
    checks: [],
    generated: [],
    indexes: of.indexes,
    foreignKeys: [],
    referencedBy: [],
    deferrableKeys: [],
    ...more,
  };
}

type InsertPlan = Extract<PhysicalPlan, { kind: "insert" }>;
type UpdatePlan = Extract<PhysicalPlan, { kind: "update" }>;
type DeletePlan = Extract<PhysicalPlan, { kind: "delete" }>;

export function insert(
  of: TestTable,
  columns: readonly string[],
  input: PhysicalPlan,
  more: Partial<InsertPlan> = {},
): InsertPlan {
  return {
    kind: "insert",
    ...node((more.returning ?? []).map((expression) => expression.type.oid)),
    table: of.table,
    input,
    attnums: target(of, columns).attnums,
    defaults: [],
    constraints: constraintsOf(of),
    onConflict: undefined,
    returning: undefined,
    ...more,
  };
}

/** UPDATE over a scan of all columns: assignments and conditions see column attnum - 1. */
export function update(
  of: TestTable,
  where: BoundExpression | undefined,
  assignments: readonly (readonly [string, BoundExpression])[],
  more: Partial<UpdatePlan> = {},
): UpdatePlan {
  const names = of.table.columns.map((entry) => entry.name);
  return {
    kind: "update",
    ...node((more.returning ?? []).map((expression) => expression.type.oid)),
    table: of.table,
    input: seqScan(of, names, where, true),
    ridIndex: names.length,
    targetColumns: names.map((_, index) => ({ index, attnum: index + 1 })),
    recheck: where,
    assignments: assignments.map(([name, expression]) => ({
      attnum: target(of, [name]).attnums[0] as number,
      expression,
    })),
    constraints: constraintsOf(of),
    returning: undefined,
    ...more,
  };
}

export function remove(
  of: TestTable,
  where: BoundExpression | undefined,
  more: Partial<DeletePlan> = {},
): DeletePlan {
  const names = of.table.columns.map((entry) => entry.name);
  return {
    kind: "delete",
    ...node((more.returning ?? []).map((expression) => expression.type.oid)),
    table: of.table,
    input: seqScan(of, names, where, true),
    ridIndex: names.length,
    targetColumns: names.map((_, index) => ({ index, attnum: index + 1 })),
    recheck: where,
    referencedBy: [],
    returning: undefined,
    ...more,
  };
}

/** A column of the table by name, as expressions over its full row see it. */
export function field(of: TestTable, name: string): BoundExpression {
  const entry = must(
    of.table.columns.find((candidate) => candidate.name === name),
    `column ${name}`,
  );
  return column(entry.attnum - 1, entry.type.oid);
}
