// SET, RESET, SHOW. transaction_isolation, _read_only and _deferrable are not stored values but the running transaction's modes.
import { notSupported, SqlError, SqlState } from "../../common/error.ts";
import type { Node } from "../../parser/tree.ts";
import type { SessionCore } from "../core.ts";
import { formatNameList } from "../name-list.ts";
import type { Started } from "../portal.ts";
import { KeptRows, batchOfRows } from "../row-source.ts";
import { currentValue, setValue } from "../session-settings.ts";
import { posixZone } from "../setting-checks.ts";
import { settingDefinition } from "../setting-definitions.ts";
import { unrecognized } from "../settings.ts";
import { type UtilityCommand, done, textColumn } from "./command.ts";
import { constantText } from "./option-value.ts";
import { transactionModes } from "./transaction.ts";

interface SetStatement {
  readonly kind?: string;
  readonly name?: string;
  readonly args?: readonly Node[];
  readonly is_local?: boolean;
}

export function setCommand(statement: SetStatement): UtilityCommand {
  const name = statement.name ?? "";
  const isLocal = statement.is_local === true;
  switch (statement.kind) {
    case "VAR_SET_VALUE":
      return runs("SET", (core) => {
        warnOutsideBlock(core, isLocal, "SET LOCAL");
        setValue(core, name, argumentText(name, statement.args ?? []), isLocal);
      });
    case "VAR_SET_DEFAULT":
      return runs("SET", (core) => resetValue(core, name, isLocal));
    case "VAR_SET_CURRENT":
      return runs("SET", (core) => setValue(core, name, core.settings.get(name) ?? "", isLocal));
    case "VAR_RESET":
      return runs("RESET", (core) => resetValue(core, name, isLocal));
    case "VAR_RESET_ALL":
      return runs("RESET", (core) => core.settings.resetAll());
    case "VAR_SET_MULTI":
      return setTransaction(name, statement.args);
    default:
      throw notSupported(`SET of kind ${statement.kind ?? ""}`);
  }
}

function runs(tag: string, change: (core: SessionCore) => void): UtilityCommand {
  return {
    run: ({ core }) => {
      change(core);
      return done(tag);
    },
  };
}

function setTransaction(name: string, args: readonly Node[] | undefined): UtilityCommand {
  if (name === "TRANSACTION") {
    return runs("SET", (core) => {
      warnOutsideBlock(core, true, "SET TRANSACTION");
      core.transactions.setModes(transactionModes(args));
    });
  }
  if (name === "SESSION CHARACTERISTICS") {
    return runs("SET", (core) => {
      const { isolation, readOnly, deferrable } = transactionModes(args);
      if (isolation !== undefined) core.settings.set("default_transaction_isolation", isolation, false);
      if (readOnly !== undefined) core.settings.set("default_transaction_read_only", String(readOnly), false);
      if (deferrable !== undefined)
        core.settings.set("default_transaction_deferrable", String(deferrable), false);
    });
  }
  throw notSupported(`SET ${name}`);
}

function warnOutsideBlock(core: SessionCore, isLocal: boolean, command: string): void {
  if (!isLocal || core.transactions.isInBlock) return;
  core.notice({
    severity: "WARNING",
    code: SqlState.noActiveSqlTransaction,
    message: `${command} can only be used in transaction blocks`,
  });
}

function resetValue(core: SessionCore, name: string, isLocal: boolean): void {
  switch (name.toLowerCase()) {
    case "transaction_isolation":
    case "transaction_read_only":
    case "transaction_deferrable":
      warnOutsideBlock(core, true, "RESET TRANSACTION");
      setValue(core, name, settingDefinition(name)?.initial ?? "", isLocal);
      return;
    case "session_authorization":
    case "role":
      return;
    default:
      core.settings.reset(name, isLocal);
  }
}

/** The arguments of SET as one text: numbers as written, name lists quoted, an interval time zone in hours. */
function argumentText(name: string, args: readonly Node[]): string {
  const definition = settingDefinition(name);
  const texts = args.map((arg) => {
    if ("TypeCast" in arg) return intervalZone(constantText(arg.TypeCast.arg) ?? "");
    const text = constantText(arg);
    if (text === undefined) throw notSupported(`this value of SET ${name}`);
    return text;
  });
  if (definition?.isNameList === true) return formatNameList(texts);
  if (texts.length > 1 && name.toLowerCase() !== "datestyle") {
    throw new SqlError(SqlState.invalidParameterValue, `SET ${name} takes only one argument`);
  }
  return texts.join(", ");
}

/** SET TIME ZONE INTERVAL '-08:00' HOUR TO MINUTE. */
function intervalZone(text: string): string {
  const match = /^([-+]?)(\d{1,2})(?::(\d{2}))?$/.exec(text.trim());
  if (match === null) {
    throw new SqlError(SqlState.invalidParameterValue, `invalid value for parameter "TimeZone": "${text}"`);
  }
  const hours = Number(match[2]) + Number(match[3] ?? "0") / 60;
  return posixZone(match[1] === "-" ? -hours : hours);
}

export function showCommand(statement: { readonly name?: string }): UtilityCommand {
  const name = statement.name ?? "";
  if (name.toLowerCase() === "all") {
    return {
      columns: () => ["name", "setting", "description"].map(textColumn),
      run: ({ core }) => {
        const rows = Array.from(core.settings.all(), ([definition, value]) => [
          definition.name,
          value,
          definition.description,
        ]);
        return shown(rows, 3);
      },
    };
  }
  return {
    columns: (core) => {
      if (currentValue(core, name) === undefined) throw unrecognized(name);
      return [textColumn(settingDefinition(name)?.name ?? name)];
    },
    run: ({ core }) => shown([[currentValue(core, name) ?? ""]], 1),
  };
}

function shown(rows: readonly (readonly string[])[], columnCount: number): Started {
  return { rows: new KeptRows([batchOfRows(rows, columnCount)]), tag: () => "SHOW", mustFinish: false };
}
