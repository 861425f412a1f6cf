// Memory that is used again must be nobody's when it is given out.
import { expect, test } from "vitest";
import { SearchStat } from "../../native/engine.ts";
import { BufferPool, MAX_POOLED_RANKING } from "./buffer-pool.ts";

test("a ranking that was given back is taken again, with clean counters and by its own length only", () => {
  const pool = new BufferPool();
  const first = pool.takeRanking(10);
  const second = pool.takeRanking(10);
  expect(second.rids).not.toBe(first.rids);
  first.stats[SearchStat.path] = 2;
  pool.releaseRanking(first);
  expect(pool.takeRanking(11).rids).toHaveLength(11);
  const again = pool.takeRanking(10);
  expect(again).toBe(first);
  expect(Array.from(again.stats)).toEqual(new Array(SearchStat.size).fill(0));
  expect(pool.takeRanking(10)).not.toBe(first);
});

test("long rankings are not kept", () => {
  const pool = new BufferPool();
  const long = pool.takeRanking(MAX_POOLED_RANKING + 1);
  pool.releaseRanking(long);
  expect(pool.takeRanking(MAX_POOLED_RANKING + 1)).not.toBe(long);
});
