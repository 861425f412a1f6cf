// PREPARE, EXECUTE, DEALLOCATE: the SQL face of prepared statements; the protocol's Parse and Bind share the same table.
import { notSupported, SqlError, SqlState } from "../../common/error.ts";
import type { Datum } from "../../common/types/type.ts";
import type { Node, RawStatement } from "../../parser/tree.ts";
import { resolveTypeName } from "../../planner/binder/type-name.ts";
import type { SessionCore } from "../core.ts";
import type { Started } from "../portal.ts";
import type { PreparedStatement } from "../prepared-statement.ts";
import { evaluateAs } from "../scalar.ts";
import { isPlanned } from "../plan-runner.ts";
import { type UtilityCall, type UtilityCommand, done } from "./command.ts";

/** Prepared statements of one session: each keeps a tree and a plan. */
export const MAX_PREPARED_STATEMENTS = 100_000;

interface PrepareStatement {
  readonly name?: string;
  readonly argtypes?: readonly Node[];
  readonly query?: Node;
}

export function prepareCommand(statement: PrepareStatement): UtilityCommand {
  return {
    run: ({ core, statement: raw, statements }) => {
      const name = statement.name ?? "";
      if (statement.query === undefined || !isPlanned(statement.query)) {
        throw new SqlError(
          SqlState.invalidPreparedStatementDefinition,
          "utility statements cannot be prepared",
        );
      }
      const types = (statement.argtypes ?? []).map((type) => typeOid(core, type));
      const query: RawStatement = { ...raw, node: statement.query };
      addPrepared(core, statements.prepare(core, name, query, types, true));
      return done("PREPARE");
    },
  };
}

/** Registers a named statement; 42P05 when the name is taken. */
export function addPrepared(core: SessionCore, prepared: PreparedStatement): void {
  if (core.statements.has(prepared.name)) {
    throw new SqlError(
      SqlState.duplicatePreparedStatement,
      `prepared statement "${prepared.name}" already exists`,
    );
  }
  if (core.statements.size >= MAX_PREPARED_STATEMENTS) {
    throw new SqlError(
      SqlState.configurationLimitExceeded,
      `a session keeps at most ${MAX_PREPARED_STATEMENTS} prepared statements`,
    );
  }
  core.statements.set(prepared.name, prepared);
}

export function requirePrepared(core: SessionCore, name: string): PreparedStatement {
  const prepared = core.statements.get(name);
  if (prepared !== undefined) return prepared;
  throw new SqlError(
    SqlState.invalidSqlStatementName,
    name === "" ? "unnamed prepared statement does not exist" : `prepared statement "${name}" does not exist`,
  );
}

interface ExecuteStatement {
  readonly name?: string;
  readonly params?: readonly Node[];
}

export function executeCommand(statement: ExecuteStatement): UtilityCommand {
  const name = statement.name ?? "";
  return {
    columns: (core) => requirePrepared(core, name).columns,
    run: (call) => execute(call, requirePrepared(call.core, name), statement.params ?? []),
  };
}

async function execute(
  call: UtilityCall,
  prepared: PreparedStatement,
  args: readonly Node[],
): Promise<Started> {
  const parameters = await executeArguments(call, prepared, args);
  const portal = call.statements.makePortal(call.core, { name: "", prepared, parameters, formats: [] });
  await portal.open(call.receiver);
  return portal.started;
}

/** The arguments of EXECUTE as values of the statement's parameter types. */
export async function executeArguments(
  { core, portal }: UtilityCall,
  prepared: PreparedStatement,
  args: readonly Node[],
): Promise<readonly Datum[]> {
  const expected = prepared.parameterTypes.length;
  if (args.length !== expected) {
    throw new SqlError(
      SqlState.syntaxError,
      `wrong number of parameters for prepared statement "${prepared.name}"`,
      { detail: `Expected ${expected} parameters but got ${args.length}.` },
    );
  }
  return evaluateAs(core, args, prepared.parameterTypes, portal);
}

export function deallocateCommand(statement: {
  readonly name?: string;
  readonly isall?: boolean;
}): UtilityCommand {
  const name = statement.name ?? "";
  return {
    run: ({ core }) => {
      if (statement.isall === true || name === "") {
        core.statements.clear();
        return done("DEALLOCATE ALL");
      }
      requirePrepared(core, name);
      core.statements.delete(name);
      return done("DEALLOCATE");
    },
  };
}

function typeOid(core: SessionCore, node: Node): number {
  if (!("TypeName" in node)) throw notSupported("this parameter type");
  return resolveTypeName({ catalog: core.catalog(), searchPath: core.schemaPath(true) }, node.TypeName).oid;
}
