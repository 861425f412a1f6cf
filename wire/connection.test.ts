// The state machine over a worker's sockets with a made-up session behind it. What the bytes mean is judged by pg-protocol, the
// parser of the `pg` driver: an independent reading of the protocol.
import { type AddressInfo, type Server, type Socket, connect, createServer } from "node:net";
import { parse as parseBackend, serialize } from "pg-protocol";
import { afterEach, describe, expect, test } from "vitest";
import { ConstantVector, Int32Vector } from "../common/batch/vector.ts";
import { SqlError } from "../common/error.ts";
import { Oid } from "../common/types/oid.ts";
import type { TypeContext } from "../common/types/type.ts";
import { dup } from "../native/index.ts";
import type { ResultColumn, ResultReceiver } from "../session/result.ts";
import type { WireSession } from "../session/wire-session.ts";
import { makeVerifier } from "./auth/scram.ts";
import { Connection } from "./connection.ts";
import { SocketTable } from "./socket-stream.ts";
import type { ConnectionHost } from "./startup.ts";

type BackendMessage = Parameters<Parameters<typeof parseBackend>[1]>[0];

const TYPES: TypeContext = {
  dateStyle: { format: "ISO", order: "MDY" },
  intervalStyle: "postgres",
  timeZone: "UTC",
  extraFloatDigits: 1,
  byteaOutput: "hex",
  now: () => 0,
};

function column(name: string, typeOid: number, typeLength: number): ResultColumn {
  return { name, tableOid: 0, attnum: 0, typeOid, typeLength, typmod: -1 };
}

/** Understands "rows N", "copy", "wait", "fail"; everything else is one row with the text itself. */
class FakeSession implements WireSession {
  readonly processId = 77;
  readonly secretKey = 99;
  readonly calls: string[] = [];
  transactionStatus: "I" | "T" | "E" = "I";
  isClosed = false;
  interrupted: () => void = () => undefined;

  reportedSettings(): [string, string][] {
    return [["server_version", "15.0"]];
  }
  async simpleQuery(sql: string, receiver: ResultReceiver): Promise<void> {
    if (sql === "fail") throw new SqlError("22012", "division by zero", { position: 8 });
    if (sql === "die") throw new SqlError("57P01", "terminating", { severity: "FATAL" });
    if (sql === "wait") {
      await new Promise<void>((resolve) => {
        this.interrupted = resolve;
      });
      throw new SqlError("57014", "canceling statement due to user request");
    }
    if (sql === "copy") return this.#copy(receiver);
    const rows = Number(/^rows (\d+)$/.exec(sql)?.[1] ?? "1");
    receiver.start([column("text", Oid.text, -1), column("n", Oid.int4, 4)], [], TYPES);
    const numbers = Int32Array.from({ length: rows }, (_, index) => index - 1);
    const batch = {
      columns: [new ConstantVector(sql, rows), new Int32Vector(numbers, undefined, rows)],
      rowCount: rows,
    };
    await receiver.rows(batch, 0, rows);
    receiver.complete(`SELECT ${rows}`);
  }
  async #copy(receiver: ResultReceiver): Promise<void> {
    const source = receiver.copyIn({ isBinary: false, columnCount: 2 });
    let bytes = 0;
    for (let chunk = await source.next(); chunk !== undefined; chunk = await source.next())
      bytes += chunk.length;
    receiver.complete(`COPY ${bytes}`);
  }
  parse(name: string, sql: string): void {
    this.calls.push(`parse ${name} ${sql}`);
    if (sql === "fail") throw new SqlError("42601", "syntax error");
  }
  bind(
    portal: string,
    statement: string,
    _formats: readonly number[],
    values: readonly (Uint8Array | null)[],
  ): void {
    this.calls.push(`bind ${portal} ${statement} ${values.map((v) => v?.toString() ?? "NULL").join(",")}`);
  }
  describeStatement(): { parameterTypes: number[]; columns: undefined } {
    return { parameterTypes: [Oid.int4], columns: undefined };
  }
  describePortal(): { columns: ResultColumn[]; formats: number[] } {
    return { columns: [column("b", Oid.int4, 4)], formats: [1] };
  }
  async execute(portal: string, maxRows: number, receiver: ResultReceiver): Promise<void> {
    this.calls.push(`execute ${portal} ${maxRows}`);
    receiver.complete("SELECT 0");
  }
  closeStatement(name: string): void {
    this.calls.push(`close statement ${name}`);
  }
  closePortal(name: string): void {
    this.calls.push(`close portal ${name}`);
  }
  async sync(): Promise<void> {
    this.calls.push("sync");
  }
  fail(): void {
    this.calls.push("fail");
  }
  interrupt(): void {
    this.interrupted();
  }
  close(): void {
    this.isClosed = true;
  }
}

