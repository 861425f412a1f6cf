// Records every transcript anew from a PostgreSQL 15: `node --import tsx test/wire/record.ts host:port`.
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { runTranscript } from "./transcript.ts";

const [host = "127.0.0.1", port = "5432"] = (process.argv[2] ?? "").split(":");
const folder = fileURLToPath(new URL("./", import.meta.url));
for (const name of readdirSync(folder).filter((file) => file.endsWith(".transcript"))) {
  const path = folder + name;
  try {
    writeFileSync(path, await runTranscript(readFileSync(path, "utf8"), { host, port: Number(port) }));
  } catch (error) {
    process.exitCode = 1;
    console.error(`${name}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
