// Rows come and go while a vector index is built or rebuilt: every committed row is found afterwards, no removed one is, and the
// old index of ALTER INDEX answers until the new one takes its place. The exact answer is the oracle.
import pg from "pg";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { startServer, type TestServer } from "../support/server.ts";
import { random } from "../recall/recall.ts";

vi.setConfig({ testTimeout: 120_000 });

const DIMENSIONS = 24;
const ROWS = 5000;

let server: TestServer;
const clients: pg.Client[] = [];
const next = random(77);
const point = (): string => `[${Array.from({ length: DIMENSIONS }, () => next().toFixed(3)).join(",")}]`;

beforeAll(async () => {
  server = await startServer(["--memory", "--workers", "2"]);
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

async function fill(client: pg.Client, table: string): Promise<void> {
  await client.query(`CREATE TABLE ${table} (id int PRIMARY KEY, v vector(${DIMENSIONS}))`);
  for (let id = 0; id < ROWS; id += 1000) {
    const rows = Array.from({ length: 1000 }, (_, i) => `(${id + i}, '${point()}')`);
    await client.query(`INSERT INTO ${table} VALUES ${rows.join(", ")}`);
  }
}

interface Written {
  rounds: number;
  /** Rounds that ended before the statement did. */
  beside: number;
}

/** Inserts, moves and removes rows until the statement has ended; says how much of that went on beside it. */
async function writeDuring(statement: Promise<unknown>, client: pg.Client, table: string): Promise<Written> {
  const state = { isRunning: true };
  const ended = statement.finally(() => (state.isRunning = false));
  const written: Written = { rounds: 0, beside: 0 };
  for (let id = ROWS; state.isRunning; id += 2) {
    const { rounds } = written;
    await client.query(`INSERT INTO ${table} VALUES (${id}, '${point()}'), (${id + 1}, '${point()}')`);
    await client.query(`DELETE FROM ${table} WHERE id = ${rounds * 3}`);
    await client.query(`UPDATE ${table} SET v = '${point()}' WHERE id = ${rounds * 3 + 1}`);
    written.rounds++;
    written.beside += Number(state.isRunning);
  }
  await ended;
  return written;
}

/** Rows written last and rows around random points, beside the exact answers. */
async function expectRight(client: pg.Client, table: string): Promise<void> {
  const { rows: last } = await client.query(
    `SELECT id, v::text FROM ${table} WHERE id >= ${ROWS} ORDER BY id DESC LIMIT 20`,
  );
  for (const { id, v } of last) {
    const { rows } = await client.query(`SELECT id FROM ${table} ORDER BY v <-> '${v}' LIMIT 1`);
    expect(rows).toEqual([{ id }]);
  }
  let hits = 0;
  for (let i = 0; i < 20; i++) {
    const sql = `SELECT id FROM ${table} ORDER BY v <-> '${point()}' LIMIT 10`;
    const { rows: found } = await client.query(sql);
    await client.query("SET omendb.exact = on");
    const { rows: exact } = await client.query(sql);
    await client.query("RESET omendb.exact");
    const wanted = new Set(exact.map((row) => row.id));
    hits += found.filter((row) => wanted.has(row.id)).length;
  }
  expect(hits / 200).toBeGreaterThanOrEqual(0.95);
}

test("CREATE INDEX CONCURRENTLY", async () => {
  const [builder, writer] = [await connect(), await connect()];
  await fill(builder, "made");
  const build = builder.query("CREATE INDEX CONCURRENTLY made_v ON made USING hnsw (v vector_l2_ops)");
  const written = await writeDuring(build, writer, "made");
  expect(written.beside).toBeGreaterThan(0);
  await expectRight(writer, "made");
});

test("ALTER INDEX SET, with searches by the old index meanwhile", async () => {
  const [builder, writer] = [await connect(), await connect()];
  await fill(builder, "altered");
  await builder.query("CREATE INDEX altered_v ON altered USING hnsw (v vector_l2_ops)");
  for (const options of ["quantization = sq8, rerank = 4", "m = 24"]) {
    const rebuild = builder.query(`ALTER INDEX altered_v SET (${options})`);
    const search = (await connect()).query(`SELECT id FROM altered ORDER BY v <-> '${point()}' LIMIT 5`);
    const written = await writeDuring(rebuild, writer, "altered");
    expect((await search).rows).toHaveLength(5);
    expect(written.beside).toBeGreaterThan(0);
    await expectRight(writer, "altered");
    await writer.query(`DELETE FROM altered WHERE id >= ${ROWS}`);
  }
});
