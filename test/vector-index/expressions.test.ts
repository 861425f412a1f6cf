// Indexes over expressions and over a part of the rows, made over rows that exist: the rows keep their versions, the index answers
// as the rows do (the exact search is the oracle), in the transaction that makes it, after it, and after a start.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type EmbeddedDatabase, open } from "../../index.ts";
import { random } from "../recall/recall.ts";

const ROWS = 6000;
const DIMENSIONS = 16;

const folder = mkdtempSync(join(tmpdir(), "omendb-expressions-"));
let db: EmbeddedDatabase;

const next = random(5);
const point = (): string =>
  `[${Array.from({ length: DIMENSIONS }, () => (next() - 0.5).toFixed(4)).join(",")}]`;

beforeAll(async () => {
  db = await open({ path: folder });
  await db.query(
    `CREATE TABLE docs (id int PRIMARY KEY, category int, name text, embedding vector(${DIMENSIONS}))`,
  );
  for (let id = 0; id < ROWS; id += 1000) {
    const rows = Array.from(
      { length: 1000 },
      (_, i) => `(${id + i}, ${(id + i) % 10}, 'Name ${(id + i) % 97}', '${point()}')`,
    );
    await db.query(`INSERT INTO docs VALUES ${rows.join(", ")}`);
  }
  await db.query("UPDATE docs SET name = 'Other' WHERE id % 50 = 3; DELETE FROM docs WHERE id % 70 = 5");
  await db.query("VACUUM docs; ANALYZE docs");
});
afterAll(async () => {
  await db.close();
  rmSync(folder, { recursive: true, force: true });
});

const HALVES = `(embedding::halfvec(${DIMENSIONS}))`;
const BITS = `(binary_quantize(embedding)::bit(${DIMENSIONS}))`;
const INDEXES = [
  `CREATE INDEX by_half ON docs USING hnsw (${HALVES} halfvec_cosine_ops)`,
  `CREATE INDEX by_bits ON docs USING hnsw (${BITS} bit_hamming_ops)`,
  "CREATE INDEX of_three ON docs USING hnsw (embedding vector_l2_ops) WHERE category = 3",
  "CREATE INDEX by_lower ON docs (lower(name))",
  "CREATE UNIQUE INDEX singles ON docs (id) WHERE category = 3",
];

async function ids(sql: string): Promise<number[]> {
  return (await db.query<{ id: number }>(sql)).rows.map(({ id }) => id);
}

async function exactIds(sql: string): Promise<number[]> {
  await db.query("SET omendb.exact = on");
  const found = await ids(sql);
  await db.query("RESET omendb.exact");
  return found;
}

/** Mean recall@10 of the index against the exact answer. */
async function recall(distance: (query: string) => string, where = ""): Promise<number> {
  let hits = 0;
  for (let i = 0; i < 10; i++) {
    const sql = `SELECT id FROM docs ${where} ORDER BY ${distance(point())}, id LIMIT 10`.replace(", id", "");
    const exact = new Set(await exactIds(sql));
    hits += (await ids(sql)).filter((id) => exact.has(id)).length;
  }
  return hits / 100;
}

async function expectRight(): Promise<void> {
  expect(await recall((q) => `${HALVES} <=> '${q}'`)).toBeGreaterThan(0.95);
  expect(await recall((q) => `embedding <-> '${q}'`, "WHERE category = 3")).toBeGreaterThan(0.95);
  const bits = `SELECT ${BITS} <~> B'${"01".repeat(DIMENSIONS / 2)}' AS id FROM docs ORDER BY 1 LIMIT 10`;
  expect(await ids(bits)).toEqual(await exactIds(bits));
  const named = "SELECT id FROM docs WHERE lower(name) = 'name 13' ORDER BY id";
  await db.query("SET enable_seqscan = off");
  const byIndex = await ids(named);
  await db.query("SET enable_seqscan = on; SET enable_indexscan = off; SET enable_bitmapscan = off");
  const byRows = await ids(named);
  await db.query("RESET ALL");
  expect(byRows.length).toBeGreaterThan(10);
  expect(byIndex).toEqual(byRows);
}

