// Brings a fresh clone to the point where the product can run: npm packages, the Rust addon, the TypeScript build. Each step
// runs only when its inputs are newer than its output, so a warm start costs a few stat calls.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, statSync, writeFileSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Runs a command with its output on stderr (stdout belongs to the product); exits with its code when it fails. */
export function run(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, stdio: ["ignore", options.stdout ?? 2, 2], env: process.env, ...options });
  if (result.error?.code === "ENOENT") fail(`${command} was not found.`);
  if (result.status !== 0) {
    if (options.mayFail) return false;
    console.error(`omendb: \`${command} ${args.join(" ")}\` failed (exit code ${result.status}).`);
    process.exit(result.status ?? 1);
  }
  return true;
}

function fail(message) {
  console.error(`omendb: ${message}`);
  process.exit(1);
}

/** Newest modification time below the given paths, in milliseconds; files of skipped names do not count. */
function newest(paths, skip) {
  let time = 0;
  for (const path of paths) {
    const full = join(root, path);
    if (!existsSync(full)) continue;
    const info = statSync(full);
    if (!info.isDirectory()) {
      time = Math.max(time, info.mtimeMs);
      continue;
    }
    for (const entry of readdirSync(full, { withFileTypes: true })) {
      if (skip(entry.name)) continue;
      time = Math.max(time, newest([join(path, entry.name)], skip));
    }
  }
  return time;
}

const modified = (path) => (existsSync(join(root, path)) ? statSync(join(root, path)).mtimeMs : 0);

function installPackages() {
  const stamp = "node_modules/.omendb-installed";
  if (modified(stamp) >= modified("package-lock.json") && modified(stamp) > 0) return;
  console.error("omendb: installing npm packages ...");
  // Not `npm ci`: the lock file may lack optional packages of other platforms, which ci refuses and install completes.
  run("npm", ["install", "--no-audit", "--no-fund", "--ignore-scripts"]);
  writeFileSync(join(root, stamp), "");
}

export function requireCargo() {
  const found = spawnSync("cargo", ["--version"], { stdio: "ignore" });
  if (found.status !== 0) {
    fail("cargo was not found. OmenDB's engine is written in Rust: install Rust 1.90 or newer with rustup (https://rustup.rs), then run this again.");
  }
}

function buildNative() {
  const stamp = "native/node/generated/.built";
  const sources = newest(["native/crates", "native/node/src", "native/node/Cargo.toml", "native/node/build.rs", "native/Cargo.toml", "native/Cargo.lock"], (name) =>
    ["target", "generated", "tests", "benches", "examples"].includes(name),
  );
  if (modified(stamp) >= sources && modified(stamp) > 0) return;
  requireCargo();
  console.error("omendb: building the native engine (a few minutes the first time) ...");
  run("npm", ["run", "--silent", "build:native"]);
  mkdirSync(join(root, "native/node/generated"), { recursive: true });
  writeFileSync(join(root, stamp), "");
}

function buildTypeScript() {
  const stamp = "dist/.built";
  const folders = ["common", "parser", "catalog", "planner", "executor", "session", "wire", "bin", "native/index.ts", "native/engine.ts", "index.ts", "tsconfig.json", "tsconfig.build.json"];
  if (modified(stamp) >= newest(folders, (name) => name.endsWith(".test.ts")) && modified(stamp) > 0) return;
  console.error("omendb: compiling TypeScript ...");
  run("npm", ["run", "--silent", "build:ts"]);
  writeFileSync(join(root, stamp), "");
}

/** Everything the product needs, built where missing or stale. */
export function setup() {
  const [major] = process.versions.node.split(".").map(Number);
  if (major < 20) fail(`Node.js 20 or newer is needed, this is ${process.versions.node}.`);
  installPackages();
  buildNative();
  buildTypeScript();
}
