// Deleted vectors leave the index at VACUUM and their places are taken by later ones: recall is that of a fresh index, and
// ten rounds of it take the room of one.
import { afterAll, beforeAll, expect, test } from "vitest";
import { type EmbeddedDatabase, open } from "../../index.ts";
import { random } from "./recall.ts";

const ROWS = 2000;
const DIMENSIONS = 24;
const K = 10;
const ROUNDS = 10;

const next = random(13);
const normal = (): number => next() + next() + next() + next() - 2;
const centres = Array.from({ length: 20 }, () => Array.from({ length: DIMENSIONS }, () => 1.5 * normal()));

/** Around one of twenty centres. */
function point(): string {
  const centre = centres[Math.floor(next() * centres.length)] ?? [];
  return `[${centre.map((x) => (x + normal()).toFixed(4)).join(",")}]`;
}
const queries = Array.from({ length: 50 }, point);

let db: EmbeddedDatabase;
beforeAll(async () => {
  db = await open({ memory: true });
  await db.query(`CREATE TABLE points (id int PRIMARY KEY, v vector(${DIMENSIONS}))`);
  await db.query("CREATE INDEX points_v ON points USING hnsw (v vector_l2_ops)");
});
afterAll(() => db.close());

async function insert(from: number, count: number): Promise<void> {
  for (let id = from; id < from + count; id += 250) {
    const size = Math.min(250, from + count - id);
    const rows = Array.from({ length: size }, (_, i) => `(${id + i}, '${point()}')`);
    await db.query(`INSERT INTO points VALUES ${rows.join(", ")}`);
  }
}

async function meanRecall(): Promise<number> {
  let hits = 0;
  for (const query of queries) {
    const sql = `SELECT id FROM points ORDER BY v <-> '${query}' LIMIT ${K}`;
    const found = await db.query(sql);
    await db.query("SET omendb.exact = on");
    const exact = new Set((await db.query(sql)).rows.map((row) => row["id"]));
    await db.query("RESET omendb.exact");
    expect(found.rows.length).toBe(exact.size);
    hits += found.rows.filter((row) => exact.has(row["id"])).length;
  }
  return hits / (K * queries.length);
}

async function indexSize(): Promise<number> {
  const { rows } = await db.query("SELECT pg_relation_size('points_v')::float8 AS bytes");
  return Number(rows[0]?.["bytes"]);
}

test("ten rounds of delete, VACUUM and insert", async () => {
  await insert(0, ROWS);
  await db.query("VACUUM points");
  const size = await indexSize();
  let id = ROWS;
  for (let round = 0; round < ROUNDS; round++) {
    // Half of what is there, other rows each time.
    const { rows } = await db.query(`DELETE FROM points WHERE (id * 7919 + ${round}) % 4 < 2 RETURNING id`);
    await db.query("VACUUM points");
    await insert(id, rows.length);
    id += rows.length;
  }
  expect(await indexSize()).toBeLessThanOrEqual(size * 1.1);
  const worn = await meanRecall();
  await db.query("SET hnsw.ef_search = 40");
  const narrow = await meanRecall();
  await db.query("REINDEX INDEX points_v");
  const freshNarrow = await meanRecall();
  await db.query("RESET hnsw.ef_search");
  const fresh = await meanRecall();
  expect(worn).toBeGreaterThanOrEqual(fresh - 0.01);
  expect(narrow).toBeGreaterThanOrEqual(freshNarrow - 0.01);
}, 60_000);

test("a whole region goes, and then comes back", async () => {
  await db.query("DELETE FROM points");
  await insert(100_000, ROWS);
  const query = queries[0] ?? "";
  const { rows } = await db.query(
    `DELETE FROM points WHERE id IN (SELECT id FROM points ORDER BY v <-> '${query}' LIMIT ${ROWS / 4}) RETURNING id`,
  );
  expect(rows.length).toBe(ROWS / 4);
  await db.query("VACUUM points");
  const left = await meanRecall();
  await insert(200_000, ROWS / 4);
  const back = await meanRecall();
  await db.query("REINDEX INDEX points_v");
  const fresh = await meanRecall();
  expect(left).toBeGreaterThanOrEqual(0.97);
  expect(back).toBeGreaterThanOrEqual(fresh - 0.01);
}, 60_000);
