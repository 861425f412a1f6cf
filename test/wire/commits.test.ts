// Answers that go out with the commit they wait for: over a worker's sockets, where a session commits in its own thread and
// where the committer does it for several. Whatever path the bytes take, the client sees what PostgreSQL would have sent.
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { type Socket, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { serialize } from "pg-protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SocketTable } from "../../wire/socket-stream.ts";
import { type TestServer, startTestServer } from "./server.ts";
import { runTranscript } from "./transcript.ts";

const folder = fileURLToPath(new URL("./", import.meta.url));
const transcripts = readdirSync(folder).filter((name) => name.endsWith(".transcript"));
const sockets = new SocketTable();

/** A client that reads whole messages when it is asked to, and not before. */
class Client {
  readonly #socket: Socket;
  #bytes: Buffer = Buffer.alloc(0);

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("error", () => undefined);
  }

  static async open(server: TestServer): Promise<Client> {
    const { host, port } = server.address;
    const client = new Client(connect({ host, port, noDelay: true }));
    client.send(serialize.startup({ user: "postgres", database: "postgres" }));
    await client.answer();
    return client;
  }

  send(...frames: readonly Uint8Array[]): void {
    this.#socket.write(Buffer.concat(frames));
  }

  /** The next message as its type and body; undefined when the server has closed. */
  async message(): Promise<{ readonly type: string; readonly body: Buffer } | undefined> {
    for (;;) {
      const length = this.#bytes.length < 5 ? undefined : this.#bytes.readInt32BE(1);
      if (length !== undefined && this.#bytes.length > length) {
        const [type, body] = [String.fromCharCode(this.#bytes[0] ?? 0), this.#bytes.subarray(5, 1 + length)];
        this.#bytes = this.#bytes.subarray(1 + length);
        return { type, body };
      }
      const chunk = await this.#chunk();
      if (chunk === undefined) return undefined;
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
    }
  }

  /** Types of messages up to ReadyForQuery, with its status, or to the end; texts of errors are their codes. */
  async answer(): Promise<string[]> {
    const types: string[] = [];
    for (;;) {
      const message = await this.message();
      if (message === undefined) return [...types, "end"];
      const { type, body } = message;
      if (type === "E") types.push(`E${/\0C(\w{5})\0/.exec(body.toString("latin1"))?.[1]}`);
      else if (type !== "Z")
        types.push(type === "D" || type === "C" ? `${type} ${readable(body, type)}` : type);
      else return [...types, `Z${body.toString()}`];
    }
  }

  async query(sql: string): Promise<string[]> {
    this.send(serialize.query(sql));
    return this.answer();
  }

  close(): void {
    this.#socket.destroy();
  }

  #chunk(): Promise<Buffer | undefined> {
    const socket = this.#socket;
    return new Promise((resolve) => {
      const settle = (): void => {
        const chunk = socket.read() as Buffer | null;
        if (chunk === null && !socket.readableEnded && !socket.destroyed) return;
        for (const event of ["readable", "end", "close"]) socket.off(event, settle);
        resolve(chunk ?? undefined);
      };
      for (const event of ["readable", "end", "close"]) socket.on(event, settle);
      settle();
    });
  }
}

/** A row's first value, or a tag. */
function readable(body: Buffer, type: string): string {
  return type === "C"
    ? body.subarray(0, -1).toString()
    : body.subarray(6, 6 + body.readInt32BE(2)).toString();
}

const run = (statement: string, values: readonly string[] = []): readonly Uint8Array[] => [
  serialize.bind({ statement, values: [...values] }),
  serialize.execute({}),
  serialize.sync(),
];

interface Way {
  readonly name: string;
  readonly isDurable: boolean;
  readonly syncsAlone: boolean;
}

const WAYS: readonly Way[] = [
  { name: "synced by the session's thread", isDurable: true, syncsAlone: true },
  { name: "synced by the committer", isDurable: true, syncsAlone: false },
  { name: "in memory", isDurable: false, syncsAlone: false },
];

describe.each(WAYS)("commits $name", ({ isDurable, syncsAlone }) => {
  const path = isDurable ? mkdtempSync(join(tmpdir(), "omendb-commits-")) : undefined;
  const open: Client[] = [];
  let server: TestServer;
  const newClient = async (): Promise<Client> => {
    const client = await Client.open(server);
    open.push(client);
    return client;
  };
  beforeAll(async () => {
    server = await startTestServer({}, { ...(path === undefined ? {} : { path }), syncsAlone, sockets });
  });
  afterAll(async () => {
    for (const client of open) client.close();
    await server.stop();
    if (path !== undefined) rmSync(path, { recursive: true });
  });

  test.each(transcripts)("%s", async (name) => {
    const recorded = readFileSync(folder + name, "utf8");
    expect(await runTranscript(recorded, server.address)).toBe(recorded);
  });

  test("a client that does not read gets every answer in the end, once and in order", async () => {
    const client = await newClient();
    await client.query("CREATE TABLE unread (id int PRIMARY KEY, note text)");
    const text = "INSERT INTO unread VALUES ($1, repeat('x', 5000)) RETURNING id || note";
    client.send(serialize.parse({ name: "add", text }), serialize.sync());
    await client.answer();
    const count = 1500;
    // One at a time, so that each answer is the last of what its client has asked for.
    for (let id = 1; id <= count; id++) {
      client.send(...run("add", [String(id)]));
      if (id % 4 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
      else await new Promise((resolve) => setImmediate(resolve));
    }
    for (let id = 1; id <= count; id++)
      expect(await client.answer()).toEqual(["2", `D ${id}${"x".repeat(5000)}`, "C INSERT 0 1", "ZI"]);
    expect(await client.query("SELECT count(*) FROM unread; DROP TABLE unread")).toContain(`D ${count}`);
  });

  test("a pipeline of commits is answered in order", async () => {
    const client = await newClient();
    await client.query("CREATE TABLE piped (id int PRIMARY KEY)");
    client.send(serialize.parse({ name: "pipe", text: "INSERT INTO piped VALUES ($1) RETURNING id" }));
    client.send(serialize.parse({ name: "begin", text: "BEGIN" }));
    client.send(serialize.parse({ name: "commit", text: "COMMIT" }), serialize.sync());
    await client.answer();
    const ids = Array.from({ length: 40 }, (_, index) => String(index));
    client.send(...ids.flatMap((id) => [...run("begin"), ...run("pipe", [id]), ...run("commit")]));
    for (const id of ids) {
      expect(await client.answer()).toEqual(["2", "C BEGIN", "ZT"]);
      expect(await client.answer()).toEqual(["2", `D ${id}`, "C INSERT 0 1", "ZT"]);
      expect(await client.answer()).toEqual(["2", "C COMMIT", "ZI"]);
    }
    // A duplicate in the middle of one fails that message alone.
    client.send(...["100", "100", "101"].flatMap((id) => run("pipe", [id])));
    expect(await client.answer()).toEqual(["2", "D 100", "C INSERT 0 1", "ZI"]);
    expect(await client.answer()).toEqual(["2", "E23505", "ZI"]);
    expect(await client.answer()).toEqual(["2", "D 101", "C INSERT 0 1", "ZI"]);
    await client.query("DROP TABLE piped");
  });

  test("what a client asks as soon as it hears finds the commit done, its own and that of others", async () => {
    const clients = await Promise.all([newClient(), newClient(), newClient()]);
    await clients[0]?.query(
      "CREATE TABLE counters (id int PRIMARY KEY, n int); INSERT INTO counters VALUES (1, 0)",
    );
    const add = "UPDATE counters SET n = n + 1 WHERE id = 1";
    await Promise.all(
      clients.map(async (client) => {
        client.send(serialize.parse({ name: "add", text: add }));
        client.send(serialize.parse({ name: "begin", text: "BEGIN" }));
        client.send(serialize.parse({ name: "commit", text: "COMMIT" }), serialize.sync());
        await client.answer();
        for (let turn = 0; turn < 30; turn++) {
          if (turn % 2 === 0) client.send(...run("add"));
          else {
            client.send(...run("begin"));
            await client.answer();
            client.send(...run("add"));
            expect(await client.answer()).toEqual(["2", "C UPDATE 1", "ZT"]);
            client.send(...run("commit"));
          }
          expect((await client.answer()).at(-1)).toBe("ZI");
        }
      }),
    );
    expect(await clients[1]?.query("SELECT n FROM counters")).toContain("D 90");
    await clients[0]?.query("DROP TABLE counters");
  });

  test("a commit that the engine refuses is answered by its error alone", async () => {
    const [one, other] = [await newClient(), await newClient()];
    await one.query(
      "CREATE TABLE skewed (id int PRIMARY KEY, n int); INSERT INTO skewed VALUES (1, 0), (2, 0)",
    );
    const begin = "BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT sum(n) FROM skewed";
    for (const [isExtended, tags] of [
      [false, ["E40001", "ZI"]],
      [true, ["2", "E40001", "ZI"]],
    ] as const) {
      other.send(serialize.parse({ text: "COMMIT" }), serialize.sync());
      await other.answer();
      await one.query(begin);
      await other.query(begin);
      await one.query("UPDATE skewed SET n = n + 1 WHERE id = 1");
      await other.query("UPDATE skewed SET n = n + 1 WHERE id = 2");
      expect(await one.query("COMMIT")).toEqual(["C COMMIT", "ZI"]);
      if (isExtended) other.send(...run("end"));
      else other.send(serialize.query("COMMIT"));
      expect(await other.answer()).toEqual(tags);
      if (!isExtended) {
        other.send(serialize.parse({ name: "end", text: "COMMIT" }), serialize.sync());
        await other.answer();
      }
    }
    expect(await other.query("SELECT sum(n) FROM skewed")).toEqual(["T", "D 2", "C SELECT 1", "ZI"]);
    await one.query("DROP TABLE skewed");
  });

  test("a session that is ended while it commits says whether it has, and then why it ends", async () => {
    const watcher = await newClient();
    await watcher.query("CREATE TABLE ended (id int PRIMARY KEY)");
    const seen = new Set<string>();
    for (let id = 1; id <= 30; id++) {
      const client = await newClient();
      const pid = (await client.query("SELECT pg_backend_pid()"))
        .find((text) => text.startsWith("D "))
        ?.slice(2);
      client.send(serialize.query(`INSERT INTO ended VALUES (${id})`));
      if (id % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
      watcher.send(serialize.query(`SELECT pg_terminate_backend(${pid})`));
      const first = await client.answer();
      const said = first.at(-1) === "ZI" ? [...first, ...(await client.answer())] : first;
      seen.add(said.join(" "));
      await watcher.answer();
      const isThere = (await watcher.query(`SELECT count(*) FROM ended WHERE id = ${id}`)).includes("D 1");
      if (said.includes("C INSERT 0 1")) expect(isThere).toBe(true);
    }
    for (const said of seen) expect(["C INSERT 0 1 ZI E57P01 end", "E57P01 end"]).toContain(said);
    await watcher.query("DROP TABLE ended");
  });

  test("a client that leaves while it commits takes nothing along", async () => {
    const watcher = await newClient();
    await watcher.query("CREATE TABLE gone (id int PRIMARY KEY)");
    for (let id = 1; id <= 20; id++) {
      const client = await newClient();
      client.send(serialize.query(`INSERT INTO gone VALUES (${id})`));
      if (id % 2 === 0) await new Promise((resolve) => setImmediate(resolve));
      client.close();
    }
    // Its locks are free, and what is there is whole.
    expect((await watcher.query("LOCK TABLE gone; SELECT count(*) FROM gone")).at(-1)).toBe("ZI");
    await watcher.query("DROP TABLE gone");
  });
});
