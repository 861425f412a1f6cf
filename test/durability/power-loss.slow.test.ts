// A server that is killed and loses, in addition, everything no sync had covered, the key-value store's files included. What was
// acknowledged is there after every such restart, and the folder passes `omendb check`.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { root, startServer, type TestServer } from "../support/server.ts";
import { dropUnsynced } from "./unsynced.ts";

let folder = "";
let server: TestServer | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "omendb-power-"));
  const source = join(root, "test/durability/unsynced.c");
  execFileSync("cc", [
    "-O1",
    "-shared",
    "-fPIC",
    "-o",
    join(folder, "unsynced.so"),
    source,
    "-ldl",
    "-lpthread",
  ]);
});
afterEach(async () => {
  await server?.kill();
  rmSync(folder, { recursive: true, force: true });
});

const data = (): string => join(folder, "data");
const journal = (): string => join(folder, "journal");

/** Starts the server with everything on disk as it is counting as lasting. */
async function start(isLying: boolean): Promise<TestServer> {
  rmSync(journal(), { recursive: true, force: true });
  mkdirSync(journal());
  server = await startServer(["--data", data()], {
    LD_PRELOAD: join(folder, "unsynced.so"),
    OMEN_UNSYNCED_FOLDER: data(),
    OMEN_UNSYNCED_JOURNAL: journal(),
    ...(isLying && { OMEN_UNSYNCED_LIE: "1" }),
  });
  return server;
}

async function connect(target: TestServer): Promise<Client> {
  const client = new Client({ connectionString: target.url });
  client.on("error", () => undefined);
  await client.connect();
  return client;
}

/** What has been acknowledged. */
class Ledger {
  readonly rows = new Set<number>();
  readonly tables = new Set<string>();
  #next = 0;

  /** Inserts rows until the connection breaks. */
  async insert(target: TestServer): Promise<void> {
    const client = await connect(target);
    try {
      for (;;) {
        const id = this.#next++;
        const vector = `[${id % 7},${id % 11},1]`;
        await client.query("INSERT INTO docs VALUES ($1, $2, $3)", [id, `word${id % 5} of ${id}`, vector]);
        this.rows.add(id);
      }
    } catch {
      // Killed.
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  /** Creates tables, and writes checkpoints, which is when the key-value store syncs. */
  async define(target: TestServer): Promise<void> {
    const client = await connect(target);
    try {
      for (;;) {
        const name = `t${this.#next++}`;
        await client.query(`CREATE TABLE ${name} (id int PRIMARY KEY)`);
        this.tables.add(name);
        if (this.tables.size % 5 === 0) await client.query("CHECKPOINT");
      }
    } catch {
      // Killed.
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  /** What of it is missing. */
  async missing(target: TestServer): Promise<string[]> {
    const client = await connect(target);
    try {
      const rows = await client.query<{ id: number }>("SELECT id FROM docs");
      const tables = await client.query<{ name: string }>("SELECT relname AS name FROM pg_class");
      const found = new Set(rows.rows.map(({ id }) => id));
      const names = new Set(tables.rows.map(({ name }) => name));
      const red = await client.query("SELECT id FROM docs WHERE body <@> 'word1' < 0");
      const expected = Array.from(found).filter((id) => id % 5 === 1);
      expect(red.rows, "the text index").toHaveLength(expected.length);
      return [
        ...Array.from(this.rows, (id) => (found.has(id) ? "" : `row ${id}`)),
        ...Array.from(this.tables, (name) => (names.has(name) ? "" : `table ${name}`)),
      ].filter((what) => what !== "");
    } finally {
      await client.end();
    }
  }
}

/** Writes until that many more rows are acknowledged, kills, and takes back what was not synced. */
async function crash(target: TestServer, ledger: Ledger, rows: number, seed?: number): Promise<number> {
  const goal = ledger.rows.size + rows;
  const writers = [
    ledger.insert(target),
    ledger.insert(target),
    ledger.insert(target),
    ledger.define(target),
  ];
  while (ledger.rows.size < goal) await new Promise((resolve) => setTimeout(resolve, 5));
  await target.kill();
  await Promise.all(writers);
  return dropUnsynced(data(), journal(), seed).dropped;
}

async function setUp(target: TestServer): Promise<void> {
  const client = await connect(target);
  await client.query(
    "CREATE TABLE docs (id int PRIMARY KEY, body text, v vector(3));" +
      "CREATE INDEX ON docs USING hnsw (v vector_l2_ops);" +
      "CREATE INDEX ON docs USING bm25 (body) WITH (text_config = 'simple')",
  );
  await client.end();
}

describe("loss of power", () => {
  it("loses nothing acknowledged, whatever of the unsynced survives", async () => {
    const ledger = new Ledger();
    let target = await start(false);
    await setUp(target);
    let dropped = 0;
    for (let round = 0; round < 8; round++) {
      // Nothing unsynced survives in every second round, some of it in the others.
      dropped += await crash(target, ledger, 100 + 100 * round, round % 2 === 0 ? undefined : round);
      if (round % 4 === 3) {
        const check = spawnSync(process.execPath, [join(root, "dist/bin/omendb.js"), "check", data()], {
          encoding: "utf8",
        });
        expect(check.stdout + check.stderr).not.toContain("damaged");
        expect(check.status).toBe(0);
      }
      target = await start(false);
      expect(await ledger.missing(target)).toEqual([]);
    }
    process.stdout.write(
      `${ledger.rows.size} rows and ${ledger.tables.size} tables acknowledged, ${dropped} unsynced changes dropped, 0 lost\n`,
    );
    expect(dropped).toBeGreaterThan(0);
  });

  // The negative control: where syncs count for nothing the loss is found.
  it("is found out when syncs do nothing", async () => {
    const ledger = new Ledger();
    let target = await start(false);
    await setUp(target);
    expect(await target.stop()).toBe(0);
    target = await start(true);
    await crash(target, ledger, 200);
    expect(existsSync(data())).toBe(true);
    // It is damaged so much that it does not open, or it opens without what was acknowledged.
    const outcome = await start(false).then(
      async (opened) => (await ledger.missing(opened)).length > 0,
      () => true,
    );
    expect(outcome).toBe(true);
  });
});
