// DISCARD: gives back what a session has gathered, for connection pools.
import { must } from "../../common/assert.ts";
import { notSupported } from "../../common/error.ts";
import { parse } from "../../parser/parse.ts";
import type { Started } from "../portal.ts";
import { type UtilityCall, type UtilityCommand, done } from "./command.ts";
import { closeAllPortals } from "./cursor.ts";
import { definitionCommand } from "./definition.ts";

export function discardCommand(statement: { readonly target?: string }): UtilityCommand {
  switch (statement.target) {
    case "DISCARD_ALL":
      return { run: discardAll };
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
        run: async (call) => {
          await dropTemporaryTables(call);
          return done("DISCARD TEMP");
        },
      };
    default:
      throw notSupported(`DISCARD ${statement.target ?? ""}`);
  }
}

async function discardAll(call: UtilityCall): Promise<Started> {
  const { core, portal } = call;
  core.transactions.refuseInBlock("DISCARD ALL");
  closeAllPortals(core, portal);
  core.settings.resetAll();
  core.statements.clear();
  core.notifications.unlisten(undefined);
  core.functions.session.advisoryUnlockAll();
  core.discardSequences();
  await dropTemporaryTables(call);
  return done("DISCARD ALL");
}

async function dropTemporaryTables(call: UtilityCall): Promise<void> {
  const names = call.core.temporaryRelations();
  if (names.length === 0) return;
  const statement = must(parse(`DROP TABLE ${names.join(", ")} CASCADE`)[0], "one statement");
  const command = must(definitionCommand(statement.node), "DROP is a definition");
  await command.run({ ...call, statement });
}
