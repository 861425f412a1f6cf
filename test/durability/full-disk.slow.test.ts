// A disk that really fills up: a small tmpfs under the data folder. The server answers reads and refuses writes with 53100, goes
// on once there is room, and after a kill nothing acknowledged is missing. Needs root, for mount.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { from as copyFrom } from "pg-copy-streams";
import { pipeline } from "node:stream/promises";
import { Readable } from "node:stream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { root, startServer, type TestServer } from "../support/server.ts";

const DISK_FULL = "53100";
const SMALL = "72m";
const LARGE = "400m";
const BODY = "0123456789abcdef".repeat(512);

let folder = "";
let data = "";
let server: TestServer | undefined;
let isMounted = false;

function mount(options: string): boolean {
  return spawnSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", data]).status === 0;
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "omendb-full-"));
  data = join(folder, "data");
  mkdirSync(data);
  isMounted = process.getuid?.() === 0 && mount(`size=${SMALL}`);
});
afterEach(async () => {
  await server?.kill();
  if (isMounted) spawnSync("umount", [data]);
  rmSync(folder, { recursive: true, force: true });
});

async function connect(target: TestServer): Promise<Client> {
  const client = new Client({ connectionString: target.url });
  await client.connect();
  return client;
}

/** Inserts rows from `from` on until an error; how many were acknowledged, and the error's code. */
async function fill(client: Client, from: number): Promise<{ readonly next: number; readonly code: string }> {
  for (let id = from; ; id++) {
    try {
      await client.query("INSERT INTO t VALUES ($1, $2, $3)", [id, BODY, `[${id},1,1]`]);
    } catch (error) {
      return { next: id, code: (error as { code: string }).code };
    }
  }
}

async function count(client: Client): Promise<number> {
  return Number((await client.query<{ n: string }>("SELECT count(*) AS n FROM t")).rows[0]?.n);
}

describe("a full disk", () => {
  it("refuses writes with 53100, answers reads, and takes writes again when there is room", async (context) => {
    if (!isMounted) context.skip("only root can mount the small file system that this needs");
    server = await startServer(["--data", data]);
    let client = await connect(server);
    await client.query("CREATE TABLE t (id int PRIMARY KEY, body text, v vector(3))");
    await client.query("CREATE INDEX ON t USING hnsw (v vector_l2_ops)");
    const first = await fill(client, 0);
    expect(first.code).toBe(DISK_FULL);
    expect(first.next).toBeGreaterThan(100);

    expect(await count(client)).toBe(first.next);
    const nearest = "SELECT id FROM t ORDER BY v <-> '[17,1,1]' LIMIT 1";
    expect((await client.query(nearest)).rows).toEqual([{ id: 17 }]);
    expect((await client.query("SELECT id FROM t WHERE body = $1 AND id = 5", [BODY])).rows).toEqual([
      { id: 5 },
    ]);
    for (const sql of ["DELETE FROM t WHERE id = 3", "CREATE TABLE u (id int)"])
      await expect(client.query(sql)).rejects.toMatchObject({ code: DISK_FULL });
    const lines = Readable.from(
      Array.from({ length: 3000 }, (_, i) => `${1_000_000 + i}\t${BODY}\t[1,1,1]\n`),
    );
    await expect(pipeline(lines, client.query(copyFrom("COPY t FROM STDIN")))).rejects.toMatchObject({
      code: DISK_FULL,
    });
    expect(await count(client)).toBe(first.next);

    // A server that is killed while the disk is full needs room for a log segment, says so, and comes back with all of it.
    await client.end();
    await server.kill();
    await expect(startServer(["--data", data])).rejects.toThrow(/No space left on device/);
    expect(mount(`remount,size=${LARGE}`)).toBe(true);
    server = await startServer(["--data", data]);
    client = await connect(server);
    expect(await count(client)).toBe(first.next);

    await expect
      .poll(
        async () => client.query("INSERT INTO t VALUES (-1, '', '[0,0,0]')").then(() => "taken", String),
        {
          timeout: 20_000,
          interval: 200,
        },
      )
      .toBe("taken");
    for (let id = first.next; id < first.next + 50; id++)
      await client.query("INSERT INTO t VALUES ($1, $2, '[1,2,3]')", [id, BODY]);
    await client.query("CHECKPOINT");
    await client.end();
    await server.kill();

    const check = spawnSync(process.execPath, [join(root, "dist/bin/omendb.js"), "check", data], {
      encoding: "utf8",
    });
    expect(check.stdout + check.stderr).not.toContain("damaged");
    server = await startServer(["--data", data]);
    client = await connect(server);
    expect(await count(client)).toBe(first.next + 51);
    await client.end();
  });
});
