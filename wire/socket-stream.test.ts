// Sockets past Node's stream objects, against clients that do what clients do: read slowly, vanish in the middle, close one
// half, come by the thousand. The other side is always a socket of Node's.
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { type AddressInfo, type Server, type Socket, connect, createServer } from "node:net";
import { Worker } from "node:worker_threads";
import { afterEach, expect, test } from "vitest";
import { dup } from "../native/index.ts";
import { SocketTable, type SocketStream } from "./socket-stream.ts";

const table = new SocketTable();
const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** What a stream was told, and a way to wait for more of it. */
class Told {
  readonly chunks: Buffer[] = [];
  drains = 0;
  closes = 0;
  onReceived: (chunk: Buffer) => void = () => undefined;
  #check: () => void = () => undefined;

  received(memory: Buffer, start: number, end: number): void {
    const chunk = memory.subarray(start, end);
    this.chunks.push(Buffer.from(chunk));
    this.onReceived(chunk);
    this.#check();
  }
  drained(): void {
    this.drains += 1;
    this.#check();
  }
  closed(): void {
    this.closes += 1;
    this.#check();
  }
  get bytes(): Buffer {
    return Buffer.concat(this.chunks);
  }
  until(holds: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#check = () => {
        if (holds()) resolve();
      };
      this.#check();
    });
  }
}

interface Pair {
  readonly client: Socket;
  readonly stream: SocketStream;
  readonly told: Told;
}

/** Hands the descriptors of accepted sockets on, as the main thread of a server does. */
async function listen(onDescriptor: (fd: number) => void): Promise<number> {
  const server = createServer({ pauseOnConnect: true, noDelay: true }, (socket) => {
    onDescriptor(dup((socket as unknown as { readonly _handle: { readonly fd: number } })._handle.fd));
    socket.destroy();
  });
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

async function pair(): Promise<Pair> {
  let adopted: (stream: SocketStream) => void = () => undefined;
  const adopting = new Promise<SocketStream>((resolve) => {
    adopted = resolve;
  });
  const port = await listen((fd) => adopted(table.adopt(fd)));
  const client = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  client.on("error", () => undefined);
  const [stream] = await Promise.all([adopting, once(client, "connect")]);
  const told = new Told();
  stream.listen(told);
  return { client, stream, told };
}

/** Bytes in which a lost or repeated piece shows. */
function pattern(length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let at = 0; at < length; at++) bytes[at] = (at * 31 + (at >> 8) * 17 + (at >> 16)) & 0xff;
  return bytes;
}

/** As an Outlet does it. */
function write(stream: SocketStream, bytes: Buffer): void {
  const sent = stream.sendNow(bytes, bytes.length);
  if (sent < bytes.length) stream.queue(bytes.subarray(sent));
}

async function readAll(client: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of client) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

test("bytes pass both ways, in order, also more than the read buffer holds", async () => {
  const { client, stream, told } = await pair();
  const sent = pattern(3_000_001);
  client.write(sent);
  await told.until(() => told.bytes.length === sent.length);
  expect(told.bytes.equals(sent)).toBe(true);
  write(stream, Buffer.from("answer"));
  const [answer] = (await once(client, "data")) as [Buffer];
  expect(answer.toString()).toBe("answer");
  client.destroy();
  await told.until(() => told.closes === 1);
});

test("many sockets that are ready in one turn are all read, and none keeps another's bytes", async () => {
  const pairs = await Promise.all(Array.from({ length: 150 }, () => pair()));
  for (const [i, { client }] of pairs.entries()) client.write(Buffer.alloc(9000, i));
  for (const [i, { told }] of pairs.entries()) {
    await told.until(() => told.bytes.length === 9000);
    expect(told.bytes.equals(Buffer.alloc(9000, i))).toBe(true);
  }
  for (const { client } of pairs) client.destroy();
  for (const { told } of pairs) await told.until(() => told.closes === 1);
});

test("a client that reads slowly gets everything, and the stream is blocked meanwhile", async () => {
  const { client, stream, told } = await pair();
  client.pause();
  const all = pattern(20_000_000);
  let at = 0;
  while (!stream.isBlocked) {
    write(stream, all.subarray(at, at + 65_536));
    at += 65_536;
  }
  expect(at).toBeLessThan(all.length);
  expect(stream.sendNow(all, 10)).toBe(0);
  const reading = readAll(client);
  while (at < all.length) {
    await told.until(() => !stream.isBlocked);
    write(stream, all.subarray(at, at + 65_536));
    at += 65_536;
  }
  stream.end();
  expect((await reading).equals(all)).toBe(true);
  expect(told.drains).toBeGreaterThan(0);
  client.end();
  await told.until(() => told.closes === 1);
});

test("end() sends what waits first, then the client's half may go on", async () => {
  const { client, stream, told } = await pair();
  client.pause();
  const all = pattern(12_000_000);
  write(stream, all);
  expect(stream.isBlocked).toBe(true);
  stream.end();
  expect(stream.isWritable).toBe(false);
  client.write("dropped");
  expect((await readAll(client)).equals(all)).toBe(true);
  expect(told.chunks).toEqual([]);
  expect(told.closes).toBe(0);
  client.end();
  await told.until(() => told.closes === 1);
});

