// Recall over an index's life, for each operator class: built over rows or before them, with little memory, after half the
// rows went and came back, with many equal vectors, and under every mode of iterative scans. The exact answer is the oracle.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type EmbeddedDatabase, open } from "../../index.ts";
import { random } from "./recall.ts";

const ROWS = 1200;
const DIMENSIONS = 8;
const QUERIES = 12;
const K = 10;
const FLOOR = 0.95;

const CLASSES = [
  { opclass: "vector_l2_ops", operator: "<->" },
  { opclass: "vector_cosine_ops", operator: "<=>" },
  { opclass: "vector_ip_ops", operator: "<#>" },
] as const;

const next = random(31);
const point = (): string => `[${Array.from({ length: DIMENSIONS }, () => next().toFixed(4)).join(",")}]`;

let db: EmbeddedDatabase;
beforeAll(async () => {
  db = await open({ memory: true });
});
afterAll(() => db.close());

async function insert(from: number, to: number): Promise<void> {
  for (let id = from; id < to; id += 200) {
    const rows = Array.from({ length: Math.min(200, to - id) }, (_, i) => `(${id + i}, '${point()}')`);
    await db.query(`INSERT INTO points VALUES ${rows.join(", ")}`);
  }
}

async function createTable(): Promise<void> {
  await db.query("DROP TABLE IF EXISTS points");
  await db.query(`CREATE TABLE points (id int PRIMARY KEY, v vector(${DIMENSIONS}))`);
}

/** Part of the exact K nearest that the index finds, over QUERIES random points. */
async function meanRecall(operator: string, where = ""): Promise<number> {
  let hits = 0;
  for (let i = 0; i < QUERIES; i++) {
    const sql = `SELECT id FROM points ${where} ORDER BY v ${operator} '${point()}' LIMIT ${K}`;
    const found = await db.query(sql);
    await db.query("SET omendb.exact = on");
    const exact = new Set((await db.query(sql)).rows.map((row) => row["id"]));
    await db.query("RESET omendb.exact");
    expect(found.rows.length).toBe(exact.size);
    hits += found.rows.filter((row) => exact.has(row["id"])).length / exact.size;
  }
  return hits / QUERIES;
}

describe.each(CLASSES)("$opclass", ({ opclass, operator }) => {
  const createIndex = `CREATE INDEX points_v ON points USING hnsw (v ${opclass})`;

  test("an index made before its rows, and one made after them with little memory", async () => {
    await createTable();
    await db.query(createIndex);
    await insert(0, ROWS);
    expect(await meanRecall(operator)).toBeGreaterThanOrEqual(FLOOR);
    await db.query("DROP INDEX points_v");
    await db.query("SET maintenance_work_mem = '1MB'");
    await db.query(createIndex);
    await db.query("RESET maintenance_work_mem");
    expect(await meanRecall(operator)).toBeGreaterThanOrEqual(FLOOR);
  });

  test("after half the rows went and others came in their place", async () => {
    await createTable();
    await insert(0, ROWS);
    await db.query(createIndex);
    await db.query("DELETE FROM points WHERE id % 2 = 0");
    expect(await meanRecall(operator)).toBeGreaterThanOrEqual(FLOOR);
    await db.query("VACUUM points");
    await insert(ROWS, ROWS + ROWS / 2);
    expect(await meanRecall(operator)).toBeGreaterThanOrEqual(FLOOR);
    await db.query("UPDATE points SET v = v + v WHERE id % 3 = 0");
    expect(await meanRecall(operator)).toBeGreaterThanOrEqual(FLOOR);
  });

  test("iterative scans: no mode falls short under a filter", async () => {
    for (const mode of ["off", "relaxed_order", "strict_order"]) {
      await db.query(`SET hnsw.iterative_scan = ${mode}`);
      await db.query("SET hnsw.max_scan_tuples = 50");
      expect(await meanRecall(operator, "WHERE id % 50 = 1")).toBeGreaterThanOrEqual(FLOOR);
      await db.query("RESET hnsw.iterative_scan");
      await db.query("RESET hnsw.max_scan_tuples");
    }
  });
});

test("of many equal vectors as many come as are asked for, each row once", async () => {
  await createTable();
  await db.query("CREATE INDEX ON points USING hnsw (v vector_l2_ops)");
  const same = "[1,1,1,1,1,1,1,1]";
  await db.query(`INSERT INTO points SELECT i, '${same}' FROM generate_series(1, 300) i`);
  await insert(1000, 1200);
  for (const wanted of [1, 40, 250]) {
    const { rows } = await db.query(`SELECT id FROM points ORDER BY v <-> '${same}' LIMIT ${wanted}`);
    expect(new Set(rows.map((row) => row["id"])).size).toBe(wanted);
    for (const row of rows) expect(row["id"]).toBeLessThanOrEqual(300);
  }
});
