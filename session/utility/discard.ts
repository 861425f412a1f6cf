// DISCARD: gives back what a session has gathered, for connection pools.
import { notSupported } from "../../common/error.ts";
import type { SessionCore } from "../core.ts";
import type { Started } from "../portal.ts";
import { type UtilityCommand, done } from "./command.ts";
import { closeAllPortals } from "./cursor.ts";

export function discardCommand(statement: { readonly target?: string }): UtilityCommand {
  switch (statement.target) {
    case "DISCARD_ALL":
      return { run: ({ core }) => discardAll(core) };
    case "DISCARD_PLANS":
      return {
        run: ({ core }) => {
          for (const prepared of core.statements.values()) prepared.plan = undefined;
          return done("DISCARD PLANS");
        },
      };
    case "DISCARD_SEQUENCES":
      return {
        run: ({ core }) => {
          core.discardSequences();
          return done("DISCARD SEQUENCES");
        },
      };
    case "DISCARD_TEMP":
      return {
        run: async ({ core }) => {
          await core.dropTemporaryObjects();
          return done("DISCARD TEMP");
        },
      };
    default:
      throw notSupported(`DISCARD ${statement.target ?? ""}`);
  }
}

async function discardAll(core: SessionCore): Promise<Started> {
  core.transactions.refuseInBlock("DISCARD ALL");
  closeAllPortals(core);
  core.settings.resetAll();
  core.statements.clear();
  core.functions.session.advisoryUnlockAll();
  core.discardSequences();
  await core.dropTemporaryObjects();
  return done("DISCARD ALL");
}
