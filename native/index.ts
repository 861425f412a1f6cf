// The typed face of the addon, and the only importer of it: finds the binary for this platform and gives it the types of
// engine.ts. Nothing is added or converted here.
//
// The addon is loaded by every thread that imports this file; the first one must be the main thread, which keeps it until
// the process ends, because unloading code that other threads still run would crash them.
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import type { EngineBinding } from "./engine.ts";

const require = createRequire(import.meta.url);

/** Names the build gives the binary; on Linux the C library is part of it, and only one is installed. */
function addonNames(): readonly string[] {
  const { platform, arch } = process;
  const variants = platform === "linux" ? ["-gnu", "-musl"] : [""];
  return variants.map((variant) => `omendb.${platform}-${arch}${variant}.node`);
}

/** Beside this file in the source tree, further up from the compiled file in dist/native. */
function addonPath(): string {
  const names = addonNames();
  const folders = ["./node/generated/", "../../native/node/generated/"];
  const paths = folders.flatMap((folder) =>
    names.map((name) => fileURLToPath(new URL(folder + name, import.meta.url))),
  );
  const found = paths.find((path) => existsSync(path));
  if (found === undefined) {
    throw new Error(`the native engine (${names.join(" or ")}) is missing: run "npm run build:native"`);
  }
  return found;
}

const binding = require(addonPath()) as EngineBinding;

export const {
  openEngine,
  attachEngine,
  checkDatabase,
  dup,
  Sockets,
  createCopyDecoder,
  distance,
  firstNotFinite,
  parseVector,
  simdName,
  compileRegex,
} = binding;

export * from "./engine.ts";
