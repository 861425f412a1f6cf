// Asking a system the same prepared statement again and again: what it answers, and what an answer costs.
import { cpuSeconds } from "../cpu.ts";
import { BenchSession } from "./session.ts";
import { median, type Settings, type System } from "./systems.ts";

/** PostgreSQL may change to a generic plan after five executions; code gets warm. */
const WARM_UPS = 20;

export interface Asked {
  /** First column by query: of the first time it was asked. */
  readonly answers: readonly (readonly number[])[];
  readonly cpuUs: number;
  readonly p50Us: number;
}

/**
 * Executes `sql` with each of the parameter lists in turn, `executions` times in all (at least each once), on a session of
 * its own that has been warmed up. CPU is the server's.
 */
export async function ask(
  system: System,
  sql: string,
  parameters: readonly (readonly string[])[],
  options: { readonly settings: Settings; readonly executions: number },
): Promise<Asked> {
  const session = await BenchSession.open(system, options.settings);
  await session.prepare("asked", sql);
  const work = parameters.map((values) => session.execution("asked", values));
  for (const execution of work.slice(0, WARM_UPS)) await session.run(execution);
  const answers: (readonly number[])[] = [];
  const wallUs: number[] = [];
  const cpu = cpuSeconds(system.pid);
  const count = Math.max(options.executions, work.length);
  for (let i = 0; i < count; i++) {
    const started = performance.now();
    const rows = await session.run(work[i % work.length] as Buffer);
    wallUs.push((performance.now() - started) * 1000);
    if (i < work.length) answers.push(rows);
  }
  const cpuUs = ((cpuSeconds(system.pid) - cpu) / count) * 1e6;
  session.close();
  return { answers, cpuUs, p50Us: median(wallUs) };
}

/**
 * Lets a server get warm: two sessions at once (OmenDB's may lie on two threads, each with code of its own to compile) repeat
 * the statement for some seconds.
 */
export async function warmUp(
  system: System,
  sql: string,
  parameters: readonly (readonly string[])[],
  settings: Settings,
  seconds: number,
): Promise<void> {
  const until = performance.now() + seconds * 1000;
  const repeat = async (): Promise<void> => {
    const session = await BenchSession.open(system, settings);
    await session.prepare("asked", sql);
    const work = parameters.map((values) => session.execution("asked", values));
    for (let i = 0; performance.now() < until; i++) await session.run(work[i % work.length] as Buffer);
    session.close();
  };
  await Promise.all([repeat(), repeat()]);
}