interface Peer {
  readonly socket: Socket;
  readonly session: FakeSession;
  readonly messages: BackendMessage[];
  readonly send: (...parts: Uint8Array[]) => void;
  /** Resolves with everything received so far once a message named `name` came `count` times. */
  readonly until: (name: string, count?: number) => Promise<BackendMessage[]>;
  closed: Promise<void>;
}

const sockets = new SocketTable();
let server: Server | undefined;
let peer: Peer | undefined;

afterEach(async () => {
  peer?.socket.destroy();
  await new Promise((resolve) => server?.close(resolve));
});

async function open(overrides: Partial<ConnectionHost> = {}): Promise<Peer> {
  const session = new FakeSession();
  const host: ConnectionHost = {
    openSession: () => session,
    cancel: () => undefined,
    authentication: "trust",
    hasTls: false,
    refusal: () => undefined,
    ...overrides,
  };
  let reportClosed: () => void = () => undefined;
  const closed = new Promise<void>((resolve) => {
    reportClosed = resolve;
  });
  server = createServer({ pauseOnConnect: true }, (socket) => {
    const fd = dup((socket as unknown as { readonly _handle: { readonly fd: number } })._handle.fd);
    socket.destroy();
    Connection.accept(sockets.adopt(fd), { host, onClosed: reportClosed });
  });
  await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  const messages: BackendMessage[] = [];
  // Counted rather than searched: some tests receive hundreds of thousands of messages.
  const counts = new Map<string, number>();
  let check: (name: string) => void = () => undefined;
  socket.on("error", () => undefined);
  const receive = (message: BackendMessage): void => {
    messages.push(message);
    counts.set(message.name, (counts.get(message.name) ?? 0) + 1);
    check(message.name);
  };
  parseBackend(socket, receive).catch(() => undefined);
  socket.on("end", () => receive({ name: "end" } as unknown as BackendMessage));
  const until = (name: string, count = 1): Promise<BackendMessage[]> =>
    new Promise((resolve) => {
      check = (received) => {
        if (received !== name || (counts.get(name) ?? 0) < count) return;
        counts.clear();
        resolve(messages.splice(0));
      };
      check(name);
    });
  peer = { socket, session, messages, send: (...parts) => socket.write(Buffer.concat(parts)), until, closed };
  return peer;
}

const names = (messages: readonly BackendMessage[]): string[] => messages.map((message) => message.name);
const greeting = serialize.startup({ user: "u", database: "d" });

async function loggedIn(): Promise<Peer> {
  const opened = await open();
  opened.send(greeting);
  await opened.until("readyForQuery");
  return opened;
}

