// Room on disk under updates: twenty updates of every row, statement after statement, and a VACUUM leave files of less than
// twice what one leaves, for a table with btree, bm25 and hnsw indexes.
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Client } from "pg";
import { afterEach, expect, test } from "vitest";
import { connect } from "../support/client.ts";
import { startServer, type TestServer } from "../support/server.ts";

const ROWS = 1200;
const DIMENSIONS = 16;

let server: TestServer | undefined;
let client: Client | undefined;
const folders: string[] = [];
afterEach(async () => {
  await client?.end();
  await server?.stop();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

/** Bytes of files, as their file system has them allocated. */
function bytes(folder: string): number {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).blocks * 512, 0);
}

/** What the data take on disk. The log has its own bound, whatever is stored. */
function stored(folder: string): number {
  return ["rows", "vec", "graph", "text"].reduce((sum, name) => sum + bytes(join(folder, name)), 0);
}

async function start(): Promise<{ folder: string; db: Client }> {
  const folder = mkdtempSync(join(tmpdir(), "omendb-space-"));
  folders.push(folder);
  server = await startServer(["--data", folder]);
  client = await connect(server.url, "postgres");
  for (const statement of [
    `CREATE TABLE items (id int PRIMARY KEY, n int, body text, embedding vector(${DIMENSIONS}))`,
    "CREATE INDEX ON items (n)",
    "CREATE INDEX ON items USING bm25 (body)",
    "CREATE INDEX ON items USING hnsw (embedding vector_l2_ops) WITH (m = 8, ef_construction = 32)",
    `INSERT INTO items SELECT g, g, 'word' || g, ${vectorOf(0)} FROM generate_series(1, ${ROWS}) g`,
  ]) {
    await client.query(statement);
  }
  return { folder, db: client };
}

/** Another vector for every row and round. */
function vectorOf(round: number): string {
  const element = `sin(g * (0.7 + i * 0.11) + ${round})`;
  return `(SELECT array_agg(${element}) FROM generate_series(1, ${DIMENSIONS}) i)::vector(${DIMENSIONS})`;
}

/** Updates every row, and every index with it. */
async function update(db: Client, round: number): Promise<void> {
  const vector = vectorOf(round).replaceAll("g *", "id *");
  await db.query(`UPDATE items SET n = n + 1, body = 'word' || n || ' round${round}', embedding = ${vector}`);
}

async function slots(db: Client): Promise<number> {
  const { rows } = await db.query("SELECT pg_table_size('items') AS bytes");
  return Number(rows[0].bytes);
}

test("twenty updates of every row take less than twice the room of one", async () => {
  const { folder, db } = await start();
  await update(db, 1);
  await db.query("VACUUM items");
  const one = { files: stored(folder), table: await slots(db) };
  for (let round = 2; round <= 20; round++) await update(db, round);
  await db.query("VACUUM items");
  expect(stored(folder)).toBeLessThan(2 * one.files);
  // Two slots a row then, less than four now: commits wait for what makes slots free.
  expect(await slots(db)).toBeLessThan(2 * one.table);
  const nearest =
    "SELECT id FROM items ORDER BY embedding <-> (SELECT embedding FROM items WHERE id = 700) LIMIT 1";
  expect((await db.query(nearest)).rows).toEqual([{ id: "700" }]);
  const found = "SELECT count(*) FROM items WHERE body <@> 'round20' < 0";
  expect((await db.query(found)).rows).toEqual([{ count: String(ROWS) }]);
});
