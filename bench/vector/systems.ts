// The two systems of a comparison and how they are asked: PostgreSQL's own clients, so that the client costs both alike and
// little. pgbench sends prepared statements with the vector as a text parameter, which is what most drivers do.
import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { cpuClock } from "../cpu.ts";

const run = promisify(execFile);

const MAX_OUTPUT_BYTES = 1 << 24;
/** pgbench takes at most 128 scripts, one per query vector. */
const MAX_SCRIPTS = 128;

export interface System {
  readonly name: "omendb" | "pgvector";
  readonly url: string;
  readonly pid: number;
}

/** Settings of a session, as `SET name = value` has them. */
export type Settings = Readonly<Record<string, string | number>>;

export async function sql(system: System, text: string): Promise<string> {
  const { stdout } = await run(
    "psql",
    ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", system.url, "-c", text],
    {
      maxBuffer: MAX_OUTPUT_BYTES,
    },
  );
  return stdout.trim();
}

/** Wall and server CPU seconds of one piece of work. */
export async function timed(
  system: System,
  work: () => Promise<unknown>,
): Promise<{ readonly seconds: number; readonly cpu: number }> {
  const cpu = cpuClock(system.pid);
  const started = performance.now();
  await work();
  return { seconds: (performance.now() - started) / 1000, cpu: cpu() };
}

/** A statement with psql variables for its parameters, and their values. */
export interface Ask {
  readonly sql: string;
  readonly values: Readonly<Record<string, string>>;
}

export interface Answers {
  /** Transactions and the wall seconds they took. */
  readonly count: number;
  readonly seconds: number;
  /** Server CPU seconds, the start of the sessions included. */
  readonly cpu: number;
  /** Wall microseconds of each transaction, as the client saw it. */
  readonly latenciesUs: readonly number[];
}

export interface Load {
  readonly settings: Settings;
  readonly clients: number;
  /** Transactions of each client, or how long they go on. */
  readonly transactions?: number;
  readonly seconds?: number;
}

/** Runs the asks in random but repeatable order with `pgbench -M prepared`. */
export async function pgbench(system: System, asks: readonly Ask[], load: Load): Promise<Answers> {
  if (asks.length > MAX_SCRIPTS) throw new Error(`pgbench takes ${MAX_SCRIPTS} scripts`);
  const folder = mkdtempSync(join(tmpdir(), "omendb-pgbench-"));
  const args = ["-n", "-M", "prepared", "--random-seed=7", "-c", String(load.clients), "--log"];
  args.push(`--log-prefix=${join(folder, "log")}`, "-j", String(Math.min(load.clients, 2)));
  if (load.transactions !== undefined) args.push("-t", String(load.transactions));
  if (load.seconds !== undefined) args.push("-T", String(load.seconds));
  for (const [i, ask] of asks.entries()) {
    let text = ask.sql;
    for (const [name, value] of Object.entries(ask.values)) {
      // Variables are shared by all scripts.
      text = text.replaceAll(`:${name}`, `:${name}${i}`);
      args.push("-D", `${name}${i}=${value}`);
    }
    const script = join(folder, `${i}.sql`);
    writeFileSync(script, `${text};\n`);
    args.push("-f", script);
  }
  const options = Object.entries(load.settings).map(([name, value]) => `-c ${name}=${value}`);
  const cpu = cpuClock(system.pid);
  const { stdout } = await run("pgbench", [...args, system.url], {
    maxBuffer: MAX_OUTPUT_BYTES,
    env: { ...process.env, PGOPTIONS: options.join(" ") },
  });
  const used = cpu();
  const rate = /^tps = ([\d.]+)/m.exec(stdout)?.[1];
  // Columns of the log: client, transaction, microseconds, script, seconds, microseconds.
  const latenciesUs = readdirSync(folder)
    .filter((name) => name.startsWith("log"))
    .flatMap((name) => readFileSync(join(folder, name), "utf8").trim().split("\n"))
    .map((line) => Number(line.split(" ")[2]));
  rmSync(folder, { recursive: true, force: true });
  if (rate === undefined) throw new Error(`pgbench said:\n${stdout}`);
  const count = latenciesUs.length;
  return { count, seconds: count / Number(rate), cpu: used, latenciesUs };
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
