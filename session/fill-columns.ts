// Computes stored columns of rows that exist already, for an index over an expression or a generated column: beside the
// versions that there are, which stay what they are (EngineTransaction.backfill). Where the transaction itself has written rows
// of the table, all rows get new versions instead, as by UPDATE.
import { must } from "../common/assert.ts";
import { Oid } from "../common/types/oid.ts";
import type { TableEntry } from "../catalog/entries.ts";
import type { ResultStream } from "../executor/execution.ts";
import { LentRows, rowShape } from "../executor/storage/lent-rows.ts";
import { columnType } from "../executor/storage/scan-target.ts";
import { bindConstraints } from "../planner/binder/constraints.ts";
import { makeBindContext } from "../planner/binder/index.ts";
import type { BoundExpression } from "../planner/logical/expression.ts";
import { mapExpression, someExpression } from "../planner/logical/walk.ts";
import type { PlannedStatement, SeqScanPlan } from "../planner/physical/plan.ts";
import type { SessionCore } from "./core.ts";
import { drain, openPlan } from "./plan-runner.ts";
import { plannerContext } from "./planning.ts";

/**
 * Sets the generated columns `attnums` of every row, or of those that have become what they are after the commit `since`. `table`
 * is the catalogue's entry with the columns in it, which this transaction has added. Returns the last commit whose rows have
 * values now: where the caller holds no lock that keeps writers away, there may be later ones. A later statement sees the values.
 */
export async function fillColumns(
  core: SessionCore,
  table: TableEntry,
  attnums: readonly number[],
  since = 0,
): Promise<number> {
  const { generated } = bindConstraints(makeBindContext(plannerContext(core, [])), table);
  const fill = filling(
    table,
    generated.filter((column) => attnums.includes(column.attnum)),
    since,
  );
  const stream = await openPlan(core, planOf(core, table, fill), [], undefined);
  const engine = core.transactions.engine();
  if (stream.columns === undefined) await drain(stream);
  else {
    // Under REPEATABLE READ too all rows get values, not those of the transaction's snapshot.
    engine.beginCheck();
    await backfill(core, table, fill, stream);
  }
  const seen = engine.snapshotNumber();
  core.transactions.beginStatement();
  return seen;
}

/** Gives the values where they can be put beside the versions, else puts them into new ones. */
function planOf(core: SessionCore, table: TableEntry, fill: Filling): PlannedStatement {
  return core.transactions.engine().canBackfill(table.storageId) ? valuesPlan(fill) : updatePlan(table, fill);
}

interface Assignment {
  readonly attnum: number;
  readonly expression: BoundExpression;
}

interface Filling {
  /** Every row with what the expressions read, and behind it the row id. */
  readonly scan: SeqScanPlan;
  /** attnums of what the scan reads. */
  readonly read: readonly number[];
  /** Columns with their expressions over the scan's rows. */
  readonly assignments: readonly Assignment[];
}

const ESTIMATE = { startupCost: 0, totalCost: 0, rows: 0, width: 0 };
const RID = { name: "rid", type: { oid: Oid.int8, typmod: -1 }, collation: 0, tableOid: 0, attnum: 0 };

function filling(table: TableEntry, columns: readonly Assignment[], since: number): Filling {
  const used = new Set<number>();
  for (const { expression } of columns) {
    someExpression(expression, (node) => {
      if (node.kind === "column") used.add(node.index + 1);
      return false;
    });
  }
  const read = [...used];
  const output = read.map((attnum) => {
    const { name, type, collation } = must(table.columns[attnum - 1], "a column");
    return { name, type, collation, tableOid: table.oid, attnum };
  });
  // Stored expressions count by attnum, those of a plan by position in its input.
  const overScan = (e: BoundExpression): BoundExpression =>
    mapExpression(e, (node) =>
      node.kind === "column" ? { ...node, index: read.indexOf(node.index + 1) } : node,
    );
  return {
    scan: {
      kind: "seq-scan",
      id: 1,
      output: [...output, RID],
      estimate: ESTIMATE,
      target: { table, alias: table.name, attnums: read, withRid: true },
      filter: undefined,
      since,
    },
    read,
    assignments: columns.map(({ attnum, expression }) => ({ attnum, expression: overScan(expression) })),
  };
}

async function backfill(
  core: SessionCore,
  table: TableEntry,
  fill: Filling,
  stream: ResultStream,
): Promise<void> {
  const attnums = fill.assignments.map(({ attnum }) => attnum);
  const stored = new LentRows(rowShape(attnums.map((attnum) => columnType(table, attnum))), core.buffers);
  try {
    await putValues(
      core,
      table,
      Uint16Array.from(attnums, (attnum) => attnum - 1),
      stream,
      stored,
    );
  } finally {
    stored.release();
    stream.close();
  }
}

/** Hands the batches of `stream`, values and behind them row ids, to the engine. */
async function putValues(
  core: SessionCore,
  table: TableEntry,
  positions: Uint16Array,
  stream: ResultStream,
  stored: LentRows,
): Promise<void> {
  for (;;) {
    const pulled = stream.next();
    const batch = pulled instanceof Promise ? await pulled : pulled;
    if (batch === undefined) return;
    const { columns, rowCount } = batch;
    const ids = must(columns[positions.length], "the row ids");
    const rids = Uint32Array.from({ length: rowCount }, (_, row) => Number(ids.get(row)));
    const { rows, shape } = stored.hold(columns.slice(0, -1), rowCount);
    core.transactions.engine().backfill(table.storageId, rids, positions, rows, shape, rowCount);
  }
}

/** SELECT expressions, row id FROM table. */
function valuesPlan({ scan, read, assignments }: Filling): PlannedStatement {
  const rid: BoundExpression = {
    kind: "column",
    index: read.length,
    name: RID.name,
    type: RID.type,
    collation: 0,
    position: 0,
  };
  const expressions = [...assignments.map(({ expression }) => expression), rid];
  const output = expressions.map(({ type }) => ({ ...RID, type }));
  return {
    ...PLANNED,
    plan: { kind: "project", id: 0, output, estimate: ESTIMATE, input: scan, expressions },
    commandType: "select",
    result: output,
    isReadOnly: true,
  };
}

const PLANNED = {
  parameterTypes: [],
  dependencies: [],
  locks: [],
  rowLock: undefined,
} satisfies Partial<PlannedStatement>;

/** UPDATE table SET column = expression, over the columns the expressions read. */
function updatePlan(table: TableEntry, { scan, read, assignments }: Filling): PlannedStatement {
  return {
    ...PLANNED,
    plan: {
      kind: "update",
      id: 0,
      output: [],
      estimate: ESTIMATE,
      table,
      input: scan,
      ridIndex: read.length,
      targetColumns: read.map((attnum, index) => ({ index, attnum })),
      recheck: undefined,
      assignments,
      constraints: {
        notNull: [],
        checks: [],
        generated: [],
        indexes: [],
        foreignKeys: [],
        referencedBy: [],
        deferrableKeys: [],
      },
      returning: undefined,
    },
    commandType: "update",
    result: undefined,
    isReadOnly: false,
  };
}
