// CHECKPOINT, and what other commands need of it.
import type { SessionCore } from "../core.ts";
import { type UtilityCommand, done } from "./command.ts";

export function checkpointCommand(): UtilityCommand {
  return {
    run: async ({ core }) => {
      await checkpoint(core);
      return done("CHECKPOINT");
    },
  };
}

export async function checkpoint(core: SessionCore): Promise<void> {
  await core.database.waits.wait(core.database.engine.checkpoint());
}
