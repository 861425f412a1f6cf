// One session of PostgreSQL's protocol with prepared statements and text parameters, and nothing else: a driver would cost
// more than what is measured. Trust authentication, integers in the first column, one statement at a time.
import { type Socket, connect as connectSocket } from "node:net";
import { once } from "node:events";
import type { Settings, System } from "./systems.ts";

const PROTOCOL = 196608;
const HEAD = 5;

export class BenchSession {
  readonly #socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #first: number[] = [];
  #done: (() => void) | undefined;
  #failed: ((error: Error) => void) | undefined;
  #error: Error | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (bytes: Buffer) => this.#receive(bytes));
    socket.on("error", (error) => this.#failed?.(error));
  }

  static async open(system: System, settings: Settings = {}): Promise<BenchSession> {
    const { hostname, port, username, pathname } = new URL(system.url);
    const socket = connectSocket(Number(port), hostname);
    await once(socket, "connect");
    const session = new BenchSession(socket);
    const options = Object.entries(settings).map(([name, value]) => `-c ${name}=${value}`);
    const words = ["user", username, "database", pathname.slice(1), "options", options.join(" ")];
    const body = Buffer.from(`${words.join("\0")}\0\0`);
    const startup = Buffer.alloc(8);
    startup.writeInt32BE(8 + body.length, 0);
    startup.writeInt32BE(PROTOCOL, 4);
    await session.#ask([startup, body]);
    return session;
  }

  /** Makes `sql` the statement of that name; parameter types are the server's to find. */
  async prepare(name: string, sql: string): Promise<void> {
    await this.#ask([message("P", Buffer.from(`${name}\0${sql}\0\0\0`)), SYNC]);
  }

  /** The bytes that execute a statement with these parameters, to be sent again and again. */
  execution(name: string, values: readonly string[]): Buffer {
    const parts: Buffer[] = [Buffer.from(`\0${name}\0\0\0`), int16(values.length)];
    for (const value of values) {
      const bytes = Buffer.from(value);
      parts.push(int32(bytes.length), bytes);
    }
    parts.push(int16(0));
    return Buffer.concat([message("B", Buffer.concat(parts)), EXECUTE, SYNC]);
  }

  /** Runs what `execution` made; gives the first column. */
  async run(execution: Buffer): Promise<readonly number[]> {
    this.#first = [];
    await this.#ask([execution]);
    return this.#first;
  }

  /** Runs SQL text by the simple protocol; gives the first column. */
  async simple(sql: string): Promise<readonly number[]> {
    this.#first = [];
    await this.#ask([message("Q", Buffer.from(`${sql}\0`))]);
    return this.#first;
  }

  close(): void {
    this.#socket.end(message("X", Buffer.alloc(0)));
  }

  /** Sends and waits until the server is ready. */
  #ask(parts: readonly Buffer[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#done = resolve;
      this.#failed = reject;
      this.#socket.write(parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts));
    });
  }

  #receive(bytes: Buffer): void {
    let rest = this.#received.length === 0 ? bytes : Buffer.concat([this.#received, bytes]);
    while (rest.length >= HEAD && rest.length > rest.readInt32BE(1)) {
      const end = 1 + rest.readInt32BE(1);
      this.#take(String.fromCharCode(rest[0] as number), rest.subarray(HEAD, end));
      rest = rest.subarray(end);
    }
    this.#received = rest;
  }

  #take(type: string, body: Buffer): void {
    switch (type) {
      case "D": {
        const length = body.readInt32BE(2);
        this.#first.push(Number(body.toString("latin1", 6, 6 + length)));
        return;
      }
      case "E":
        this.#error = new Error(body.toString().replaceAll("\0", " "));
        return;
      case "R":
        if (body.readInt32BE(0) !== 0) this.#failed?.(new Error("only trust authentication is spoken here"));
        return;
      case "Z": {
        const error = this.#error;
        this.#error = undefined;
        if (error === undefined) this.#done?.();
        else this.#failed?.(error);
        return;
      }
      default:
    }
  }
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function message(type: string, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from(type), int32(body.length + 4), body]);
}

const SYNC = message("S", Buffer.alloc(0));
/** The unnamed portal, all rows. */
const EXECUTE = message("E", Buffer.from([0, 0, 0, 0, 0]));
