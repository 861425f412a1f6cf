// The main thread's part of the server: listens, accepts, and hands each connection to the worker with the fewest. It reads
// no byte of a connection: the socket is accepted paused, its descriptor duplicated for the worker, and closed here (which
// tells the client nothing, because the duplicate keeps the connection open).
import { type AddressInfo, type Server as Listener, type Socket, createServer } from "node:net";
import { Worker } from "node:worker_threads";
import { must } from "../common/assert.ts";
import { dup } from "../native/index.ts";
import { ActivityBoard } from "../session/activity.ts";
import type { ClientHandedOver, FromWorker, ToWorker, WorkerConfiguration } from "./worker-messages.ts";

/** Sessions at once. Each costs memory even when idle; the next client is told 53300. */
export const DEFAULT_MAX_CONNECTIONS = 1000;
/** Connections above the maximum that may wait to hear so; more are dropped unheard. */
const MAX_REFUSED = 100;
/** A worker that dies more often than this is not restarted into the same death. */
const MAX_RESTARTS = 10;
/** Time for running statements to notice the stop before their connections are dropped. */
const STOP_TIMEOUT_MS = 10_000;

export interface ServerOptions extends Omit<WorkerConfiguration, "activity"> {
  readonly host: string;
  /** 0 = any free port. */
  readonly port: number;
  readonly workers: number;
  readonly maxConnections?: number | undefined;
  /** A worker died; the server goes on with a new one. */
  readonly onWorkerDeath?: ((error: Error | undefined) => void) | undefined;
}

interface Seat {
  worker: Worker;
  connections: number;
  isReady: boolean;
  stopped: (() => void) | undefined;
}

export class Server {
  readonly #options: ServerOptions;
  readonly #activity = ActivityBoard.allocate();
  readonly #listener: Listener;
  readonly #seats: Seat[] = [];
  #restarts = 0;
  #isStopping = false;

  private constructor(options: ServerOptions) {
    this.#options = options;
    this.#listener = createServer({ pauseOnConnect: true, noDelay: true }, (socket) => this.#place(socket));
  }

  /** Starts the workers, then listens. The engine must be open in this process. */
  static async start(options: ServerOptions): Promise<Server> {
    const server = new Server(options);
    try {
      await Promise.all(Array.from({ length: options.workers }, () => server.#addWorker()));
      await server.#listen();
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  get address(): AddressInfo {
    const address = this.#listener.address();
    return must(typeof address === "string" ? undefined : address, "the server listens on TCP");
  }

  /** Refuses new connections, ends the sessions with 57P01 and waits for the workers. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#listener.close();
    await Promise.all(this.#seats.map((seat) => this.#stopSeat(seat)));
  }

  async #stopSeat(seat: Seat): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, STOP_TIMEOUT_MS);
      seat.stopped = () => {
        clearTimeout(timer);
        resolve();
      };
      tell(seat, { kind: "stop" });
    });
    await seat.worker.terminate();
  }

  #listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#listener.once("error", reject);
      this.#listener.listen({ host: this.#options.host, port: this.#options.port }, () => {
        this.#listener.off("error", reject);
        resolve();
      });
    });
  }

  #place(socket: Socket): void {
    socket.on("error", () => undefined);
    const seat = this.#quietestSeat();
    const total = this.#seats.reduce((sum, { connections }) => sum + connections, 0);
    const maximum = this.#options.maxConnections ?? DEFAULT_MAX_CONNECTIONS;
    const fd = descriptorOf(socket);
    if (seat === undefined || fd === undefined || total >= maximum + MAX_REFUSED) {
      socket.destroy();
      return;
    }
    seat.connections += 1;
    tell(seat, { kind: "connection", fd: dup(fd), peer: peerOf(socket), isRefused: total >= maximum });
    socket.destroy();
  }

  #quietestSeat(): Seat | undefined {
    let quietest: Seat | undefined;
    for (const seat of this.#seats) {
      if (seat.isReady && (quietest === undefined || seat.connections < quietest.connections))
        quietest = seat;
    }
    return quietest;
  }

  async #addWorker(): Promise<void> {
    const seat: Seat = { worker: this.#spawn(), connections: 0, isReady: false, stopped: undefined };
    this.#seats.push(seat);
    await this.#watch(seat);
  }

  #spawn(): Worker {
    const { authentication, tls, settings } = this.#options;
    return startWorker({ authentication, tls, settings, activity: this.#activity });
  }

  /** Resolves when the worker is ready; from then on a death is answered by a new worker in the same seat. */
  #watch(seat: Seat): Promise<void> {
    return new Promise((resolve, reject) => {
      let failure: Error | undefined;
      seat.worker.on("message", (message: FromWorker) => {
        switch (message.kind) {
          case "ready":
            seat.isReady = true;
            resolve();
            break;
          case "closed":
            seat.connections -= 1;
            break;
          case "stopped":
            seat.stopped?.();
            break;
        }
      });
      seat.worker.on("error", (error: Error) => {
        failure = error;
        reject(error);
      });
      seat.worker.on("exit", () => this.#onExit(seat, failure));
    });
  }

  /** The engine has aborted the dead worker's transactions; its sockets closed with its thread. */
  #onExit(seat: Seat, failure: Error | undefined): void {
    const wasReady = seat.isReady;
    seat.isReady = false;
    seat.connections = 0;
    seat.stopped?.();
    if (this.#isStopping || !wasReady) return;
    this.#options.onWorkerDeath?.(failure);
    this.#restarts += 1;
    if (this.#restarts > MAX_RESTARTS) return;
    seat.worker = this.#spawn();
    this.#watch(seat).catch((error: unknown) => this.#options.onWorkerDeath?.(error as Error));
  }
}

/**
 * The worker's entry beside this file. In the source tree Node 20 cannot load TypeScript in a worker although the main thread
 * runs under tsx, so the worker registers tsx itself; the build has plain JavaScript.
 */
function startWorker(workerData: WorkerConfiguration): Worker {
  if (!import.meta.url.endsWith(".ts"))
    return new Worker(new URL("./worker.js", import.meta.url), { workerData });
  const [tsx, entry] = [import.meta.resolve("tsx/esm/api"), import.meta.resolve("./worker.ts")];
  const source = `import("${tsx}").then(({ register }) => { register(); return import("${entry}"); })`;
  return new Worker(source, { eval: true, workerData });
}

/** Node keeps the descriptor of a socket on its handle; undefined when the client is already gone. */
function descriptorOf(socket: Socket): number | undefined {
  const handle = (socket as unknown as { readonly _handle?: { readonly fd?: number } })._handle;
  const fd = handle?.fd;
  return fd === undefined || fd < 0 ? undefined : fd;
}

function peerOf({ remoteAddress, remotePort }: Socket): ClientHandedOver["peer"] {
  if (remoteAddress === undefined || remotePort === undefined) return undefined;
  // An IPv4 client of a socket that listens on both families.
  return { address: remoteAddress.replace(/^::ffff:(?=\d+\.)/, ""), port: remotePort };
}

function tell(seat: Seat, message: ToWorker): void {
  seat.worker.postMessage(message);
}
