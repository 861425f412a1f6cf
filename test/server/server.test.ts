// The server as a process: what `omendb serve` promises to scripts and clients.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { afterEach, describe, expect, test, vi } from "vitest";

// Several processes start in every test; on a busy machine that alone takes long.
vi.setConfig({ testTimeout: 120_000 });

const root = fileURLToPath(new URL("../../", import.meta.url));
const tls = (name: string): string => fileURLToPath(new URL(`./tls/${name}`, import.meta.url));

interface Running {
  readonly process: ChildProcess;
  readonly url: string;
  readonly exit: Promise<number | null>;
}

const children: ChildProcess[] = [];
const folders: string[] = [];
const clients: pg.Client[] = [];

afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.end().catch(() => undefined)));
  for (const child of children.splice(0)) child.kill("SIGKILL");
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "omendb-server-"));
  folders.push(folder);
  return folder;
}

interface Launched {
  readonly process: ChildProcess;
  readonly output: { stdout: string; stderr: string };
  readonly exit: Promise<number | null>;
}

function launch(file: string, args: readonly string[], env: Record<string, string> = {}): Launched {
  const child = spawn(process.execPath, ["--import", "tsx", file, ...args], {
    cwd: root,
    env: { ...process.env, ...env },
  });
  children.push(child);
  const output = { stdout: "", stderr: "" };
  child.stdout.on("data", (chunk: Buffer) => {
    output.stdout += chunk.toString();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    output.stderr += chunk.toString();
  });
  const exit = new Promise<number | null>((resolve) => {
    child.on("exit", resolve);
  });
  return { process: child, output, exit };
}

async function serve(args: readonly string[], env: Record<string, string> = {}): Promise<Running> {
  const launched = launch("bin/omendb.ts", ["serve", "--port", "0", "--workers", "1", ...args], env);
  for (;;) {
    const url = /^ready (postgresql:\S+)$/m.exec(launched.output.stdout)?.[1];
    if (url !== undefined) return { process: launched.process, url, exit: launched.exit };
    const ended = await Promise.race([
      launched.exit,
      new Promise((resolve) => setTimeout(resolve, 20, "running")),
    ]);
    if (ended !== "running") throw new Error(`serve ended: ${launched.output.stderr}`);
  }
}

async function connect(url: string, options: pg.ClientConfig = {}): Promise<pg.Client> {
  // The driver lets the URL win over options, so the URL is taken apart here.
  const { hostname: host, port, username: user } = new URL(url);
  const client = new pg.Client({ host, port: Number(port), user, database: "postgres", ...options });
  client.on("error", () => undefined);
  await client.connect();
  clients.push(client);
  return client;
}

describe("omendb serve", () => {
  test("keeps its rows over SIGTERM, and a used folder is refused with exit 1", async () => {
    const folder = newFolder();
    const first = await serve(["--data", folder]);
    const client = await connect(first.url);
    await client.query("CREATE TABLE t (a int)");
    await client.query("INSERT INTO t VALUES (7)");
    const second = launch("bin/omendb.ts", ["serve", "--data", folder, "--port", "0"]);
    expect(await second.exit).toBe(1);
    expect(second.output.stderr).toContain("another process is using the data folder");
    const ended = new Promise((resolve) => client.on("error", resolve));
    first.process.kill("SIGTERM");
    expect(await first.exit).toBe(0);
    expect(await ended).toMatchObject({ code: "57P01" });
    const again = await serve(["--data", folder]);
    expect((await (await connect(again.url)).query("SELECT a FROM t")).rows).toEqual([{ a: 7 }]);
  });

  test("does not listen beyond loopback without a password", async () => {
    const refused = launch("bin/omendb.ts", ["serve", "--memory", "--host", "0.0.0.0", "--port", "0"]);
    expect(await refused.exit).toBe(1);
    expect(refused.output.stderr).toContain("without a password");
    expect(refused.output.stdout).toBe("");
  });

  test("asks for the password by SCRAM-SHA-256, over TLS when asked", async () => {
    const certificate = ["--tls-cert", tls("cert.pem"), "--tls-key", tls("key.pem")];
    const { url } = await serve(["--memory", ...certificate], { OMENDB_PASSWORD: "s3cret ä" });
    const plain = await connect(url, { password: "s3cret ä" });
    expect((await plain.query("SELECT 1 AS one")).rows).toEqual([{ one: 1 }]);
    const encrypted = await connect(url, { password: "s3cret ä", ssl: { rejectUnauthorized: false } });
    const large = "x".repeat(300_000);
    expect((await encrypted.query("SELECT $1::text AS s", [large])).rows).toEqual([{ s: large }]);
    await expect(connect(url, { password: "wrong" })).rejects.toMatchObject({ code: "28P01" });
    await expect(connect(url, { user: "nobody", password: "x" })).rejects.toMatchObject({ code: "28P01" });
  });

  test("serves a cancel that arrives at another worker, and refuses one client too many", async () => {
    const { url } = await serve(["--memory", "--workers", "2", "--max-connections", "2"]);
    const running = await connect(url);
    const other = await connect(url);
    await expect(connect(url)).rejects.toMatchObject({ code: "53300" });
    expect((await other.query("SHOW max_connections")).rows).toEqual([{ max_connections: "2" }]);
    const processId = (await running.query("SELECT pg_backend_pid() AS id")).rows[0] as { id: number };
    const sleeping = running.query("SELECT pg_sleep(20)").catch((error: unknown) => error);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await other.query("SELECT pg_cancel_backend($1)", [processId.id]);
    expect(await sleeping).toMatchObject({ code: "57014" });
  });

  test("shows the shared_buffers it was started with, and refuses a size that is none", async () => {
    const { url } = await serve(["--memory", "--shared-buffers", "256MB"]);
    const client = await connect(url);
    const { rows } = await client.query("SELECT current_setting('shared_buffers') AS size");
    expect(rows).toEqual([{ size: "256MB" }]);
    await client.query("RESET ALL");
    expect((await client.query("SHOW shared_buffers")).rows).toEqual([{ shared_buffers: "256MB" }]);
    await expect(client.query("SET shared_buffers = '1GB'")).rejects.toMatchObject({ code: "55P02" });
    const refused = launch("bin/omendb.ts", ["serve", "--memory", "--port", "0", "--shared-buffers", "8kB"]);
    expect(await refused.exit).toBe(1);
    expect(refused.output.stderr).toContain('parameter "shared_buffers"');
  });

  test("goes on when a worker dies: its locks are freed, its place is taken", async () => {
    const child = launch("test/server/worker-death-child.ts", []);
    expect(await child.exit, child.output.stderr).toBe(0);
    expect(JSON.parse(child.output.stdout)).toEqual({ updated: 1, rows: [{ a: 3 }], answer: [{ n: 1 }] });
  });
});
