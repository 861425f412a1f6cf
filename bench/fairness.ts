// `tsx bench/fairness.ts`: one session runs a long aggregate while 15 others ask point queries; prints the latencies of the
// point queries with and without the heavy one. A heavy query may take its share of the CPU, never a worker's whole event loop.
import { Client } from "pg";
import { startServer } from "../test/support/server.ts";

const SESSIONS = 15;
const SECONDS = 10;
const ROWS = 200_000;

async function connect(url: string): Promise<Client> {
  const client = new Client({ connectionString: url });
  await client.connect();
  return client;
}

async function pointQueries(clients: readonly Client[], until: () => boolean): Promise<number[]> {
  const latencies: number[] = [];
  await Promise.all(
    clients.map(async (client, i) => {
      for (let turn = 0; !until(); turn++) {
        const started = performance.now();
        await client.query({
          name: "p",
          text: "SELECT v FROM t WHERE id = $1",
          values: [(turn * 7919 + i) % ROWS],
        });
        latencies.push(performance.now() - started);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }),
  );
  return latencies;
}

function percentile(values: readonly number[], p: number): number {
  return values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * p))] ?? NaN;
}

const describe = (values: readonly number[]): string =>
  `${values.length} queries, p50 ${percentile(values, 0.5).toFixed(2)} ms, p99 ${percentile(values, 0.99).toFixed(2)} ms, max ${Math.max(...values).toFixed(2)} ms`;

const server = await startServer(["--memory"]);
const heavy = await connect(server.url);
await heavy.query("CREATE TABLE t (id int PRIMARY KEY, v int, w text)");
await heavy.query(`INSERT INTO t SELECT g, g % 1000, 'w' || g % 5000 FROM generate_series(0, ${ROWS - 1}) g`);
const clients = await Promise.all(Array.from({ length: SESSIONS }, () => connect(server.url)));
const quietEnd = performance.now() + 3000;
const quiet = await pointQueries(clients, () => performance.now() > quietEnd);
console.log(`without: ${describe(quiet)}`);
let running = true;
const started = performance.now();
const aggregate = (async () => {
  while (performance.now() - started < SECONDS * 1000) {
    await heavy.query(
      "SELECT a.w, count(*), sum(a.v + b.v) FROM t a JOIN t b ON a.v = b.v AND a.id % 20 = 0 GROUP BY a.w ORDER BY 2 DESC LIMIT 5",
    );
  }
  running = false;
})();
const loaded = await pointQueries(clients, () => !running);
await aggregate;
console.log(`beside a ${((performance.now() - started) / 1000).toFixed(1)} s aggregate: ${describe(loaded)}`);
console.log(
  JSON.stringify({
    without: { p99: percentile(quiet, 0.99) },
    beside: { p99: percentile(loaded, 0.99), max: Math.max(...loaded) },
  }),
);
await Promise.all([heavy, ...clients].map((client) => client.end()));
await server.stop();
