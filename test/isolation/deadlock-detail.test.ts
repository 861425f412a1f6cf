// 40P01's DETAIL names the circle in PostgreSQL's words; transcripts record messages only.
import { afterAll, beforeAll, expect, test } from "vitest";
import { type EmbeddedDatabase, open } from "../../index.ts";

let db: EmbeddedDatabase;
beforeAll(async () => {
  db = await open({ memory: true });
});
afterAll(() => db.close());

async function pid(session: EmbeddedDatabase): Promise<number> {
  const { rows } = await session.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
  return rows[0]?.pid ?? 0;
}

test("two sessions, a table and a row", async () => {
  await db.query("CREATE TABLE t (id int PRIMARY KEY)");
  await db.query("INSERT INTO t VALUES (1)");
  await db.query("CREATE TABLE u (id int)");
  const [first, second] = [db.session(), db.session()];
  try {
    const [a, b] = [await pid(first), await pid(second)];
    const { rows } = await db.query<{ u: number; d: number }>(
      "SELECT 'u'::regclass::oid AS u, oid AS d FROM pg_database WHERE datname = current_database()",
    );
    const { u, d } = rows[0] ?? { u: 0, d: 0 };
    await first.query("SET deadlock_timeout = '1h'");
    await second.query("SET deadlock_timeout = '1ms'");
    for (const session of [first, second]) await session.query("BEGIN");
    await first.query("SELECT * FROM t FOR UPDATE");
    await second.query("LOCK TABLE u");
    const waiting = first.query("SELECT * FROM u");
    await expect(second.query("SELECT * FROM t FOR UPDATE")).rejects.toMatchObject({
      code: "40P01",
      message: "deadlock detected",
      fields: {
        detail:
          `Process ${b} waits for ShareLock on transaction ${a}; blocked by process ${a}.\n` +
          `Process ${a} waits for AccessShareLock on relation ${u} of database ${d}; blocked by process ${b}.`,
        hint: "See server log for query details.",
      },
    });
    await waiting;
  } finally {
    await first.close();
    await second.close();
  }
});
