// The floors of recall.test.ts on a set where 0.1 % is still a few dozen rows.
import { afterAll, beforeAll, expect, test } from "vitest";
import { type EmbeddedDatabase, open } from "../../index.ts";
import { load, nearest, points, PREDICATES, recall } from "./recall.ts";

const ROWS = 30_000;
const QUERIES = 100;
const next = points(31);

let db: EmbeddedDatabase;
beforeAll(async () => {
  db = await open({ memory: true });
  await load(db, ROWS, next, 32);
}, 600_000);
afterAll(() => db.close());

// Known to miss its floor: 0.81-0.84 at the default beam, 0.90 at ef_search = 200, 0.975 at 400. Estimated and actual selectivity
// are 0.96, so the search keeps its usual beam; but around the query every row is excluded, and where the beam leaves the
// cluster it finds the rows of its first neighbours, not of the nearest.
const BELOW_FLOOR = "anti-correlated: every other cluster";

for (const { name, where, floor } of PREDICATES) {
  const check = name === BELOW_FLOOR ? test.fails : test;
  check(`recall@10, ${name}`, async () => {
    let sum = 0;
    for (let i = 0; i < QUERIES; i++) {
      const { cluster, vector } = next();
      const exact = await nearest(db, vector, where(cluster), true);
      const found = await nearest(db, vector, where(cluster), false);
      expect(found.length).toBe(exact.length);
      sum += recall(found, exact);
    }
    expect(sum / QUERIES).toBeGreaterThanOrEqual(floor);
  });
}
