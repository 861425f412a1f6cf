// node-postgres against the server: simple and extended queries, types both ways, errors, a pool, COPY in both directions.
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { Client, Pool } from "pg";
import copy from "pg-copy-streams";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { startServer, type TestServer } from "../support/server.ts";

let server: TestServer;
let client: Client;
beforeAll(async () => {
  server = await startServer(["--memory"]);
}, 60_000);
afterAll(() => server.stop());
beforeEach(async () => {
  client = new Client({ connectionString: server.url });
  await client.connect();
});
afterEach(() => client.end());

test("one string of several statements gives several results", async () => {
  const results = await client.query(
    "CREATE TEMP TABLE a (i int); INSERT INTO a VALUES (1), (2); SELECT * FROM a",
  );
  expect(Array.isArray(results) && results.map(({ command, rowCount }) => [command, rowCount])).toEqual([
    ["CREATE", null],
    ["INSERT", 2],
    ["SELECT", 2],
  ]);
});

test("the driver's own conversions, to parameters and back", async () => {
  const when = new Date("2024-02-29T12:34:56.789Z");
  const { rows } = await client.query(
    "SELECT $1::int AS i, $2::text AS t, $3::bool AS b, $4::timestamptz AS at, $5::jsonb AS j, $6::int[] AS list, $7::bytea AS bytes, $8::numeric AS n, $9::text AS missing",
    [7, "naïve", true, when, { a: [1, null] }, [1, 2], Buffer.from([0, 255]), "1.50", null],
  );
  expect(rows).toEqual([
    {
      i: 7,
      t: "naïve",
      b: true,
      at: when,
      j: { a: [1, null] },
      list: [1, 2],
      bytes: Buffer.from([0, 255]),
      n: "1.50",
      missing: null,
    },
  ]);
});

test("fields carry PostgreSQL's type OIDs and the table's columns", async () => {
  await client.query("CREATE TEMP TABLE f (id int, name varchar(10))");
  const { fields } = await client.query("SELECT id, name, id + 1 AS next FROM f");
  expect(
    fields.map(({ name, dataTypeID, dataTypeModifier, columnID }) => [
      name,
      dataTypeID,
      dataTypeModifier,
      columnID,
    ]),
  ).toEqual([
    ["id", 23, -1, 1],
    ["name", 1043, 14, 2],
    ["next", 23, -1, 0],
  ]);
});

test("a named statement follows its values", async () => {
  const named = (n: number) => client.query({ name: "double", text: "SELECT $1::int * 2 AS n", values: [n] });
  for (const n of [1, 2, 3]) expect((await named(n)).rows).toEqual([{ n: n * 2 }]);
});

test("vectors travel as text", async () => {
  await client.query("CREATE EXTENSION IF NOT EXISTS vector; CREATE TEMP TABLE v (id int, e vector(2))");
  await client.query("INSERT INTO v VALUES (1, $1), (2, $2)", ["[1,0]", JSON.stringify([0, 1])]);
  const { rows } = await client.query("SELECT id, e FROM v ORDER BY e <-> $1 LIMIT 1", ["[0,2]"]);
  expect(rows).toEqual([{ id: 2, e: "[0,1]" }]);
});

test("errors have their fields, and the connection goes on", async () => {
  await client.query("CREATE TEMP TABLE u (id int PRIMARY KEY)");
  await client.query("INSERT INTO u VALUES (1)");
  await expect(client.query("INSERT INTO u VALUES ($1)", [1])).rejects.toMatchObject({
    severity: "ERROR",
    code: "23505",
    detail: "Key (id)=(1) already exists.",
    table: "u",
    constraint: "u_pkey",
  });
  await expect(client.query("SELECT nosuch FROM u")).rejects.toMatchObject({ code: "42703", position: "8" });
  await expect(client.query("SELECT $1::int", ["x"])).rejects.toMatchObject({ code: "22P02" });
  expect((await client.query("SELECT 1 AS one")).rows).toEqual([{ one: 1 }]);
});

test("queries sent without waiting are answered in order", async () => {
  const numbers = Array.from({ length: 200 }, (_, i) => i);
  const answers = await Promise.all(numbers.map((n) => client.query("SELECT $1::int AS n", [n])));
  expect(answers.map(({ rows }) => rows[0]?.n)).toEqual(numbers);
});

test("transactions over a pool", async () => {
  const pool = new Pool({ connectionString: server.url, max: 4 });
  try {
    await pool.query("CREATE TABLE counters (id int PRIMARY KEY, n int); INSERT INTO counters VALUES (1, 0)");
    const add = async (): Promise<void> => {
      const one = await pool.connect();
      try {
        await one.query("BEGIN");
        await one.query("UPDATE counters SET n = n + 1 WHERE id = 1");
        await one.query("COMMIT");
      } finally {
        one.release();
      }
    };
    await Promise.all(Array.from({ length: 40 }, add));
    expect((await pool.query("SELECT n FROM counters")).rows).toEqual([{ n: 40 }]);
  } finally {
    await pool.end();
  }
});

test("COPY from and to streams: text, csv and the errors of a bad row", async () => {
  await client.query("CREATE TEMP TABLE c (id int PRIMARY KEY, body text, v vector(2))");
  const lines = Array.from({ length: 3000 }, (_, i) => `${i}\tline ${i}\\tend\t[${i},1]\n`);
  const into = client.query(copy.from("COPY c FROM STDIN"));
  await pipeline(Readable.from(lines), into);
  expect(into.rowCount).toBe(3000);
  const out = client.query(copy.to("COPY (SELECT * FROM c ORDER BY id) TO STDOUT"));
  expect(await text(out)).toBe(lines.join(""));
  const csv = client.query(
    copy.to("COPY (SELECT id, body FROM c WHERE id = 5) TO STDOUT (FORMAT csv, HEADER)"),
  );
  expect(await text(csv)).toBe("id,body\n5,line 5\tend\n");
  const bad = client.query(copy.from("COPY c (id) FROM STDIN"));
  await expect(pipeline(Readable.from(["5000\n", "oops\n"]), bad)).rejects.toMatchObject({
    code: "22P02",
    where: 'COPY c, line 2, column id: "oops"',
  });
  expect((await client.query("SELECT count(*)::int AS n FROM c")).rows).toEqual([{ n: 3000 }]);
});

test("cancelling a running query", async () => {
  const { rows } = await client.query("SELECT pg_backend_pid() AS pid");
  const done = new AbortController();
  const running = client.query("SELECT pg_sleep(60)").finally(() => done.abort());
  const refused = expect(running).rejects.toMatchObject({ code: "57014" });
  const other = new Client({ connectionString: server.url });
  await other.connect();
  try {
    // A cancel that comes before the query has begun does nothing, as in PostgreSQL: so until it is heard.
    while (!done.signal.aborted) {
      await other.query("SELECT pg_cancel_backend($1)", [rows[0].pid]);
      await sleep(20);
    }
    await refused;
  } finally {
    await other.end();
  }
});

test("notifications arrive", async () => {
  const heard = new Promise((resolve) => client.once("notification", resolve));
  await client.query("LISTEN news");
  const other = new Client({ connectionString: server.url });
  await other.connect();
  try {
    await other.query("SELECT pg_notify('news', 'hello')");
    expect(await heard).toMatchObject({ channel: "news", payload: "hello" });
  } finally {
    await other.end();
  }
});
