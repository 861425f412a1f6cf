// CREATE INDEX CONCURRENTLY, step by step: whom it waits for and whom it does not keep waiting, what stands in views meanwhile,
// and that nothing of it stays when it is cancelled, meets a duplicate, dies in a deadlock or with the server.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Client } from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { connect } from "../support/client.ts";
import { startServer, type TestServer } from "../support/server.ts";

const ROWS = 12_000;

let folder: string;
let server: TestServer;
let admin: Client;
let builder: Client;
const clients: Client[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "omen-concurrently-"));
  server = await startServer(["--data", folder]);
}, 60_000);

afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true });
});

async function client(): Promise<Client> {
  const made = await connect(server.url, "postgres");
  made.on("error", () => undefined);
  clients.push(made);
  return made;
}

beforeEach(async () => {
  [admin, builder] = [await client(), await client()];
  await admin.query(`DROP TABLE IF EXISTS t;
    CREATE TABLE t (id int PRIMARY KEY, k int, body text);
    INSERT INTO t SELECT g, g, 'w' || g % 50 FROM generate_series(1, ${ROWS}) g`);
});

afterEach(async () => {
  await Promise.all(clients.splice(0).map((open) => open.end()));
});

/** The statement under way, with its outcome: "done", or the error. */
function begin(sql: string): { readonly outcome: Promise<unknown>; isOver(): boolean } {
  let isOver = false;
  const outcome = builder
    .query(sql)
    .then(
      () => "done" as const,
      (error: unknown) => error,
    )
    .finally(() => (isOver = true));
  return { outcome, isOver: () => isOver };
}

async function progress(): Promise<unknown> {
  const { rows } = await admin.query(
    "SELECT command, phase, (index_relid > 0)::text AS named FROM pg_stat_progress_create_index",
  );
  return rows[0];
}

async function phase(wanted: string): Promise<void> {
  const seen = async (): Promise<boolean> =>
    ((await progress()) as { phase?: string } | undefined)?.phase === wanted;
  await vi.waitUntil(seen, { timeout: 20_000, interval: 5 });
}

async function indexes(): Promise<unknown[]> {
  const { rows } = await admin.query(
    "SELECT indexrelid::regclass::text AS name FROM pg_index WHERE indrelid = 't'::regclass ORDER BY 1",
  );
  return rows.map((row: { name: string }) => row.name);
}

const BEFORE_BUILD = "waiting for writers before build";

/** A build that waits for the open transaction of `older`; `newer` has done nothing yet. */
async function heldUp(
  sql: string,
): Promise<{ readonly older: Client; readonly newer: Client; readonly build: ReturnType<typeof begin> }> {
  const [older, newer] = [await client(), await client()];
  await older.query("BEGIN; INSERT INTO t VALUES (0, 0, 'older')");
  const build = begin(sql);
  await phase(BEFORE_BUILD);
  return { older, newer, build };
}

test("it waits for those who have written the table, and for nobody else", async () => {
  const [older, elsewhere, newer] = [await client(), await client(), await client()];
  await admin.query("CREATE TABLE IF NOT EXISTS aside (id int)");
  await elsewhere.query("BEGIN; INSERT INTO aside VALUES (1); SELECT count(*) FROM t");
  await older.query("BEGIN; INSERT INTO t VALUES (0, 0, 'older')");
  const build = begin("CREATE INDEX CONCURRENTLY t_k ON t (k)");
  await phase(BEFORE_BUILD);
  expect(await progress()).toEqual({
    command: "CREATE INDEX CONCURRENTLY",
    phase: BEFORE_BUILD,
    named: "true",
  });
  const { rows: locks } = await admin.query(
    "SELECT locktype, mode, pg_blocking_pids(pid)::text AS behind FROM pg_locks WHERE NOT granted",
  );
  const { rows: pids } = await older.query("SELECT pg_backend_pid() AS pid");
  expect(locks).toEqual([{ locktype: "virtualxid", mode: "ShareLock", behind: `{${pids[0].pid}}` }]);
  // Those who come later write, and end, while it waits.
  await newer.query("INSERT INTO t VALUES (-1, -1, 'newer')");
  await newer.query("UPDATE t SET k = -2 WHERE id = 2");
  await newer.query("DELETE FROM t WHERE id = 3");
  expect(build.isOver()).toBe(false);
  await older.query("COMMIT");
  expect(await build.outcome).toBe("done");
  await admin.query("SET enable_seqscan = off");
  const { rows: plan } = await admin.query("EXPLAIN SELECT id FROM t WHERE k < 4");
  expect(JSON.stringify(plan)).toContain("t_k");
  const { rows } = await admin.query("SELECT id, k FROM t WHERE k < 4 ORDER BY k, id");
  expect(rows).toEqual([
    { id: "2", k: "-2" },
    { id: "-1", k: "-1" },
    { id: "0", k: "0" },
    { id: "1", k: "1" },
  ]);
  await elsewhere.query("COMMIT");
});

