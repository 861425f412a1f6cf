// `tsx bench/durable.ts --pg URL --pg-pid PID [--pgvector URL --pgvector-pid PID] [--data FOLDER] [--only WORDS] [--json FILE]`:
// durable writes and loading beside PostgreSQL, both with every commit synced, on the same disk in the same run. Rounds
// alternate between the systems, so that a busy neighbour meets both. The clients are PostgreSQL's own: pgbench for inserts
// and its "simple update" transactions, psql's \copy for loading.
//
// The databases of the URLs get tables of these names, dropped before and after. OmenDB is started here on a fresh folder;
// give --data when the temporary folder is on another disk than PostgreSQL's.
import { execFile } from "node:child_process";
import { createWriteStream, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";
import { startServer } from "../test/support/server.ts";
import { cpuClock } from "./cpu.ts";

const run = promisify(execFile);

const ROUNDS = 3;
const SECONDS = 4;
const SCALE = 10;
const COPY_ROWS = 1_000_000;
const VECTOR_ROWS = 100_000;
const DIMENSIONS = 384;
const MAX_OUTPUT_BYTES = 1 << 24;

interface System {
  readonly name: "omendb" | "postgresql";
  readonly url: string;
  readonly pid: number;
}

/** Work done, the seconds it took, and the server's CPU seconds. */
interface Round {
  readonly count: number;
  readonly seconds: number;
  readonly cpu: number;
}

interface Figure {
  readonly perSecond: number;
  readonly cpuUs: number;
}

interface Measure {
  readonly name: string;
  /** Wanted, as a ratio of rates. */
  readonly target: number;
  readonly rounds: number;
  /** Rounds before those: what a server does first it has not compiled yet. */
  readonly warmUps: number;
  readonly systems: readonly System[];
  readonly prepare?: (system: System) => Promise<void>;
  readonly round: (system: System) => Promise<{ readonly count: number; readonly seconds?: number }>;
  readonly cleanUp: string;
}

interface Result {
  readonly measure: string;
  readonly target: number;
  readonly omendb: Figure;
  readonly postgresql: Figure;
  readonly rate: number;
  readonly cpu: number;
}

async function sql(system: System, text: string): Promise<void> {
  await run("psql", ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", system.url, "-c", text], {
    maxBuffer: MAX_OUTPUT_BYTES,
  });
}

async function pgbench(
  system: System,
  args: readonly string[],
): Promise<{ readonly count: number; readonly seconds: number }> {
  const { stdout } = await run("pgbench", [...args, system.url], { maxBuffer: MAX_OUTPUT_BYTES });
  const count = /transactions actually processed: (\d+)/.exec(stdout)?.[1];
  const rate = /^tps = ([\d.]+)/m.exec(stdout)?.[1];
  if (count === undefined || rate === undefined) throw new Error(`pgbench said:\n${stdout}`);
  return { count: Number(count), seconds: Number(count) / Number(rate) };
}

function inserts(systems: readonly System[], folder: string, clients: number, target: number): Measure {
  const script = join(folder, `insert-${clients}.sql`);
  // Ids of a client's own range, ascending; a round begins where none has been.
  writeFileSync(
    script,
    "\\set n :n + 1\n\\set id :client_id * 100000000 + :n\nINSERT INTO durable_ins VALUES (:id, 'a note of some length');\n",
  );
  return {
    name: `single-row INSERT, ${clients} client${clients === 1 ? "" : "s"}`,
    target,
    rounds: ROUNDS,
    warmUps: 0,
    systems,
    prepare: (system) =>
      sql(
        system,
        "DROP TABLE IF EXISTS durable_ins; CREATE TABLE durable_ins (id bigint PRIMARY KEY, note text)",
      ),
    round: async (system) => {
      await sql(system, "TRUNCATE durable_ins");
      return pgbench(system, [
        "-n",
        "-M",
        "prepared",
        "-f",
        script,
        "-D",
        "n=0",
        "-c",
        String(clients),
        "-T",
        String(SECONDS),
      ]);
    },
    cleanUp: "DROP TABLE durable_ins",
  };
}