describe("startup", () => {
  test("greets with settings and key, also when every byte comes alone", async () => {
    const { socket, until } = await open();
    for (const byte of greeting) {
      socket.write(Uint8Array.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await until("readyForQuery")).toMatchObject([
      { name: "authenticationOk" },
      { name: "parameterStatus", parameterName: "server_version" },
      { name: "backendKeyData", processID: 77, secretKey: 99 },
      { name: "readyForQuery", status: "I" },
    ]);
  });

  test("GSSENCRequest and SSLRequest are refused by N, then startup goes on", async () => {
    const { socket, send, session } = await open();
    const bytes: Buffer[] = [];
    socket.removeAllListeners("data");
    socket.on("data", (chunk: Buffer) => bytes.push(chunk));
    const request = (code: number): Buffer =>
      Buffer.from([0, 0, 0, 8, code >>> 24, code >>> 16, code >>> 8, code]);
    send(request(80877104), request(80877103), greeting);
    while (Buffer.concat(bytes).length < 30) await new Promise((resolve) => setTimeout(resolve, 2));
    expect(Buffer.concat(bytes).subarray(0, 3).toString()).toBe("NNR");
    expect(session.isClosed).toBe(false);
  });

  test.each([
    ["length 0", Buffer.from([0, 0, 0, 0]), "08P01"],
    ["length beyond 10 KB", Buffer.from([0x7f, 0xff, 0xff, 0xff, 1]), "08P01"],
    ["protocol 2.0", Buffer.from([0, 0, 0, 9, 0, 2, 0, 0, 0]), "0A000"],
    ["no terminator", Buffer.concat([Buffer.from([0, 0, 0, 12, 0, 3, 0, 0]), Buffer.from("user")]), "08P01"],
    ["no user", Buffer.from([0, 0, 0, 9, 0, 3, 0, 0, 0]), "28000"],
  ])("%s is FATAL", async (_name, bytes, code) => {
    const { send, until } = await open();
    send(bytes);
    expect(await until("end")).toMatchObject([{ name: "error", severity: "FATAL", code }, { name: "end" }]);
  });

  test("a newer minor version and unknown options are negotiated down", async () => {
    const { send, socket } = await open();
    const body = Buffer.from("user,u,_pq_.x,1,,".replaceAll(",", "\0"), "latin1");
    const packet = Buffer.concat([Buffer.alloc(4), Buffer.from([0, 3, 0, 2]), body]);
    packet.writeInt32BE(packet.length, 0);
    socket.removeAllListeners("data");
    const first = new Promise<Buffer>((resolve) => socket.once("data", resolve));
    send(packet);
    const answer = await first;
    expect(String.fromCharCode(answer[0] ?? 0)).toBe("v");
    expect([answer.readInt32BE(5), answer.readInt32BE(9)]).toEqual([0, 1]);
  });

  test("a refused session is FATAL with its reason", async () => {
    const refusal = new SqlError("53300", "sorry, too many clients already", { severity: "FATAL" });
    const { send, until } = await open({ refusal: () => refusal });
    send(greeting);
    expect(await until("end")).toMatchObject([{ code: "53300" }, { name: "end" }]);
  });

  test("a password is asked for by SCRAM, and another message instead is FATAL", async () => {
    const verifier = makeVerifier("p", (count) => new Uint8Array(count));
    const { send, until } = await open({ authentication: () => verifier });
    send(greeting);
    expect(await until("authenticationSASL")).toMatchObject([{ mechanisms: ["SCRAM-SHA-256"] }]);
    send(serialize.query("SELECT 1"));
    expect(await until("end")).toMatchObject([{ code: "08P01", severity: "FATAL" }, { name: "end" }]);
  });
});

describe("simple queries", () => {
  test("rows, tag, ready", async () => {
    const { send, until } = await loggedIn();
    send(serialize.query("rows 2"));
    expect(await until("readyForQuery")).toMatchObject([
      {
        name: "rowDescription",
        fields: [
          { name: "text", dataTypeID: 25, dataTypeSize: -1 },
          { name: "n", dataTypeID: 23 },
        ],
      },
      { name: "dataRow", fields: ["rows 2", "-1"] },
      { name: "dataRow", fields: ["rows 2", "0"] },
      { name: "commandComplete", text: "SELECT 2" },
      { name: "readyForQuery", status: "I" },
    ]);
  });

  test("an error is one message and the connection lives on", async () => {
    const { send, until } = await loggedIn();
    send(serialize.query("fail"), serialize.query("é"));
    const messages = await until("readyForQuery", 2);
    expect(names(messages)).toEqual([
      "error",
      "readyForQuery",
      "rowDescription",
      "dataRow",
      "commandComplete",
      "readyForQuery",
    ]);
    expect(messages[0]).toMatchObject({
      severity: "ERROR",
      code: "22012",
      position: "8",
      message: "division by zero",
    });
    expect(messages[3]).toMatchObject({ fields: ["é", "-1"] });
  });

  test("a result larger than every buffer arrives whole", async () => {
    const { send, until } = await loggedIn();
    send(serialize.query("rows 200000"));
    const messages = await until("readyForQuery");
    expect(messages.filter((message) => message.name === "dataRow")).toHaveLength(200_000);
  });

  test("an answer does not wait for the slow query behind it in the pipeline", async () => {
    const { send, until, session } = await loggedIn();
    send(serialize.query("quick"), serialize.query("wait"));
    expect(names(await until("readyForQuery"))).toContain("dataRow");
    session.interrupt();
    expect(await until("readyForQuery")).toMatchObject([{ code: "57014" }, { name: "readyForQuery" }]);
  });

  test("FATAL ends the connection without ReadyForQuery", async () => {
    const { send, until } = await loggedIn();
    send(serialize.query("die"));
    expect(names(await until("end"))).toEqual(["error", "end"]);
  });

  test("invalid UTF-8 is 22021 naming the bytes", async () => {
    const { send, until } = await loggedIn();
    send(Buffer.from([0x51, 0, 0, 0, 8, 0x61, 0xff, 0xfe, 0]));
    expect(await until("readyForQuery")).toMatchObject([
      { code: "22021", message: 'invalid byte sequence for encoding "UTF8": 0xff' },
      { name: "readyForQuery" },
    ]);
  });

  test("a client that leaves interrupts its statement, then the session is closed", async () => {
    const { send, socket, session, closed } = await loggedIn();
    send(serialize.query("wait"));
    await new Promise((resolve) => setTimeout(resolve, 20));
    socket.destroy();
    await closed;
    expect(session.isClosed).toBe(true);
  });

  test.each([
    ["unknown type", Buffer.from([0x21, 0, 0, 0, 4])],
    ["length below 4", Buffer.from([0x51, 0, 0, 0, 3])],
    ["a small message announced with 1 GB", Buffer.from([0x53, 0x40, 0, 0, 0])],
  ])("%s loses the stream: FATAL 08P01", async (_name, bytes) => {
    const { send, until } = await loggedIn();
    send(bytes);
    expect(await until("end")).toMatchObject([{ severity: "FATAL", code: "08P01" }, { name: "end" }]);
  });
});

describe("extended protocol", () => {
  test("a pipeline in one chunk", async () => {
    const { send, until, session } = await loggedIn();
    send(
      serialize.parse({ name: "s", text: "SELECT $1" }),
      serialize.bind({ portal: "p", statement: "s", values: ["7", null] }),
      serialize.describe({ type: "S", name: "s" }),
      serialize.describe({ type: "P", name: "p" }),
      serialize.execute({ portal: "p", rows: 5 }),
      serialize.close({ type: "P", name: "p" }),
      serialize.sync(),
    );
    const messages = await until("readyForQuery");
    expect(names(messages)).toEqual([
      "parseComplete",
      "bindComplete",
      "parameterDescription",
      "noData",
      "rowDescription",
      "commandComplete",
      "closeComplete",
      "readyForQuery",
    ]);
    expect(messages[4]).toMatchObject({ fields: [{ format: "binary" }] });
    expect(session.calls).toEqual([
      "parse s SELECT $1",
      "bind p s 7,NULL",
      "execute p 5",
      "close portal p",
      "sync",
    ]);
  });

  test("after an error everything up to Sync is skipped", async () => {
    const { send, until, session } = await loggedIn();
    send(
      serialize.parse({ text: "fail" }),
      serialize.bind({}),
      serialize.execute({}),
      serialize.query("x"),
      serialize.sync(),
      serialize.parse({ text: "fine" }),
      serialize.sync(),
    );
    expect(names(await until("readyForQuery", 2))).toEqual([
      "error",
      "readyForQuery",
      "parseComplete",
      "readyForQuery",
    ]);
    expect(session.calls).toEqual(["parse  fail", "fail", "sync", "parse  fine", "sync"]);
  });

  test.each([
    ["more parameters than bytes", Buffer.from([0, 0, 0, 0, 0xff, 0xff])],
    ["a length of -2", Buffer.from([0, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xfe])],
    ["bytes left over", Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 9])],
  ])("a Bind with %s is 08P01", async (_name, body) => {
    const { send, until } = await loggedIn();
    const length = Buffer.alloc(4);
    length.writeInt32BE(4 + body.length);
    send(Buffer.from("B"), length, body, serialize.sync());
    expect(await until("readyForQuery")).toMatchObject([
      { name: "error", code: "08P01" },
      { name: "readyForQuery" },
    ]);
  });
});

