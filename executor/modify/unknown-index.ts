// The index in a writer's way that its plan does not know: CREATE INDEX CONCURRENTLY has begun, or ended, since the statement
// was planned. The engine checks it all the same.
import { readLabel } from "../../catalog/build-label.ts";
import type { CatalogEntry, IndexEntry } from "../../catalog/entries.ts";
import { SqlError, SqlState } from "../../common/error.ts";
import type { Engine } from "../../native/engine.ts";

/**
 * The entry behind a storage id, of a build under way or newly committed. 40001 when the build was given up between the
 * engine's check and this look: the row was in the way of an index that nobody will have, and the statement can be repeated.
 */
export function unknownIndex(
  storageId: number,
  { engine }: { readonly engine: Pick<Engine, "buildProgress" | "catalogChanges"> },
): IndexEntry {
  const build = engine.buildProgress().find((candidate) => candidate.indexId === storageId);
  if (build !== undefined) return readLabel(build.label).index;
  for (const { key, value } of engine.catalogChanges(0).changes) {
    if (value === undefined || !key.startsWith("index/")) continue;
    const entry = JSON.parse(value) as CatalogEntry;
    if (entry.kind === "index" && entry.storageId === storageId) return entry;
  }
  throw new SqlError(
    SqlState.serializationFailure,
    "could not serialize access due to a concurrent index build",
  );
}