function simpleUpdate(systems: readonly System[]): Measure {
  return {
    name: "pgbench -N -M prepared, 16 clients",
    target: 1,
    rounds: ROUNDS,
    warmUps: 0,
    systems,
    prepare: async (system) => {
      await run("pgbench", ["-i", "-q", "-s", String(SCALE), system.url]);
    },
    round: (system) => pgbench(system, ["-n", "-N", "-M", "prepared", "-c", "16", "-T", String(SECONDS)]),
    cleanUp: "DROP TABLE pgbench_accounts, pgbench_branches, pgbench_history, pgbench_tellers",
  };
}

function copy(
  systems: readonly System[],
  options: Pick<Measure, "name" | "target"> & {
    readonly table: string;
    readonly columns: string;
    readonly file: string;
    readonly format: string;
    readonly rows: number;
  },
): Measure {
  const { table, columns, file, format, rows } = options;
  return {
    name: options.name,
    target: options.target,
    rounds: ROUNDS,
    warmUps: 1,
    systems,
    prepare: (system) => sql(system, "CREATE EXTENSION IF NOT EXISTS vector").catch(() => undefined),
    round: async (system) => {
      await sql(system, `DROP TABLE IF EXISTS ${table}; CREATE TABLE ${table} (${columns})`);
      const started = performance.now();
      await sql(system, `\\copy ${table} FROM '${file}' WITH (FORMAT ${format})`);
      return { count: rows, seconds: (performance.now() - started) / 1000 };
    },
    cleanUp: `DROP TABLE ${table}`,
  };
}

/** A text COPY file: int8 key and 120 characters. */
async function writeRows(file: string): Promise<void> {
  const out = createWriteStream(file);
  for (let id = 0; id < COPY_ROWS; id++) {
    const text = `${id.toString(36).padStart(8, "0")}${"abcdefghijklmnopqrstuvwxyz012345".repeat(4)}`.slice(
      0,
      120,
    );
    if (!out.write(`${id}\t${text}\n`)) await once(out, "drain");
  }
  out.end();
  await once(out, "finish");
}

/** A binary COPY file: int4 key and a vector in pgvector's binary form. */
async function writeVectors(file: string): Promise<void> {
  const out = createWriteStream(file);
  const head = Buffer.alloc(19);
  head.write("PGCOPY\n\xff\r\n\0", "latin1");
  out.write(head);
  const vectorBytes = 4 + DIMENSIONS * 4;
  for (let id = 0; id < VECTOR_ROWS; id++) {
    const row = Buffer.alloc(2 + 8 + 4 + vectorBytes);
    row.writeInt16BE(2, 0);
    row.writeInt32BE(4, 2);
    row.writeInt32BE(id, 6);
    row.writeInt32BE(vectorBytes, 10);
    row.writeInt16BE(DIMENSIONS, 14);
    for (let i = 0; i < DIMENSIONS; i++) row.writeFloatBE(Math.sin(id * 31 + i * 17), 18 + i * 4);
    if (!out.write(row)) await once(out, "drain");
  }
  out.write(Buffer.from([0xff, 0xff]));
  out.end();
  await once(out, "finish");
}

async function timed(measure: Measure, system: System): Promise<Round> {
  const cpu = cpuClock(system.pid);
  const started = performance.now();
  const { count, seconds } = await measure.round(system);
  return {
    count,
    seconds: seconds ?? (performance.now() - started) / 1000,
    cpu: cpu(),
  };
}

function figure(rounds: readonly Round[]): Figure {
  const sum = (of: (round: Round) => number): number => rounds.reduce((total, round) => total + of(round), 0);
  const count = sum((round) => round.count);
  return {
    perSecond: count / sum((round) => round.seconds),
    cpuUs: (sum((round) => round.cpu) / count) * 1e6,
  };
}

