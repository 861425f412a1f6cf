// The constraints of one session's transaction: the events that wait for its end, and what SET CONSTRAINTS said about them.
//
// Savepoints: events noted after one go with its rollback, and those that were looked at after it wait again, because what
// they found may be undone with it. So both lists only grow until the transaction ends.
import type { CatalogSnapshot } from "../catalog/catalog.ts";
import type { TableEntry } from "../catalog/entries.ts";
import { SqlError, SqlState } from "../common/error.ts";
import type { ConstraintEvent } from "../executor/constraint/events.ts";
import { fireEvent, fireEvents } from "../executor/constraint/fire.ts";
import type { ConstraintHost } from "../executor/constraint/host.ts";
import { createContext } from "../executor/execution.ts";
import type { MaybePromise } from "../executor/maybe-promise.ts";
import { bindForeignKeyRules, bindTableConstraints } from "../planner/index.ts";
import type { ForeignKeyRules, KeyWatch, TableConstraints } from "../planner/physical/plan.ts";
import type { SessionCore } from "./core.ts";
import { plannerContext } from "./planning.ts";

interface DeferredEvent {
  readonly event: ConstraintEvent;
  /** Count of looks at which it was looked at; undefined = it waits. */
  firedAt: number | undefined;
}

/** One SET CONSTRAINTS; `oids` undefined = ALL. */
interface Mode {
  readonly oids: ReadonlySet<number> | undefined;
  readonly isDeferred: boolean;
}

/** What was bound from one state of the catalogue. */
interface Bound {
  readonly catalog: CatalogSnapshot;
  readonly rules: Map<number, ForeignKeyRules | undefined>;
  readonly tables: Map<number, TableConstraints>;
}

export interface ConstraintMark {
  readonly events: number;
  readonly modes: number;
  readonly fired: number;
}

export class SessionConstraints implements ConstraintHost {
  readonly #core: SessionCore;
  #events: DeferredEvent[] = [];
  #modes: Mode[] = [];
  #fired = 0;
  #bound: Bound | undefined;

  constructor(core: SessionCore) {
    this.#core = core;
  }

  foreignKey(constraintOid: number): ForeignKeyRules | undefined {
    const { rules } = this.#boundNow();
    if (!rules.has(constraintOid))
      rules.set(constraintOid, bindForeignKeyRules(plannerContext(this.#core, []), constraintOid));
    return rules.get(constraintOid);
  }

  constraintsOf(table: TableEntry): TableConstraints {
    const { tables } = this.#boundNow();
    const known = tables.get(table.oid);
    if (known !== undefined) return known;
    const bound = bindTableConstraints(plannerContext(this.#core, []), table);
    tables.set(table.oid, bound);
    return bound;
  }

  lock(tableOid: number, mode: number): MaybePromise<void> {
    const waiting = this.#core.lockRelation(tableOid, mode);
    if (waiting instanceof Promise) return waiting.then(() => this.#core.database.refresh());
    this.#core.database.refresh();
  }

  isDeferred(watch: Pick<KeyWatch, "constraintOid" | "isDeferrable" | "isDeferred">): boolean {
    if (!watch.isDeferrable) return false;
    const mode = this.#modes.findLast(({ oids }) => oids?.has(watch.constraintOid) ?? true);
    return mode?.isDeferred ?? watch.isDeferred;
  }

  defer(event: ConstraintEvent): void {
    this.#events.push({ event, firedAt: undefined });
  }

  get hasWaiting(): boolean {
    return this.#events.some(({ firedAt }) => firedAt === undefined);
  }

  /**
   * Whether changes of a table's rows wait to be looked at: what PostgreSQL calls pending trigger events. It notes rows with
   * a deferrable key only where the key was taken when they were written; here those count whose key is taken now.
   */
  async hasWaitingOn(tableOid: number): Promise<boolean> {
    for (const { event, firedAt } of this.#events) {
      if (firedAt !== undefined || this.#writtenTable(event) !== tableOid) continue;
      if (event.kind !== "duplicate" || (await this.#isViolated(event))) return true;
    }
    return false;
  }

  /** Undefined: the constraint is gone. */
  #writtenTable(event: ConstraintEvent): number | undefined {
    if (event.kind === "duplicate") return event.watch.tableOid;
    const rules = this.foreignKey(event.watch.constraintOid);
    return event.kind === "reference" ? rules?.child.oid : rules?.parent.oid;
  }

  async #isViolated(event: ConstraintEvent): Promise<boolean> {
    const context = createContext(this.#core.executionOptions([]));
    try {
      await fireEvent(event, context);
      return false;
    } catch (error) {
      if (error instanceof SqlError && error.code === SqlState.uniqueViolation) return true;
      throw error;
    } finally {
      context.close();
    }
  }

  /** SET CONSTRAINTS; what becomes immediate is looked at now. */
  async setMode(oids: ReadonlySet<number> | undefined, isDeferred: boolean): Promise<void> {
    this.#modes.push({ oids, isDeferred });
    if (!isDeferred) await this.#fire((event) => !this.isDeferred(event.watch));
  }

  /** The transaction is about to commit. */
  fireAll(): Promise<void> {
    return this.#fire(() => true);
  }

  mark(): ConstraintMark {
    return { events: this.#events.length, modes: this.#modes.length, fired: this.#fired };
  }

  rollbackTo(mark: ConstraintMark): void {
    this.#events.length = mark.events;
    this.#modes.length = mark.modes;
    for (const deferred of this.#events)
      if (deferred.firedAt !== undefined && deferred.firedAt > mark.fired) deferred.firedAt = undefined;
  }

  /** The transaction has ended. */
  clear(): void {
    if (this.#events.length > 0) this.#events = [];
    if (this.#modes.length > 0) this.#modes = [];
    this.#fired = 0;
  }

  /** Looks at waiting events, and at what that adds, in the order in which they came. */
  async #fire(isDue: (event: ConstraintEvent) => boolean): Promise<void> {
    for (;;) {
      const due = this.#events.filter(({ event, firedAt }) => firedAt === undefined && isDue(event));
      if (due.length === 0) return;
      const context = createContext(this.#core.executionOptions([]));
      try {
        for (const deferred of due) {
          deferred.firedAt = ++this.#fired;
          await fireEvent(deferred.event, context);
        }
        await fireEvents(context);
      } finally {
        context.close();
      }
    }
  }

  #boundNow(): Bound {
    const catalog = this.#core.catalog();
    if (this.#bound?.catalog !== catalog) this.#bound = { catalog, rules: new Map(), tables: new Map() };
    return this.#bound;
  }
}
