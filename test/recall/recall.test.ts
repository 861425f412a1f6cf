// What approximate answers are worth: recall@10 by kind of predicate, as many rows as match, the same at every execution of a
// prepared statement, and while others write. Larger sets: recall.slow.test.ts.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type EmbeddedDatabase, open } from "../../index.ts";
import { K, load, nearest, points, PREDICATES, random, recall } from "./recall.ts";

const ROWS = 4000;
const QUERIES = 25;
const next = points(11);

let db: EmbeddedDatabase;
beforeAll(async () => {
  db = await open({ memory: true });
  await load(db, ROWS, next, 12);
}, 120_000);
afterAll(() => db.close());

describe("recall@10 against the exact answer", () => {
  for (const { name, where, floor } of PREDICATES) {
    test(name, async () => {
      let sum = 0;
      for (let i = 0; i < QUERIES; i++) {
        const { cluster, vector } = next();
        const exact = await nearest(db, vector, where(cluster), true);
        const found = await nearest(db, vector, where(cluster), false);
        expect(found.length, "as many rows as match, at most k").toBe(exact.length);
        const distances = found.map(({ distance }) => distance);
        expect(distances).toEqual(distances.toSorted((a, b) => a - b));
        sum += recall(found, exact);
      }
      expect(sum / QUERIES).toBeGreaterThanOrEqual(floor);
    });
  }
});

test("a prepared statement answers the same at executions 1 to 100, whatever its values keep", async () => {
  await db.query(
    `PREPARE filtered (vector, int) AS SELECT id FROM items WHERE share < $2 ORDER BY v <-> $1 LIMIT ${K}`,
  );
  const vector = `[${next().vector.join(",")}]`;
  for (const share of [500, 100, 10]) {
    const run = `EXECUTE filtered ('${vector}', ${share})`;
    const first = (await db.query(run)).rows;
    expect(first.length).toBe(K);
    for (let execution = 2; execution <= 100; execution++) {
      if (execution === 50) await db.query(`EXECUTE filtered ('${vector}', 1000)`);
      const { rows } = await db.query(run);
      if (execution === 6 || execution === 100) expect(rows).toEqual(first);
    }
  }
});

test("k rows and the same recall while a writer inserts and deletes", async () => {
  const writer = db.session();
  const stop = new AbortController();
  const write = async (): Promise<void> => {
    for (let id = 100_000; !stop.signal.aborted; id++) {
      const { cluster, vector } = next();
      await writer.query("INSERT INTO items VALUES ($1, $2, 0, $3)", [id, cluster, `[${vector.join(",")}]`]);
      await writer.query("DELETE FROM items WHERE id = $1", [id % 2 === 0 ? id : id - 100_000]);
    }
  };
  const writing = write();
  let sum = 0;
  try {
    for (let i = 0; i < QUERIES; i++) {
      // One snapshot for both answers.
      await db.query("BEGIN ISOLATION LEVEL REPEATABLE READ");
      const { vector } = next();
      const where = i % 2 === 0 ? "true" : "share < 100";
      const exact = await nearest(db, vector, where, true);
      const found = await nearest(db, vector, where, false);
      await db.query("COMMIT");
      expect(found.length).toBe(K);
      sum += recall(found, exact);
    }
  } finally {
    stop.abort();
    await writing;
    await writer.close();
  }
  expect(sum / QUERIES).toBeGreaterThanOrEqual(0.95);
});

test("BM25 order and scores after updates and deletes are those of a fresh index", async () => {
  const chance = random(21);
  const words = Array.from({ length: 60 }, (_, i) => `w${i}`);
  const text = (): string =>
    Array.from(
      { length: 3 + Math.floor(chance() * 12) },
      () => words[Math.floor(chance() ** 2 * words.length)],
    ).join(" ");
  await db.query("CREATE TABLE texts (id int PRIMARY KEY, body text)");
  await db.query("CREATE INDEX texts_body ON texts USING bm25 (body) WITH (text_config = 'simple')");
  for (let id = 0; id < 400; id++) await db.query("INSERT INTO texts VALUES ($1, $2)", [id, text()]);
  for (let id = 0; id < 400; id += 3)
    await db.query("UPDATE texts SET body = $2 WHERE id = $1", [id, text()]);
  await db.query("DELETE FROM texts WHERE id % 7 = 3");
  const ask = async (query: string): Promise<unknown> =>
    (await db.query("SELECT id, body <@> $1 AS score FROM texts ORDER BY body <@> $1, id LIMIT 30", [query]))
      .rows;
  const queries = ["w0", "w3 w9", "w40", "w1 w2 w59", "absent"];
  const grown = [];
  for (const query of queries) {
    const byIndex = await ask(query);
    await db.query("SET enable_indexscan = off");
    expect(await ask(query), `${query} without the index`).toEqual(byIndex);
    await db.query("RESET enable_indexscan");
    grown.push(byIndex);
  }
  await db.query("DROP INDEX texts_body");
  await db.query("CREATE INDEX texts_body ON texts USING bm25 (body) WITH (text_config = 'simple')");
  for (const [i, query] of queries.entries()) expect(await ask(query), `${query} anew`).toEqual(grown[i]);
});
