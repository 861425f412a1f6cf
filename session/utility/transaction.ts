// BEGIN, COMMIT, ROLLBACK, savepoints, SET TRANSACTION. The rules are transaction-control.ts's; here trees become calls.
import { notSupported, SqlError, SqlState } from "../../common/error.ts";
import { chain, type MaybePromise } from "../../executor/maybe-promise.ts";
import type { Node } from "../../parser/tree.ts";
import type { Started } from "../portal.ts";
import { nowMicroseconds } from "../session-functions.ts";
import { type TransactionModes, isolationLevel } from "../transaction-control.ts";
import { type UtilityCall, type UtilityCommand, done } from "./command.ts";
import { commandOptions, constantText } from "./option-value.ts";

interface TransactionStatement {
  readonly kind?: string;
  readonly options?: readonly Node[];
  readonly savepoint_name?: string;
  readonly chain?: boolean;
}

export function transactionCommand(statement: TransactionStatement): UtilityCommand {
  const name = statement.savepoint_name ?? "";
  switch (statement.kind) {
    case "TRANS_STMT_BEGIN":
    case "TRANS_STMT_START": {
      const tag = statement.kind === "TRANS_STMT_BEGIN" ? "BEGIN" : "START TRANSACTION";
      const modes = transactionModes(statement.options);
      return command(false, ({ core }) => core.transactions.begin(modes, nowMicroseconds()), tag);
    }
    case "TRANS_STMT_COMMIT":
      return { runsInFailed: true, run: (call) => commit(call, statement.chain === true) };
    case "TRANS_STMT_ROLLBACK":
      return { runsInFailed: true, run: (call) => rollback(call, statement.chain === true) };
    case "TRANS_STMT_SAVEPOINT":
      return command(false, ({ core }) => core.transactions.savepoint(name), "SAVEPOINT");
    case "TRANS_STMT_RELEASE":
      return command(false, ({ core }) => core.transactions.release(name), "RELEASE");
    case "TRANS_STMT_ROLLBACK_TO":
      return command(true, ({ core }) => core.transactions.rollbackToSavepoint(name), "ROLLBACK");
    default:
      throw notSupported("two-phase commit");
  }
}

function command(runsInFailed: boolean, run: (call: UtilityCall) => void, tag: string): UtilityCommand {
  return {
    runsInFailed,
    run: (call) => {
      run(call);
      return done(tag);
    },
  };
}

function commit({ core }: UtilityCall, isChained: boolean): MaybePromise<Started> {
  const modes = chainedModes(core.transactions, isChained, "COMMIT AND CHAIN");
  return chain(core.transactions.commit(isChained), (tag) => {
    if (modes !== undefined) core.transactions.begin(modes, nowMicroseconds());
    return done(tag);
  });
}

function rollback({ core }: UtilityCall, isChained: boolean): Started {
  const modes = chainedModes(core.transactions, isChained, "ROLLBACK AND CHAIN");
  core.transactions.rollback();
  if (modes !== undefined) core.transactions.begin(modes, nowMicroseconds());
  return done("ROLLBACK");
}

/** AND CHAIN starts the next transaction with the modes of this one. */
function chainedModes(
  transactions: { readonly isInBlock: boolean; readonly modes: TransactionModes },
  isChained: boolean,
  what: string,
): TransactionModes | undefined {
  if (!isChained) return undefined;
  if (transactions.isInBlock) return transactions.modes;
  throw new SqlError(SqlState.noActiveSqlTransaction, `${what} can only be used in transaction blocks`);
}

/** ISOLATION LEVEL, READ ONLY, READ WRITE, DEFERRABLE as BEGIN and SET TRANSACTION take them. */
export function transactionModes(options: readonly Node[] | undefined): Partial<TransactionModes> {
  const modes: { -readonly [K in keyof TransactionModes]?: TransactionModes[K] } = {};
  for (const { name, arg, position } of commandOptions(options)) {
    const value = constantText(arg);
    switch (name) {
      case "transaction_isolation":
        modes.isolation = isolationLevel(value ?? "");
        break;
      case "transaction_read_only":
        modes.readOnly = value !== "0";
        break;
      case "transaction_deferrable":
        modes.deferrable = value !== "0";
        break;
      default:
        throw notSupported(name, position);
    }
  }
  return modes;
}
