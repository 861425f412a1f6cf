// The catalogue as a worker keeps it: all committed entries, and an immutable indexed state for each database somebody is
// connected to. One per worker thread; the session asks the engine for committed changes and hands them to `refresh`.
import type { CatalogEntry } from "./entries.ts";
import { isVisibleIn, Snapshot } from "./snapshot.ts";
import { CatalogState, type EntryChange } from "./state.ts";

/** A committed change as the engine reports it: the entry as JSON text, undefined = removed. */
export interface StoredChange {
  readonly key: string;
  readonly value: string | undefined;
}

export class CatalogCache {
  #version = 0;
  #ownVersion = 0;
  readonly #entries = new Map<string, CatalogEntry>();
  readonly #snapshots = new Map<number, Snapshot>();

  /** The engine's catalogue version up to which changes have been applied. */
  get version(): number {
    return this.#version;
  }

  /** Applies committed changes in commit order. Snapshots handed out before stay as they are. */
  refresh(version: number, changes: readonly StoredChange[]): void {
    const parsed: EntryChange[] = changes.map(({ key, value }) => ({
      key,
      entry: value === undefined ? undefined : (JSON.parse(value) as CatalogEntry),
    }));
    this.#version = version;
    for (const { key, entry } of parsed) {
      if (entry === undefined) this.#entries.delete(key);
      else this.#entries.set(key, entry);
    }
    for (const [database, snapshot] of this.#snapshots) {
      if (this.#entries.has(`database/${database}`)) {
        this.#snapshots.set(database, snapshot.withChanges(version, parsed));
      } else {
        this.#snapshots.delete(database);
      }
    }
  }

  /** The committed catalogue of a database; undefined when there is no such database. */
  snapshot(databaseOid: number): Snapshot | undefined {
    const known = this.#snapshots.get(databaseOid);
    if (known !== undefined) return known;
    if (!this.#entries.has(`database/${databaseOid}`)) return undefined;
    const changes: EntryChange[] = [];
    for (const [key, entry] of this.#entries)
      if (isVisibleIn(entry, databaseOid)) changes.push({ key, entry });
    const snapshot = new Snapshot(this.#version, databaseOid, CatalogState.empty().with(changes));
    this.#snapshots.set(databaseOid, snapshot);
    return snapshot;
  }

  /** The databases by name, for a start-up packet, which has nothing else. */
  databaseOid(name: string): number | undefined {
    for (const entry of this.#entries.values())
      if (entry.kind === "database" && entry.name === name) return entry.oid;
    return undefined;
  }

  /**
   * A snapshot with a transaction's own changes on top (its DDL, its temporary tables). Its version is negative and never
   * the same twice, so nothing bound against it is mistaken for something committed.
   */
  withOwn(snapshot: Snapshot, changes: readonly EntryChange[]): Snapshot {
    if (changes.length === 0) return snapshot;
    this.#ownVersion -= 1;
    return snapshot.withChanges(this.#ownVersion, changes);
  }
}
