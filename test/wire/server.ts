// A server inside the test's process: the connections and sessions of the product, without worker threads, so that a failure
// shows its stack. Clients come in by Node's streams, as those over TLS do, unless a worker's sockets are asked for.
import { type AddressInfo, type Socket, createServer } from "node:net";
import { dup } from "../../native/index.ts";
import { connect } from "../../session/connect.ts";
import { ActivityBoard } from "../../session/activity.ts";
import { attachDatabase } from "../../session/attach.ts";
import { startEngine, stopEngine } from "../../session/start.ts";
import { Connection } from "../../wire/connection.ts";
import type { ConnectionHost } from "../../wire/startup.ts";
import type { SocketTable } from "../../wire/socket-stream.ts";
import { NodeStream } from "../../wire/stream.ts";
import type { Address } from "./transcript.ts";

export interface TestServer {
  readonly address: Address;
  stop(): Promise<void>;
}

export interface TestEngine {
  /** Where the data lies; else in memory. */
  readonly path?: string;
  /** A lone session commits in its own thread, as in a server's workers. */
  readonly syncsAlone?: boolean;
  readonly sockets?: SocketTable;
  /** Threads for work in the background. */
  readonly poolThreads?: number;
}

export async function startTestServer(
  overrides: Partial<ConnectionHost> = {},
  { path, syncsAlone = false, sockets, poolThreads }: TestEngine = {},
): Promise<TestServer> {
  const engine = await startEngine({
    path,
    superuser: "postgres",
    ...(poolThreads === undefined ? {} : { poolThreads }),
  });
  const database = await attachDatabase(syncsAlone ? ActivityBoard.allocate() : undefined);
  const host: ConnectionHost = {
    openSession: (request, client) => connect(database, request, client),
    cancel: (processId, secretKey) => {
      engine.cancelSession(processId, secretKey);
    },
    authentication: "trust",
    hasTls: false,
    refusal: () => undefined,
    ...overrides,
  };
  let open = 0;
  let allClosed: () => void = () => undefined;
  const listener = createServer({ pauseOnConnect: true }, (socket) => {
    open += 1;
    const onClosed = (): void => {
      open -= 1;
      if (open === 0) allClosed();
    };
    const stream = sockets === undefined ? new NodeStream(socket) : sockets.adopt(takeDescriptor(socket));
    Connection.accept(stream, { host, onClosed });
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const { port } = listener.address() as AddressInfo;
  return {
    address: { host: "127.0.0.1", port },
    stop: async () => {
      listener.close();
      if (open > 0) {
        await new Promise<void>((resolve) => {
          allClosed = resolve;
        });
      }
      database.close();
      await stopEngine(engine);
    },
  };
}

/** As the main thread of a server does for a worker. */
function takeDescriptor(socket: Socket): number {
  const fd = dup((socket as unknown as { readonly _handle: { readonly fd: number } })._handle.fd);
  socket.destroy();
  return fd;
}
