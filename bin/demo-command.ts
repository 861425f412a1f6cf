// `omendb demo [URL]`: against the server of the URL, else against a temporary one of its own that keeps everything in memory.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { runDemo } from "./demo/demo.ts";
import { fail } from "./failure.ts";
import { startServer } from "./serve.ts";

export async function demo(url: string | undefined): Promise<void> {
  const folder = demoFolder();
  if (url !== undefined) {
    await runDemo(url, folder, process.stdout);
    return;
  }
  const server = await startServer({
    path: undefined,
    host: "127.0.0.1",
    port: 0,
    workers: 1,
    superuser: "postgres",
    password: undefined,
    maxConnections: undefined,
    tls: undefined,
  });
  try {
    await runDemo(server.url, folder, process.stdout);
  } finally {
    await server.stop();
  }
  process.exit(0);
}

/** The rows shipped with the package: beside the sources, or one level up from the build. */
function demoFolder(): string {
  for (const candidate of ["../data/demo/", "../../data/demo/"]) {
    const folder = fileURLToPath(new URL(candidate, import.meta.url));
    if (existsSync(folder)) return folder;
  }
  return fail("the demo's data folder is missing from this installation");
}
