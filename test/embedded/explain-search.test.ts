// EXPLAIN of a filtered search: the share of rows its paths were priced with, and under ANALYZE the share that was found.
import { afterAll, beforeAll, expect, test } from "vitest";
import { type EmbeddedDatabase, open } from "../../index.ts";

let db: EmbeddedDatabase;

beforeAll(async () => {
  db = await open({ memory: true });
  await db.query("CREATE TABLE items (id int PRIMARY KEY, n int, v vector(2))");
  await db.query(
    "INSERT INTO items SELECT i, i % 100, ('[' || i || ',1]')::vector FROM generate_series(1, 5000) i",
  );
  await db.query(
    "CREATE INDEX ON items (n); CREATE INDEX ON items USING hnsw (v vector_l2_ops); ANALYZE items",
  );
});
afterAll(() => db.close());

const FILTERED = "SELECT id FROM items WHERE n = 7 ORDER BY v <-> '[1,2]' LIMIT 5";

async function lines(options: string, sql = FILTERED): Promise<readonly string[]> {
  const { rows } = await db.query(`EXPLAIN (${options}) ${sql}`);
  return rows.flatMap((row) => Object.values(row) as string[]).map((line) => line.trim());
}

test("the estimate stands with the costs, the actual share with ANALYZE", async () => {
  expect(await lines("COSTS OFF")).not.toContain("Estimated Selectivity: 0.01");
  expect(await lines("COSTS ON")).toContain("Estimated Selectivity: 0.01");
  expect(await lines("ANALYZE")).toEqual(
    expect.arrayContaining([
      "Estimated Selectivity: 0.01",
      "Rows Matching Filter: 50",
      "Actual Selectivity: 0.01",
    ]),
  );
});

test("JSON gives a number", async () => {
  const { rows } = await db.query(`EXPLAIN (FORMAT JSON) ${FILTERED}`);
  expect(rows).toMatchObject([{ "QUERY PLAN": [{ Plan: { Plans: [{ "Estimated Selectivity": 0.01 }] } }] }]);
});

test("a search of all rows has no share to speak of", async () => {
  const all = await lines("ANALYZE", "SELECT id FROM items ORDER BY v <-> '[1,2]' LIMIT 5");
  expect(all.join("\n")).not.toContain("Selectivity");
});
