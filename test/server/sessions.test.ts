// Sessions as others see and end them: pg_stat_activity over all workers, terminating, timeouts, databases in use.
import pg from "pg";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { startServer, type TestServer } from "../support/server.ts";

vi.setConfig({ testTimeout: 60_000 });

let server: TestServer;
const clients: pg.Client[] = [];

beforeAll(async () => {
  server = await startServer(["--memory", "--workers", "2"]);
});
afterAll(() => server.stop());
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.end().catch(() => undefined)));
});

interface Ended {
  readonly code?: string;
  readonly message: string;
}

/** A client, and what the server said when it ended the connection. */
async function connect(
  options: pg.ClientConfig = {},
): Promise<pg.Client & { readonly ended: Promise<Ended> }> {
  const client = new pg.Client({ connectionString: server.url, ...options });
  clients.push(client);
  const ended = new Promise<Ended>((resolve) => client.on("error", resolve));
  await client.connect();
  return Object.assign(client, { ended });
}

async function pid(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
  return rows[0]?.pid ?? 0;
}

test("every worker's sessions are seen, with what they run", async () => {
  const seen = await Promise.all(
    [1, 2, 3, 4].map((number) => connect({ application_name: `client ${number}` })),
  );
  const [first, second] = seen;
  await first?.query("BEGIN");
  await first?.query("SELECT $1::int", [1]);
  await second?.query("SELECT 1 / 0").catch(() => undefined);
  const { rows } = await (await connect()).query(
    `SELECT application_name, usename, datname, client_addr, client_port > 0 AS port, state, query,
       xact_start IS NOT NULL AS xact, backend_start <= query_start AS started, backend_type
     FROM pg_stat_activity WHERE application_name LIKE 'client %' ORDER BY 1`,
  );
  const face = { usename: "postgres", datname: "postgres", port: true, backend_type: "client backend" };
  expect(rows).toMatchObject([
    {
      ...face,
      application_name: "client 1",
      state: "idle in transaction",
      query: "SELECT $1::int",
      xact: true,
    },
    {
      ...face,
      application_name: "client 2",
      state: "idle",
      query: "SELECT 1 / 0",
      xact: false,
      started: true,
    },
    { ...face, application_name: "client 3", state: "idle", query: "" },
    { ...face, application_name: "client 4", client_addr: expect.stringContaining("127.0.0.1") as string },
  ]);
  await first?.query("SET application_name = 'client 0'");
  const renamed = await first?.query(
    "SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name = 'client 0'",
  );
  expect(renamed?.rows).toEqual([{ n: 1 }]);
});

test("pg_terminate_backend waits for the end when it is told to", async () => {
  const [victim, other] = [await connect(), await connect()];
  const id = await pid(victim);
  const { rows } = await other.query("SELECT pg_terminate_backend($1, 5000) AS done", [id]);
  expect(rows).toEqual([{ done: true }]);
  expect(await victim.ended).toMatchObject({ code: "57P01" });
  const left = await other.query("SELECT 1 FROM pg_stat_activity WHERE pid = $1", [id]);
  expect(left.rowCount).toBe(0);
});

test("a client that idles too long is sent away, in a transaction and outside", async () => {
  const inside = await connect();
  await inside.query("CREATE TABLE idle (i int)");
  await inside.query("SET idle_in_transaction_session_timeout = '50ms'");
  await inside.query("BEGIN");
  await inside.query("INSERT INTO idle VALUES (1)");
  expect(await inside.ended).toMatchObject({
    code: "25P03",
    message: "terminating connection due to idle-in-transaction timeout",
  });
  const outside = await connect();
  expect((await outside.query("SELECT * FROM idle")).rowCount).toBe(0);
  await outside.query("SET idle_session_timeout = '50ms'");
  expect(await outside.ended).toMatchObject({
    code: "57P05",
    message: "terminating connection due to idle-session timeout",
  });
});

test("a database in use is not dropped, unless by force", async () => {
  const admin = await connect();
  await admin.query("CREATE DATABASE used");
  const user = await connect({ connectionString: server.url.replace(/\/[^/]*$/, "/used") });
  await expect(admin.query("DROP DATABASE used")).rejects.toMatchObject({
    code: "55006",
    message: 'database "used" is being accessed by other users',
    detail: "There is 1 other session using the database.",
  });
  await admin.query("DROP DATABASE used WITH (FORCE)");
  expect(await user.ended).toMatchObject({ code: "57P01" });
  expect((await admin.query("SELECT 1 FROM pg_database WHERE datname = 'used'")).rowCount).toBe(0);
});
