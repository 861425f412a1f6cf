// SERIALIZABLE over searches: which rows are the nearest, or the best matches, hangs on every row of the table, so a search
// conflicts with any concurrent write to it, and with none to another.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type EmbeddedDatabase, open } from "../../index.ts";

let db: EmbeddedDatabase;
let first: ReturnType<EmbeddedDatabase["session"]>;
let second: ReturnType<EmbeddedDatabase["session"]>;

const SEARCHES = {
  "kNN through the graph": "SELECT id FROM a ORDER BY v <-> '[1,1,1]' LIMIT 3",
  "kNN with a filter": "SELECT id FROM a WHERE id > 10 ORDER BY v <-> '[1,1,1]' LIMIT 3",
  BM25: "SELECT id FROM a ORDER BY body <@> 'apple' LIMIT 3",
  hybrid: `SELECT id FROM a ORDER BY hybrid_rrf(v <-> '[1,1,1]', body <@> 'apple') LIMIT 3`,
} as const;

beforeAll(async () => {
  db = await open({ memory: true });
});
afterAll(() => db.close());

beforeEach(async () => {
  await db.query("DROP TABLE IF EXISTS a, b");
  for (const name of ["a", "b"]) {
    await db.query(`CREATE TABLE ${name} (id int PRIMARY KEY, body text, v vector(3))`);
    await db.query(`INSERT INTO ${name} SELECT i, 'green apple ' || i, ('[' || i || ',1,1]')::vector
      FROM generate_series(1, 300) i`);
    await db.query(`CREATE INDEX ON ${name} USING hnsw (v vector_l2_ops)`);
    await db.query(`CREATE INDEX ON ${name} USING bm25 (body)`);
  }
  first = db.session();
  second = db.session();
  for (const session of [first, second]) await session.query("BEGIN ISOLATION LEVEL SERIALIZABLE");
  return async () => {
    await first.close();
    await second.close();
  };
});

const insert = (table: string, id: number): string =>
  `INSERT INTO ${table} VALUES (${id}, 'red apple', '[1,1,1.5]')`;

describe.each(Object.entries(SEARCHES))("%s", (_, search) => {
  test("two that search and then write cannot both commit", async () => {
    await first.query(search);
    await second.query(search);
    await first.query(insert("a", 1001));
    await second.query(insert("a", 1002));
    await first.query("COMMIT");
    await expect(second.query("COMMIT")).rejects.toMatchObject({
      code: "40001",
      message: "could not serialize access due to read/write dependencies among transactions",
    });
  });

  test("writes to another table are no conflict", async () => {
    await first.query(search);
    await second.query(search);
    await first.query(insert("b", 1001));
    await second.query(insert("b", 1002));
    await first.query("COMMIT");
    await second.query("COMMIT");
  });
});

test("rows looked up by key leave the rest of the table alone", async () => {
  await first.query("SELECT body FROM a WHERE id = 1");
  await second.query("SELECT body FROM a WHERE id = 2");
  await first.query("UPDATE a SET body = 'x' WHERE id = 1");
  await second.query("UPDATE a SET body = 'y' WHERE id = 2");
  await first.query(insert("a", 1001));
  await second.query(insert("a", 1002));
  await first.query("COMMIT");
  await second.query("COMMIT");
});

test("the error says who was chosen, and that a retry may succeed", async () => {
  await first.query("SELECT count(*) FROM a");
  await second.query("SELECT count(*) FROM a");
  await first.query(insert("a", 1001));
  await second.query(insert("a", 1002));
  await first.query("COMMIT");
  await expect(second.query("COMMIT")).rejects.toMatchObject({
    fields: {
      detail: "Reason code: Canceled on identification as a pivot, during commit attempt.",
      hint: "The transaction might succeed if retried.",
    },
  });
});
