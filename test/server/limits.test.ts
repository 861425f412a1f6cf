// Memory that the server is given, and what keeps to it: snapshots that hold too much are given up (72000), whatever their
// readers are in the middle of, and tables larger than the buffers are read, updated and joined as others are.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Client } from "pg";
import { afterEach, describe, expect, test } from "vitest";
import { connect } from "../support/client.ts";
import { startServer, type TestServer } from "../support/server.ts";

let server: TestServer | undefined;
const clients: Client[] = [];
const folders: string[] = [];
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.end()));
  await server?.stop();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

async function client(): Promise<Client> {
  const connected = await connect(server?.url ?? "", "postgres");
  clients.push(connected);
  return connected;
}

async function start(sharedBuffers: string, folder?: string): Promise<Client> {
  const where = folder === undefined ? ["--memory"] : ["--data", folder];
  server = await startServer([...where, "--shared-buffers", sharedBuffers]);
  return client();
}

const code = (outcome: Promise<unknown>): Promise<string> =>
  outcome.then(
    () => "done",
    (error: { code?: string }) => error.code ?? "",
  );

describe("a snapshot that keeps too much", () => {
  const ROWS = 500;
  const NEAREST = "SELECT id FROM docs ORDER BY embedding <-> '[7,1]'";
  const RANKED = "SELECT id FROM docs ORDER BY body <@> 'common'";
  const statements = {
    scan: "SELECT id, length(body) FROM docs",
    "index scan": "SELECT id FROM docs WHERE id BETWEEN 10 AND 400 ORDER BY id",
    "vector search": NEAREST,
    "text search": RANKED,
    "filtered vector search": `SELECT id FROM docs WHERE n < 400 ORDER BY embedding <-> '[7,1]'`,
  };

  /** Some 3 MB of dead rows; eight times 128 kB are let be. */
  async function churn(db: Client): Promise<void> {
    for (let round = 0; round < 20; round++)
      await db.query(
        `UPDATE docs SET body = body || ' round${round}', embedding = ARRAY[id, ${round}]::vector`,
      );
  }

  async function fill(): Promise<Client> {
    const db = await start("128kB");
    for (const statement of [
      "CREATE TABLE docs (id int PRIMARY KEY, n int, body text, embedding vector(2))",
      "CREATE INDEX ON docs USING bm25 (body)",
      "CREATE INDEX ON docs USING hnsw (embedding vector_l2_ops)",
      `INSERT INTO docs SELECT g, g, 'common ' || repeat('word' || g || ' ', 30), ARRAY[g, 1]::vector
       FROM generate_series(1, ${ROWS}) g`,
    ])
      await db.query(statement);
    return db;
  }

  test("ends for whoever reads with it, and for nobody else", async () => {
    const db = await fill();
    const readers = await Promise.all(
      Object.entries(statements).map(async ([kind, sql]) => {
        const reader = await client();
        await reader.query("BEGIN ISOLATION LEVEL REPEATABLE READ");
        expect((await reader.query(`${sql} LIMIT 5`)).rows.length, kind).toBe(5);
        return { kind, sql, reader };
      }),
    );
    await churn(db);
    for (const { kind, sql, reader } of readers) {
      expect(await code(reader.query(`${sql} LIMIT 5`)), kind).toBe("72000");
      expect(await code(reader.query("SELECT 1")), kind).toBe("25P02");
      await reader.query("ROLLBACK");
      expect((await reader.query(`${sql} LIMIT 5`)).rows.length, kind).toBe(5);
    }
  });

  test("ends a cursor in its middle, whatever it walks", async () => {
    const db = await fill();
    const readers = await Promise.all(
      Object.entries(statements).map(async ([kind, sql]) => {
        const reader = await client();
        await reader.query("BEGIN ISOLATION LEVEL REPEATABLE READ");
        await reader.query(`DECLARE c CURSOR FOR ${sql}`);
        const { rows } = await reader.query("FETCH 20 FROM c");
        expect(rows.length, kind).toBe(20);
        return { kind, reader, seen: new Set(rows.map((row) => row.id)) };
      }),
    );
    await churn(db);
    for (const { kind, reader, seen } of readers) {
      let ended = "";
      while (ended === "") {
        const fetched = await reader.query("FETCH 100 FROM c").catch((error: { code: string }) => {
          ended = error.code;
        });
        // What was read before the snapshot went may still be given out: rows of then, each once.
        for (const { id } of fetched?.rows ?? []) {
          expect(seen.has(id), `${kind}: row ${id} twice`).toBe(false);
          seen.add(id);
        }
        if (fetched?.rows.length === 0) ended = "end";
      }
      if (ended === "end")
        expect(seen.size, kind).toBe(kind.startsWith("filtered") ? 399 : kind === "index scan" ? 391 : ROWS);
      else expect(ended, kind).toBe("72000");
      await reader.query("ROLLBACK");
    }
  });
});

test("a table of three times the buffers scans, updates and joins correctly, and so it does after a restart", async () => {
  const folder = mkdtempSync(join(tmpdir(), "omendb-limits-"));
  folders.push(folder);
  let db = await start("512kB", folder);
  const rows = 10_000;
  await db.query("CREATE TABLE big (id int PRIMARY KEY, other int, n int, filler text)");
  // 1.6 MB and more.
  await db.query(
    `INSERT INTO big SELECT g, ${rows + 1} - g, 0, repeat(chr(97 + g % 26), 150) FROM generate_series(1, ${rows}) g`,
  );
  const check = async (n: (id: number) => number): Promise<void> => {
    const sum = Array.from({ length: rows }, (_, i) => n(i + 1)).reduce((a, b) => a + b, 0);
    const scan =
      "SELECT count(*), sum(id), sum(n), count(DISTINCT filler) FROM big WHERE length(filler) = 150";
    const all = { count: `${rows}`, sum: String((rows * (rows + 1)) / 2) };
    expect((await db.query({ text: scan, rowMode: "array" })).rows).toEqual([
      [all.count, all.sum, String(sum), "26"],
    ]);
    const join =
      "SELECT count(*), sum(a.id), sum(b.n) FROM big a JOIN big b ON a.other = b.id WHERE a.filler >= 'a'";
    expect((await db.query({ text: join, rowMode: "array" })).rows).toEqual([
      [all.count, all.sum, String(sum)],
    ]);
    const some = [1, 77, 4096, 4097, 9_345, rows];
    const byKey = `SELECT id, n FROM big WHERE id = ANY ('{${some.join(",")}}') ORDER BY id`;
    expect((await db.query(byKey)).rows).toEqual(some.map((id) => ({ id: String(id), n: String(n(id)) })));
  };
  await check(() => 0);
  await db.query("UPDATE big SET n = id % 7");
  await check((id) => id % 7);
  // In the middle of a transaction that has changed more than the buffers hold, and after its end.
  await db.query("BEGIN; UPDATE big SET n = n + 1 WHERE id % 2 = 0");
  await check((id) => (id % 7) + (id % 2 === 0 ? 1 : 0));
  await db.query("ROLLBACK");
  await check((id) => id % 7);
  await db.query("UPDATE big a SET n = b.n + 10 FROM big b WHERE b.id = a.other");
  const swapped = (id: number): number => ((rows + 1 - id) % 7) + 10;
  await check(swapped);
  await Promise.all(clients.splice(0).map((one) => one.end()));
  await server?.stop();
  db = await start("512kB", folder);
  await check(swapped);
});
