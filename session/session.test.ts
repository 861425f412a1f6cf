// Transaction rules and interrupts over an engine that only knows the catalogue: what the engine is told, and when.
import { describe, expect, test } from "vitest";
import type { Batch } from "../common/batch/vector.ts";
import type { Notice } from "../common/error.ts";
import { connect } from "./connect.ts";
import { Database } from "./database.ts";
import type { CopySource, ResultReceiver, SessionClient } from "./result.ts";
import type { Session } from "./session.ts";
import { CatalogEngine } from "./testing/catalog-engine.ts";

class Recorder implements ResultReceiver, SessionClient {
  readonly log: string[] = [];
  start(): void {
    // Only rows and tags matter here.
  }
  rows(batch: Batch, from: number, to: number): void {
    for (let row = from; row < to; row++) {
      this.log.push(
        batch.columns.map((column) => JSON.stringify(column.get(row)).replaceAll('"', "")).join("|"),
      );
    }
  }
  complete(tag: string): void {
    this.log.push(tag);
  }
  suspended(): void {
    this.log.push("suspended");
  }
  empty(): void {
    this.log.push("empty");
  }
  copyIn(): CopySource {
    throw new Error("no COPY here");
  }
  copyOut(): void {
    throw new Error("no COPY here");
  }
  copyData(): void {
    throw new Error("no COPY here");
  }
  copyDone(): void {
    throw new Error("no COPY here");
  }
  notice(notice: Notice): void {
    this.log.push(`${notice.severity} ${notice.code}`);
  }
  parameterStatus(name: string, value: string): void {
    this.log.push(`${name} = ${value}`);
  }
  notification(_processId: number, channel: string, payload: string): void {
    this.log.push(`heard ${channel} ${payload}`);
  }
  terminated(): void {
    this.log.push("terminated");
  }
}

interface Bench {
  readonly engine: CatalogEngine;
  readonly session: Session;
  readonly recorder: Recorder;
  readonly other: (recorder: Recorder) => Session;
  /** Runs a query string; gives what was received, an error as "CODE message". */
  readonly run: (sql: string) => Promise<string[]>;
}

async function bench(): Promise<Bench> {
  const engine = new CatalogEngine();
  const database = await Database.attach(engine.engine, undefined);
  const request = { user: "postgres", database: "postgres", settings: [] };
  const recorder = new Recorder();
  const session = connect(database, request, recorder);
  const run = async (sql: string): Promise<string[]> => {
    try {
      await session.simpleQuery(sql, recorder);
    } catch (error) {
      const { code, message } = error as Error & { code: string };
      recorder.log.push(`${code} ${message}`);
    }
    return recorder.log.splice(0);
  };
  return { engine, session, recorder, other: (client) => connect(database, request, client), run };
}

describe("transactions", () => {
  test("statements of one string share a transaction that commits before the last tag", async () => {
    const { engine, run } = await bench();
    expect(await run("SELECT 1; SELECT 2")).toEqual(["1", "SELECT 1", "2", "SELECT 1"]);
    expect(engine.journal).toEqual(["begin read committed", "commit"]);
  });

  test("an error undoes the string and leaves nothing open", async () => {
    const { engine, session, run } = await bench();
    expect(await run("SELECT 1; SELECT 1 / (SELECT 0)")).toEqual(["1", "SELECT 1", "22012 division by zero"]);
    expect(engine.journal).toEqual(["begin read committed", "abort"]);
    expect(session.transactionStatus).toBe("I");
  });

  test("BEGIN alone does not start the engine's transaction, so SET TRANSACTION can still choose", async () => {
    const { engine, run } = await bench();
    await run("BEGIN");
    expect(engine.journal).toEqual([]);
    await run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY");
    await run("SELECT 1");
    expect(engine.journal).toEqual(["begin repeatable read read only"]);
    expect(await run("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")).toEqual([
      "25001 SET TRANSACTION ISOLATION LEVEL must be called before any query",
    ]);
    expect(await run("ROLLBACK")).toEqual(["ROLLBACK"]);
  });

  test("COMMIT inside a string ends its part; what follows is a transaction of its own", async () => {
    const { engine, run } = await bench();
    await run("BEGIN; SELECT 1; COMMIT; SELECT 2");
    expect(engine.journal).toEqual(["begin read committed", "commit", "begin read committed", "commit"]);
  });

  test("a failed block refuses everything but its end", async () => {
    const { session, run } = await bench();
    await run("BEGIN");
    await run("SELECT nosuch");
    expect(session.transactionStatus).toBe("E");
    expect((await run("SHOW work_mem"))[0]).toMatch(/^25P02 /);
    expect(await run("COMMIT")).toEqual(["ROLLBACK"]);
    expect(session.transactionStatus).toBe("I");
  });

  test("definitions of a rolled back transaction are forgotten, committed ones are seen by others", async () => {
    const { run, other } = await bench();
    expect(await run("BEGIN; CREATE SCHEMA a; CREATE SCHEMA a")).toEqual([
      "BEGIN",
      "CREATE SCHEMA",
      '42P06 schema "a" already exists',
    ]);
    await run("ROLLBACK");
    expect(await run("CREATE SCHEMA a")).toEqual(["CREATE SCHEMA"]);
    const recorder = new Recorder();
    await other(recorder).simpleQuery("CREATE SCHEMA IF NOT EXISTS a", recorder);
    expect(recorder.log).toEqual(["NOTICE 42P06", "CREATE SCHEMA"]);
  });

  test("savepoints bring back settings and definitions", async () => {
    const { run } = await bench();
    await run("BEGIN; SET work_mem = '1MB'; SAVEPOINT s; SET work_mem = '2MB'; CREATE SCHEMA gone");
    await run("SELECT nosuch");
    expect(await run("ROLLBACK TO s; SHOW work_mem; CREATE SCHEMA gone")).toEqual([
      "ROLLBACK",
      "1MB",
      "SHOW",
      "CREATE SCHEMA",
    ]);
  });
});