async function rowsAsTheyAre(): Promise<unknown> {
  return (await db.query("SELECT id, ctid, xmin::text, name FROM docs ORDER BY id")).rows;
}

async function deadRows(): Promise<number> {
  const { rows } = await db.query<{ n: bigint }>(
    "SELECT n_dead_tup AS n FROM pg_stat_user_tables WHERE relname = 'docs'",
  );
  return Number(rows[0]?.n);
}

test("a definition that is rolled back changes nothing", async () => {
  const before = await rowsAsTheyAre();
  await db.query("BEGIN");
  for (const sql of INDEXES) await db.query(sql);
  await expectRight();
  await db.query("ROLLBACK");
  expect(await rowsAsTheyAre()).toEqual(before);
  await db.query("BEGIN; SAVEPOINT a");
  await db.query("CREATE INDEX by_lower ON docs (lower(name))");
  await expect(
    db.query("CREATE UNIQUE INDEX twice ON docs (lower(name)) WHERE category = 3"),
  ).rejects.toMatchObject({ code: "23505" });
  await db.query("ROLLBACK TO a; ALTER TABLE docs ADD COLUMN extra int DEFAULT 4; COMMIT");
  expect(await ids("SELECT DISTINCT extra AS id FROM docs")).toEqual([4]);
  await db.query("ALTER TABLE docs DROP COLUMN extra");
});

test("an expression that fails on a row leaves nothing either", async () => {
  await expect(db.query("CREATE INDEX ON docs ((1 / (id - 4242)))")).rejects.toMatchObject({ code: "22012" });
  await db.query("CREATE INDEX quotient ON docs ((1 / (id - 4242))) WHERE id <> 4242");
  await db.query("DROP INDEX quotient");
});

test("rows keep their versions, and the indexes are theirs", async () => {
  const before = await rowsAsTheyAre();
  const dead = await deadRows();
  for (const sql of INDEXES) await db.query(sql);
  expect(await rowsAsTheyAre()).toEqual(before);
  expect(await deadRows()).toBe(dead);
  const plan = JSON.stringify(
    (await db.query(`EXPLAIN SELECT id FROM docs ORDER BY ${HALVES} <=> '${point()}' LIMIT 10`)).rows,
  );
  expect(plan).toContain("by_half");
  await expectRight();
  await db.query("UPDATE docs SET embedding = '" + point() + "', name = 'Name 13' WHERE id % 40 = 1");
  await db.query(`INSERT INTO docs SELECT id + 10000, 3, 'NAME 13', embedding FROM docs WHERE id < 200`);
  await expectRight();
});

test("after a start they answer as before", async () => {
  await db.close();
  db = await open({ path: folder });
  await expectRight();
  await db.query("DELETE FROM docs WHERE id % 3 = 0; VACUUM FULL docs");
  await expectRight();
});

test("a generated column is computed beside the rows as well", async () => {
  await db.query("CREATE TABLE sums (a int, b int)");
  await db.query("INSERT INTO sums SELECT i, 2 * i FROM generate_series(1, 5000) i");
  const old = db.session();
  await old.query("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM docs");
  await db.query("ALTER TABLE sums ADD COLUMN total int GENERATED ALWAYS AS (a + b) STORED");
  const sum = "SELECT count(*)::int AS n, sum(total)::int AS total FROM sums";
  const whole = [{ n: 5000, total: (3 * (5000 * 5001)) / 2 }];
  expect((await db.query(sum)).rows).toEqual(whole);
  expect((await old.query("SELECT count(*)::int AS n FROM sums")).rows).toEqual([{ n: 5000 }]);
  await old.close();
  await db.query("BEGIN; INSERT INTO sums VALUES (1, 1)");
  await db.query("ALTER TABLE sums ADD COLUMN difference int GENERATED ALWAYS AS (b - a) STORED; COMMIT");
  expect((await db.query("SELECT sum(difference)::int AS n FROM sums")).rows).toEqual([
    { n: (5000 * 5001) / 2 },
  ]);
});
