// What all comparisons share: the command line, a fresh OmenDB on a temporary folder, and its end.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startServer } from "../../test/support/server.ts";
import { generatedSet, readSet, type VectorSet } from "./sets.ts";
import type { System } from "./systems.ts";

/** One pgbench script per query vector, and pgbench takes 128. */
const QUERIES = 100;
const GENERATED_ROWS = 20_000;
const GENERATED_DIMENSIONS = 256;

export interface Comparison {
  readonly systems: readonly System[];
  readonly sets: readonly VectorSet[];
  readonly jsonFile: string | undefined;
}

/** Runs `body` with OmenDB started and PostgreSQL as the command line names it (without: OmenDB alone). */
export async function comparison(name: string, body: (run: Comparison) => Promise<void>): Promise<void> {
  const { values } = parseArgs({
    options: {
      pg: { type: "string" },
      "pg-pid": { type: "string" },
      set: { type: "string", multiple: true },
      data: { type: "string" },
      json: { type: "string" },
    },
  });
  const sets = (values.set ?? []).map((folder) => readSet(folder, QUERIES));
  if (sets.length === 0) sets.push(generatedSet(GENERATED_ROWS, GENERATED_DIMENSIONS, QUERIES, 1));
  const folder = mkdtempSync(join(values.data ?? tmpdir(), `omendb-${name}-`));
  const server = await startServer(["--data", join(folder, "data")]);
  const systems: System[] = [{ name: "omendb", url: server.url, pid: server.process.pid ?? 0 }];
  if (values.pg !== undefined) {
    systems.push({ name: "pgvector", url: values.pg, pid: Number(values["pg-pid"] ?? 0) });
  }
  try {
    await body({ systems, sets, jsonFile: values.json });
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}
