// Prepares statements and makes the portals that run them: planned ones through plan-runner.ts, everything else through its
// utility command. Commands that run further statements (EXECUTE, DECLARE) get this file's two functions handed in, so that
// the utility files do not import it back.
import type { Datum } from "../common/types/type.ts";
import type { RawStatement } from "../parser/tree.ts";
import type { MaybePromise } from "../executor/maybe-promise.ts";
import type { SessionCore } from "./core.ts";
import { isPlanned, startPlan } from "./plan-runner.ts";
import { planFor, resultColumns } from "./planning.ts";
import { Portal, type Started, type StartStatement } from "./portal.ts";
import { PreparedStatement } from "./prepared-statement.ts";
import type { FormatCodes, ResultReceiver } from "./result.ts";
import type { StatementFactory } from "./utility/command.ts";
import { utilityCommand } from "./utility/index.ts";

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
  const command = utilityCommand(statement);
  const { query, columns } = command;
  prepared.command = command;
  prepared.columns = columns?.(core);
  if (query !== undefined && isPlanned(query)) {
    const inner: RawStatement = { ...statement, node: query };
    const planned = planFor(core, new PreparedStatement("", inner, declaredTypes, isFromSql), inner);
    prepared.parameterTypes = planned.parameterTypes.map((type) => type.oid);
  }
  return prepared;
}

const statements: StatementFactory = { prepare, makePortal };

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
  return new Portal({
    name: request.name,
    statement: prepared,
    parameters: request.parameters,
    formats: request.formats,
    columns: prepared.columns,
    transaction: core.transactions.identity,
    isHoldable: request.isHoldable ?? false,
    start: starterOf(core),
  });
}

/** One function per session, not one per portal: most portals live for one statement. */
const starters = new WeakMap<SessionCore, StartStatement>();

function starterOf(core: SessionCore): StartStatement {
  let starter = starters.get(core);
  if (starter === undefined) {
    starter = (portal, receiver) => start(core, portal, receiver);
    starters.set(core, starter);
  }
  return starter;
}

function start(core: SessionCore, portal: Portal, receiver: ResultReceiver): MaybePromise<Started> {
  const { statement, command } = portal.statement;
  if (statement === undefined) return NOTHING;
  if (command === undefined) return startPlan(core, portal, statement);
  core.interrupts.read();
  return command.run({ core, statement, portal, receiver, statements });
}

const NOTHING: Started = { rows: undefined, tag: () => "", mustFinish: false };

/** True for statements that may run in a failed transaction block. */
export function runsInFailed(statement: RawStatement | undefined): boolean {
  if (statement === undefined) return true;
  return "TransactionStmt" in statement.node && utilityCommand(statement).runsInFailed === true;
}
