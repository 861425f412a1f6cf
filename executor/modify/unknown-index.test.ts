// Where a writer finds the name of an index its plan does not know: among the builds, in the catalogue, or nowhere any more.
import { describe, expect, it } from "vitest";
import { writeLabel } from "../../catalog/build-label.ts";
import type { IndexEntry } from "../../catalog/entries.ts";
import type { BuildProgress, CatalogChange } from "../../native/engine.ts";
import { unknownIndex } from "./unknown-index.ts";

const index = (storageId: number, name: string): IndexEntry => ({
  kind: "index",
  oid: storageId,
  name,
  version: 1,
  database: 1,
  schema: 1,
  owner: 10,
  tableOid: 2,
  storageId,
  method: "btree",
  columns: [],
  keyCount: 1,
  isUnique: true,
  isPrimary: false,
  isImmediate: true,
  nullsNotDistinct: false,
  options: [],
  persistence: "p",
});

function engine(builds: readonly IndexEntry[], committed: readonly IndexEntry[]) {
  const progress = (entry: IndexEntry): BuildProgress =>
    ({
      indexId: entry.storageId,
      label: writeLabel({ command: "CREATE INDEX CONCURRENTLY", index: entry }),
    }) as BuildProgress;
  const change = (entry: IndexEntry): CatalogChange => ({
    key: `index/${entry.oid}`,
    value: JSON.stringify(entry),
  });
  return {
    buildProgress: () => builds.map(progress),
    catalogChanges: () => ({ version: 1, changes: committed.map(change) }),
  };
}

describe("the index in a writer's way", () => {
  it("is one that is being built", () => {
    const found = unknownIndex(7, { engine: engine([index(6, "other"), index(7, "built")], []) });
    expect(found.name).toBe("built");
  });

  it("is one that was committed since", () => {
    const found = unknownIndex(7, { engine: engine([], [index(6, "other"), index(7, "made")]) });
    expect(found.name).toBe("made");
  });

  it("is gone with its build: the statement can be repeated", () => {
    const look = (): unknown => unknownIndex(7, { engine: engine([index(6, "other")], []) });
    expect(look).toThrow(expect.objectContaining({ code: "40001" }));
  });
});
