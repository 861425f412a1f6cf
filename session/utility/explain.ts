// EXPLAIN is not served yet.
import { notSupported } from "../../common/error.ts";
import type { UtilityCommand } from "./command.ts";

export function explainCommand(): UtilityCommand {
  throw notSupported("EXPLAIN");
}
