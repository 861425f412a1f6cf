// The stored entries that one database sees, indexed for every look-up of CatalogSnapshot. Immutable: `with` makes the next
// state and shares what did not change.
import type {
  CatalogEntry,
  CommentEntry,
  IndexEntry,
  SequenceEntry,
  StatisticsEntry,
  TableEntry,
} from "./entries.ts";
import { LayeredMap } from "./layered-map.ts";

export type StoredRelation = TableEntry | IndexEntry | SequenceEntry;

/** `entry` undefined = removed. */
export interface EntryChange {
  readonly key: string;
  readonly entry: CatalogEntry | undefined;
}

export class CatalogState {
  readonly #byKey: LayeredMap<string, CatalogEntry>;
  /** "schema oid/name" of a relation, "schema:name", "role:name", "extension:name". */
  readonly #byName: LayeredMap<string, CatalogEntry>;
  readonly #comments: LayeredMap<string, CommentEntry>;
  readonly #statistics: LayeredMap<number, StatisticsEntry>;
  readonly #indexes: LayeredMap<number, readonly IndexEntry[]>;
  /** By the oids that belong to a table: its row type, its array type, its constraints. */
  readonly #tablesByPart: LayeredMap<number, TableEntry>;
  /** By the oid of the table that their foreign keys refer to. */
  readonly #referencing: LayeredMap<number, readonly TableEntry[]>;

  private constructor(
    byKey: LayeredMap<string, CatalogEntry>,
    byName: LayeredMap<string, CatalogEntry>,
    comments: LayeredMap<string, CommentEntry>,
    statistics: LayeredMap<number, StatisticsEntry>,
    indexes: LayeredMap<number, readonly IndexEntry[]>,
    tablesByPart: LayeredMap<number, TableEntry>,
    referencing: LayeredMap<number, readonly TableEntry[]>,
  ) {
    this.#byKey = byKey;
    this.#byName = byName;
    this.#comments = comments;
    this.#statistics = statistics;
    this.#indexes = indexes;
    this.#tablesByPart = tablesByPart;
    this.#referencing = referencing;
  }

  static empty(): CatalogState {
    return new CatalogState(
      LayeredMap.empty(),
      LayeredMap.empty(),
      LayeredMap.empty(),
      LayeredMap.empty(),
      LayeredMap.empty(),
      LayeredMap.empty(),
      LayeredMap.empty(),
    );
  }

  /** The state after these changes, later ones winning. */
  with(changes: readonly EntryChange[]): CatalogState {
    const last = new Map(changes.map((change) => [change.key, change.entry]));
    const names = new Map<string, CatalogEntry | undefined>();
    const comments = new Map<string, CommentEntry | undefined>();
    const statistics = new Map<number, StatisticsEntry | undefined>();
    const parts = new Map<number, TableEntry | undefined>();
    const indexes = new Groups((table) => this.indexesOf(table));
    const referencing = new Groups((table) => this.referencing(table));
    // Old places are cleared before new ones are taken, so that two entries may swap names in one transaction.
    for (const key of last.keys()) {
      const old = this.#byKey.get(key);
      if (old === undefined) continue;
      const name = nameKey(old);
      if (name !== undefined) names.set(name, undefined);
      if (old.kind === "comment") comments.set(commentKey(old.classOid, old.objectOid, old.subId), undefined);
      if (old.kind === "statistics") statistics.set(old.tableOid, undefined);
      if (old.kind === "index") indexes.of(old.tableOid).delete(old.oid);
      if (old.kind !== "table") continue;
      for (const part of partsOf(old)) parts.set(part, undefined);
      for (const referenced of referencesOf(old)) referencing.of(referenced).delete(old.oid);
    }
    for (const entry of last.values()) {
      if (entry === undefined) continue;
      const name = nameKey(entry);
      if (name !== undefined) names.set(name, entry);
      if (entry.kind === "comment")
        comments.set(commentKey(entry.classOid, entry.objectOid, entry.subId), entry);
      if (entry.kind === "statistics") statistics.set(entry.tableOid, entry);
      if (entry.kind === "index") indexes.of(entry.tableOid).set(entry.oid, entry);
      if (entry.kind !== "table") continue;
      for (const part of partsOf(entry)) parts.set(part, entry);
      for (const referenced of referencesOf(entry)) referencing.of(referenced).set(entry.oid, entry);
    }
    return new CatalogState(
      this.#byKey.with(last),
      this.#byName.with(names),
      this.#comments.with(comments),
      this.#statistics.with(statistics),
      this.#indexes.with(indexes.changed()),
      this.#tablesByPart.with(parts),
      this.#referencing.with(referencing.changed()),
    );
  }

