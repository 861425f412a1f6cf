// A worker thread: owns the sessions of the connections it was handed, each with the whole way from bytes to engine. Shares
// nothing with the other workers but the engine.
import { type SecureContext, createSecureContext } from "node:tls";
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { must } from "../common/assert.ts";
import { SqlError, SqlState } from "../common/error.ts";
import { type ConnectRequest, connect, findRole } from "../session/connect.ts";
import type { Database } from "../session/database.ts";
import { attachDatabase } from "../session/attach.ts";
import { setServerSettings } from "../session/setting-definitions.ts";
import { parseVerifier } from "./auth/scram.ts";
import { ADMIN_SHUTDOWN, Connection } from "./connection.ts";
import { SocketTable } from "./socket-stream.ts";
import type { ConnectionHost } from "./startup.ts";
import type { ClientHandedOver, FromWorker, ToWorker, WorkerConfiguration } from "./worker-messages.ts";

const TOO_MANY = new SqlError(SqlState.tooManyConnections, "sorry, too many clients already", {
  severity: "FATAL",
});
const SHUTTING_DOWN = new SqlError(SqlState.cannotConnectNow, "the database system is shutting down", {
  severity: "FATAL",
});

class WorkerServer {
  readonly #database: Database;
  readonly #port: MessagePort;
  readonly #configuration: WorkerConfiguration;
  readonly #secureContext: SecureContext | undefined;
  readonly #sockets: SocketTable;
  readonly #connections = new Set<Connection>();
  #isStopping = false;

  static start(database: Database, port: MessagePort, configuration: WorkerConfiguration): WorkerServer {
    return new WorkerServer(database, port, configuration);
  }

  private constructor(database: Database, port: MessagePort, configuration: WorkerConfiguration) {
    this.#database = database;
    const { channel } = database.waits;
    this.#sockets = new SocketTable({
      begin: () => channel.holdCommits(),
      end: () => channel.releaseCommits(),
    });
    this.#port = port;
    this.#configuration = configuration;
    this.#secureContext =
      configuration.tls === undefined ? undefined : createSecureContext(configuration.tls);
    port.on("message", (message: ToWorker) => this.#onMessage(message));
    this.#tell({ kind: "ready" });
  }

  #onMessage(message: ToWorker): void {
    switch (message.kind) {
      case "connection":
        this.#accept(message);
        break;
      case "stop":
        this.#isStopping = true;
        for (const connection of this.#connections) connection.shutDown(ADMIN_SHUTDOWN);
        this.#stopIfEmpty();
        break;
    }
  }

  #accept({ fd, peer, isRefused }: ClientHandedOver): void {
    const connection = Connection.accept(this.#sockets.adopt(fd), {
      host: this.#host(isRefused, peer),
      secureContext: this.#secureContext,
      onClosed: () => {
        this.#connections.delete(connection);
        this.#tell({ kind: "closed" });
        this.#stopIfEmpty();
      },
    });
    this.#connections.add(connection);
  }

  #host(isRefused: boolean, peer: ConnectRequest["peer"]): ConnectionHost {
    return {
      openSession: (request, client) => connect(this.#database, { ...request, peer }, client),
      cancel: (processId, secretKey) => {
        this.#database.engine.cancelSession(processId, secretKey);
      },
      authentication: this.#authentication(),
      hasTls: this.#secureContext !== undefined,
      refusal: () => (this.#isStopping ? SHUTTING_DOWN : isRefused ? TOO_MANY : undefined),
    };
  }

  /** A role's own password, else for the superuser the one the server was started with. */
  #authentication(): ConnectionHost["authentication"] {
    const { authentication } = this.#configuration;
    if (authentication.kind === "trust") return "trust";
    return (user) => {
      this.#database.refresh();
      const own = findRole(this.#database, user)?.password;
      if (own !== undefined) return parseVerifier(own);
      return user === authentication.superuser ? parseVerifier(authentication.verifier) : undefined;
    };
  }

  #stopIfEmpty(): void {
    if (!this.#isStopping || this.#connections.size > 0) return;
    this.#database.close();
    this.#tell({ kind: "stopped" });
    this.#port.close();
  }

  #tell(message: FromWorker): void {
    this.#port.postMessage(message);
  }
}

const port = must(parentPort, "this file runs as a worker thread");
const configuration = workerData as WorkerConfiguration;
setServerSettings(configuration.settings);
WorkerServer.start(await attachDatabase(configuration.activity), port, configuration);
