// omendb backup, restore and check as a user runs them: a copy taken while clients write is the acknowledged history up to
// a commit, passes the check, serves, and a damaged copy is found out.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { root, startServer, type TestServer } from "../support/server.ts";

let folder = "";
let server: TestServer | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "omendb-backup-"));
});
afterEach(async () => {
  await server?.kill();
  rmSync(folder, { recursive: true, force: true });
});

function omendb(...args: string[]): { readonly status: number | null; readonly output: string } {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(root, "dist/bin/omendb.js"), ...args],
    {
      encoding: "utf8",
    },
  );
  return { status, output: stdout + stderr };
}

async function connect(url: string): Promise<Client> {
  const client = new Client({ connectionString: url });
  await client.connect();
  return client;
}

/** Starts a backup; says when it has begun to copy files, or is over. */
async function copyOf(
  server: TestServer,
  target: string,
): Promise<{ readonly outcome: Promise<string>; readonly streams: boolean }> {
  const [copier, watcher] = [await connect(server.url), await connect(server.url)];
  const copying = { isOver: false };
  const outcome = copier
    .query("SELECT database_backup($1)", [target])
    .then(() => "done")
    .catch(() => "ended")
    .finally(() => {
      copying.isOver = true;
    });
  // A server that is killed takes its connections along.
  for (const client of [copier, watcher]) client.on("error", () => undefined);
  const phase = "SELECT 1 FROM pg_stat_progress_basebackup WHERE phase = 'streaming database files'";
  let streams = false;
  while (!streams && !copying.isOver) streams = (await watcher.query(phase)).rows.length > 0;
  return { outcome, streams };
}

describe("backup", () => {
  it("goes on beside checkpoints; a server killed meanwhile loses nothing and keeps nothing of it", {
    timeout: 120_000,
  }, async () => {
    const [data, copy] = [join(folder, "data"), join(folder, "copy")];
    server = await startServer(["--data", data]);
    let client = await connect(server.url);
    client.on("error", () => undefined);
    const vector = "(SELECT array_agg(i * 0.01) FROM generate_series(1, 512) i)::vector";
    for (const statement of [
      "CREATE TABLE t (id int PRIMARY KEY, n int, v vector(512))",
      `INSERT INTO t SELECT g, 0, ${vector} FROM generate_series(1, 20000) g`,
      "CREATE TABLE gone (id int, v vector(512))",
      "INSERT INTO gone SELECT id, v FROM t WHERE id <= 5000",
    ]) {
      await client.query(statement);
    }
    const { outcome, streams } = await copyOf(server, copy);
    await client.query("DROP TABLE gone");
    await client.query("UPDATE t SET n = n + 1, v = v + v WHERE id % 100 = 0");
    await client.query("CHECKPOINT");
    await server.kill();
    // A copy that was not over is none.
    const isOver = (await outcome) === "done";
    expect(streams || isOver).toBe(true);
    expect(omendb("restore", copy, "--data", join(folder, "again")).status === 0).toBe(isOver);

    server = await startServer(["--data", data]);
    client = await connect(server.url);
    const { rows } = await client.query("SELECT count(*), sum(n) FROM t");
    expect(rows).toEqual([{ count: "20000", sum: "200" }]);
    await client.query("CHECKPOINT");
    await client.end();
    expect(await server.stop()).toBe(0);
    // Of the table that is gone nothing stays.
    expect(readdirSync(join(data, "vec"))).toHaveLength(1);
    expect(omendb("check", data)).toMatchObject({ status: 0 });
  });

  it("copies a database under load, and the copy passes the check and serves", {
    timeout: 60_000,
  }, async () => {
    const [data, copy, again] = [join(folder, "data"), join(folder, "copy"), join(folder, "again")];
    server = await startServer(["--data", data]);
    const client = await connect(server.url);
    await client.query(
      "CREATE TABLE t (id int PRIMARY KEY, body text, v vector(3));" +
        "CREATE INDEX ON t USING hnsw (v vector_l2_ops);" +
        "CREATE INDEX ON t USING bm25 (body)",
    );
    const insert = "INSERT INTO t VALUES ($1, 'red fish', '[1,2,3]')";
    let written = 0;
    for (; written < 200; written++) await client.query(insert, [written]);
    const before = written;
    const copier = await connect(server.url);
    const answer = copier.query<{ commit: string }>("SELECT database_backup($1) AS commit", [copy]);
    const copying = { isOver: false };
    void answer.finally(() => {
      copying.isOver = true;
    });
    for (; !copying.isOver; written++) await client.query(insert, [written]);
    expect(Number((await answer).rows[0]?.commit)).toBeGreaterThan(0);
    await expect(copier.query("SELECT database_backup($1)", [copy])).rejects.toMatchObject({ code: "58P02" });
    // A cancelled backup leaves nothing behind.
    const { pid } = (await copier.query<{ pid: number }>("SELECT pg_backend_pid() AS pid")).rows[0] ?? {
      pid: 0,
    };
    const cancelled = join(folder, "cancelled");
    const outcome = copier
      .query("SELECT database_backup($1)", [cancelled])
      .then(() => "done")
      .catch((error: unknown) => (error as { code: string }).code);
    await client.query("SELECT pg_cancel_backend($1)", [pid]);
    const isCancelled = (await outcome) === "57014";
    // The copy of a small database may be quicker than the cancel.
    expect(existsSync(cancelled)).toBe(!isCancelled);
    await Promise.all([copier.end(), client.end()]);
    expect(omendb("check", data).output).toContain("in use");
    await server.kill();

    expect(omendb("restore", copy, "--data", again)).toMatchObject({ status: 0 });
    server = await startServer(["--data", again]);
    const reader = await connect(server.url);
    const { rows } = await reader.query<{ id: number }>("SELECT id FROM t ORDER BY id");
    // A prefix of what was written, with all that was acknowledged before the backup began.
    expect(rows.map(({ id }) => id)).toEqual(rows.map((_, i) => i));
    expect(rows.length).toBeGreaterThanOrEqual(before);
    expect(rows.length).toBeLessThanOrEqual(written);
    const found = await reader.query("SELECT id FROM t ORDER BY body <@> 'fish', id LIMIT 5");
    expect(found.rows).toHaveLength(5);
    await reader.end();
    expect(await server.stop()).toBe(0);

    const rowsFolder = join(copy, "vec");
    const [column = ""] = readdirSync(rowsFolder);
    const segment = join(rowsFolder, column, "00000000.seg");
    const bytes = readFileSync(segment);
    bytes[16] = (bytes[16] ?? 0) ^ 1;
    writeFileSync(segment, bytes);
    const report = omendb("check", copy);
    expect(report.status).toBe(1);
    expect(report.output).toContain("damaged");
    expect(omendb("restore", copy, "--data", join(folder, "third")).status).toBe(1);
  });
});
