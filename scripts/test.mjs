// `npm test`: set up what is missing, then the everyday checks in the order of `npm run ready`; stops at the first failure.
// `npm run test:slow` (argument `slow`): the crash, recall and comparison suites that take minutes.
import { requireCargo, run, setup } from "./setup.mjs";

const started = Date.now();
const step = (name, command, args, options) => {
  const from = Date.now();
  console.log(`\n== ${name}`);
  run(command, args, { stdout: 1, ...options });
  console.log(`== ${name}: ${((Date.now() - from) / 1000).toFixed(1)} s`);
};

setup();
requireCargo();
const cargo = ["--manifest-path", "native/Cargo.toml", "--workspace"];
if (process.argv[2] === "slow") {
  step("Rust, slow", "cargo", ["test", "--profile", "checked", ...cargo, "--", "--ignored"]);
  step("whole system, slow", "npx", ["vitest", "run", "--config", "vitest.slow.config.ts"]);
} else {
  step("format", "npx", ["biome", "format", "."]);
  step("types", "npx", ["tsc", "--noEmit", "-p", "."]);
  step("lint", "npx", ["oxlint", "--type-aware", "."]);
  step("imports", "npx", ["depcruise", "--config", ".dependency-cruiser.cjs", "common", "parser", "catalog", "planner", "executor", "session", "native/index.ts", "native/engine.ts", "wire", "bin", "index.ts"]);
  step("Rust format", "cargo", ["fmt", "--manifest-path", "native/Cargo.toml", "--all", "--check"]);
  step("Rust lint", "cargo", ["clippy", "--profile", "checked", ...cargo, "--all-targets", "--", "-D", "warnings"]);
  step("Rust tests", "cargo", ["test", "--profile", "checked", ...cargo]);
  const model = ["--manifest-path", "native/Cargo.toml", "-p", "omen-hnsw", "-p", "omen-store", "--lib", "--features", "omen-hnsw/model,omen-store/model"];
  step("Rust model checks", "cargo", ["test", "--profile", "checked", ...model, "model"]);
  step("TypeScript, SQL, plan and wire tests", "npx", ["vitest", "run"]);
}
console.log(`\nall passed in ${((Date.now() - started) / 1000).toFixed(0)} s`);
