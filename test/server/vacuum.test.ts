// What VACUUM says, two sessions at a time. Wording and codes are PostgreSQL 15's where it says the same; its report has
// more lines (transaction ids, buffers, WAL), which mean nothing here.
import type { Client } from "pg";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { connect } from "../support/client.ts";
import { startServer, type TestServer } from "../support/server.ts";

let server: TestServer;
let client: Client;
let other: Client;
const said: string[] = [];

beforeAll(async () => {
  server = await startServer(["--memory"]);
  [client, other] = [await connect(server.url, "postgres"), await connect(server.url, "postgres")];
  client.on("notice", ({ severity, code, message }) => said.push(`${severity} ${code} ${message}`));
  // One transaction each: what a transaction replaces of its own is gone with its commit.
  for (const statement of [
    "CREATE TABLE v (a int PRIMARY KEY, b text)",
    "CREATE SEQUENCE numbers",
    "INSERT INTO v SELECT g, 'x' FROM generate_series(1, 300) g",
    "UPDATE v SET b = 'y'",
    "DELETE FROM v WHERE a <= 100",
  ]) {
    await client.query(statement);
  }
});
beforeEach(() => {
  said.length = 0;
});
afterAll(async () => {
  await Promise.all([client, other].map((each) => each.end()));
  await server.stop();
});

/** Sizes are ours and may change. */
const withoutSizes = (line: string): string =>
  line.replaceAll(/pages: \d+|\d+ (remain,|scanned|in total|newly)/g, "N $1");

test("VERBOSE tells what was given back", async () => {
  await client.query("VACUUM (VERBOSE, ANALYZE) v");
  expect(said.map(withoutSizes)).toEqual([
    'INFO 00000 vacuuming "postgres.public.v"',
    [
      'INFO 00000 finished vacuuming "postgres.public.v": index scans: 1',
      "N  removed, N remain, N scanned (100.00% of total)",
      "tuples: 400 removed, N remain, 0 are dead but not yet removable",
      'index "v_pkey": N  in total, N newly deleted, 0 currently deleted, 0 reusable',
    ].join("\n"),
    'INFO 00000 analyzing "public.v"',
  ]);
});

test("VERBOSE names the dead documents and vectors that indexes gave back", async () => {
  for (const statement of [
    "CREATE TABLE d (a int, body text, e vector(2))",
    "INSERT INTO d SELECT g, 'word number ' || g, ARRAY[g, 1]::vector FROM generate_series(1, 300) g",
    "CREATE INDEX d_body_idx ON d USING bm25 (body)",
    "CREATE INDEX d_e_idx ON d USING hnsw (e vector_l2_ops)",
    "UPDATE d SET body = body || ' again', e = ARRAY[a, 2]::vector",
    "VACUUM VERBOSE d",
  ]) {
    await client.query(statement);
  }
  const lines =
    said
      .at(-1)
      ?.split("\n")
      .filter((line) => line.startsWith('index "')) ?? [];
  expect(lines.map((line) => line.replace(/pages: .*;/, "..."))).toEqual([
    'index "d_body_idx": ... 300 dead documents removed',
    'index "d_e_idx": ... 300 dead vectors removed',
  ]);
  said.length = 0;
  await client.query("VACUUM VERBOSE d");
  expect(said.at(-1)).not.toContain("dead documents");
  const found = "SELECT count(*) FROM d WHERE body <@> 'again' < 0";
  expect((await client.query(found)).rows).toEqual([{ count: "300" }]);
});

test("what a snapshot sees is not removed before it ends", async () => {
  await other.query("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM v");
  await client.query("DELETE FROM v WHERE a <= 150");
  await client.query("VACUUM VERBOSE v");
  expect(said.at(-1)).toMatch(/^tuples: 0 removed, 150 remain, 50 are dead but not yet removable$/m);
  expect((await other.query("SELECT count(*) FROM v")).rows).toEqual([{ count: "200" }]);
  await other.query("COMMIT");
  await client.query("VACUUM VERBOSE v");
  expect(said.at(-1)).toMatch(/^tuples: 50 removed, 150 remain, 0 are dead but not yet removable$/m);
});

test("what is no table is passed over, and so is one that is locked if asked for", async () => {
  await client.query("VACUUM v_pkey");
  await client.query("VACUUM numbers, v");
  await client.query("ANALYZE v_pkey");
  await other.query("BEGIN; LOCK TABLE v IN SHARE UPDATE EXCLUSIVE MODE");
  await client.query("VACUUM (SKIP_LOCKED) v");
  await client.query("ANALYZE (SKIP_LOCKED) v");
  await other.query("COMMIT");
  expect(said).toEqual([
    'WARNING 01000 skipping "v_pkey" --- cannot vacuum non-tables or special system tables',
    'WARNING 01000 skipping "numbers" --- cannot vacuum non-tables or special system tables',
    'WARNING 01000 skipping "v_pkey" --- cannot analyze non-tables or special system tables',
    'WARNING 55P03 skipping vacuum of "v" --- lock not available',
    'WARNING 55P03 skipping analyze of "v" --- lock not available',
  ]);
});

test("pg_stat_progress_vacuum shows what VACUUM is at, and nothing when it has ended", async () => {
  for (const statement of [
    "CREATE TABLE p (a int PRIMARY KEY, e vector(8))",
    `INSERT INTO p SELECT g, (SELECT array_agg(sin(g * i)) FROM generate_series(1, 8) i)::vector
     FROM generate_series(1, 4000) g`,
    "CREATE INDEX ON p USING hnsw (e vector_l2_ops)",
  ])
    await client.query(statement);
  // Dead vectors stay until the snapshot ends, and then VACUUM is the first to find them.
  await other.query("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM p");
  await client.query("DELETE FROM p WHERE a % 2 = 0");
  const { rows: ids } = await client.query("SELECT pg_backend_pid() AS pid, 'p'::regclass::oid AS relid");
  await other.query("COMMIT");
  const vacuum = { isRunning: true };
  const vacuumed = client.query("VACUUM p").finally(() => {
    vacuum.isRunning = false;
  });
  const seen: Record<string, string>[] = [];
  const progress = "SELECT * FROM pg_stat_progress_vacuum";
  while (vacuum.isRunning) seen.push(...(await other.query(progress)).rows);
  await vacuumed;
  expect(seen.length).toBeGreaterThan(0);
  for (const row of seen) expect(row).toMatchObject({ ...ids[0], datname: "postgres" });
  const phases = ["initializing", "vacuuming indexes", "vacuuming heap", "cleaning up indexes"];
  const order = seen.map((row) => phases.indexOf(row["phase"] ?? ""));
  expect(order).toEqual(order.toSorted((a, b) => a - b));
  expect(order).not.toContain(-1);
  // Graphs are what takes time.
  expect(seen.at(-1)).toMatchObject({
    phase: "cleaning up indexes",
    index_vacuum_count: "1",
    max_dead_tuples: "2000",
    num_dead_tuples: "2000",
  });
  expect(seen.at(-1)?.["heap_blks_scanned"]).toBe(seen.at(-1)?.["heap_blks_total"]);
  expect((await other.query(progress)).rows).toEqual([]);
});
