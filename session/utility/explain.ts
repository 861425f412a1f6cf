// EXPLAIN [ANALYZE]: the plan in PostgreSQL's words (planner/explain.ts). ANALYZE runs the statement to its end, rows thrown
// away, and shows per node what really happened; changes it makes are real, as in PostgreSQL.
import { notSupported, SqlError, SqlState } from "../../common/error.ts";
import { Oid } from "../../common/types/oid.ts";
import type { Datum } from "../../common/types/type.ts";
import type { NodeStatistics } from "../../executor/context.ts";
import type { Node, RawStatement } from "../../parser/tree.ts";
import { type ExplainOptions, explainPlan } from "../../planner/explain.ts";
import type { PlannedStatement } from "../../planner/physical/plan.ts";
import type { SessionCore } from "../core.ts";
import { lockedPlan } from "../planning.ts";
import type { Started } from "../portal.ts";
import { PreparedStatement } from "../prepared-statement.ts";
import { KeptRows, batchOfRows } from "../row-source.ts";
import { drain, isPlanned, openPlan } from "../plan-runner.ts";
import { type UtilityCall, type UtilityCommand, textColumn } from "./command.ts";
import { booleanOption, commandOptions, textOption, unrecognizedOption } from "./option-value.ts";
import { executeArguments, requirePrepared } from "./prepare.ts";

interface ExplainStatement {
  readonly query?: Node;
  readonly options?: readonly Node[];
}

interface Options {
  readonly format: ExplainOptions["format"];
  readonly analyze: boolean;
  readonly costs: boolean;
  readonly timing: boolean;
  readonly verbose: boolean;
  readonly summary: boolean;
}

export function explainCommand(statement: ExplainStatement): UtilityCommand {
  const options = readOptions(statement.options);
  const { query } = statement;
  const column = textColumn("QUERY PLAN");
  return {
    query,
    columns: () => [options.format === "json" ? { ...column, typeOid: Oid.json } : column],
    run: async (call) => {
      const lines = query === undefined ? [] : await explain(call, query, options);
      return shown(lines);
    },
  };
}

async function explain(call: UtilityCall, query: Node, options: Options): Promise<readonly string[]> {
  const { core, statement, portal } = call;
  if ("ExecuteStmt" in query) {
    const prepared = requirePrepared(core, query.ExecuteStmt.name ?? "");
    const parameters = await executeArguments(call, prepared, query.ExecuteStmt.params ?? []);
    if (prepared.statement === undefined) return ["Utility statements have no plan structure"];
    return explainPlanned(core, prepared, prepared.statement, parameters, options);
  }
  if (!isPlanned(query)) return ["Utility statements have no plan structure"];
  const inner: RawStatement = { ...statement, node: query };
  const prepared = new PreparedStatement("", inner, portal.statement.parameterTypes, true);
  return explainPlanned(core, prepared, inner, portal.parameters, options);
}

async function explainPlanned(
  core: SessionCore,
  prepared: PreparedStatement,
  statement: RawStatement,
  parameters: readonly Datum[],
  options: Options,
): Promise<readonly string[]> {
  const before = performance.now();
  const planned = await lockedPlan(core, prepared, statement);
  const planningMs = performance.now() - before;
  const run = options.analyze ? await analyze(core, planned, parameters) : undefined;
  const { types } = core;
  return explainPlan(planned, {
    ...options,
    types,
    planningMs,
    actual: run?.actual,
    executionMs: options.summary ? run?.executionMs : undefined,
  });
}

async function analyze(
  core: SessionCore,
  planned: PlannedStatement,
  parameters: readonly Datum[],
): Promise<{ readonly actual: ReadonlyMap<number, NodeStatistics>; readonly executionMs: number }> {
  const actual = new Map<number, NodeStatistics>();
  const before = performance.now();
  await drain(await openPlan(core, planned, parameters, undefined, actual));
  return { actual, executionMs: performance.now() - before };
}

function shown(lines: readonly string[]): Started {
  const rows =
    lines.length === 0
      ? []
      : [
          batchOfRows(
            lines.map((line) => [line]),
            1,
          ),
        ];
  return { rows: new KeptRows(rows), tag: () => "EXPLAIN", mustFinish: false };
}

/** BUFFERS, WAL and SETTINGS are taken: PostgreSQL prints nothing for counters that are zero, and ours have none. */
function readOptions(nodes: readonly Node[] | undefined): Options {
  let format: Options["format"] = "text";
  const flags = new Map<string, boolean>();
  for (const option of commandOptions(nodes)) {
    switch (option.name) {
      case "format":
        format = readFormat(textOption(option), option.position);
        break;
      case "analyze":
      case "verbose":
      case "costs":
      case "buffers":
      case "wal":
      case "settings":
      case "timing":
      case "summary":
        flags.set(option.name, booleanOption(option));
        break;
      default:
        throw unrecognizedOption("EXPLAIN", option);
    }
  }
  const analyzes = flags.get("analyze") === true;
  for (const name of ["wal", "timing"]) {
    if (flags.get(name) === true && !analyzes) {
      throw new SqlError(
        SqlState.invalidParameterValue,
        `EXPLAIN option ${name.toUpperCase()} requires ANALYZE`,
      );
    }
  }
  return {
    format,
    analyze: analyzes,
    costs: flags.get("costs") ?? true,
    timing: flags.get("timing") ?? analyzes,
    verbose: flags.get("verbose") ?? false,
    summary: flags.get("summary") ?? analyzes,
  };
}

function readFormat(text: string, position: number): Options["format"] {
  switch (text) {
    case "text":
    case "json":
      return text;
    case "xml":
    case "yaml":
      throw notSupported(`EXPLAIN (FORMAT ${text.toUpperCase()})`, position);
    default:
      throw new SqlError(
        SqlState.invalidParameterValue,
        `unrecognized value for EXPLAIN option "format": "${text}"`,
        { position },
      );
  }
}
