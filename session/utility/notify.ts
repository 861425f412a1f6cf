// LISTEN, NOTIFY, UNLISTEN: not served yet. A LISTEN that never hears is worse than an error, so it is one; UNLISTEN, which
// pools send to be sure, has nothing to do.
import { notSupported } from "../../common/error.ts";
import { type UtilityCommand, done } from "./command.ts";

export function listenCommand(): UtilityCommand {
  throw notSupported("LISTEN");
}

export function notifyCommand(): UtilityCommand {
  throw notSupported("NOTIFY");
}

export function unlistenCommand(): UtilityCommand {
  return { run: () => done("UNLISTEN") };
}
