// Building a vector index over rows that exist: what it says about memory, what others see of it, and that it can be stopped.
import pg from "pg";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { startServer, type TestServer } from "../support/server.ts";

vi.setConfig({ testTimeout: 60_000 });

let server: TestServer;
const clients: pg.Client[] = [];

beforeAll(async () => {
  server = await startServer(["--memory", "--workers", "2"]);
  const client = await connect();
  await client.query(`
    CREATE TABLE points (id int, v vector(32));
    INSERT INTO points SELECT i, ARRAY(SELECT sin(i * 12.9898 + d * 78.233 * (i % 7)) FROM generate_series(1, 32) d)::vector
    FROM generate_series(1, 12000) i`);
});
afterAll(() => server.stop());
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.end()));
});

async function connect(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: server.url });
  clients.push(client);
  await client.connect();
  return client;
}

interface Said {
  readonly message?: string | undefined;
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
}

test("a build says when it needs more than maintenance_work_mem, and is right without it", async () => {
  const client = await connect();
  const notices: Said[] = [];
  client.on("notice", ({ message, detail, hint }) => notices.push({ message, detail, hint }));
  await client.query("CREATE INDEX enough ON points USING hnsw (v vector_l2_ops)");
  expect(notices).toEqual([]);
  await client.query("SET maintenance_work_mem = '1MB'");
  await client.query("CREATE INDEX little ON points USING hnsw (v vector_cosine_ops)");
  expect(notices).toEqual([
    {
      message: "building the hnsw graph needs 5438 kB, more than maintenance_work_mem (1024 kB)",
      detail: "Building will take more time and 2063 kB, without compressed copies of the vectors.",
      hint: "Increase maintenance_work_mem to speed up builds.",
    },
  ]);
  for (const index of ["enough", "little"]) {
    const { rows } = await client.query(`SELECT vector_recall('${index}', 20) AS recall`);
    expect(rows[0].recall).toBeGreaterThanOrEqual(0.95);
    await client.query(`DROP INDEX ${index}`);
  }
});

test("others see how far a build is and can stop it; nothing of it stays", async () => {
  const [builder, other] = [await connect(), await connect()];
  const { rows: own } = await builder.query("SELECT pg_backend_pid() AS pid");
  const build = builder.query(
    "CREATE INDEX slow ON points USING hnsw (v vector_l2_ops) WITH (m = 64, ef_construction = 1000)",
  );
  const ended = build.then(
    () => "built",
    (error: unknown) => (error instanceof pg.DatabaseError ? error.code : error),
  );
  const look = async (): Promise<Record<string, unknown> | undefined> => {
    const { rows } = await other.query(`
      SELECT p.pid, p.relid::regclass::text AS relation, command, phase, tuples_done::int AS done, tuples_total::int AS total,
        blocks_done <= blocks_total AS sane
      FROM pg_stat_progress_create_index p`);
    return rows[0];
  };
  await vi.waitUntil(async () => Number((await look())?.["done"] ?? 0) > 0, { timeout: 30_000, interval: 5 });
  expect(await look()).toMatchObject({
    pid: own[0].pid,
    relation: "points",
    command: "CREATE INDEX",
    phase: "building index: loading tuples",
    total: 12_000,
    sane: true,
  });
  await other.query("SELECT pg_cancel_backend($1)", [own[0].pid]);
  expect(await ended).toBe("57014");
  expect(await look()).toBeUndefined();
  const { rows } = await other.query("SELECT count(*)::int AS n FROM pg_class WHERE relname = 'slow'");
  expect(rows[0].n).toBe(0);
});
