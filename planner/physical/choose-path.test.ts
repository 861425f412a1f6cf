import { describe, expect, test } from "vitest";
import { choosePath, mostExact } from "./choose-path.ts";

const vector = {
  kind: "vector",
  rowCount: 100_000,
  matchCount: undefined,
  k: 10,
  ef: 100,
  dimensions: 384,
  mustBeExact: false,
} as const;
const text = {
  kind: "text",
  documentCount: 100_000,
  postingCount: 20_000,
  matchCount: undefined,
  k: 10,
  mustBeExact: false,
} as const;

describe("vector searches", () => {
  test("without a filter the graph", () => {
    expect(choosePath(vector).path).toBe("graph");
  });

  test("a filter that keeps half stays in the graph, one that keeps few is answered exactly", () => {
    expect(choosePath({ ...vector, matchCount: 50_000 }).path).toBe("graph-filtered");
    expect(choosePath({ ...vector, matchCount: 100 }).path).toBe("exact");
    expect(choosePath({ ...vector, matchCount: 0 }).path).toBe("exact");
  });

  test("the most rows that are answered exactly are the last before the graph is chosen", () => {
    for (const rowCount of [0, 10, 700, 20_000, 100_000, 5_000_000]) {
      for (const [k, ef, dimensions] of [
        [10, 100, 384],
        [1, 10, 3],
        [1000, 1000, 2000],
      ] as const) {
        const counts = { ...vector, rowCount, k, ef, dimensions };
        const most = mostExact(counts);
        if (most > 0) expect(choosePath({ ...counts, matchCount: most }).path).toBe("exact");
        if (most < rowCount) expect(choosePath({ ...counts, matchCount: most + 1 }).path).not.toBe("exact");
      }
    }
  });

  test("cost of the graph never falls as the filter narrows, cost of the exact path always does", () => {
    let graph = 0;
    let exact = Number.POSITIVE_INFINITY;
    for (const matchCount of [100_000, 50_000, 20_000, 5000, 1000, 600]) {
      const chosen = choosePath({ ...vector, matchCount });
      const costs =
        chosen.path === "exact" ? [chosen.otherCost, chosen.cost] : [chosen.cost, chosen.otherCost];
      expect(costs[0]).toBeGreaterThanOrEqual(graph);
      expect(costs[1]).toBeLessThan(exact);
      [graph = 0, exact = 0] = costs;
    }
  });

  test("small tables, large k and the setting are exact", () => {
    expect(choosePath({ ...vector, rowCount: 300 }).path).toBe("exact");
    expect(choosePath({ ...vector, k: 60_000 }).path).toBe("exact");
    expect(choosePath({ ...vector, mustBeExact: true })).toMatchObject({
      path: "exact",
      otherCost: Number.POSITIVE_INFINITY,
    });
    expect(choosePath({ ...vector, rowCount: 0 }).path).toBe("exact");
  });
});

describe("text searches", () => {
  test("a small k over many postings prunes, a k as large as the postings does not", () => {
    expect(choosePath(text).path).toBe("text-pruned");
    expect(choosePath({ ...text, k: 20_000 }).path).toBe("text-exhaustive");
  });

  test("a narrow filter makes every posting cheap to reject", () => {
    expect(choosePath({ ...text, matchCount: 50 }).path).toBe("text-exhaustive");
    expect(choosePath({ ...text, mustBeExact: true }).path).toBe("text-exhaustive");
  });
});