async function perform(measure: Measure): Promise<Result> {
  const rounds: Record<System["name"], Round[]> = { omendb: [], postgresql: [] };
  for (const system of measure.systems) await measure.prepare?.(system);
  for (let i = -measure.warmUps; i < measure.rounds; i++) {
    for (const system of measure.systems) {
      const round = await timed(measure, system);
      if (i >= 0) rounds[system.name].push(round);
    }
  }
  for (const system of measure.systems) await sql(system, measure.cleanUp);
  const [omendb, postgresql] = [figure(rounds.omendb), figure(rounds.postgresql)];
  return {
    measure: measure.name,
    target: measure.target,
    omendb,
    postgresql,
    rate: omendb.perSecond / postgresql.perSecond,
    cpu: omendb.cpuUs / postgresql.cpuUs,
  };
}

function print(results: readonly Result[]): void {
  const show = ({ perSecond, cpuUs }: Figure): string =>
    `${Math.round(perSecond)}/s, cpu ${cpuUs < 20 ? cpuUs.toFixed(2) : cpuUs.toFixed(0)} us`;
  const rows = [
    ["measure", "omendb", "postgresql", "rate", "wanted", "cpu"],
    ...results.map((result) => [
      result.measure,
      show(result.omendb),
      show(result.postgresql),
      `${result.rate.toFixed(2)}x`,
      `${result.target.toFixed(1)}x`,
      `${result.cpu.toFixed(2)}x`,
    ]),
  ];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  for (const row of rows) console.log(row.map((cell, column) => cell.padEnd(widths[column]!)).join("  "));
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      pg: { type: "string" },
      "pg-pid": { type: "string" },
      pgvector: { type: "string" },
      "pgvector-pid": { type: "string" },
      data: { type: "string" },
      only: { type: "string" },
      json: { type: "string" },
    },
  });
  if (values.pg === undefined) throw new Error("--pg names the PostgreSQL to compare with");
  const folder = mkdtempSync(join(values.data ?? tmpdir(), "omendb-durable-"));
  const server = await startServer(["--data", join(folder, "data")]);
  const omendb: System = { name: "omendb", url: server.url, pid: server.process.pid ?? 0 };
  const plain: System = { name: "postgresql", url: values.pg, pid: Number(values["pg-pid"] ?? 0) };
  const vectors: System = {
    name: "postgresql",
    url: values.pgvector ?? values.pg,
    pid: Number(values["pgvector-pid"] ?? values["pg-pid"] ?? 0),
  };
  const text = join(folder, "rows.txt");
  const binary = join(folder, "vectors.bin");
  const measures = [
    inserts([omendb, plain], folder, 1, 1),
    inserts([omendb, plain], folder, 16, 1.2),
    simpleUpdate([omendb, plain]),
    copy([omendb, plain], {
      name: "COPY, 1M rows of 128 B, primary key",
      target: 1.2,
      table: "durable_rows",
      columns: "id bigint PRIMARY KEY, note text",
      file: text,
      format: "text",
      rows: COPY_ROWS,
    }),
    copy([omendb, vectors], {
      name: "COPY BINARY, 100k vector(384)",
      target: 1.5,
      table: "durable_vectors",
      columns: `id int, emb vector(${DIMENSIONS})`,
      file: binary,
      format: "binary",
      rows: VECTOR_ROWS,
    }),
  ].filter(({ name }) => values.only === undefined || name.includes(values.only));
  const results: Result[] = [];
  try {
    if (measures.some(({ name }) => name.startsWith("COPY,"))) await writeRows(text);
    if (measures.some(({ name }) => name.startsWith("COPY BINARY"))) await writeVectors(binary);
    for (const measure of measures) {
      const result = await perform(measure);
      results.push(result);
      print([result]);
    }
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
  print(results);
  console.log(JSON.stringify(results));
  if (values.json !== undefined) writeFileSync(values.json, JSON.stringify(results, null, 1));
}

await main();
