// `omendb restore BACKUP --data DIR`: a data folder from a backup. The backup stays as it is; the copy is synced and checked,
// and only then has its FORMAT file, without which no server opens it.
import { closeSync, cpSync, existsSync, fsyncSync, openSync, readdirSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { check } from "./check.ts";
import { fail } from "./failure.ts";

const LAST = "FORMAT";

/** Copies `backup` into `folder`, new or empty, and checks it; exits with the reason when that fails. */
export function restore(backup: string, folder: string): void {
  const [from, to] = [resolve(backup), resolve(folder)];
  if (!existsSync(join(from, LAST))) fail(`${from} is no finished backup`);
  if (existsSync(to) && readdirSync(to).length > 0) fail(`directory "${to}" exists but is not empty`);
  try {
    cpSync(from, to, { recursive: true, filter: (path) => path !== join(from, LAST) });
    syncAll(to);
    cpSync(join(from, LAST), join(to, LAST));
    sync(join(to, LAST));
    sync(to);
  } catch (error) {
    fail(`restore failed: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (!check(to)) fail(`${to} is damaged: restore another backup`);
  process.stdout.write(`restored to ${to}\n`);
}

/** Makes contents and names under `path` durable. */
function syncAll(path: string): void {
  if (statSync(path).isDirectory()) for (const name of readdirSync(path)) syncAll(join(path, name));
  sync(path);
}

function sync(path: string): void {
  const descriptor = openSync(path, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
