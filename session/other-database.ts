// Entries of a database that this session is not connected to: what DROP DATABASE has to take away.
import type { CatalogEntry } from "../catalog/entries.ts";
import type { Database } from "./database.ts";

/** Indexes first: they go before the tables they are on. The database's own entry is not among them. */
export function entriesOfDatabase(database: Database, databaseOid: number): readonly CatalogEntry[] {
  const snapshot = database.catalog.snapshot(databaseOid);
  if (snapshot === undefined) return [];
  const own = Array.from(snapshot.entries()).filter(
    (entry) => "database" in entry && entry.database === databaseOid,
  );
  return own.sort((a, b) => Number(b.kind === "index") - Number(a.kind === "index"));
}