test("a writer that comes while a unique index is built keeps to it, and is told its name and the key", async () => {
  const { older, newer, build } = await heldUp("CREATE UNIQUE INDEX CONCURRENTLY t_k ON t (k)");
  await newer.query("INSERT INTO t VALUES (-1, 77777, 'newer')");
  const refused = {
    code: "23505",
    message: 'duplicate key value violates unique constraint "t_k"',
    detail: "Key (k)=(77777) already exists.",
    table: "t",
    constraint: "t_k",
  };
  await expect(newer.query("INSERT INTO t VALUES (-2, 77777, 'again')")).rejects.toMatchObject(refused);
  await expect(newer.query("UPDATE t SET k = 77777 WHERE id = 5")).rejects.toMatchObject(refused);
  await newer.query("INSERT INTO t VALUES (-3, 77777, 'again') ON CONFLICT DO NOTHING");
  await older.query("COMMIT");
  expect(await build.outcome).toBe("done");
  await expect(newer.query("INSERT INTO t VALUES (-2, 77777, 'again')")).rejects.toMatchObject(refused);
});

test("a duplicate of a row that was not in the index yet is found at the end; nothing stays", async () => {
  const { older, newer, build } = await heldUp("CREATE UNIQUE INDEX CONCURRENTLY t_k ON t (k)");
  // Row 9 is not in the index: nobody can be told.
  await newer.query("BEGIN; INSERT INTO t VALUES (-1, 9, 'newer')");
  await older.query("COMMIT");
  await phase("waiting for writers before validation");
  await newer.query("COMMIT");
  expect(await build.outcome).toMatchObject({
    code: "23505",
    message: 'could not create unique index "t_k"',
    detail: "Key (k)=(9) is duplicated.",
  });
  expect(await indexes()).toEqual(["t_pkey"]);
  await newer.query("INSERT INTO t VALUES (-2, 9, 'third')");
});

test("a duplicate that is taken back in time is none", async () => {
  const { older, newer, build } = await heldUp("CREATE UNIQUE INDEX CONCURRENTLY t_k ON t (k)");
  await newer.query("BEGIN; INSERT INTO t VALUES (-1, 9, 'newer')");
  await older.query("COMMIT");
  await phase("waiting for writers before validation");
  await newer.query("ROLLBACK");
  expect(await build.outcome).toBe("done");
  // NULLs are no duplicates.
  await newer.query("INSERT INTO t VALUES (-2, NULL, ''), (-3, NULL, '')");
  await expect(newer.query("INSERT INTO t VALUES (-1, 9, '')")).rejects.toMatchObject({ code: "23505" });
  await admin.query("DROP INDEX t_k");
  await admin.query("CREATE UNIQUE INDEX CONCURRENTLY t_k ON t (k)");
});

