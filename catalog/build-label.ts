// What an index build says of itself to other sessions, as the engine hands it on: pg_stat_progress_create_index names the
// command by it, and a writer the index that is in its way before the catalogue has it.
import type { IndexEntry } from "./entries.ts";

export interface BuildLabel {
  readonly command: "CREATE INDEX" | "CREATE INDEX CONCURRENTLY" | "REINDEX" | "REINDEX CONCURRENTLY";
  /** As it shall be. */
  readonly index: IndexEntry;
}

export function writeLabel(label: BuildLabel): string {
  return JSON.stringify(label);
}

/** The label of a build whose text came from `writeLabel`. */
export function readLabel(text: string): BuildLabel {
  return JSON.parse(text) as BuildLabel;
}
