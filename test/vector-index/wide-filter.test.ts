// Predicates that most rows pass: the search asks the nearest rows themselves, says so in EXPLAIN, and answers as exactly as the
// other ways; where the nearest rows do not pass, another way is gone.
import { afterAll, beforeAll, expect, test } from "vitest";
import { randomSource } from "../../bench/dataset.ts";
import { type EmbeddedDatabase, open } from "../../index.ts";

const ROWS = 8000;
const DIMENSIONS = 8;
const QUERIES = 30;

let db: EmbeddedDatabase;
const random = randomSource(11);
const vector = (): Float32Array => Float32Array.from({ length: DIMENSIONS }, () => random() - 0.5);

beforeAll(async () => {
  db = await open({ memory: true });
  await db.query(
    `CREATE TABLE items (id int PRIMARY KEY, n int, plain int, down int, side bool, v vector(${DIMENSIONS}));
     CREATE INDEX ON items (n); CREATE INDEX ON items (down DESC, id); CREATE INDEX ON items (side)`,
  );
  const vectors = Float32Array.from({ length: ROWS * DIMENSIONS }, () => random() - 0.5);
  await db.appendVectors("items", {
    vectors,
    ids: Int32Array.from({ length: ROWS }, (_, i) => i),
    columns: {
      n: Int32Array.from({ length: ROWS }, (_, i) => i % 100),
      plain: Int32Array.from({ length: ROWS }, (_, i) => i % 100),
      down: Int32Array.from({ length: ROWS }, (_, i) => i % 2),
      side: Array.from({ length: ROWS }, (_, i) => (vectors[i * DIMENSIONS] as number) > 0),
    },
  });
  await db.query("CREATE INDEX ON items USING hnsw (v vector_l2_ops)");
  // Newer versions and rows that are gone.
  await db.query("UPDATE items SET n = 99, plain = 99 WHERE id < 200; DELETE FROM items WHERE id % 40 = 7");
  await db.query("UPDATE items SET n = NULL, plain = NULL WHERE id BETWEEN 200 AND 1000; ANALYZE items");
}, 60_000);
afterAll(() => db.close());

async function path(filter: string, query: Float32Array): Promise<string | undefined> {
  const { rows } = await db.query(
    `EXPLAIN ANALYZE SELECT id FROM items WHERE ${filter} ORDER BY v <-> '[${query.join(",")}]' LIMIT 10`,
  );
  const lines = rows.flatMap((row) => Object.values(row) as string[]);
  return lines.map((line) => /Search Path: (.*)/.exec(line)?.[1]).find((found) => found !== undefined);
}

async function recall(filter: string, queries: readonly Float32Array[]): Promise<number> {
  let hits = 0;
  for (const query of queries) {
    const found = await db.searchVectors("items", { query, k: 10, filter });
    await db.query("SET omendb.exact = on");
    const exact = await db.searchVectors("items", { query, k: 10, filter });
    await db.query("RESET omendb.exact");
    expect(found.ids.length).toBe(10);
    const truth = new Set(exact.ids as Int32Array);
    hits += Array.from(found.ids as Int32Array).filter((id) => truth.has(id)).length;
  }
  return hits / (10 * queries.length);
}

test.each([
  "n < 50",
  "plain < 50",
  "n < 50 AND plain < 70",
  "n >= 0",
  "n IS NOT NULL",
  "down = 1",
  "down > 0 AND id > 20",
])("%s", async (filter) => {
  const queries = Array.from({ length: QUERIES }, vector);
  expect(await path(filter, queries[0] as Float32Array)).toBe("graph, then filter");
  expect(await recall(filter, queries)).toBeGreaterThan(0.97);
});

test("many rows pass, but not the nearest", async () => {
  const queries = Array.from({ length: QUERIES }, vector).map((query) => query.fill(-0.9, 0, 1));
  expect(await path("side", queries[0] as Float32Array)).not.toBe("graph, then filter");
  expect(await recall("side", queries)).toBeGreaterThan(0.97);
});

test("few rows pass", async () => {
  const queries = Array.from({ length: QUERIES }, vector);
  for (const filter of ["n = 5", "plain = 5"]) {
    expect(await path(filter, queries[0] as Float32Array)).toBe("exact");
    expect(await recall(filter, queries)).toBe(1);
  }
});

test("exactness, an offset and more rows than the beam are as without", async () => {
  const query = vector();
  const sql = `SELECT id FROM items WHERE n < 50 ORDER BY v <-> '[${query.join(",")}]'`;
  const all = (await db.query(`${sql} LIMIT 500`)).rows;
  expect(all.length).toBe(500);
  await db.query("SET omendb.exact = on");
  const exact = (await db.query(`${sql} LIMIT 10 OFFSET 5`)).rows;
  await db.query("RESET omendb.exact");
  expect((await db.query(`${sql} LIMIT 10 OFFSET 5`)).rows).toEqual(exact);
});
