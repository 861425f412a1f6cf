// Which command a tree is: everything that is not planned. Unknown statements are 0A000 naming themselves.
import { notSupported } from "../../common/error.ts";
import type { RawStatement } from "../../parser/tree.ts";
import type { UtilityCommand } from "./command.ts";
import { copyCommand } from "./copy.ts";
import { closeCommand, declareCommand, fetchCommand } from "./cursor.ts";
import { definitionCommand } from "./definition.ts";
import { discardCommand } from "./discard.ts";
import { explainCommand } from "./explain.ts";
import { lockCommand } from "./lock.ts";
import { checkpointCommand } from "./maintenance.ts";
import { vacuumCommand } from "./vacuum.ts";
import { listenCommand, notifyCommand, unlistenCommand } from "./notify.ts";
import { deallocateCommand, executeCommand, prepareCommand } from "./prepare.ts";
import { setCommand, showCommand } from "./set.ts";
import { setConstraintsCommand } from "./set-constraints.ts";
import { transactionCommand } from "./transaction.ts";

export function utilityCommand({ node, text }: RawStatement): UtilityCommand {
  if ("TransactionStmt" in node) return transactionCommand(node.TransactionStmt);
  if ("VariableSetStmt" in node) return setCommand(node.VariableSetStmt);
  if ("VariableShowStmt" in node) return showCommand(node.VariableShowStmt);
  if ("PrepareStmt" in node) return prepareCommand(node.PrepareStmt);
  if ("ExecuteStmt" in node) return executeCommand(node.ExecuteStmt);
  if ("DeallocateStmt" in node) return deallocateCommand(node.DeallocateStmt);
  if ("DeclareCursorStmt" in node) return declareCommand(node.DeclareCursorStmt);
  if ("FetchStmt" in node) return fetchCommand(node.FetchStmt);
  if ("ClosePortalStmt" in node) return closeCommand(node.ClosePortalStmt);
  if ("ExplainStmt" in node) return explainCommand(node.ExplainStmt);
  if ("CopyStmt" in node) return copyCommand(node.CopyStmt);
  if ("VacuumStmt" in node) return vacuumCommand(node.VacuumStmt);
  if ("CheckPointStmt" in node) return checkpointCommand();
  if ("DiscardStmt" in node) return discardCommand(node.DiscardStmt);
  if ("ListenStmt" in node) return listenCommand(node.ListenStmt);
  if ("NotifyStmt" in node) return notifyCommand(node.NotifyStmt);
  if ("UnlistenStmt" in node) return unlistenCommand(node.UnlistenStmt);
  if ("ConstraintsSetStmt" in node) return setConstraintsCommand(node.ConstraintsSetStmt);
  if ("LockStmt" in node) return lockCommand(node.LockStmt);
  if ("CreateTableAsStmt" in node) throw notSupported("CREATE TABLE AS", 1);
  if ("SelectStmt" in node) throw notSupported("SELECT INTO", 1);
  return definitionCommand(node) ?? refuse(text);
}

/** "MERGE INTO ..." is not supported: the words a reader knows the statement by. */
function refuse(text: string): never {
  const words = /^\s*([A-Za-z]+(?:\s+OR\s+REPLACE)?(?:\s+[A-Za-z]+)?)/i.exec(text)?.[1] ?? "this statement";
  throw notSupported(words.toUpperCase().replace(/\s+(OR\s+REPLACE\s+)?/g, " "), 1);
}
