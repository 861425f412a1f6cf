// A commit that waits until the numbers of dead vectors can be given again: the thread of its session serves others
// meanwhile, an interrupt undoes it as PostgreSQL's before the commit record does, and it goes on when there is room.
import { Client } from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import { startTestServer, type TestServer } from "../wire/server.ts";

/** As many dead vectors as the engine finds worth clearing up. */
const ROWS = 1200;
/** Time in which an update is over that does not wait. */
const SOON_MS = 700;

let server: TestServer;
let updater: Client;
let other: Client;
const clients: Client[] = [];

async function connect(): Promise<Client> {
  const client = new Client({ ...server.address, user: "postgres", database: "postgres" });
  await client.connect();
  clients.push(client);
  return client;
}

/** The first column of the result. */
async function column(client: Client, query: string): Promise<unknown[]> {
  const { rows } = await client.query<unknown[]>({ text: query, rowMode: "array" });
  return rows.map(([value]) => value);
}

beforeEach(async () => {
  server = await startTestServer({}, { poolThreads: 1 });
  [updater, other] = [await connect(), await connect()];
  for (const statement of [
    "CREATE TABLE items (id int, n int, v vector(3))",
    "CREATE INDEX ON items USING hnsw (v vector_l2_ops)",
    `INSERT INTO items SELECT g, 0, ARRAY[g, 1, 2]::vector(3) FROM generate_series(1, ${ROWS}) g`,
    "CREATE TABLE large (v vector(3))",
    "CREATE INDEX ON large USING hnsw (v vector_l2_ops) WITH (m = 100, ef_construction = 1000)",
  ]) {
    await updater.query(statement);
  }
});
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.end()));
  await server.stop();
});

/** The engine's one thread for such work links vectors for some time: what commits wait for cannot begin. */
async function occupy(vectors: number): Promise<void> {
  const vector = "ARRAY[sin(g), cos(g * 1.7), sin(g * 0.3)]::vector(3)";
  await updater.query(`INSERT INTO large SELECT ${vector} FROM generate_series(1, ${vectors}) g`);
}

/** Another vector for every row. */
const UPDATE = "UPDATE items SET n = n + 1, v = ARRAY[sin(id + n), cos(id * n), n]::vector(3)";

/** Runs a statement whose commit waits. The outcome is its error's code. */
async function parked(client: Client, statement: string): Promise<{ readonly outcome: Promise<string> }> {
  const outcome = client
    .query(statement)
    .then(() => "done")
    .catch((error: { code: string }) => error.code);
  const soon = new Promise((resolve) => setTimeout(resolve, SOON_MS, "waits"));
  expect(await Promise.race([outcome, soon])).toBe("waits");
  return { outcome };
}

const updates = (client: Client): Promise<unknown[]> => column(client, "SELECT DISTINCT n FROM items");

test("others are served while a commit waits, and an interrupt undoes it", async () => {
  const [pid] = await column(updater, "SELECT pg_backend_pid()");
  await occupy(16_000);
  // Two updates take numbers that nobody had; then twice as many wait as are in use.
  await updater.query(UPDATE);
  await updater.query(UPDATE);
  const cancelled = await parked(updater, UPDATE);
  expect(await updates(other)).toEqual([2]);
  await other.query("SELECT pg_cancel_backend($1)", [pid]);
  expect(await cancelled.outcome).toBe("57014");
  expect(await updates(updater)).toEqual([2]);
  // In a block: the transaction is over with its COMMIT, and its locks are gone.
  await updater.query("BEGIN");
  await updater.query(UPDATE);
  const commit = await parked(updater, "COMMIT");
  await other.query("SELECT pg_cancel_backend($1)", [pid]);
  expect(await commit.outcome).toBe("57014");
  await other.query("BEGIN; LOCK TABLE items IN ACCESS EXCLUSIVE MODE NOWAIT; COMMIT");
  expect(await updates(updater)).toEqual([2]);
  const ended = await connect();
  ended.on("error", () => undefined);
  const [endedPid] = await column(ended, "SELECT pg_backend_pid()");
  const terminated = await parked(ended, UPDATE);
  await other.query("SELECT pg_terminate_backend($1)", [endedPid]);
  expect(await terminated.outcome).toBe("57P01");
  await updater.query("SET statement_timeout = '1s'");
  await expect(updater.query(UPDATE)).rejects.toMatchObject({
    code: "57014",
    message: "canceling statement due to statement timeout",
  });
  expect(await updates(other)).toEqual([2]);
});

test("a commit goes on when there is room", async () => {
  await occupy(1500);
  for (let update = 0; update < 8; update++) await updater.query(UPDATE);
  expect(await updates(other)).toEqual([8]);
});