test("a cancel in the middle leaves nothing", async () => {
  const older = await client();
  await older.query("BEGIN; INSERT INTO t VALUES (0, 0, 'older')");
  for (const sql of [
    "CREATE UNIQUE INDEX CONCURRENTLY t_k ON t (k)",
    "CREATE INDEX CONCURRENTLY t_body ON t USING bm25 (body)",
    "REINDEX INDEX CONCURRENTLY t_pkey",
  ]) {
    const build = begin(sql);
    await phase(BEFORE_BUILD);
    const { rows } = await admin.query("SELECT pid FROM pg_stat_progress_create_index");
    await admin.query("SELECT pg_cancel_backend($1)", [rows[0].pid]);
    expect(await build.outcome).toMatchObject({ code: "57014" });
    expect(await progress()).toBeUndefined();
    expect(await indexes()).toEqual(["t_pkey"]);
  }
  await older.query("UPDATE t SET k = 1 WHERE id < 10; COMMIT");
  await admin.query("SET enable_seqscan = off");
  expect((await admin.query("SELECT id FROM t WHERE id BETWEEN 0 AND 3 ORDER BY id")).rows).toHaveLength(4);
});

test("lock_timeout and deadlocks end it as they end any wait", async () => {
  const older = await client();
  await older.query("BEGIN; INSERT INTO t VALUES (0, 0, 'older')");
  await builder.query("SET lock_timeout = '20ms'");
  expect(await begin("CREATE INDEX CONCURRENTLY t_k ON t (k)").outcome).toMatchObject({ code: "55P03" });
  await builder.query("SET lock_timeout = 0; SET deadlock_timeout = '10min'");
  const build = begin("CREATE INDEX CONCURRENTLY t_k ON t (k)");
  await phase(BEFORE_BUILD);
  // It holds SHARE UPDATE EXCLUSIVE and waits for this session, which now waits for it.
  await older.query("SET LOCAL deadlock_timeout = '1ms'");
  await expect(older.query("ALTER TABLE t ADD COLUMN more int")).rejects.toMatchObject({ code: "40P01" });
  await older.query("ROLLBACK");
  expect(await build.outcome).toBe("done");
  expect(await indexes()).toEqual(["t_k", "t_pkey"]);
});

test("not in a transaction block", async () => {
  await builder.query("BEGIN");
  await expect(builder.query("CREATE INDEX CONCURRENTLY t_k ON t (k)")).rejects.toMatchObject({
    code: "25001",
    message: "CREATE INDEX CONCURRENTLY cannot run inside a transaction block",
  });
  await builder.query("ROLLBACK");
});

/** Waits until the builder waits for older writers. */
async function waiting(): Promise<void> {
  const seen = async (): Promise<boolean> =>
    (await admin.query("SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = 'virtualxid'")).rows.length >
    0;
  await vi.waitUntil(seen, { timeout: 20_000, interval: 5 });
}

/** With a question that the index answers. */
const OVER_EXPRESSIONS = [
  [
    "CREATE INDEX CONCURRENTLY t_new ON t (lower(body), (k + 1))",
    "SELECT id FROM t WHERE lower(body) IN ('w7', 'w7 new', 'w7 moved') AND k + 1 > 5 ORDER BY id",
  ],
  [
    "CREATE UNIQUE INDEX CONCURRENTLY t_new ON t ((k + 1)) WHERE id > -5",
    "SELECT id FROM t WHERE k + 1 IN (8, 91003, 92002, 92003, 90001, 102, 103) AND id > -5 ORDER BY id",
  ],
  [
    "CREATE INDEX CONCURRENTLY t_new ON t USING hnsw ((ARRAY[k % 1000, id % 997]::vector(2)) vector_l2_ops)",
    "SELECT id FROM t ORDER BY ARRAY[k % 1000, id % 997]::vector(2) <-> '[0.3, -3]' LIMIT 4",
  ],
  [
    "CREATE INDEX CONCURRENTLY t_new ON t USING bm25 (body) WHERE k > 3",
    "SELECT id FROM t WHERE body <@> 'w7' < 0 AND k > 3 ORDER BY id",
  ],
] as const;

