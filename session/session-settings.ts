// Settings by name as SET, SHOW, set_config and current_setting see them. Some names are not stored values: the isolation
// level and the access mode belong to the running transaction, the role and the user to the session.
import { notSupported, SqlError, SqlState } from "../common/error.ts";
import type { SessionCore } from "./core.ts";
import { parseBool } from "./setting-values.ts";
import { isolationLevel } from "./transaction-control.ts";

/** SHOW and current_setting of a name; modes of the running transaction are not stored as settings. */
export function currentValue(core: SessionCore, name: string): string | undefined {
  switch (name.toLowerCase()) {
    case "transaction_isolation":
      return core.transactions.modes.isolation;
    case "transaction_read_only":
      return core.transactions.modes.readOnly ? "on" : "off";
    case "transaction_deferrable":
      return core.transactions.modes.deferrable ? "on" : "off";
    default:
      return core.settings.show(name);
  }
}

/** SET of a name; throws 22023, 42704, 55P02. */
export function setValue(core: SessionCore, name: string, text: string, isLocal: boolean): void {
  switch (name.toLowerCase()) {
    case "transaction_isolation":
      core.transactions.setModes({ isolation: isolationLevel(text) });
      return;
    case "transaction_read_only":
      core.transactions.setModes({ readOnly: booleanMode(name, text) });
      return;
    case "transaction_deferrable":
      core.transactions.setModes({ deferrable: booleanMode(name, text) });
      return;
    case "session_authorization":
      if (text !== core.user) throw notSupported(`SET SESSION AUTHORIZATION to "${text}"`);
      return;
    case "role":
      if (text !== "none" && text !== core.user) refuseRole(core, text);
      return;
    case "seed":
      core.functions.session.setSeed(Number(text));
      return;
    default:
      core.settings.set(name, text, isLocal);
  }
}

function refuseRole(core: SessionCore, role: string): never {
  if (core.catalog().roleByName(role) === undefined) {
    throw new SqlError(SqlState.invalidParameterValue, `role "${role}" does not exist`);
  }
  throw notSupported("SET ROLE");
}

function booleanMode(name: string, text: string): boolean {
  const value = parseBool(text);
  if (value === undefined) {
    throw new SqlError(SqlState.invalidParameterValue, `parameter "${name}" requires a Boolean value`);
  }
  return value;
}
