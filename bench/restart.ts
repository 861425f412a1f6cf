// `tsx bench/restart.ts [--rows N] [--vectors N] [--data FOLDER] [--keep] [--json FILE]`: how long a killed server is away. A folder
// with rows of about 100 B under a bm25 index and vectors(384) under an hnsw index is filled; then, several times, clients
// write, the server is killed with SIGKILL and started again, and the time from the start of the process to its first answers
// is taken. What had been acknowledged before each kill has to be there.
//
// --keep leaves the folder, and a folder that was filled is not filled again. Loading goes through psql's \copy.
import { execFile } from "node:child_process";
import { createWriteStream, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";
import { Client } from "pg";
import { startServer, type TestServer } from "../test/support/server.ts";
import { randomSource } from "./dataset.ts";

const run = promisify(execFile);

const ROUNDS = 3;
const DIMENSIONS = 384;
const CENTRES = 1000;
/** Rows of each kind written, one commit each, before a kill. */
const WRITES = 500;

/** Wanted, in seconds. */
const TARGETS = { select: 2, nearest: 5 };

/** Seconds from the start of the process. */
interface Round {
  readonly ready: number;
  readonly select: number;
  readonly nearest: number;
  readonly text: number;
  readonly count: number;
}

/** Vectors around centres, as embeddings lie, rather than spread evenly, where every neighbour is as far as the next. */
function vectors(seed: number): (into: Float32Array) => void {
  const random = randomSource(1);
  const centres = Array.from({ length: CENTRES }, () => Float32Array.from({ length: DIMENSIONS }, random));
  const own = randomSource(seed);
  return (into) => {
    const centre = centres[Math.floor(own() * CENTRES)] as Float32Array;
    for (let d = 0; d < DIMENSIONS; d++) into[d] = (centre[d] as number) + 0.3 * (own() - 0.5);
  };
}

function body(id: number): string {
  const random = randomSource(id);
  const word = (): string => `w${Math.floor(20_000 * random() ** 3)}`;
  return Array.from({ length: 16 }, word).join(" ").padEnd(96, ".");
}

async function writeRows(file: string, count: number): Promise<void> {
  const out = createWriteStream(file);
  for (let id = 0; id < count; id += 1000) {
    const rows = Array.from({ length: Math.min(1000, count - id) }, (_, i) => `${id + i}\t${body(id + i)}\n`);
    if (!out.write(rows.join(""))) await once(out, "drain");
  }
  out.end();
  await once(out, "finish");
}

/** A binary COPY file: int4 key and a vector in pgvector's binary form. */
async function writeVectors(file: string, count: number): Promise<void> {
  const out = createWriteStream(file, { highWaterMark: 1 << 20 });
  const head = Buffer.alloc(19);
  head.write("PGCOPY\n\xff\r\n\0", "latin1");
  out.write(head);
  const fill = vectors(2);
  const vector = new Float32Array(DIMENSIONS);
  const vectorBytes = 4 + DIMENSIONS * 4;
  for (let id = 0; id < count; id++) {
    const row = Buffer.alloc(2 + 8 + 4 + vectorBytes);
    let at = row.writeInt16BE(2, 0);
    at = row.writeInt32BE(4, at);
    at = row.writeInt32BE(id, at);
    at = row.writeInt32BE(vectorBytes, at);
    at = row.writeInt16BE(DIMENSIONS, at) + 2;
    fill(vector);
    for (const value of vector) at = row.writeFloatBE(value, at);
    if (!out.write(row)) await once(out, "drain");
  }
  out.end(Buffer.from([0xff, 0xff]));
  await once(out, "finish");
}

async function sql(url: string, text: string): Promise<void> {
  await run("psql", ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", text]);
}

async function load(server: TestServer, folder: string, rows: number, vectorCount: number): Promise<void> {
  const step = async (what: string, work: () => Promise<void>): Promise<void> => {
    const from = performance.now();
    await work();
    console.log(`${what}: ${((performance.now() - from) / 1000).toFixed(1)} s`);
  };
  const [text, binary] = [join(folder, "rows.txt"), join(folder, "vectors.bin")];
  await step("files generated", async () => {
    await Promise.all([writeRows(text, rows), writeVectors(binary, vectorCount)]);
  });
  const { url } = server;
  await sql(url, "CREATE TABLE docs (id int PRIMARY KEY, body text)");
  await sql(url, `CREATE TABLE items (id int PRIMARY KEY, v vector(${DIMENSIONS}))`);
  await step(`COPY of ${rows} rows`, () => sql(url, `\\copy docs FROM '${text}'`));
  await step(`COPY of ${vectorCount} vectors`, () =>
    sql(url, `\\copy items FROM '${binary}' WITH (FORMAT binary)`),
  );
  rmSync(text);
  rmSync(binary);
  await step("CREATE INDEX bm25", () =>
    sql(url, "CREATE INDEX docs_body ON docs USING bm25 (body) WITH (text_config = 'simple')"),
  );
  await step("CREATE INDEX hnsw", () =>
    sql(url, "SET maintenance_work_mem = '2GB'; CREATE INDEX items_v ON items USING hnsw (v vector_l2_ops)"),
  );
}

async function connect(server: TestServer): Promise<Client> {
  const client = new Client({ connectionString: server.url });
  client.on("error", () => undefined);
  await client.connect();
  return client;
}

/** Acknowledged commits of one row each, from `from` on. */
async function write(server: TestServer, from: number): Promise<void> {
  const client = await connect(server);
  const fill = vectors(from);
  const vector = new Float32Array(DIMENSIONS);
  for (let id = from; id < from + WRITES; id++) {
    await client.query("INSERT INTO docs VALUES ($1, $2)", [id, body(id)]);
    fill(vector);
    await client.query("INSERT INTO items VALUES ($1, $2)", [id, `[${vector.join(",")}]`]);
  }
  await client.end();
}

/** Starts a killed server; `counts` are the rows that must be there. */
async function restart(data: string, counts: { docs: number; items: number }): Promise<[TestServer, Round]> {
  const from = performance.now();
  const passed = (): number => (performance.now() - from) / 1000;
  const server = await startServer(["--data", data]);
  const ready = passed();
  const client = await connect(server);
  const [doc] = (await client.query("SELECT body FROM docs WHERE id = 7")).rows as { body: string }[];
  const select = passed();
  if (doc?.body !== body(7)) throw new Error("the first SELECT gave another row");
  const query = new Float32Array(DIMENSIONS);
  vectors(3)(query);
  const nearestSql = "SELECT id FROM items ORDER BY v <-> $1 LIMIT 10";
  const near = await client.query(nearestSql, [`[${query.join(",")}]`]);
  const nearest = passed();
  const found = await client.query("SELECT id FROM docs ORDER BY body <@> 'w7' LIMIT 10");
  const text = passed();
  const counted = await client.query(
    "SELECT (SELECT count(*) FROM docs)::int AS docs, (SELECT count(*) FROM items)::int AS items",
  );
  const count = passed();
  if (near.rows.length !== 10 || found.rows.length !== 10) throw new Error("a search gave too few rows");
  const actual = JSON.stringify(counted.rows[0]);
  if (actual !== JSON.stringify(counts)) throw new Error(`${actual} rows, not ${JSON.stringify(counts)}`);
  const plan = await client.query(`EXPLAIN ${nearestSql}`, [`[${query.join(",")}]`]);
  if (!JSON.stringify(plan.rows).includes("items_v")) throw new Error("the search did not use the index");
  await client.end();
  return [server, { ready, select, nearest, text, count }];
}

function print(rounds: readonly Round[]): void {
  const names = ["ready", "select", "nearest", "text", "count"] as const;
  const titles = {
    ready: "accepts connections",
    select: "first SELECT by key",
    nearest: "first indexed kNN",
    text: "first bm25 search",
    count: "count(*) of both tables",
  };
  console.log(
    `\nseconds since the process began | ${rounds.map((_, i) => `round ${i + 1}`).join(" | ")} | at most`,
  );
  for (const name of names) {
    const target = name === "select" || name === "nearest" ? `${TARGETS[name]}` : "";
    const cells = rounds.map((round) => round[name].toFixed(2).padStart(7));
    console.log(`${titles[name].padEnd(31)} | ${cells.join(" | ")} | ${target}`);
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rows: { type: "string", default: "1000000" },
      vectors: { type: "string", default: "200000" },
      data: { type: "string" },
      keep: { type: "boolean", default: false },
      json: { type: "string" },
    },
  });
  const [rows, vectorCount] = [Number(values.rows), Number(values.vectors)];
  const folder = values.data ?? mkdtempSync(join(tmpdir(), "omendb-restart-"));
  const data = join(folder, "data");
  const isFilled = existsSync(data);
  let server = await startServer(["--data", data]);
  try {
    if (!isFilled) await load(server, folder, rows, vectorCount);
    const client = await connect(server);
    // A kept folder has rows of earlier rounds.
    const { rows: present } = await client.query<{ docs: number; items: number; top: number }>(
      `SELECT (SELECT count(*) FROM docs)::int AS docs, (SELECT count(*) FROM items)::int AS items,
       greatest((SELECT max(id) FROM docs), (SELECT max(id) FROM items))::int AS top`,
    );
    await client.end();
    let { docs, items, top } = present[0] ?? { docs: 0, items: 0, top: 0 };
    const rounds: Round[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      await write(server, top + 1);
      [docs, items, top] = [docs + WRITES, items + WRITES, top + WRITES];
      await server.kill();
      const [next, times] = await restart(data, { docs, items });
      server = next;
      rounds.push(times);
      console.log(`round ${round + 1}: ${JSON.stringify(times)}`);
    }
    print(rounds);
    if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(rounds, null, 2)}\n`);
  } finally {
    await server.kill();
    if (!values.keep) rmSync(folder, { recursive: true, force: true });
  }
}

await main();
