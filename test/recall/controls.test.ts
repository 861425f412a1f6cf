// What a user says about the quality of a search: hnsw.target_recall, hnsw.ef_search, and the bounds of iterative scans. The
// exact answer is the oracle; EXPLAIN ANALYZE says what was chosen.
import { afterAll, beforeAll, expect, test } from "vitest";
import { type EmbeddedDatabase, open } from "../../index.ts";
import { random } from "./recall.ts";

const ROWS = 5000;
const DIMENSIONS = 24;
const K = 10;
/** Far more than a random walk of the mean: 60 queries of ten rows. */
const TOLERANCE = 0.05;

const next = random(77);
const normal = (): number => next() + next() + next() + next() - 2;
const centres = Array.from({ length: 30 }, () => Array.from({ length: DIMENSIONS }, normal));

/** Around one of thirty centres that overlap. */
function point(): string {
  const centre = centres[Math.floor(next() * centres.length)] ?? [];
  return `[${centre.map((x) => (x + normal()).toFixed(4)).join(",")}]`;
}
const queries = Array.from({ length: 60 }, point);

let db: EmbeddedDatabase;
beforeAll(async () => {
  db = await open({ memory: true });
  await db.query(`CREATE TABLE points (id int PRIMARY KEY, part int, v vector(${DIMENSIONS}))`);
  for (let id = 0; id < ROWS; id += 250) {
    const rows = Array.from({ length: 250 }, (_, i) => `(${id + i}, ${(id + i) % 4}, '${point()}')`);
    await db.query(`INSERT INTO points VALUES ${rows.join(", ")}`);
  }
  await db.query("CREATE INDEX points_v ON points USING hnsw (v vector_l2_ops)");
  await db.query("CREATE INDEX ON points (part)");
}, 60_000);
afterAll(() => db.close());

const statement = (query: string, where = ""): string =>
  `SELECT id FROM points ${where} ORDER BY v <-> '${query}' LIMIT ${K}`;

const touched = new Set<string>();

async function set(settings: Readonly<Record<string, string | number>>): Promise<void> {
  for (const name of touched) await db.query(`RESET ${name}`);
  for (const [name, value] of Object.entries(settings)) {
    touched.add(name);
    await db.query(`SET ${name} = ${value}`);
  }
}

async function meanRecall(settings: Readonly<Record<string, string | number>>): Promise<number> {
  let hits = 0;
  for (const query of queries) {
    await set({ "omendb.exact": "on" });
    const exact = new Set((await db.query(statement(query))).rows.map((row) => row["id"]));
    await set(settings);
    hits += (await db.query(statement(query))).rows.filter((row) => exact.has(row["id"])).length;
  }
  return hits / (K * queries.length);
}

/** The counters EXPLAIN ANALYZE shows. */
async function counters(
  settings: Readonly<Record<string, string | number>>,
  where = "",
): Promise<Map<string, string>> {
  await set(settings);
  const { rows } = await db.query(
    `EXPLAIN (ANALYZE, COSTS off, TIMING off) ${statement(queries[0] ?? "", where)}`,
  );
  const lines = rows.map((row) => String(row["QUERY PLAN"]).trim().split(": ", 2));
  return new Map(lines.flatMap(([name, value]) => (name && value ? [[name, value]] : [])));
}

test("hnsw.ef_search is the beam, the default is ours, and EXPLAIN ANALYZE says so", async () => {
  // Before anything was set.
  const usual = await counters({});
  expect(usual.get("Beam Width")).toBe("100");
  expect(usual.has("Target Recall")).toBe(false);
  expect((await counters({ "hnsw.ef_search": 77 })).get("Beam Width")).toBe("77");
  await expect(db.query("SET hnsw.target_recall = 1.5")).rejects.toMatchObject({ code: "22023" });
});

test("hnsw.target_recall is reached by a beam no wider than it takes", async () => {
  const widths: number[] = [];
  for (const target of [0.7, 0.9, 0.99]) {
    const settings = { "hnsw.target_recall": target };
    expect(await meanRecall(settings)).toBeGreaterThanOrEqual(target - TOLERANCE);
    const shown = await counters(settings);
    expect(shown.get("Target Recall")).toBe(String(target));
    expect(Number(shown.get("Estimated Recall"))).toBeGreaterThanOrEqual(target - TOLERANCE);
    widths.push(Number(shown.get("Beam Width")));
  }
  expect(widths).toEqual([...widths].sort((a, b) => a - b));
  expect(widths[2]).toBeGreaterThan(widths[0] ?? 0);
});

test("hnsw.max_scan_tuples bounds the graph of an iterative scan, and what the answer lacks is found exactly", async () => {
  const where = "WHERE part = 1";
  const free = await counters({ "hnsw.ef_search": 10 }, where);
  expect(free.get("Search Path")).toBe("graph");
  for (const mode of ["relaxed_order", "strict_order"]) {
    const bounded = { "hnsw.ef_search": 10, "hnsw.iterative_scan": mode, "hnsw.max_scan_tuples": 40 };
    expect((await counters(bounded, where)).get("Search Path")).toBe("graph, then exact");
    expect((await db.query(statement(queries[0] ?? "", where))).rows.length).toBe(K);
  }
  // As in pgvector, where no iterative scan is asked for the bound says nothing.
  const off = { "hnsw.ef_search": 10, "hnsw.iterative_scan": "off", "hnsw.max_scan_tuples": 40 };
  expect((await counters(off, where)).get("Search Path")).toBe("graph");
  // And its default bounds nothing here.
  expect(
    (await counters({ "hnsw.ef_search": 10, "hnsw.iterative_scan": "strict_order" }, where)).get(
      "Search Path",
    ),
  ).toBe("graph");
});
