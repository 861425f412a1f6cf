// kill -9 while clients write rows, vectors and text, in the middle of COPY and of CREATE INDEX. After each restart every
// acknowledged commit is there, nothing else is, and both search indexes agree with the exact answer.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { from as copyFrom } from "pg-copy-streams";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startServer, type TestServer } from "../support/server.ts";

const DIMENSIONS = 8;
const WORDS = Array.from({ length: 40 }, (_, i) => `word${i}`);

let folder = "";
let server: TestServer | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "omendb-kill9-"));
});
afterEach(async () => {
  await server?.kill();
  rmSync(folder, { recursive: true, force: true });
});

async function start(): Promise<TestServer> {
  server = await startServer(["--data", folder]);
  return server;
}

async function connect(target: TestServer): Promise<Client> {
  const client = new Client({ connectionString: target.url });
  client.on("error", () => undefined);
  await client.connect();
  return client;
}

/** The content of document `id` at `version`, so that a torn row shows. */
function documentOf(id: number, version: number): { readonly body: string; readonly vector: string } {
  let state = (id * 7919 + version * 104729 + 1) >>> 0;
  const next = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 4294967296;
  };
  const words = Array.from({ length: 6 }, () => WORDS[Math.floor(next() * WORDS.length)]);
  const vector = Array.from({ length: DIMENSIONS }, () =>
    (next() * 2 - 1).toFixed(3).replace(/^-0\.000$/, "0.000"),
  );
  return { body: `${words.join(" ")} doc${id} v${version}`, vector: `[${vector.map(Number).join(",")}]` };
}

/** Versions a document may have: one when the last write was acknowledged, two while it was in flight at the kill. */
type Possible = readonly (number | undefined)[];

class Writer {
  readonly states = new Map<number, Possible>();
  readonly #offset: number;
  readonly #stride: number;
  #next: number;

  constructor(offset: number, stride: number) {
    this.#offset = offset;
    this.#stride = stride;
    this.#next = offset;
  }

  /** Writes until the connection breaks. */
  async run(target: TestServer): Promise<void> {
    const client = await connect(target);
    try {
      for (let turn = 0; ; turn++) await this.#write(client, turn);
    } catch {
      // The server was killed: what was in flight stays possible both ways.
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  async #write(client: Client, turn: number): Promise<void> {
    const known = Array.from(this.states.entries()).filter(
      ([, versions]) => versions.length === 1 && versions[0] !== undefined,
    );
    const existing = known[(turn * 31 + this.#offset) % Math.max(known.length, 1)];
    if (existing === undefined || turn % 3 !== 0) {
      const id = this.#next;
      this.#next += this.#stride;
      const { body, vector } = documentOf(id, 1);
      await this.#apply(client, id, [undefined, 1], "INSERT INTO docs VALUES ($1, 1, $2, $3)", [
        id,
        body,
        vector,
      ]);
      return;
    }
    const [id, [version]] = existing;
    if (turn % 4 === 0) {
      await this.#apply(client, id, [version, undefined], "DELETE FROM docs WHERE id = $1", [id]);
      return;
    }
    const next = (version ?? 0) + 1;
    const { body, vector } = documentOf(id, next);
    await this.#apply(
      client,
      id,
      [version, next],
      "UPDATE docs SET version = $2, body = $3, embedding = $4 WHERE id = $1",
      [id, next, body, vector],
    );
  }

  async #apply(
    client: Client,
    id: number,
    inFlight: Possible,
    sql: string,
    values: readonly unknown[],
  ): Promise<void> {
    this.states.set(id, inFlight);
    await client.query(sql, [...values]);
    this.states.set(id, inFlight.slice(1));
  }
}

async function createDocuments(client: Client): Promise<void> {
  await client.query("CREATE EXTENSION IF NOT EXISTS vector");
  await client.query(
    `CREATE TABLE docs (id int PRIMARY KEY, version int NOT NULL, body text NOT NULL, embedding vector(${DIMENSIONS}) NOT NULL)`,
  );
  await client.query("CREATE INDEX docs_embedding ON docs USING hnsw (embedding vector_l2_ops)");
  await client.query("CREATE INDEX docs_body ON docs USING bm25 (body) WITH (text_config = 'simple')");
}

