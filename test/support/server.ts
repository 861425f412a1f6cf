// Starts the built product (dist/) as a user would, for tests that judge it from outside. `npm test` builds dist/ first.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url));

export interface TestServer {
  readonly url: string;
  readonly port: number;
  readonly process: ChildProcess;
  /** Everything the server wrote to stderr so far. */
  readonly log: () => string;
  /** SIGTERM and wait; resolves with the exit code. */
  stop(): Promise<number | null>;
  /** SIGKILL and wait. */
  kill(): Promise<void>;
}

/**
 * Starts `omendb serve` with the given options on a free port (unless --port is given) and waits for its ready line.
 * `environment` is added to the test's own.
 */
export async function startServer(
  options: readonly string[] = ["--memory"],
  environment: Readonly<Record<string, string>> = {},
): Promise<TestServer> {
  const entry = join(root, "dist/bin/omendb.js");
  if (!existsSync(entry)) throw new Error("dist/ is missing: npm run build:ts");
  const port = options.includes("--port") ? [] : ["--port", "0"];
  const child = spawn(process.execPath, [entry, "serve", ...options, ...port], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...environment },
  });
  let log = "";
  child.stderr.on("data", (chunk: Buffer) => {
    log += chunk.toString("utf8");
  });
  const url = await readyUrl(child, () => log);
  return {
    url,
    port: Number(new URL(url).port),
    process: child,
    log: () => log,
    async stop() {
      if (child.exitCode !== null) return child.exitCode;
      const exited = once(child, "exit");
      child.kill("SIGTERM");
      await exited;
      return child.exitCode;
    },
    async kill() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, "exit");
      child.kill("SIGKILL");
      await exited;
    },
  };
}

async function readyUrl(child: ChildProcess, log: () => string): Promise<string> {
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  const ready = new Promise<string>((resolve, reject) => {
    lines.on("line", (line) => {
      const match = /^ready (postgresql:\/\/\S+)$/.exec(line);
      if (match?.[1] !== undefined) resolve(match[1]);
    });
    child.once("exit", (code) =>
      reject(new Error(`the server ended with ${code} before it was ready:\n${log()}`)),
    );
  });
  return ready;
}
