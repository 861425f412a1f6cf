// A connection that knows what may fail: errors that concurrency and kills explain are counted, all others are faults.
import { once } from "node:events";
import type { Client } from "pg";
import { from as copyFrom } from "pg-copy-streams";
import { connect } from "../../support/client.ts";
import type { World } from "./world.ts";

/** A statement that takes longer hangs: its own timeout is a third of this. */
const STUCK_MS = 90_000;

/** What the workload brings upon itself. */
const EXPECTED = new Set([
  "40001", // serialization
  "40P01", // deadlock
  "55P03", // lock_timeout, NOWAIT
  "57014", // cancelled, statement_timeout
  "57P01", // terminated
  "57P03", // the server is starting
  "42725", // a text search while another client has made a second index over the column
  "42701", // a column that another client has added
  "42703", // a column that another client has dropped
  "42704", // an index that another client has dropped
  "42P01", // the same, as a relation
  "42P07", // a name that another client's index has taken
]);

/** The statement's transaction is undone; nothing is wrong. */
export class Refused extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** The connection is gone, and with it the answer: what was asked may have happened or not. */
export class Lost extends Error {}

export interface Answer {
  readonly rows: readonly (readonly (string | null)[])[];
  readonly rowCount: number | null;
}

export class Connection {
  readonly #client: Client;
  readonly #world: World;

  private constructor(client: Client, world: World) {
    this.#client = client;
    this.#world = world;
  }

  /** Connects, again and again while there is no server. Throws Lost when the run is over. */
  static async open(world: World): Promise<Connection> {
    while (Date.now() < world.deadline + STUCK_MS) {
      try {
        const connection = new Connection(await connect(world.url, "postgres"), world);
        await connection.query("SET statement_timeout = '30s'; SET lock_timeout = '5s'");
        return connection;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    }
    throw new Lost("no server");
  }

  /**
   * Runs `sql`, by the extended protocol where `values` are given. Throws Refused for an error that is explained, or one of
   * `allowed`; Lost for a connection that broke; notes every other error as a fault and throws it as Refused.
   */
  async query(sql: string, values?: readonly unknown[], allowed: readonly string[] = []): Promise<Answer> {
    const config = { text: sql, rowMode: "array" as const, ...(values && { values: [...values] }) };
    return this.#guard(sql, allowed, async () => {
      const result = await this.#client.query<(string | null)[]>(config);
      // Several statements in one string give several results: the last one counts.
      return Array.isArray(result) ? ((result as unknown[]).at(-1) as Answer) : result;
    });
  }

  /** COPY `target` FROM STDIN; resolves with the number of rows. */
  async copy(target: string, data: Buffer | string): Promise<number> {
    const sql = `COPY ${target}`;
    return this.#guard(sql, [], async () => {
      const stream = this.#client.query(copyFrom(sql));
      const finished = once(stream, "finish");
      stream.end(data);
      await finished;
      return stream.rowCount;
    });
  }

  async close(): Promise<void> {
    await this.#client.end().catch(() => undefined);
  }

  async #guard<T>(sql: string, allowed: readonly string[], work: () => Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const stuck = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        this.#world.report.fault("stuck", sql);
        reject(new Lost("stuck"));
      }, STUCK_MS);
    });
    const working = work();
    // A statement that was given up fails later, when its connection is closed.
    working.catch(() => undefined);
    try {
      return await Promise.race([working, stuck]);
    } catch (error) {
      throw this.#explain(sql, allowed, error);
    } finally {
      clearTimeout(timer);
    }
  }

  #explain(sql: string, allowed: readonly string[], error: unknown): Error {
    if (error instanceof Lost) return error;
    const { code, message, severity } = error as {
      readonly code?: string;
      readonly message: string;
      readonly severity?: string;
    };
    const { report } = this.#world;
    // Only the server's errors have a severity: without one it is the socket's.
    if (code === undefined || severity === undefined) return new Lost(message);
    if (!EXPECTED.has(code) && !allowed.includes(code)) report.fault(`${code} ${message}`, sql);
    report.count(`error ${code}`);
    return severity === "FATAL" ? new Lost(message) : new Refused(code, message);
  }
}
