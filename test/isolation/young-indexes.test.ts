// An index made after a REPEATABLE READ transaction took its snapshot holds none of the row versions that were replaced or
// deleted in between. The transaction must see its rows all the same, whatever plan it would choose and whenever it was made.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type EmbeddedDatabase, open } from "../../index.ts";

let db: EmbeddedDatabase;
let reader: ReturnType<EmbeddedDatabase["session"]>;

const QUERIES = {
  equality: "SELECT id FROM t WHERE n = 7 ORDER BY id",
  order: "SELECT id FROM t ORDER BY n, id LIMIT 30",
  maximum: "SELECT max(n) FROM t",
  nearest: "SELECT id FROM t ORDER BY v <-> '[0,1,1]' LIMIT 12",
  "nearest of some": "SELECT id FROM t WHERE n = 7 ORDER BY v <-> '[0,1,1]' LIMIT 5",
} as const;
const TEXT = "SELECT id, body, body <@> 'apple' < 0 AS matches FROM t ORDER BY body <@> 'apple' LIMIT 5";

beforeAll(async () => {
  db = await open({ memory: true });
});
afterAll(() => db.close());

beforeEach(async () => {
  await db.query("DROP TABLE IF EXISTS t");
  await db.query("CREATE TABLE t (id int, n int, body text, v vector(3))");
  await db.query(`INSERT INTO t SELECT i, i % 100, CASE WHEN i % 500 = 0 THEN 'green apple' ELSE 'red pear' END,
    ('[' || i || ',1,1]')::vector FROM generate_series(1, 2000) i`);
  await db.query("ANALYZE t");
  reader = db.session();
  await reader.query("BEGIN ISOLATION LEVEL REPEATABLE READ");
  return () => reader.close();
});

/** Every value the reader has seen is replaced or deleted, then indexed. */
async function changeThenIndex(): Promise<void> {
  await db.query("DELETE FROM t WHERE n = 7 AND id < 500");
  await db.query("UPDATE t SET n = 8 WHERE n IN (0, 7, 99)");
  await db.query("UPDATE t SET v = '[5000,1,1]' WHERE id < 10");
  await db.query("UPDATE t SET body = 'blue plum' WHERE body = 'green apple'");
  await db.query("UPDATE t SET body = 'golden apple' WHERE id = 3");
  await db.query("CREATE INDEX t_n ON t (n)");
  await db.query("CREATE INDEX t_v ON t USING hnsw (v vector_l2_ops)");
  await db.query("CREATE INDEX t_body ON t USING bm25 (body)");
}

async function answers(prefix: (name: string, sql: string) => string): Promise<unknown> {
  const found: Record<string, unknown> = {};
  for (const [name, sql] of Object.entries(QUERIES))
    found[name] = (await reader.query(prefix(name, sql))).rows;
  return found;
}

describe("a snapshot older than an index", () => {
  test("sees its rows", async () => {
    const before = await answers((_, sql) => sql);
    await changeThenIndex();
    expect(await answers((_, sql) => sql)).toEqual(before);
  });

  test("sees its rows by statements prepared before, in and after the transaction", async () => {
    const nameOf = (name: string): string => `p_${name.replaceAll(" ", "_")}`;
    for (const [name, sql] of Object.entries(QUERIES))
      await reader.query(`PREPARE ${nameOf(name)} AS ${sql}`);
    const execute = (name: string): string => `EXECUTE ${nameOf(name)}`;
    const before = await answers(execute);
    await changeThenIndex();
    expect(await answers(execute)).toEqual(before);
    await reader.query("COMMIT");
    const newest = await answers((_, sql) => sql);
    expect(newest).not.toEqual(before);
    expect(await answers(execute)).toEqual(newest);
    await reader.query("DEALLOCATE ALL");
  });

  test("does not take over a plan with the index that another session has made, nor leave one without", async () => {
    const before = (await reader.query(QUERIES.equality)).rows;
    await changeThenIndex();
    const explain = `EXPLAIN (COSTS OFF) ${QUERIES.equality}`;
    const withIndex = JSON.stringify((await db.query(explain)).rows);
    expect(withIndex).toContain("t_n");
    expect((await db.query(QUERIES.equality)).rows).toEqual([]);
    expect((await reader.query(QUERIES.equality)).rows).toEqual(before);
    expect(JSON.stringify((await reader.query(explain)).rows)).not.toContain("t_n");
    expect(JSON.stringify((await db.query(explain)).rows)).toBe(withIndex);
  });

  test("ranks the texts it sees, by the index's statistics", async () => {
    await reader.query("SELECT count(*) FROM t");
    await changeThenIndex();
    expect((await reader.query(TEXT)).rows).toEqual([
      { id: 500, body: "green apple", matches: true },
      { id: 1000, body: "green apple", matches: true },
      { id: 1500, body: "green apple", matches: true },
      { id: 2000, body: "green apple", matches: true },
      { id: 1, body: "red pear", matches: false },
    ]);
  });

  test("fuses rankings of the rows it sees", async () => {
    await reader.query("SELECT count(*) FROM t");
    await changeThenIndex();
    const ids = async (sql: string): Promise<number[]> =>
      (await reader.query<{ id: number }>(sql)).rows.map((row) => row.id);
    const byText = await ids("SELECT id FROM t WHERE body <@> 'apple' < 0 ORDER BY body <@> 'apple', id");
    const byDistance = await ids("SELECT id FROM t ORDER BY v <-> '[0,1,1]', id LIMIT 100");
    expect(byText).toHaveLength(4);
    const scores = new Map<number, number>();
    for (const ranking of [byText, byDistance])
      for (const [rank, id] of ranking.entries()) scores.set(id, (scores.get(id) ?? 0) + 1 / (60 + rank + 1));
    const best = [...scores].toSorted((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, 3);
    const fused = "SELECT id FROM t ORDER BY hybrid_rrf(body <@> 'apple', v <-> '[0,1,1]') LIMIT 3";
    expect(await ids(fused)).toEqual(best.map(([id]) => id));
  });

  test("reads by an index of its own over a table of its own, and by indexes from before", async () => {
    await db.query("CREATE INDEX t_id ON t (id)");
    await reader.query("SELECT count(*) FROM t");
    await reader.query("CREATE TABLE own (id int, n int)");
    await reader.query("INSERT INTO own SELECT id, n FROM t");
    await reader.query("CREATE INDEX own_n ON own (n)");
    await reader.query("SET LOCAL enable_seqscan = off");
    expect(JSON.stringify((await reader.query("EXPLAIN SELECT * FROM own WHERE n = 7")).rows)).toContain(
      "own_n",
    );
    expect(JSON.stringify((await reader.query("EXPLAIN SELECT * FROM t WHERE id = 7")).rows)).toContain(
      "t_id",
    );
  });
});