test.each(OVER_EXPRESSIONS)("%s: others write, what is given up leaves nothing", async (sql, question) => {
  const [older, newer] = [await client(), await client()];
  const builderPid = (await builder.query("SELECT pg_backend_pid() AS pid")).rows[0].pid as string;
  await older.query("BEGIN; INSERT INTO t VALUES (0, 90000, 'W7')");
  for (const isCancelled of [true, false]) {
    const build = begin(sql);
    await waiting();
    const id = isCancelled ? -1 : -2;
    await newer.query("INSERT INTO t VALUES ($1, $2, 'w7 new')", [id, 91_000 - id]);
    await newer.query("UPDATE t SET k = $1, body = 'W7 moved' WHERE id = $2", [92_000 - id, 100 - id]);
    await newer.query("DELETE FROM t WHERE id = $1", [200 - id]);
    expect(build.isOver()).toBe(false);
    if (isCancelled) {
      await admin.query("SELECT pg_cancel_backend($1)", [builderPid]);
      expect(await build.outcome).toMatchObject({ code: "57014" });
      expect(await indexes()).toEqual(["t_pkey"]);
    } else {
      await older.query("COMMIT");
      expect(await build.outcome).toBe("done");
    }
  }
  // What the writers brought, what they moved and what was there, by the index and by the rows.
  await admin.query("SET enable_seqscan = off");
  const { rows: plan } = await admin.query(`EXPLAIN ${question}`);
  // A condition on scores takes them from the index without a scan of it.
  expect(JSON.stringify(plan)).toMatch(/t_new|<@>/);
  const { rows: byIndex } = await admin.query(question);
  await admin.query("SET enable_seqscan = on; SET enable_indexscan = off; SET omendb.exact = on");
  await admin.query("SET enable_bitmapscan = off");
  expect(byIndex).toEqual((await admin.query(question)).rows);
  expect(byIndex.length).toBeGreaterThan(3);
  await newer.query("UPDATE t SET k = k + 100000 WHERE id < 50; INSERT INTO t VALUES (-7, -7, 'w7')");
  expect(await indexes()).toEqual(["t_new", "t_pkey"]);
});

test("a unique index over an expression meets a duplicate that a writer brings; nothing stays", async () => {
  const older = await client();
  await older.query("BEGIN; INSERT INTO t VALUES (0, -9, 'older')");
  const build = begin("CREATE UNIQUE INDEX CONCURRENTLY t_abs ON t (abs(k))");
  await waiting();
  await older.query("COMMIT");
  expect(await build.outcome).toMatchObject({
    code: "23505",
    message: 'could not create unique index "t_abs"',
    detail: "Key (abs(k))=(9) is duplicated.",
  });
  expect(await indexes()).toEqual(["t_pkey"]);
  await older.query("DELETE FROM t WHERE id = 0");
  await admin.query("CREATE UNIQUE INDEX CONCURRENTLY t_abs ON t (abs(k))");
  await expect(older.query("INSERT INTO t VALUES (0, -9, 'older')")).rejects.toMatchObject({
    code: "23505",
    detail: "Key (abs(k))=(9) already exists.",
  });
});

test("under REPEATABLE READ it sees what others wrote meanwhile all the same", async () => {
  const older = await client();
  await builder.query("SET default_transaction_isolation = 'repeatable read'");
  await older.query("BEGIN; INSERT INTO t VALUES (0, 4000000, 'older')");
  const build = begin("CREATE INDEX CONCURRENTLY t_new ON t ((k * 2))");
  await waiting();
  await older.query("UPDATE t SET k = 4000000 WHERE id = 7; COMMIT");
  expect(await build.outcome).toBe("done");
  await admin.query("SET enable_seqscan = off");
  const { rows } = await admin.query("SELECT id FROM t WHERE k * 2 = 8000000 ORDER BY id");
  expect(rows).toEqual([{ id: "0" }, { id: "7" }]);
});

