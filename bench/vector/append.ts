// `tsx bench/vector/append.ts [--pg URL --pg-pid PID] [--data FOLDER] [--json FILE]`: how fast vectors get in, durably, into a
// table without indexes: a Float32Array block through appendVectors in this process, and COPY BINARY through a server
// beside pgvector's. Every load is one transaction; a load of each is done before the measured ones.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { open } from "../../index.ts";
import { startServer } from "../../test/support/server.ts";
import { loadTable, writeCopyFile } from "./load.ts";
import { printJson, printTable, ratio } from "./report.ts";
import { generatedSet, type VectorSet } from "./sets.ts";
import { sql, type System, timed } from "./systems.ts";

const DIMENSIONS = [128, 256, 512, 768];
const FLOATS = 12_800_000;
const ROUNDS = 3;

interface Load {
  readonly perSecond: number;
  readonly cpuNs: number;
}

interface Line {
  readonly dimensions: number;
  readonly block: Load;
  readonly copy: Partial<Record<System["name"], Load>>;
}

/** The quickest of the rounds; CPU is the mean, because its clock is coarse. */
function best(count: number, rounds: readonly { readonly seconds: number; readonly cpu: number }[]): Load {
  const cpu = rounds.reduce((sum, round) => sum + round.cpu, 0) / rounds.length;
  return {
    perSecond: count / Math.min(...rounds.map(({ seconds }) => seconds)),
    cpuNs: (cpu / count) * 1e9,
  };
}

/** appendVectors in this process, all its threads counted. */
async function blockLoads(sets: readonly VectorSet[], folder: string): Promise<Load[]> {
  const db = await open({ path: join(folder, "embedded") });
  const loads: Load[] = [];
  for (const { base, count, dimensions } of sets) {
    const rounds: { seconds: number; cpu: number }[] = [];
    for (let round = 0; round <= ROUNDS; round++) {
      await db.query(`DROP TABLE IF EXISTS items; CREATE TABLE items (v vector(${dimensions}))`);
      const [cpu, started] = [process.cpuUsage(), performance.now()];
      await db.appendVectors("items", { vectors: base });
      const seconds = (performance.now() - started) / 1000;
      const used = process.cpuUsage(cpu);
      if (round > 0) rounds.push({ seconds, cpu: (used.user + used.system) / 1e6 });
    }
    loads.push(best(count, rounds));
  }
  await db.close();
  return loads;
}

async function copyLoads(systems: readonly System[], set: VectorSet, file: string): Promise<Line["copy"]> {
  const rounds = new Map<System, { seconds: number; cpu: number }[]>(systems.map((system) => [system, []]));
  for (let round = 0; round <= ROUNDS; round++) {
    for (const system of systems) {
      // Making the table costs nothing beside filling it.
      const spent = await timed(system, () => loadTable(system, set, file));
      if (round > 0) rounds.get(system)?.push(spent);
    }
  }
  for (const system of systems) await sql(system, "DROP TABLE items");
  return Object.fromEntries(
    systems.map((system) => [system.name, best(set.count, rounds.get(system) ?? [])]),
  );
}

function show(load: Load | undefined): string {
  if (load === undefined) return "-";
  return `${Math.round(load.perSecond / 1000)}K/s, CPU ${Math.round(load.cpuNs)} ns`;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      pg: { type: "string" },
      "pg-pid": { type: "string" },
      data: { type: "string" },
      json: { type: "string" },
    },
  });
  const folder = mkdtempSync(join(values.data ?? tmpdir(), "omendb-append-"));
  try {
    const sets = DIMENSIONS.map((dimensions) =>
      generatedSet(Math.floor(FLOATS / dimensions), dimensions, 1, 1),
    );
    const blocks = await blockLoads(sets, folder);
    const server = await startServer(["--data", join(folder, "server")]);
    const systems: System[] = [{ name: "omendb", url: server.url, pid: server.process.pid ?? 0 }];
    if (values.pg !== undefined) {
      systems.push({ name: "pgvector", url: values.pg, pid: Number(values["pg-pid"] ?? 0) });
    }
    const lines: Line[] = [];
    for (const [i, set] of sets.entries()) {
      const file = join(folder, "vectors.bin");
      await writeCopyFile(file, set, []);
      const copy = await copyLoads(systems, set, file);
      lines.push({ dimensions: set.dimensions, block: blocks[i] as Load, copy });
    }
    await server.stop();
    printTable([
      ["dimensions", "appendVectors", "COPY BINARY", "pgvector's", "COPY ratio"],
      ...lines.map(({ dimensions, block, copy }) => [
        String(dimensions),
        show(block),
        show(copy.omendb),
        show(copy.pgvector),
        copy.omendb === undefined || copy.pgvector === undefined
          ? "-"
          : ratio(copy.omendb.perSecond, copy.pgvector.perSecond),
      ]),
    ]);
    printJson(lines, values.json);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

await main();
