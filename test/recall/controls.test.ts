// What a user says about the quality of a search: hnsw.target_recall, hnsw.ef_search, and the bounds of iterative scans. The
// exact answer is the oracle; EXPLAIN ANALYZE says what was chosen.
import { afterAll, beforeAll, expect, test } from "vitest";
import { type EmbeddedDatabase, open } from "../../index.ts";
import { random } from "./recall.ts";

const ROWS = 5000;
const DIMENSIONS = 24;
const K = 10;
/** What the mean of the queries may be below what was asked for. */
const TOLERANCE = 0.01;

const next = random(77);
const normal = (): number => next() + next() + next() + next() - 2;
const centres = Array.from({ length: 30 }, () => Array.from({ length: DIMENSIONS }, normal));

/** Around one of thirty centres that overlap. */
function point(): string {
  const centre = centres[Math.floor(next() * centres.length)] ?? [];
  return `[${centre.map((x) => (x + normal()).toFixed(4)).join(",")}]`;
}
const queries = Array.from({ length: 150 }, point);

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

const ids = async (query: string, where: string): Promise<unknown[]> =>
  (await db.query(statement(query, where))).rows.map((row) => row["id"]);

/** What the queries should find. */
async function exactIds(where = ""): Promise<unknown[][]> {
  await set({ "omendb.exact": "on" });
  const exact: unknown[][] = [];
  for (const query of queries) exact.push(await ids(query, where));
  return exact;
}

/** Mean recall of the queries under settings. */
async function meanRecall(
  settings: Readonly<Record<string, string | number>>,
  exact: readonly unknown[][],
  where = "",
): Promise<number> {
  await set(settings);
  let hits = 0;
  for (const [i, query] of queries.entries())
    hits += (await ids(query, where)).filter((id) => exact[i]?.includes(id)).length;
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
  // Before anything was set: of 5,000 vectors, see planner/physical/beam.ts.
  const usual = await counters({});
  expect(usual.get("Beam Width")).toBe("64");
  expect(usual.has("Target Recall")).toBe(false);
  expect((await counters({ "hnsw.ef_search": 77 })).get("Beam Width")).toBe("77");
  await expect(db.query("SET hnsw.target_recall = 1.5")).rejects.toMatchObject({ code: "22023" });
});

test("the first search for a recall looks widely and has the index measured", async () => {
  const settings = { "hnsw.target_recall": 0.9 };
  const first = await counters(settings);
  expect(first.get("Estimated Recall")).toBe("not measured");
  expect(first.get("Beam Width")).toBe("400");
  let shown = first;
  while (shown.get("Estimated Recall") === "not measured") {
    await new Promise((resolve) => setTimeout(resolve, 5));
    shown = await counters(settings);
  }
  expect(Number(shown.get("Estimated Recall"))).toBeGreaterThanOrEqual(0.9);
  expect(Number(shown.get("Beam Width"))).toBeLessThan(400);
});

test("hnsw.target_recall is reached, and less is less work", async () => {
  const exact = await exactIds();
  const work: number[] = [];
  for (const target of [0.8, 0.9, 0.95, 0.99]) {
    const settings = { "hnsw.target_recall": target };
    expect(await meanRecall(settings, exact)).toBeGreaterThanOrEqual(target - TOLERANCE);
    const shown = await counters(settings);
    expect(shown.get("Target Recall")).toBe(String(target));
    expect(Number(shown.get("Estimated Recall"))).toBeGreaterThanOrEqual(target);
    expect(Number(shown.get("Beam Width"))).toBeGreaterThanOrEqual(K);
    work.push(Number(shown.get("Distances")));
  }
  expect(work).toEqual([...work].sort((a, b) => a - b));
  expect(work.at(-1)).toBeGreaterThan(work[0] ?? 0);
});

test("under a predicate hnsw.target_recall is a beam's width, which was measured too", async () => {
  const where = "WHERE part <> 1";
  const exact = await exactIds(where);
  // With a beam too narrow for it, the nearest of all are not asked for the predicate.
  const settings = (target: number) => ({ "hnsw.ef_search": 10, "hnsw.target_recall": target });
  const widths: number[] = [];
  for (const target of [0.8, 0.9, 0.99]) {
    expect(await meanRecall(settings(target), exact, where)).toBeGreaterThanOrEqual(target - TOLERANCE);
    const shown = await counters(settings(target), where);
    expect(shown.get("Search Path")).toBe("graph");
    expect(shown.has("Stop Slack")).toBe(false);
    widths.push(Number(shown.get("Beam Width")));
  }
  expect(widths).toEqual([...new Set(widths)].sort((a, b) => a - b));
});

test("hnsw.target_recall is reached where the nearest of all are asked for a predicate", async () => {
  const where = "WHERE part <> 1";
  const exact = await exactIds(where);
  for (const target of [0.8, 0.95]) {
    const settings = { "hnsw.target_recall": target };
    expect(await meanRecall(settings, exact, where)).toBeGreaterThanOrEqual(target - TOLERANCE);
    expect((await counters(settings, where)).get("Search Path")).toBe("graph, then filter");
  }
});

test("where the answer is exact no beam and no recall are shown", async () => {
  const shown = await counters({ "hnsw.target_recall": 0.9 }, "WHERE part = 1");
  expect(shown.get("Search Path")).toBe("exact");
  for (const name of ["Beam Width", "Target Recall", "Estimated Recall"]) expect(shown.has(name)).toBe(false);
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
