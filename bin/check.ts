// `omendb check DIR`: verifies a data folder that no server has open and prints what was looked at. Files are read first, as
// they are; then the database is opened as a server would, recovery included, to hold its indexes against its rows.
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { checkDatabase } from "../native/index.ts";
import { fail } from "./failure.ts";

/** Prints the report; false when there is damage. Exits when `folder` is no database or in use. */
export function check(folder: string): boolean {
  const path = resolve(folder);
  if (!existsSync(join(path, "FORMAT"))) fail(`${path} is no data folder, or an unfinished backup`);
  const parts = checkedParts(path);
  const width = Math.max(...parts.map((part) => part.name.length));
  for (const { name, count, problems } of parts) {
    const verdict = problems.length === 0 ? "ok" : `${problems.length} damaged`;
    process.stdout.write(`${name.padEnd(width)}  ${String(count).padStart(10)}  ${verdict}\n`);
    for (const problem of problems) process.stdout.write(`  ${problem}\n`);
  }
  return parts.every((part) => part.problems.length === 0);
}

function checkedParts(path: string): ReturnType<typeof checkDatabase> {
  try {
    return checkDatabase(path);
  } catch (error) {
    return fail(`cannot check ${path}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
