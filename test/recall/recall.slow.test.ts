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

for (const { name, where, floor } of PREDICATES) {
  test(`recall@10, ${name}`, async () => {
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
