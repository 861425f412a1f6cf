// Random work of six clients, seeded: rows, vectors, text, definitions, transactions at all levels, beside kill -9, backup and
// restore. Each client knows what its rows must be, searches are compared with exact ones, shared rows keep their invariants, and
// `omendb check` looks at what each kill leaves. A fault's folder is kept. OMENDB_CHAOS_SECONDS and OMENDB_CHAOS_SEED for more.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { connect } from "../support/client.ts";
import { startServer } from "../support/server.ts";
import { runClient } from "./chaos/client.ts";
import { FIRST_INDEXES } from "./chaos/definitions.ts";
import { CREATE_PROGRESS } from "./chaos/model.ts";
import { createTable, TABLES } from "./chaos/rows.ts";
import { CREATE_SHARED } from "./chaos/shared.ts";
import { Supervisor } from "./chaos/supervisor.ts";
import { Report, type World } from "./chaos/world.ts";

const CLIENTS = 6;
const SECONDS = Number(process.env.OMENDB_CHAOS_SECONDS ?? 75);
const SEED = Number(process.env.OMENDB_CHAOS_SEED ?? 1);
/** Over all searches by indexes that keep the vectors or codes of a byte. */
const LEAST_RECALL = 0.97;

async function createTables(url: string): Promise<void> {
  const client = await connect(url, "postgres");
  const tables = TABLES.map(createTable);
  for (const sql of [CREATE_PROGRESS, ...tables, ...FIRST_INDEXES, ...CREATE_SHARED]) await client.query(sql);
  await client.end();
}

async function run(folder: string): Promise<Report> {
  const server = await startServer(["--data", join(folder, "data")]);
  await createTables(server.url);
  const report = new Report();
  const world: World = {
    seed: SEED,
    url: server.url,
    deadline: Date.now() + SECONDS * 1000,
    progress: Array.from({ length: CLIENTS }, () => ({ acknowledged: 0, begun: 0 })),
    report,
  };
  const supervisor = new Supervisor(world, folder, server);
  try {
    const clients = Array.from({ length: CLIENTS }, async (_, client) => runClient(world, client));
    await Promise.all([supervisor.run(), ...clients]);
    await supervisor.end();
  } finally {
    await supervisor.kill();
  }
  return report;
}

describe("random work", () => {
  it(`of ${CLIENTS} clients for ${SECONDS} s, seed ${SEED}, beside kills and backups`, {
    timeout: (SECONDS + 240) * 1000,
  }, async () => {
    const folder = mkdtempSync(join(tmpdir(), "omendb-chaos-"));
    const report = await run(folder);
    const counts = Array.from(report.counts, ([what, count]) => `${what} ${count}`).toSorted();
    console.log(`${counts.join(", ")}; recall ${report.recall.toFixed(4)}`);
    expect(report.faults, `the folder ${folder}`).toEqual([]);
    rmSync(folder, { recursive: true, force: true });
    expect(report.recall).toBeGreaterThan(LEAST_RECALL);
    for (const what of ["transactions", "searches by index", "kills", "backups"]) {
      expect(report.of(what), what).toBeGreaterThan(0);
    }
  });
});
