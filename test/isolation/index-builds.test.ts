// Indexes made while others write. Whatever the writers did before, during or after the build, the index must answer as the
// rows do: each look at it runs beside a look at the rows, in one snapshot.
import type { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { connect } from "../support/client.ts";
import { startServer, type TestServer } from "../support/server.ts";

/** Enough for a build in the background rather than in the statement. */
const ROWS = 12_000;
const WRITERS = 3;
/** Rows a writer may touch lie in a range of its own, so that writers do not wait for one another. */
const SPAN = 100_000;
const KEYS = 50;

let server: TestServer;
let admin: Client;

beforeAll(async () => {
  server = await startServer();
  admin = await connect(server.url, "postgres");
  await admin.query(`CREATE TABLE items (id int PRIMARY KEY, k int, body text, embedding vector(4));
    INSERT INTO items SELECT g, g % ${KEYS}, 'w' || g % ${KEYS}, ${vectorOf("g")}
    FROM generate_series(1, ${ROWS}) g`);
}, 60_000);

afterAll(async () => {
  await admin.end();
  await server.stop();
});

function vectorOf(n: string): string {
  return `('[' || ${n} % 101 || ',' || ${n} % 89 || ',' || ${n} % 83 || ',' || ${n} % 7 || ']')::vector`;
}

class Writer {
  readonly #client: Client;
  readonly #first: number;
  #stopped = false;
  #running: Promise<void> = Promise.resolve();
  commits = 0;

  constructor(client: Client, number: number) {
    this.#client = client;
    this.#first = (number + 1) * SPAN;
  }

  start(): void {
    this.#running = this.#run();
  }

  async #run(): Promise<void> {
    for (let i = this.#first; !this.#stopped; i += 1) {
      const moved = (i * 7) % ROWS;
      await this.#client.query(`BEGIN;
        INSERT INTO items VALUES (${i}, ${i % KEYS}, 'w${i % KEYS} new', ${vectorOf(String(i))});
        UPDATE items SET k = (k + 1) % ${KEYS}, body = 'w' || (k + 1) % ${KEYS}, embedding = ${vectorOf(`(id + ${i})`)}
          WHERE id = ${moved - (moved % WRITERS) + (this.#first / SPAN) - 1};
        DELETE FROM items WHERE id = ${i - 5};
        COMMIT`);
      this.commits += 1;
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
    await this.#client.end();
  }
}

async function withWriters(body: (writers: readonly Writer[]) => Promise<void>): Promise<void> {
  const writers: Writer[] = [];
  for (let i = 0; i < WRITERS; i += 1) writers.push(new Writer(await connect(server.url, "postgres"), i));
  for (const writer of writers) writer.start();
  try {
    await body(writers);
  } finally {
    await Promise.all(writers.map((writer) => writer.stop()));
    await admin.query(`DELETE FROM items WHERE id >= ${SPAN}`);
  }
}

async function ids(sql: string, settings: string): Promise<number[]> {
  await admin.query(settings);
  const { rows } = await admin.query<{ id: string }>(sql);
  return rows.map((row) => Number(row.id));
}

/** The same question by the index and by the rows, in one snapshot. */
async function both(indexed: string, plain: string): Promise<[number[], number[]]> {
  await admin.query("BEGIN ISOLATION LEVEL REPEATABLE READ");
  const byIndex = await ids(indexed, "SET LOCAL enable_seqscan = off");
  const byRows = await ids(plain, "SET LOCAL enable_seqscan = on; SET LOCAL enable_indexscan = off");
  await admin.query("COMMIT");
  return [byIndex, byRows];
}

async function expectSameRows(indexed: string, plain: string): Promise<void> {
  const [byIndex, byRows] = await both(indexed, plain);
  expect(byIndex.toSorted((a, b) => a - b)).toEqual(byRows.toSorted((a, b) => a - b));
}

async function checkBtree(): Promise<void> {
  for (let k = 0; k < KEYS; k += 13) {
    const question = `SELECT id FROM items WHERE k = ${k}`;
    await expectSameRows(question, question);
  }
}

async function checkText(): Promise<void> {
  for (let k = 0; k < KEYS; k += 13) {
    await expectSameRows(
      `SELECT id FROM items WHERE body <@> 'w${k}' < 0`,
      `SELECT id FROM items WHERE body = 'w${k}' OR body = 'w${k} new'`,
    );
  }
}

async function checkVectors(): Promise<void> {
  let found = 0;
  const questions = 10;
  for (let i = 0; i < questions; i += 1) {
    const nearest = `SELECT id FROM items ORDER BY embedding <-> ${vectorOf(String(i * 577))}`;
    const [byIndex, byRows] = await both(`${nearest} LIMIT 10`, `${nearest}, id LIMIT 40`);
    expect(byIndex).toHaveLength(10);
    found += byIndex.filter((id) => byRows.includes(id)).length;
  }
  expect(found / (10 * questions)).toBeGreaterThan(0.95);
}

async function checkHalves(): Promise<void> {
  let found = 0;
  for (let i = 0; i < 10; i += 1) {
    const nearest = `SELECT id FROM items ORDER BY embedding::halfvec(4) <-> ${vectorOf(String(i * 577))}::halfvec`;
    const [byIndex, byRows] = await both(`${nearest} LIMIT 10`, `${nearest}, id LIMIT 40`);
    expect(byIndex).toHaveLength(10);
    found += byIndex.filter((id) => byRows.includes(id)).length;
  }
  expect(found / 100).toBeGreaterThan(0.95);
}

async function checkSum(): Promise<void> {
  for (let k = 0; k < KEYS; k += 13) {
    const question = `SELECT id FROM items WHERE k + 1 = ${k}`;
    await expectSameRows(question, question);
  }
}

async function checkSome(): Promise<void> {
  for (let k = 0; k < 20; k += 3) {
    const question = `SELECT id FROM items WHERE lower(body) = 'w${k}' AND k < 20`;
    await expectSameRows(question, question);
  }
}

async function checkUnique(): Promise<void> {
  for (let id = 1; id < ROWS; id += 911) {
    const question = `SELECT id FROM items WHERE id BETWEEN ${id} AND ${id + 20} AND k >= 0`;
    await expectSameRows(question, question);
  }
}

interface Method {
  readonly method: string;
  readonly unique?: string;
  readonly on: string;
  readonly check: () => Promise<void>;
}

const METHODS: readonly Method[] = [
  { method: "btree", on: "btree (k)", check: checkBtree },
  { method: "unique btree", unique: "UNIQUE", on: "btree (id, k)", check: checkUnique },
  { method: "bm25", on: "bm25 (body) WITH (text_config = 'simple')", check: checkText },
  { method: "hnsw", on: "hnsw (embedding vector_l2_ops)", check: checkVectors },
  { method: "btree over an expression", on: "btree ((k + 1))", check: checkSum },
  {
    method: "unique btree over an expression",
    unique: "UNIQUE",
    on: "btree ((id * 2), k)",
    check: checkUnique,
  },
  {
    method: "btree over an expression of some rows",
    on: "btree (lower(body)) WHERE k < 20",
    check: checkSome,
  },
  {
    method: "hnsw over an expression",
    on: "hnsw ((embedding::halfvec(4)) halfvec_l2_ops)",
    check: checkHalves,
  },
  { method: "hnsw over some rows", on: "hnsw (embedding vector_l2_ops) WHERE k >= 0", check: checkVectors },
];

describe.each(METHODS)("$method", ({ unique = "", on, check }) => {
  test.each(["", "CONCURRENTLY"])("CREATE INDEX %s while others write", { timeout: 60_000 }, async (word) => {
    await withWriters(async (writers) => {
      await admin.query(`CREATE ${unique} INDEX ${word} built ON items USING ${on}`);
      await check();
      const before = writers.map((writer) => writer.commits);
      await check();
      await new Promise((resolve) => setTimeout(resolve, 100));
      expect(writers.some((writer, i) => writer.commits > (before[i] ?? 0))).toBe(true);
    });
    // All is at rest: the index still knows what came after its build.
    await check();
    await admin.query("DROP INDEX built");
  });

  test.skipIf(on.startsWith("hnsw"))(
    "REINDEX CONCURRENTLY while others write",
    { timeout: 60_000 },
    async () => {
      await admin.query(`CREATE ${unique} INDEX built ON items USING ${on}`);
      await withWriters(async () => {
        await admin.query("REINDEX INDEX CONCURRENTLY built");
        await check();
      });
      await check();
      await admin.query("DROP INDEX built");
    },
  );
});

test("a unique index is not made over duplicates that a writer brings, and then refuses them", async () => {
  await admin.query(
    "CREATE TABLE singles (id int, k int); INSERT INTO singles SELECT g, g FROM generate_series(1, 12000) g",
  );
  const writer = await connect(server.url, "postgres");
  await writer.query("BEGIN; INSERT INTO singles VALUES (0, 77)");
  const building = admin
    .query("CREATE UNIQUE INDEX CONCURRENTLY singles_k ON singles (k)")
    .catch((error: unknown) => error);
  await new Promise((resolve) => setTimeout(resolve, 50));
  await writer.query("COMMIT");
  expect(await building).toMatchObject({ code: "23505", detail: "Key (k)=(77) is duplicated." });
  await writer.query("DELETE FROM singles WHERE id = 0");
  await admin.query("CREATE UNIQUE INDEX singles_k2 ON singles (k)");
  await expect(writer.query("INSERT INTO singles VALUES (0, 77)")).rejects.toMatchObject({ code: "23505" });
  await writer.end();
});