test("who has locked rows before the index came goes on with it", async () => {
  const locker = await client();
  await locker.query("BEGIN; SELECT * FROM t WHERE id = 5 FOR UPDATE");
  await admin.query("CREATE INDEX t_new ON t ((k * 2))");
  await locker.query("UPDATE t SET k = 4000000 WHERE id = 5; COMMIT");
  await admin.query("SET enable_seqscan = off");
  const { rows } = await admin.query("SELECT id FROM t WHERE k * 2 = 8000000");
  expect(rows).toEqual([{ id: "5" }]);
});

test("a kill while an expression is computed leaves the rows as they are", { timeout: 60_000 }, async () => {
  const [older, newer] = [await client(), await client()];
  await older.query("BEGIN; INSERT INTO t VALUES (0, 0, 'older')");
  const hnsw = "CREATE INDEX CONCURRENTLY t_new ON t USING hnsw ((ARRAY[k, id]::vector(2)) vector_l2_ops)";
  const build = begin(hnsw);
  await waiting();
  await newer.query("UPDATE t SET body = 'moved' WHERE id < 100");
  await newer.query("CHECKPOINT");
  await server.kill();
  await build.outcome;
  clients.length = 0;
  server = await startServer(["--data", folder]);
  [admin, builder] = [await client(), await client()];
  expect(await indexes()).toEqual(["t_pkey"]);
  const { rows } = await admin.query("SELECT count(*)::int AS n, sum(id)::int AS sum FROM t");
  expect(rows).toEqual([{ n: String(ROWS), sum: String((ROWS * (ROWS + 1)) / 2) }]);
  await admin.query("ALTER TABLE t ADD COLUMN more int DEFAULT 3");
  expect((await admin.query("SELECT DISTINCT more FROM t")).rows).toEqual([{ more: "3" }]);
  await admin.query(hnsw);
  await server.kill();
  clients.length = 0;
  server = await startServer(["--data", folder]);
  [admin, builder] = [await client(), await client()];
  const nearest = "SELECT id FROM t ORDER BY ARRAY[k, id]::vector(2) <-> '[77, 77]' LIMIT 1";
  expect((await admin.query(nearest)).rows).toEqual([{ id: "77" }]);
});

test("a kill in the middle leaves the rows and no index; after the build it is there", {
  timeout: 60_000,
}, async () => {
  const { newer, build } = await heldUp("CREATE UNIQUE INDEX CONCURRENTLY t_k ON t (k)");
  await newer.query("INSERT INTO t VALUES (-1, 9, 'newer')");
  await newer.query("CHECKPOINT");
  await server.kill();
  await build.outcome;
  clients.length = 0;
  server = await startServer(["--data", folder]);
  [admin, builder] = [await client(), await client()];
  expect(await indexes()).toEqual(["t_pkey"]);
  const { rows } = await admin.query("SELECT id FROM t WHERE k = 9 ORDER BY id");
  expect(rows).toEqual([{ id: "-1" }, { id: "9" }]);
  await admin.query("CREATE INDEX CONCURRENTLY t_body ON t USING bm25 (body)");
  await admin.query("CREATE INDEX CONCURRENTLY t_k ON t (k)");
  await admin.query("INSERT INTO t VALUES (-5, 9, 'w9')");
  await server.kill();
  clients.length = 0;
  server = await startServer(["--data", folder]);
  [admin, builder] = [await client(), await client()];
  expect(await indexes()).toEqual(["t_body", "t_k", "t_pkey"]);
  const { rows: found } = await admin.query("SELECT count(*)::int AS n FROM t WHERE body <@> 'w9' < 0");
  const { rows: all } = await admin.query("SELECT count(*)::int AS n FROM t WHERE body = 'w9'");
  expect(found).toEqual(all);
  await admin.query("SET enable_seqscan = off");
  expect((await admin.query("SELECT id FROM t WHERE k = 9 ORDER BY id")).rows).toEqual([
    { id: "-5" },
    { id: "-1" },
    { id: "9" },
  ]);
});
