// Runs one bound statement: planned ones through the executor, everything else through its utility command. Makes the
// portals that the protocol and DECLARE work with.
import { SqlError, SqlState } from "../common/error.ts";
import type { Datum } from "../common/types/type.ts";
import type { NodeStatistics } from "../executor/context.ts";
import { type ResultStream, executePlan } from "../executor/execution.ts";
import type { Node, RawStatement } from "../parser/tree.ts";
import type { PlannedStatement } from "../planner/physical/plan.ts";
import type { SessionCore } from "./core.ts";
import { lockedPlan, planFor, resultColumns } from "./planning.ts";
import { Portal, type Started } from "./portal.ts";
import { PreparedStatement } from "./prepared-statement.ts";
import type { FormatCodes, ResultReceiver } from "./result.ts";
import { utilityCommand } from "./utility/index.ts";

/** SELECT, VALUES, INSERT, UPDATE, DELETE: what the planner plans. */
export function isPlanned(node: Node): boolean {
  if ("SelectStmt" in node) return node.SelectStmt.intoClause === undefined;
  return "InsertStmt" in node || "UpdateStmt" in node || "DeleteStmt" in node;
}

/**
 * A prepared statement with its parameter types and result columns worked out. Throws what analysing it throws (42P01,
 * 42703, ...); takes no locks and runs nothing.
 */
export function prepare(
  core: SessionCore,
  name: string,
  statement: RawStatement | undefined,
  declaredTypes: readonly number[],
  isFromSql: boolean,
): PreparedStatement {
  const prepared = new PreparedStatement(name, statement, declaredTypes, isFromSql);
  if (statement === undefined) return prepared;
  if (isPlanned(statement.node)) {
    const planned = planFor(core, prepared, statement);
    prepared.parameterTypes = planned.parameterTypes.map((type) => type.oid);
    prepared.columns = resultColumns(core, planned);
    return prepared;
  }
  const { query, columns } = utilityCommand(statement);
  prepared.columns = columns?.(core);
  if (query !== undefined && isPlanned(query)) {
    const inner: RawStatement = { ...statement, node: query };
    const planned = planFor(core, new PreparedStatement("", inner, declaredTypes, isFromSql), inner);
    prepared.parameterTypes = planned.parameterTypes.map((type) => type.oid);
  }
  return prepared;
}

export interface PortalRequest {
  readonly name: string;
  readonly prepared: PreparedStatement;
  readonly parameters: readonly Datum[];
  readonly formats: FormatCodes;
  readonly isHoldable?: boolean;
}

/** A portal for a prepared statement; nothing runs before it is opened. */
export function makePortal(core: SessionCore, request: PortalRequest): Portal {
  const { prepared } = request;
  const { statement } = prepared;
  return new Portal({
    name: request.name,
    statement: prepared,
    parameters: request.parameters,
    formats: request.formats,
    columns: prepared.columns,
    transaction: core.transactions.identity,
    isHoldable: request.isHoldable ?? false,
    start: async (portal, receiver) => {
      if (statement === undefined) return { rows: undefined, tag: () => "", mustFinish: false };
      if (isPlanned(statement.node)) return startPlan(core, portal, statement);
      return utilityCommand(statement).run({ core, statement, portal, receiver });
    },
  });
}

/** True for statements that may run in a failed transaction block. */
export function runsInFailed(statement: RawStatement | undefined): boolean {
  if (statement === undefined) return true;
  return "TransactionStmt" in statement.node && utilityCommand(statement).runsInFailed === true;
}

/** Plans, locks and opens a planned statement. */
async function startPlan(core: SessionCore, portal: Portal, statement: RawStatement): Promise<Started> {
  const planned = await lockedPlan(core, portal.statement, statement);
  portal.statement.checkColumns(resultColumns(core, planned));
  const stream = await openPlan(core, planned, portal.parameters, portal);
  if (stream.columns === undefined) {
    await drain(stream);
    const tag = commandTag(planned, stream.rowsAffected);
    return { rows: undefined, tag: () => tag, mustFinish: false };
  }
  const isSelect = planned.commandType === "select";
  return {
    rows: stream,
    tag: (rowCount) => commandTag(planned, isSelect ? rowCount : stream.rowsAffected),
    // A modifying CTE under a SELECT must finish too; what is not read-only does.
    mustFinish: !planned.isReadOnly,
  };
}

/** Starts a plan as a statement of the transaction. Rows that other portals still have to give are kept first. */
export async function openPlan(
  core: SessionCore,
  planned: PlannedStatement,
  parameters: readonly Datum[],
  portal: Portal | undefined,
  instrument?: Map<number, NodeStatistics>,
): Promise<ResultStream> {
  if (!planned.isReadOnly) core.refuseReadOnly(planned.commandType.toUpperCase());
  await core.holdPortals(portal);
  const options = { ...core.executionOptions(parameters), instrument };
  options.transaction.beginStatement();
  return executePlan(planned, options);
}

/** Runs a statement without a result to its end. */
export async function drain(stream: ResultStream): Promise<void> {
  try {
    while ((await stream.next()) !== undefined);
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

/** DECLARE: prepares, opens and registers a cursor. */
export async function openCursor(
  core: SessionCore,
  cursor: {
    readonly name: string;
    readonly query: RawStatement;
    readonly formats: FormatCodes;
    readonly isHoldable: boolean;
    /** Whose parameters the query may use. */
    readonly outer: Portal;
    readonly receiver: ResultReceiver;
  },
): Promise<Portal> {
  const { outer } = cursor;
  const prepared = prepare(core, "", cursor.query, outer.statement.parameterTypes, true);
  if (prepared.columns === undefined) {
    throw new SqlError(
      SqlState.invalidCursorDefinition,
      "DECLARE CURSOR must not contain data-modifying statements",
    );
  }
  const portal = makePortal(core, {
    name: cursor.name,
    prepared,
    parameters: outer.parameters,
    formats: cursor.formats,
    isHoldable: cursor.isHoldable,
  });
  core.portals.set(cursor.name, portal);
  await portal.open(cursor.receiver);
  return portal;
}
