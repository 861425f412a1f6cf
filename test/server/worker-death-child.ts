// Run as a process of its own by server.test.ts: a server whose first worker dies while one of its sessions holds a row lock.
// Prints what happened as JSON.
import type { Worker } from "node:worker_threads";
import pg from "pg";
import { startServer } from "../../bin/serve.ts";

const workers: Worker[] = [];
process.on("worker", (worker: Worker) => workers.push(worker));
const server = await startServer({
  path: undefined,
  host: "127.0.0.1",
  port: 0,
  workers: 2,
  superuser: "postgres",
  password: undefined,
  maxConnections: undefined,
  tls: undefined,
});

async function connect(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: server.url });
  client.on("error", () => undefined);
  await client.connect();
  return client;
}

// Placement is least-loaded first: these two are on different workers, and the first worker has the first one.
const holder = await connect();
const waiter = await connect();
await holder.query("CREATE TABLE t (a int)");
await holder.query("INSERT INTO t VALUES (1)");
await holder.query("BEGIN");
await holder.query("UPDATE t SET a = 2");
const waiting = waiter.query("UPDATE t SET a = 3");
await new Promise((resolve) => setTimeout(resolve, 200));
await workers[0]?.terminate();
const updated = (await waiting).rowCount;
const rows = (await waiter.query("SELECT a FROM t")).rows as unknown[];

// The dead worker is replaced: a new connection finds a free seat there.
while (workers.length < 3) await new Promise((resolve) => setTimeout(resolve, 50));
const newcomer = await connect();
const answer = (await newcomer.query("SELECT count(*)::int AS n FROM t")).rows as unknown[];
await Promise.all([waiter.end(), newcomer.end()]);
await server.stop();
process.stdout.write(JSON.stringify({ updated, rows, answer }), () => process.exit(0));
