// What constraints need of the session when they are looked at: rules of other tables, their locks, and the transaction's
// list of deferred events. An interface, because the rules are bound by the planner, which the executor may not call.
import type { TableEntry } from "../../catalog/entries.ts";
import type { ForeignKeyRules, KeyWatch, TableConstraints } from "../../planner/physical/plan.ts";
import type { MaybePromise } from "../maybe-promise.ts";
import type { ConstraintEvent } from "./events.ts";

export interface ConstraintHost {
  /** The rules of a foreign key by the newest catalogue; undefined when it is gone. */
  foreignKey(constraintOid: number): ForeignKeyRules | undefined;
  /** What writing to a table has to check and to note. */
  constraintsOf(table: TableEntry): TableConstraints;
  /** Waits for a table lock in PostgreSQL's mode number; the rules asked for afterwards are the newest. */
  lock(tableOid: number, mode: number): MaybePromise<void>;
  /** Whether the check waits for the end of the transaction: SET CONSTRAINTS, else as the constraint was declared. */
  isDeferred(constraint: Pick<KeyWatch, "constraintOid" | "isDeferrable" | "isDeferred">): boolean;
  /** Keeps an event for the end of the transaction. */
  defer(event: ConstraintEvent): void;
}