test("a client that closes its half still gets what waits for it", async () => {
  const { client, stream, told } = await pair();
  client.pause();
  const all = pattern(12_000_000);
  write(stream, all);
  client.end("last words");
  await told.until(() => told.bytes.toString() === "last words");
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(told.closes).toBe(0);
  expect((await readAll(client)).equals(all)).toBe(true);
  await told.until(() => told.closes === 1);
});

test("a reset in the middle of an answer closes the stream, once", async () => {
  const { client, stream, told } = await pair();
  client.pause();
  write(stream, pattern(12_000_000));
  client.resetAndDestroy();
  await told.until(() => told.closes === 1);
  expect(stream.isWritable).toBe(false);
  // What the owner still does with it is nobody's harm.
  write(stream, Buffer.from("late"));
  stream.pause();
  stream.resume();
  stream.end();
  stream.destroy();
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(told.closes).toBe(1);
});

test("a reset while nothing is read is noticed when reading goes on", async () => {
  const { client, stream, told } = await pair();
  stream.pause();
  client.write("unread");
  await new Promise((resolve) => setTimeout(resolve, 20));
  client.resetAndDestroy();
  await new Promise((resolve) => setTimeout(resolve, 20));
  stream.resume();
  await told.until(() => told.closes === 1);
});

test("a paused stream leaves the bytes to the kernel, and has them when it is resumed", async () => {
  const { client, stream, told } = await pair();
  stream.pause();
  client.write("later");
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(told.chunks).toEqual([]);
  stream.resume();
  await told.until(() => told.bytes.toString() === "later");
  client.destroy();
  await told.until(() => told.closes === 1);
});

test("a stream that another one's bytes destroy in the same turn hears no more", async () => {
  const pairs = await Promise.all([pair(), pair()]);
  for (const [i, { told }] of pairs.entries()) told.onReceived = () => pairs[1 - i]?.stream.destroy();
  // Both chunks are in the kernel before the loop turns again.
  for (const { client } of pairs) client.write("x");
  await Promise.race(pairs.map(({ told }) => told.until(() => told.closes === 1)));
  await new Promise((resolve) => setTimeout(resolve, 20));
  const received = pairs.map(({ told }) => told.bytes.length);
  expect(Math.max(...received)).toBe(1);
  for (const { client } of pairs) client.destroy();
});

test("several clients of one turn are served in a shared one, a single client is not", async () => {
  const turns: string[] = [];
  const shared = new SocketTable({ begin: () => turns.push("begin"), end: () => turns.push("end") });
  const told: Told[] = [];
  const port = await listen((fd) => {
    const one = new Told();
    one.onReceived = (chunk) => turns.push(chunk.toString());
    shared.adopt(fd).listen(one);
    told.push(one);
  });
  const clients = [connect(port, "127.0.0.1"), connect(port, "127.0.0.1")];
  await Promise.all(clients.map((client) => once(client, "connect")));
  clients[0]?.write("alone");
  await expect.poll(() => turns).toEqual(["alone"]);
  await expect.poll(() => told.length).toBe(2);
  // Both are in the kernel before the loop looks again: this thread is what serves them.
  for (const client of clients) client.write("both");
  await expect.poll(() => turns).toEqual(["alone", "begin", "both", "both", "end"]);
  for (const client of clients) client.destroy();
});

test("thousands of short connections leave no descriptor behind", async () => {
  const told: Told[] = [];
  const port = await listen((fd) => {
    const one = new Told();
    const stream = table.adopt(fd);
    told.push(one);
    one.onReceived = (chunk) => {
      write(stream, Buffer.from(chunk));
      stream.end();
    };
    stream.listen(one);
  });
  const before = openDescriptors();
  for (let round = 0; round < 20; round++) {
    const clients = Array.from({ length: 100 }, () => connect(port, "127.0.0.1"));
    const answers = await Promise.all(
      clients.map(async (client, i) => {
        client.write(`client ${i}`);
        return (await readAll(client)).toString();
      }),
    );
    expect(answers).toEqual(clients.map((_, i) => `client ${i}`));
  }
  for (const one of told) await one.until(() => one.closes === 1);
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(told.length).toBe(2000);
  expect(openDescriptors()).toBeLessThanOrEqual(before + 2);
}, 60_000);

test("a thread that ends takes its sockets with it", async () => {
  const entry = new URL("../dist/wire/socket-stream.js", import.meta.url);
  const source = `
    const { parentPort } = require("node:worker_threads");
    import(${JSON.stringify(entry.href)}).then(({ SocketTable }) => {
      const table = new SocketTable();
      parentPort.on("message", (fd) => {
        table.adopt(fd).listen({ received() {}, drained() {}, closed() {} });
        parentPort.postMessage("adopted");
      });
      parentPort.postMessage("ready");
    });`;
  const worker = new Worker(source, { eval: true });
  await once(worker, "message");
  const port = await listen((fd) => worker.postMessage(fd));
  const client = connect(port, "127.0.0.1");
  client.on("error", () => undefined);
  await once(worker, "message");
  const closed = once(client.resume(), "close");
  await worker.terminate();
  await closed;
});

function openDescriptors(): number {
  return process.platform === "linux" ? readdirSync("/proc/self/fd").length : 0;
}
