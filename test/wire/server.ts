// A server inside the test's process: the connections and sessions of the product on an in-memory engine, without worker
// threads, so that a failure shows its stack.
import { type AddressInfo, createServer } from "node:net";
import { connect } from "../../session/connect.ts";
import { attachDatabase } from "../../session/attach.ts";
import { startEngine, stopEngine } from "../../session/start.ts";
import { Connection } from "../../wire/connection.ts";
import type { ConnectionHost } from "../../wire/startup.ts";
import { NodeStream } from "../../wire/stream.ts";
import type { Address } from "./transcript.ts";

export interface TestServer {
  readonly address: Address;
  stop(): Promise<void>;
}

export async function startTestServer(overrides: Partial<ConnectionHost> = {}): Promise<TestServer> {
  const engine = await startEngine({ path: undefined, superuser: "postgres" });
  const database = await attachDatabase();
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
    Connection.accept(new NodeStream(socket), { host, onClosed });
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
