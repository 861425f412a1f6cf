// Runs planned statements: plan and locks from planning.ts, rows from the executor, tags as PostgreSQL words them.
import type { Batch } from "../common/batch/vector.ts";
import type { Datum } from "../common/types/type.ts";
import type { NodeStatistics } from "../executor/context.ts";
import { type ResultStream, executePlan } from "../executor/execution.ts";
import type { MaybePromise } from "../executor/maybe-promise.ts";
import type { Node, RawStatement } from "../parser/tree.ts";
import type { PlannedStatement } from "../planner/physical/plan.ts";
import type { SessionCore } from "./core.ts";
import { type ReadyPlan, readyPlan, resultColumns } from "./planning.ts";
import type { Portal, Started } from "./portal.ts";

/** SELECT, VALUES, INSERT, UPDATE, DELETE: what the planner plans. */
export function isPlanned(node: Node): boolean {
  if ("SelectStmt" in node) return node.SelectStmt.intoClause === undefined;
  return "InsertStmt" in node || "UpdateStmt" in node || "DeleteStmt" in node;
}

/** Plans, locks and opens a planned statement; one that gives no rows is run. */
export function startPlan(core: SessionCore, portal: Portal, statement: RawStatement): MaybePromise<Started> {
  const ready = readyPlan(core, portal.statement, statement, (planned) => mayStart(core, portal, planned));
  if (ready instanceof Promise) return ready.then((plan) => openPortal(core, portal, plan));
  return openPortal(core, portal, ready);
}

/** Nothing of openPlan() comes between the locks and the start of the statement. */
function mayStart(core: SessionCore, portal: Portal, planned: PlannedStatement): boolean {
  const isHarmless = planned.isReadOnly && planned.rowLock === undefined;
  return core.isOnlyPortal(portal) && (isHarmless || !core.transactions.modes.readOnly);
}

function openPortal(
  core: SessionCore,
  portal: Portal,
  { planned, hasBegun }: ReadyPlan,
): MaybePromise<Started> {
  portal.statement.checkColumns(resultColumns(core, planned));
  const stream = hasBegun
    ? executePlan(planned, core.executionOptions(portal.parameters))
    : openPlan(core, planned, portal.parameters, portal);
  if (stream instanceof Promise) return stream.then((opened) => started(planned, opened));
  return started(planned, stream);
}

function started(planned: PlannedStatement, stream: ResultStream): MaybePromise<Started> {
  if (stream.columns === undefined) {
    const running = runToEnd(stream);
    return running instanceof Promise
      ? running.then(() => finished(planned, stream))
      : finished(planned, stream);
  }
  const isSelect = planned.commandType === "select";
  return {
    rows: stream,
    tag: (rowCount) => commandTag(planned, isSelect ? rowCount : stream.rowsAffected),
    // A modifying CTE under a SELECT must finish too; what is not read-only does.
    mustFinish: !planned.isReadOnly,
  };
}

/** INSERT, UPDATE and DELETE without RETURNING give no batch: their first pull is all of it. */
function runToEnd(stream: ResultStream): MaybePromise<void> {
  let pulled: MaybePromise<Batch | undefined>;
  try {
    pulled = stream.next();
  } catch (error) {
    stream.close();
    throw error;
  }
  if (pulled instanceof Promise) {
    return pulled.then(
      () => stream.close(),
      (error: unknown) => {
        stream.close();
        throw error;
      },
    );
  }
  stream.close();
}

function finished(planned: PlannedStatement, stream: ResultStream): Started {
  return { rows: undefined, tag: () => commandTag(planned, stream.rowsAffected), mustFinish: false };
}

/** Starts a plan as a statement of the transaction. Rows that other portals still have to give are kept first. */
export function openPlan(
  core: SessionCore,
  planned: PlannedStatement,
  parameters: readonly Datum[],
  portal: Portal | undefined,
  instrument?: Map<number, NodeStatistics>,
): MaybePromise<ResultStream> {
  if (planned.rowLock !== undefined) core.refuseReadOnly(planned.rowLock);
  if (!planned.isReadOnly) core.refuseReadOnly(planned.commandType.toUpperCase());
  const holding = core.holdPortals(portal);
  const waiting =
    holding === undefined
      ? core.transactions.safeSnapshot()
      : holding.then(() => core.transactions.safeSnapshot());
  if (waiting !== undefined) return waiting.then(() => execute(core, planned, parameters, instrument));
  return execute(core, planned, parameters, instrument);
}

function execute(
  core: SessionCore,
  planned: PlannedStatement,
  parameters: readonly Datum[],
  instrument: Map<number, NodeStatistics> | undefined,
): ResultStream {
  const options = core.executionOptions(parameters, instrument);
  core.transactions.beginStatement();
  return executePlan(planned, options);
}

/** Runs a statement without a result to its end. */
export async function drain(stream: ResultStream): Promise<void> {
  try {
    for (;;) {
      const pulled = stream.next();
      const batch = pulled instanceof Promise ? await pulled : pulled;
      if (batch === undefined) break;
    }
  } finally {
    stream.close();
  }
}

export function commandTag(planned: PlannedStatement, rowCount: number): string {
  switch (planned.commandType) {
    case "select":
      return `SELECT ${rowCount}`;
    case "insert":
      return `INSERT 0 ${rowCount}`;
    case "update":
      return `UPDATE ${rowCount}`;
    case "delete":
      return `DELETE ${rowCount}`;
  }
}