  entry(key: string): CatalogEntry | undefined {
    return this.#byKey.get(key);
  }

  entries(): Iterable<CatalogEntry> {
    return this.#byKey.values();
  }

  relation(schema: number, name: string): StoredRelation | undefined {
    const entry = this.#byName.get(`${schema}/${name}`);
    return entry?.kind === "table" || entry?.kind === "index" || entry?.kind === "sequence"
      ? entry
      : undefined;
  }

  relationByOid(oid: number): StoredRelation | undefined {
    const entry =
      this.#byKey.get(`table/${oid}`) ??
      this.#byKey.get(`index/${oid}`) ??
      this.#byKey.get(`sequence/${oid}`);
    return entry?.kind === "table" || entry?.kind === "index" || entry?.kind === "sequence"
      ? entry
      : undefined;
  }

  /** Schema, role or extension. */
  named<K extends "schema" | "role" | "extension">(
    kind: K,
    name: string,
  ): Extract<CatalogEntry, { kind: K }> | undefined {
    const entry = this.#byName.get(`${kind}:${name}`);
    return entry?.kind === kind ? (entry as Extract<CatalogEntry, { kind: K }>) : undefined;
  }

  indexesOf(table: number): readonly IndexEntry[] {
    return this.#indexes.get(table) ?? [];
  }

  referencing(table: number): readonly TableEntry[] {
    return this.#referencing.get(table) ?? [];
  }

  statisticsOf(table: number): StatisticsEntry | undefined {
    return this.#statistics.get(table);
  }

  comment(classOid: number, objectOid: number, subId: number): string | undefined {
    return this.#comments.get(commentKey(classOid, objectOid, subId))?.text;
  }

  /** By the oid of its row type or of the array of it. */
  tableOfType(typeOid: number): TableEntry | undefined {
    const table = this.#tablesByPart.get(typeOid);
    return table?.rowTypeOid === typeOid || table?.arrayTypeOid === typeOid ? table : undefined;
  }

  tableOfConstraint(constraintOid: number): TableEntry | undefined {
    const table = this.#tablesByPart.get(constraintOid);
    return table?.constraints.some((constraint) => constraint.oid === constraintOid) === true
      ? table
      : undefined;
  }
}

function partsOf(table: TableEntry): number[] {
  return [table.rowTypeOid, table.arrayTypeOid, ...table.constraints.map((constraint) => constraint.oid)];
}

/** Relations of one schema share a name space, as in PostgreSQL: an index cannot be named as a table beside it. */
function nameKey(entry: CatalogEntry): string | undefined {
  switch (entry.kind) {
    case "table":
    case "index":
    case "sequence":
      return `${entry.schema}/${entry.name}`;
    case "schema":
    case "role":
    case "extension":
      return `${entry.kind}:${entry.name}`;
    default:
      return undefined;
  }
}

function commentKey(classOid: number, objectOid: number, subId: number): string {
  return `${classOid}/${objectOid}/${subId}`;
}

/** Tables that the foreign keys of `table` refer to. */
function referencesOf(table: TableEntry): number[] {
  return table.constraints.flatMap(({ reference }) => (reference === undefined ? [] : [reference.tableOid]));
}

/** Lists of entries by the table they belong to, while a change is made: each list is copied when first touched. */
class Groups<T extends { readonly oid: number }> {
  readonly #known: (table: number) => readonly T[];
  readonly #groups = new Map<number, Map<number, T>>();

  constructor(known: (table: number) => readonly T[]) {
    this.#known = known;
  }

  of(table: number): Map<number, T> {
    let group = this.#groups.get(table);
    if (group === undefined) {
      group = new Map(this.#known(table).map((entry) => [entry.oid, entry]));
      this.#groups.set(table, group);
    }
    return group;
  }

  /** The touched lists, by oid, so that plans do not depend on the order in which entries were read. */
  *changed(): Iterable<readonly [number, readonly T[] | undefined]> {
    for (const [table, group] of this.#groups) {
      const sorted = [...group.values()].sort((a, b) => a.oid - b.oid);
      yield [table, sorted.length === 0 ? undefined : sorted];
    }
  }
}
