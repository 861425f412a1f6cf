// Looks at what statements noted: immediate events when a statement ends, deferred ones when the transaction does or SET
// CONSTRAINTS says so. Actions note further events, which come after those already there, as PostgreSQL's queue has it.
import { ROW_SHARE } from "../../common/lock-mode.ts";
import { unreachable } from "../../common/assert.ts";
import type { ExecutionContext } from "../context.ts";
import { checkDuplicates } from "./duplicate-check.ts";
import { actionOf, type ConstraintEvent } from "./events.ts";
import { checkReferences } from "./reference-check.ts";
import { childLockMode, runAction } from "./referential-action.ts";

/** Runs the events of a statement that has ended; deferred ones go to the transaction. */
export async function fireEvents(context: ExecutionContext): Promise<void> {
  const { events, constraints } = context;
  while (!events.isEmpty) {
    for (const event of events.take()) {
      if (isCheck(event) && constraints.isDeferred(event.watch)) constraints.defer(event);
      else await fireEvent(event, context);
    }
  }
}

/** Actions cannot wait, whatever the constraint says: only checks are deferred. */
function isCheck(event: ConstraintEvent): boolean {
  return event.kind !== "removed-key" || actionOf(event) === "a";
}

/** One event now, whether or not it was deferred. What it notes is left in the context's queue. */
export async function fireEvent(event: ConstraintEvent, context: ExecutionContext): Promise<void> {
  if (event.kind === "duplicate") return checkDuplicates(event, context);
  const { constraints } = context;
  // The table that was written to is locked already, so that the constraint stays; the other one may yet change.
  const known = constraints.foreignKey(event.watch.constraintOid);
  if (known === undefined) return;
  const isReference = event.kind === "reference";
  await constraints.lock(
    isReference ? known.parent.oid : known.child.oid,
    isReference ? ROW_SHARE : childLockMode(event),
  );
  const rules = constraints.foreignKey(event.watch.constraintOid);
  if (rules === undefined) return;
  switch (event.kind) {
    case "reference":
      return checkReferences(event, rules, context);
    case "removed-key":
      return runAction(event, rules, context);
    default:
      return unreachable(event);
  }
}