describe("COPY FROM STDIN", () => {
  test("data in any pieces, then CopyDone", async () => {
    const { send, until } = await loggedIn();
    send(serialize.query("copy"));
    expect(await until("copyInResponse")).toMatchObject([{ binary: false, columnTypes: [0, 0] }]);
    for (let i = 0; i < 100; i++) send(serialize.copyData(Buffer.alloc(50_000)));
    send(serialize.sync(), serialize.copyDone());
    expect(await until("readyForQuery")).toMatchObject([{ text: "COPY 5000000" }, { name: "readyForQuery" }]);
  });

  test("CopyFail and foreign messages end it with an error; late data is ignored", async () => {
    const { send, until } = await loggedIn();
    send(serialize.query("copy"), serialize.copyFail("no more"), serialize.copyData(Buffer.from("late")));
    const failed = await until("readyForQuery");
    expect(failed.at(-2)).toMatchObject({ code: "57014", message: "COPY from stdin failed: no more" });
    send(serialize.query("copy"), serialize.parse({ text: "x" }));
    const foreign = await until("readyForQuery");
    expect(foreign.at(-2)).toMatchObject({
      code: "08P01",
      message: "unexpected message type 0x50 during COPY from stdin",
    });
  });

  test("a client that leaves in the middle ends the copy", async () => {
    const { send, until, socket, session, closed } = await loggedIn();
    send(serialize.query("copy"));
    await until("copyInResponse");
    socket.destroy();
    await closed;
    expect(session.isClosed).toBe(true);
  });
});