describe("interrupts", () => {
  test("a cancel ends the running statement and not the next one", async () => {
    const { engine, session, run } = await bench();
    setTimeout(() => engine.engine.cancelSession(session.processId, undefined), 30);
    expect(await run("SELECT pg_sleep(10)")).toEqual(["57014 canceling statement due to user request"]);
    engine.engine.cancelSession(session.processId, undefined);
    expect(await run("SELECT 1")).toEqual(["1", "SELECT 1"]);
  });

  test("a terminated idle session is told at once, a running one by its statement", async () => {
    const { engine, session, run, other } = await bench();
    const idle = new Recorder();
    const target = other(idle);
    expect(await run(`SELECT pg_terminate_backend(${target.processId})`)).toEqual(["true", "SELECT 1"]);
    expect(idle.log).toEqual(["terminated"]);
    setTimeout(() => engine.engine.terminateSession(session.processId), 30);
    expect(await run("SELECT pg_sleep(10)")).toEqual([
      "57P01 terminating connection due to administrator command",
    ]);
  });

  test("statement_timeout says so", async () => {
    const { run } = await bench();
    await run("SET statement_timeout = 30");
    expect(await run("SELECT pg_sleep(10)")).toEqual(["57014 canceling statement due to statement timeout"]);
  });
});

describe("prepared statements", () => {
  test("outlive simple queries and rollbacks; the unnamed one does not", async () => {
    const { session, recorder, run } = await bench();
    session.parse("p", "SELECT current_setting('work_mem') AS a", []);
    session.parse("", "SELECT 2", []);
    await session.sync();
    await run("BEGIN; ROLLBACK");
    session.bind("", "p", [], [], []);
    await session.execute("", 0, recorder);
    await session.sync();
    expect(recorder.log.splice(0)).toEqual(["4MB", "SELECT 1"]);
    expect(() => session.bind("", "", [], [], [])).toThrow("unnamed prepared statement does not exist");
  });

  test("texts that differ in constants give their own answers", async () => {
    const { run } = await bench();
    for (const n of [1, 2, 300])
      expect(await run(`SELECT ${n} + 1, 'x${n}'`)).toEqual([`${n + 1}|x${n}`, "SELECT 1"]);
    expect(await run("SELECT 'abc'::int")).toEqual(['22P02 invalid input syntax for type integer: "abc"']);
  });
});

describe("LISTEN and NOTIFY", () => {
  test("are heard after commit, once, also by the sender, and not inside a transaction", async () => {
    const { run, other, recorder } = await bench();
    const client = new Recorder();
    const listener = other(client);
    await listener.simpleQuery("LISTEN c", client);
    await run("LISTEN c");
    await listener.simpleQuery("BEGIN", client);
    expect(await run("BEGIN; NOTIFY c, 'p'; NOTIFY c, 'p'; NOTIFY d; ROLLBACK")).not.toContain("heard c p");
    expect(await run("NOTIFY c, 'p'")).toEqual(["NOTIFY", "heard c p"]);
    expect(client.log.splice(0)).toEqual(["LISTEN", "BEGIN"]);
    await listener.simpleQuery("COMMIT", client);
    expect(client.log).toEqual(["COMMIT", "heard c p"]);
    expect(recorder.log).toEqual([]);
  });
});
