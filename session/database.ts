// One worker thread's share of the database: the process's engine, this thread's channel, its catalogue cache and the plans
// its sessions share. Everything that must be the same for all workers lives in the engine.
import { CatalogCache } from "../catalog/cache.ts";
import type { Snapshot } from "../catalog/snapshot.ts";
import { must } from "../common/assert.ts";
import type { Engine } from "../native/engine.ts";
import { initParser } from "../parser/parse.ts";
import { ActivityBoard } from "./activity.ts";
import { NotificationHub } from "./notifications.ts";
import { PlanCache } from "./plan-cache.ts";
import { Waits } from "./waits.ts";

/** Every change but a comment can alter what a name means or which plan is best. */
const PLANNED_KINDS = /^(?!comment\/)/;

export class Database {
  readonly engine: Engine;
  readonly waits: Waits;
  readonly catalog = new CatalogCache();
  readonly plans = new PlanCache();
  readonly notifications = new NotificationHub();
  /** Who is connected to the process, all threads together. */
  readonly activity: ActivityBoard;
  /** Committed catalogue version of the last change to names: plans made before are looked at again. */
  namesVersion = 0;

  private constructor(engine: Engine, board: SharedArrayBuffer | undefined) {
    this.engine = engine;
    this.activity = new ActivityBoard(() => engine.sessionIds(), board);
    // A worker of a server serves its sessions and nobody else; an embedded database is a guest in somebody's thread.
    this.waits = new Waits(engine, board !== undefined);
  }

  /** Attaches this thread. `board` is the process's activity board; without it the thread is alone. Loads the parser's grammar, which takes some 30 ms. */
  static async attach(engine: Engine, board: SharedArrayBuffer | undefined): Promise<Database> {
    await initParser();
    const database = new Database(engine, board);
    database.refresh();
    return database;
  }

  /** Takes over what other sessions committed to the catalogue. */
  refresh(): void {
    if (this.engine.catalogVersion() === this.catalog.version) return;
    const { version, changes } = this.engine.catalogChanges(this.catalog.version);
    this.catalog.refresh(version, changes);
    if (changes.some(({ key }) => PLANNED_KINDS.test(key))) this.namesVersion = version;
  }

  snapshot(databaseOid: number): Snapshot {
    return must(this.catalog.snapshot(databaseOid), "the database of an open session exists");
  }

  close(): void {
    this.notifications.close();
    this.waits.close();
  }
}
