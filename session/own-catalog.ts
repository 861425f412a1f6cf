// What this session alone sees of the catalogue: its temporary objects, and the uncommitted definitions of its transaction,
// laid over the newest committed snapshot. A savepoint remembers how many changes there were; undoing cuts the list.
import type { CatalogCache } from "../catalog/cache.ts";
import { type CatalogEntry, entryKey } from "../catalog/entries.ts";
import type { Snapshot } from "../catalog/snapshot.ts";
import type { EntryChange } from "../catalog/state.ts";

interface OwnChange extends EntryChange {
  readonly isTemporary: boolean;
}

export class OwnCatalog {
  readonly #cache: CatalogCache;
  /** Temporary entries of finished transactions. */
  readonly #temporary = new Map<string, CatalogEntry>();
  #changes: OwnChange[] = [];
  #merged: { readonly base: Snapshot; readonly stamp: number; readonly snapshot: Snapshot } | undefined;
  #stamp = 0;

  constructor(cache: CatalogCache) {
    this.#cache = cache;
  }

  /** True when nothing but committed entries is seen: plans can be shared with other sessions. */
  get isEmpty(): boolean {
    return this.#changes.length === 0 && this.#temporary.size === 0;
  }

  /** Moves with every change of what is seen beside the committed entries. */
  get stamp(): number {
    return this.#stamp;
  }

  put(entry: CatalogEntry, isTemporary: boolean): void {
    this.#push({ key: entryKey(entry), entry, isTemporary });
  }

  remove(entry: CatalogEntry, isTemporary: boolean): void {
    this.#push({ key: entryKey(entry), entry: undefined, isTemporary });
  }

  /** The committed snapshot with everything of this session on top. */
  over(base: Snapshot): Snapshot {
    if (this.isEmpty) return base;
    if (this.#merged?.base !== base || this.#merged.stamp !== this.#stamp) {
      const temporary = Array.from(this.#temporary, ([key, entry]) => ({ key, entry }));
      const snapshot = this.#cache.withOwn(base, [...temporary, ...this.#changes]);
      this.#merged = { base, stamp: this.#stamp, snapshot };
    }
    return this.#merged.snapshot;
  }

  mark(): number {
    return this.#changes.length;
  }

  rollbackTo(mark: number): void {
    if (this.#changes.length === mark) return;
    this.#changes.length = mark;
    this.#stamp += 1;
  }

  /** The transaction committed: its lasting entries come back with the committed catalogue, the temporary ones stay here. */
  commit(): void {
    if (this.#changes.length === 0) return;
    for (const { key, entry, isTemporary } of this.#changes) {
      if (!isTemporary) continue;
      if (entry === undefined) this.#temporary.delete(key);
      else this.#temporary.set(key, entry);
    }
    this.#changes = [];
    this.#stamp += 1;
  }

  /** Temporary entries of the session, newest state. */
  temporaryEntries(): Iterable<CatalogEntry> {
    return this.#temporary.values();
  }

  #push(change: OwnChange): void {
    this.#changes.push(change);
    this.#stamp += 1;
  }
}
