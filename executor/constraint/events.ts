// What a statement has noted for the constraints that are looked at when it ends, or when the transaction does: PostgreSQL's
// queue of after-row triggers, by constraint instead of by row.
//
// Notes name rows by id wherever the newest version is what counts: a row that is gone by then needs no check, and one that
// was changed again is checked as it is. Only keys that rows had before are kept as values.
import type { ReferentialAction } from "../../catalog/entries.ts";
import type { Datum } from "../../common/types/type.ts";
import type { ForeignKeyWatch, KeyWatch } from "../../planner/physical/plan.ts";

/** Values of a constraint's columns, in its order. */
export type Key = readonly Datum[];

/** Rows with new values in the columns of a foreign key. */
export interface ReferenceEvent {
  readonly kind: "reference";
  readonly watch: ForeignKeyWatch;
  readonly rids: readonly Uint32Array[];
}

/** Keys that rows of a referenced table had until they were deleted or updated; `newKeys` beside them for an update. */
export interface RemovedKeyEvent {
  readonly kind: "removed-key";
  readonly watch: ForeignKeyWatch;
  readonly cause: "delete" | "update";
  readonly keys: readonly Key[];
  readonly newKeys: readonly Key[];
}

/** Rows with new values in a deferrable key. */
export interface DuplicateEvent {
  readonly kind: "duplicate";
  readonly watch: KeyWatch;
  readonly rids: readonly Uint32Array[];
}

export type ConstraintEvent = ReferenceEvent | RemovedKeyEvent | DuplicateEvent;

/** What an event asks for; a check can be deferred, an action cannot. */
export function actionOf(event: RemovedKeyEvent): ReferentialAction {
  return event.cause === "delete" ? event.watch.onDelete : event.watch.onUpdate;
}

/** PostgreSQL fires the triggers of a row by name: those of primary keys, of foreign keys (actions first), of unique keys. */
function rank(event: ConstraintEvent): number {
  switch (event.kind) {
    case "duplicate":
      return event.watch.isPrimary ? 0 : 3;
    case "removed-key":
      return 1;
    case "reference":
      return 2;
  }
}

export class ConstraintEvents {
  readonly #pending = new Map<string, ConstraintEvent>();

  get isEmpty(): boolean {
    return this.#pending.size === 0;
  }

  /** Adds to what is noted for the same constraint already. */
  add(event: ConstraintEvent): void {
    const cause = event.kind === "removed-key" ? event.cause : "";
    const place = `${event.kind}/${cause}/${event.watch.constraintOid}`;
    const known = this.#pending.get(place);
    this.#pending.set(place, known === undefined ? event : joined(known, event));
  }

  /** Everything noted so far, in the order in which it is to be looked at. */
  take(): readonly ConstraintEvent[] {
    const events = [...this.#pending.values()];
    this.#pending.clear();
    return events.sort((a, b) => rank(a) - rank(b) || a.watch.constraintOid - b.watch.constraintOid);
  }
}

/** Two events of one constraint. */
function joined(first: ConstraintEvent, second: ConstraintEvent): ConstraintEvent {
  if (first.kind === "removed-key") {
    const more = second as RemovedKeyEvent;
    return { ...first, keys: first.keys.concat(more.keys), newKeys: first.newKeys.concat(more.newKeys) };
  }
  return { ...first, rids: first.rids.concat((second as ReferenceEvent | DuplicateEvent).rids) };
}
