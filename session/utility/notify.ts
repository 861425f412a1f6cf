// LISTEN, NOTIFY, UNLISTEN: the rules are notifications.ts's.
import { type UtilityCommand, done } from "./command.ts";

export function listenCommand(statement: { readonly conditionname?: string }): UtilityCommand {
  return {
    run: ({ core }) => {
      core.notifications.listen(statement.conditionname ?? "");
      return done("LISTEN");
    },
  };
}

export function notifyCommand(statement: {
  readonly conditionname?: string;
  readonly payload?: string;
}): UtilityCommand {
  return {
    run: ({ core }) => {
      core.notifications.notify(statement.conditionname ?? "", statement.payload ?? "");
      return done("NOTIFY");
    },
  };
}

/** UNLISTEN * has no name. */
export function unlistenCommand(statement: { readonly conditionname?: string }): UtilityCommand {
  return {
    run: ({ core }) => {
      core.notifications.unlisten(statement.conditionname);
      return done("UNLISTEN");
    },
  };
}
