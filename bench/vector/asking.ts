// Asking a system the same prepared statement again and again: what it answers, and what an answer costs.
import { cpuClock } from "../cpu.ts";
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

/** A session of its own with one prepared statement, executed with each of the parameter lists in turn. */
export class Asking {
  readonly #session: BenchSession;
  readonly #system: System;
  readonly #work: readonly Buffer[];

  private constructor(session: BenchSession, system: System, work: readonly Buffer[]) {
    this.#session = session;
    this.#system = system;
    this.#work = work;
  }

  static async open(
    system: System,
    sql: string,
    parameters: readonly (readonly string[])[],
    settings: Settings,
  ): Promise<Asking> {
    const session = await BenchSession.open(system, settings);
    await session.prepare("asked", sql);
    const work = parameters.map((values) => session.execution("asked", values));
    return new Asking(session, system, work);
  }

  /** Executes the statement for some seconds, or so many times where that is said. */
  async warmUp(limits: { readonly seconds?: number; readonly executions?: number }): Promise<void> {
    const { seconds = Number.POSITIVE_INFINITY, executions = Number.POSITIVE_INFINITY } = limits;
    const until = performance.now() + seconds * 1000;
    for (let i = 0; i < executions && performance.now() < until; i++) await this.#session.run(this.#at(i));
  }

  /** Executes the statement `executions` times in all (at least once for each list). CPU is the server's. */
  async round(executions: number): Promise<Asked> {
    const answers: (readonly number[])[] = [];
    const wallUs: number[] = [];
    const cpu = cpuClock(this.#system.pid);
    const count = Math.max(executions, this.#work.length);
    for (let i = 0; i < count; i++) {
      const started = performance.now();
      const rows = await this.#session.run(this.#at(i));
      wallUs.push((performance.now() - started) * 1000);
      if (i < this.#work.length) answers.push(rows);
    }
    return { answers, cpuUs: (cpu() / count) * 1e6, p50Us: median(wallUs) };
  }

  close(): void {
    this.#session.close();
  }

  #at(execution: number): Buffer {
    return this.#work[execution % this.#work.length] as Buffer;
  }
}

/** One round on a session of its own that has been warmed up a little. */
export async function ask(
  system: System,
  sql: string,
  parameters: readonly (readonly string[])[],
  options: { readonly settings: Settings; readonly executions: number },
): Promise<Asked> {
  const asking = await Asking.open(system, sql, parameters, options.settings);
  await asking.warmUp({ executions: WARM_UPS });
  const asked = await asking.round(options.executions);
  asking.close();
  return asked;
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
  const repeat = async (): Promise<void> => {
    const asking = await Asking.open(system, sql, parameters, settings);
    await asking.warmUp({ seconds });
    asking.close();
  };
  await Promise.all([repeat(), repeat()]);
}