async function checkDocuments(client: Client, writers: readonly Writer[]): Promise<number> {
  const rows = (await client.query("SELECT id, version, body, embedding::text AS vector FROM docs")).rows as {
    id: number;
    version: number;
    body: string;
    vector: string;
  }[];
  const found = new Map(rows.map((row) => [row.id, row]));
  for (const writer of writers) {
    for (const [id, versions] of writer.states) {
      expect(versions, `version of document ${id}`).toContain(found.get(id)?.version);
      const version = found.get(id)?.version;
      // What survived is now the truth.
      writer.states.set(id, [version]);
    }
  }
  const known = new Set(writers.flatMap((writer) => Array.from(writer.states.keys())));
  for (const row of rows) {
    expect(known, "a row that nobody wrote").toContain(row.id);
    expect({ body: row.body, vector: row.vector }).toEqual(documentOf(row.id, row.version));
  }
  await checkIndexes(client, rows);
  return rows.length;
}

async function checkIndexes(
  client: Client,
  rows: readonly { readonly id: number; readonly body: string; readonly vector: string }[],
): Promise<void> {
  for (const row of rows.slice(0, 20)) {
    const nearest = "SELECT id FROM docs ORDER BY embedding <-> $1 LIMIT 5";
    const indexed = (await client.query(nearest, [row.vector])).rows;
    await client.query("SET omendb.exact = on");
    const exact = (await client.query(nearest, [row.vector])).rows;
    await client.query("RESET omendb.exact");
    expect(indexed[0]).toEqual(exact[0]);
    expect(indexed).toHaveLength(exact.length);
  }
  for (const word of WORDS.slice(0, 10)) {
    const matching = (
      await client.query("SELECT id FROM docs WHERE body <@> $1 < 0 ORDER BY id", [word])
    ).rows.map((row: { id: number }) => row.id);
    const expected = rows.filter((row) => row.body.split(" ").includes(word)).map((row) => row.id);
    expect(matching).toEqual(expected.toSorted((a, b) => a - b));
  }
}

describe("kill -9", () => {
  it("loses no acknowledged write and shows no other, over five restarts", async () => {
    const writers = [0, 1, 2, 3].map((offset) => new Writer(offset, 4));
    let target = await start();
    const setup = await connect(target);
    await createDocuments(setup);
    await setup.end();
    for (let cycle = 0; cycle < 5; cycle++) {
      const running = writers.map((writer) => writer.run(target));
      await new Promise((resolve) => setTimeout(resolve, 500 + cycle * 400));
      await target.kill();
      await Promise.all(running);
      target = await start();
      const client = await connect(target);
      expect(await checkDocuments(client, writers)).toBeGreaterThan(0);
      await client.end();
    }
  });

  it("in the middle of COPY: all rows or none", async () => {
    let target = await start();
    const client = await connect(target);
    await createDocuments(client);
    const stream = client.query(copyFrom("COPY docs FROM STDIN"));
    stream.on("error", () => undefined);
    for (let id = 0; id < 30_000; id++) {
      const { body, vector } = documentOf(id, 1);
      stream.write(`${id}\t1\t${body}\t${vector}\n`);
    }
    await new Promise((resolve) => setTimeout(resolve, 300));
    await target.kill();
    await client.end().catch(() => undefined);
    target = await start();
    const after = await connect(target);
    expect((await after.query("SELECT count(*)::int AS n FROM docs")).rows).toEqual([{ n: 0 }]);
    await after.query("INSERT INTO docs VALUES (1, 1, $1, $2)", [
      documentOf(1, 1).body,
      documentOf(1, 1).vector,
    ]);
    await checkIndexes(after, [{ id: 1, ...documentOf(1, 1) }]);
    await after.end();
  });

  it("in the middle of CREATE INDEX: the table is whole and the index is not there", async () => {
    let target = await start();
    const client = await connect(target);
    await client.query(`CREATE TABLE docs (id int PRIMARY KEY, embedding vector(${DIMENSIONS}))`);
    await client.query(
      "INSERT INTO docs SELECT g, array_fill(g::float8 / 7, ARRAY[8])::vector FROM generate_series(1, 20000) g",
    );
    const building = client
      .query(
        "CREATE INDEX docs_embedding ON docs USING hnsw (embedding vector_l2_ops) WITH (m = 32, ef_construction = 400)",
      )
      .catch(() => "killed");
    await new Promise((resolve) => setTimeout(resolve, 300));
    await target.kill();
    expect(await building).toBe("killed");
    target = await start();
    const after = await connect(target);
    expect((await after.query("SELECT count(*)::int AS n FROM docs")).rows).toEqual([{ n: 20000 }]);
    expect(
      (await after.query("SELECT count(*)::int AS n FROM pg_class WHERE relname = 'docs_embedding'")).rows,
    ).toEqual([{ n: 0 }]);
    await after.query("CREATE INDEX docs_embedding ON docs USING hnsw (embedding vector_l2_ops)");
    await after.end();
  });
});
