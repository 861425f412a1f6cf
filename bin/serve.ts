// `omendb serve`: opens the engine, starts the server, says that it is ready, and stops cleanly on SIGTERM or SIGINT.
//
// Without a password there is no authentication, so only loopback is served: binding elsewhere is refused with the reason.
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import type { SharedBuffers } from "../session/shared-buffers.ts";
import { startEngine, stopEngine } from "../session/start.ts";
import { formatVerifier, makeVerifier } from "../wire/auth/scram.ts";
import { Server } from "../wire/server.ts";
import type { WorkerConfiguration } from "../wire/worker-messages.ts";
import { fail } from "./failure.ts";

/** More workers than this only pay off with many busy sessions; each costs memory for its own caches. */
const MAX_DEFAULT_WORKERS = 4;

export interface ServeOptions {
  /** Data folder; undefined = in memory. */
  readonly path: string | undefined;
  readonly host: string;
  readonly port: number;
  readonly workers: number;
  readonly superuser: string;
  readonly password: string | undefined;
  readonly maxConnections: number | undefined;
  /** As shared_buffers is written, "256MB"; undefined = the default, 128MB. */
  readonly sharedBuffers?: string | undefined;
  readonly tls: { readonly cert: string; readonly key: string } | undefined;
}

/** Options of the command line and the environment, checked; exits with the reason when they cannot be served. */
export function serveOptions(
  given: Readonly<Record<string, unknown>>,
  environment: Readonly<Record<string, string | undefined>>,
): ServeOptions {
  const text = (name: string): string | undefined => given[name] as string | undefined;
  const password = text("password") ?? environment["OMENDB_PASSWORD"];
  const host = text("host") ?? "127.0.0.1";
  if ((password === undefined || password === "") && !isLoopback(host)) {
    fail(
      `refusing to listen on ${host} without a password: everybody who can reach it would be superuser.\n` +
        "Give one with --password or OMENDB_PASSWORD, or listen on 127.0.0.1.",
    );
  }
  const [cert, key] = [text("tlsCert"), text("tlsKey")];
  if ((cert === undefined) !== (key === undefined)) fail("--tls-cert and --tls-key belong together");
  return {
    path: given["memory"] === true ? undefined : resolve(text("data") ?? "./omendb-data"),
    host,
    port: given["port"] as number,
    workers:
      (given["workers"] as number | undefined) ?? Math.min(availableParallelism(), MAX_DEFAULT_WORKERS),
    superuser: text("superuser") ?? "postgres",
    password: password === "" ? undefined : password,
    maxConnections: given["maxConnections"] as number | undefined,
    sharedBuffers: text("sharedBuffers"),
    tls: cert === undefined || key === undefined ? undefined : { cert: readPem(cert), key: readPem(key) },
  };
}

/** Runs until a signal ends it. */
export async function serve(options: ServeOptions): Promise<void> {
  const running = await startServer(options).catch((error: unknown) => fail(startFailure(error, options)));
  process.stdout.write(`ready ${running.url}\n`);
  await new Promise<void>((done) => {
    const stop = (): void => {
      process.off("SIGTERM", stop);
      process.off("SIGINT", stop);
      done();
    };
    process.on("SIGTERM", stop);
    process.on("SIGINT", stop);
  });
  await running.stop();
  // The addon's pool threads are gone, yet an idle handle of a library must not keep a stopped server alive.
  process.exit(0);
}

export interface RunningServer {
  readonly url: string;
  stop(): Promise<void>;
}

/** Engine and server of this process; `omendb demo` starts its own this way. */
export async function startServer(options: ServeOptions): Promise<RunningServer> {
  const buffers = await sharedBuffers(options);
  const engine = await startEngine({
    path: options.path,
    superuser: options.superuser,
    ...(buffers === undefined ? {} : { bufferBytes: buffers.bytes }),
  });
  try {
    const server = await Server.start({
      host: options.host,
      port: options.port,
      workers: options.workers,
      maxConnections: options.maxConnections,
      settings: fixedSettings(buffers, options.maxConnections),
      authentication: authentication(options),
      tls: options.tls,
      onWorkerDeath: (error) => {
        process.stderr.write(`omendb: a worker thread died: ${error?.stack ?? "unknown reason"}\n`);
      },
    });
    return {
      url: urlOf(options, server.address.port),
      stop: async () => {
        await server.stop();
        await stopEngine(engine);
      },
    };
  } catch (error) {
    await stopEngine(engine);
    throw error;
  }
}

/** What SHOW answers for settings that are given when the server starts. */
function fixedSettings(
  buffers: SharedBuffers | undefined,
  maxConnections: number | undefined,
): ReadonlyMap<string, string> {
  const settings = new Map<string, string>();
  if (buffers !== undefined) settings.set("shared_buffers", buffers.setting);
  if (maxConnections !== undefined) settings.set("max_connections", String(maxConnections));
  return settings;
}

/** Loads the settings' definitions only when they are needed: a server's start waits for it. */
async function sharedBuffers({ sharedBuffers: text }: ServeOptions): Promise<SharedBuffers | undefined> {
  if (text === undefined) return undefined;
  const { readSharedBuffers } = await import("../session/shared-buffers.ts");
  return readSharedBuffers(text);
}

function authentication({ superuser, password }: ServeOptions): WorkerConfiguration["authentication"] {
  if (password === undefined) return { kind: "trust" };
  return { kind: "scram", superuser, verifier: formatVerifier(makeVerifier(password, randomBytes)) };
}

/** The URL a client on this machine connects with; the password stays out of it. */
function urlOf({ host, superuser }: ServeOptions, port: number): string {
  const reachable = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
  const shown = isIP(reachable) === 6 ? `[${reachable}]` : reachable;
  return `postgresql://${encodeURIComponent(superuser)}@${shown}:${port}/postgres`;
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

function startFailure(error: unknown, { host, port, path }: ServeOptions): string {
  const { code, message } = error as { code?: string; message?: string };
  if (code === "EADDRINUSE") return `port ${port} on ${host} is in use: choose another with --port`;
  if (code === "EACCES") return `not allowed to listen on port ${port} of ${host}`;
  if (code === "55006") {
    return `another process is using the data folder ${path ?? ""}: stop it, or choose another with --data`;
  }
  return message ?? String(error);
}

function readPem(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    return fail(`cannot read ${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
