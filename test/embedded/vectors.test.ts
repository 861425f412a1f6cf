// Blocks of vectors in, typed arrays out: the same rows and the same answers as SQL.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { randomSource } from "../../bench/dataset.ts";
import { type EmbeddedDatabase, open } from "../../index.ts";

const DIMENSIONS = 8;

let db: EmbeddedDatabase;
beforeAll(async () => {
  db = await open({ memory: true });
});
afterAll(() => db.close());

function randomBlock(count: number, seed = 1): Float32Array {
  const random = randomSource(seed);
  return Float32Array.from({ length: count * DIMENSIONS }, () => Math.fround(random() - 0.5));
}

const rowOf = (block: Float32Array, row: number): Float32Array =>
  block.subarray(row * DIMENSIONS, (row + 1) * DIMENSIONS);

async function count(table: string): Promise<unknown> {
  return (await db.query(`SELECT count(*)::int AS n FROM ${table}`)).rows[0]?.["n"];
}

describe("appendVectors", () => {
  beforeEach(async () => {
    await db.query(
      `DROP TABLE IF EXISTS items; CREATE TABLE items (id int PRIMARY KEY, v vector(${DIMENSIONS}))`,
    );
  });

  test("a block of several batches is what SQL then reads", async () => {
    const block = randomBlock(10_000);
    const before = block.slice();
    const ids = Int32Array.from({ length: 10_000 }, (_, i) => i * 2);
    expect(await db.appendVectors("items", { vectors: block, ids })).toBe(10_000);
    expect(block).toEqual(before);
    const { rows } = await db.query<{ id: number; v: Float32Array }>("SELECT id, v FROM items ORDER BY id");
    expect(rows.length).toBe(10_000);
    expect(
      rows.every(({ id, v }, i) => id === i * 2 && v.every((x, d) => x === block[i * DIMENSIONS + d])),
    ).toBe(true);
  });

  test("a part of a larger buffer is taken where it lies", async () => {
    const whole = randomBlock(5);
    await db.appendVectors("items", { vectors: whole.subarray(DIMENSIONS, 3 * DIMENSIONS), ids: [7, 8] });
    const { rows } = await db.query("SELECT v FROM items ORDER BY id");
    expect(rows).toEqual([{ v: rowOf(whole, 1).slice() }, { v: rowOf(whole, 2).slice() }]);
  });

  test("ids may be texts or eight bytes wide; other columns come along; defaults stand in", async () => {
    await db.query(
      `CREATE TABLE notes (id text PRIMARY KEY, v vector(${DIMENSIONS}), price numeric, made int DEFAULT 5, twice int GENERATED ALWAYS AS (made * 2) STORED)`,
    );
    await db.appendVectors("notes", {
      vectors: randomBlock(2),
      ids: ["é", ""],
      columns: { price: ["1.50", null] },
    });
    const notes = await db.query("SELECT id, price, made, twice FROM notes ORDER BY id");
    expect(notes.rows).toEqual([
      { id: "", price: null, made: 5, twice: 10 },
      { id: "é", price: "1.50", made: 5, twice: 10 },
    ]);
    await db.query(`CREATE TABLE wide (id bigint PRIMARY KEY, v vector(${DIMENSIONS}))`);
    await db.appendVectors("wide", { vectors: randomBlock(2), ids: new BigInt64Array([2n ** 60n, -1n]) });
    expect((await db.query("SELECT id FROM wide ORDER BY id")).rows).toEqual([{ id: -1 }, { id: 2n ** 60n }]);
    await db.query(`CREATE TABLE counted (id serial PRIMARY KEY, v vector(${DIMENSIONS}))`);
    await db.appendVectors("counted", { vectors: randomBlock(3) });
    expect((await db.query("SELECT id FROM counted ORDER BY id")).rows).toEqual([
      { id: 1 },
      { id: 2 },
      { id: 3 },
    ]);
    await db.query("DROP TABLE notes, wide, counted");
  });

  test("what INSERT refuses is refused, whole", async () => {
    await db.query("INSERT INTO items VALUES (3, '[1,1,1,1,1,1,1,1]')");
    const vectors = randomBlock(5000);
    const ids = Int32Array.from({ length: 5000 }, (_, i) => (i === 4999 ? 3 : i + 10));
    await expect(db.appendVectors("items", { vectors, ids })).rejects.toMatchObject({
      code: "23505",
      fields: { detail: "Key (id)=(3) already exists." },
    });
    expect(await count("items")).toBe(1);
    const refused: [object, object][] = [
      [{ ids: [1] }, { code: "22000", message: '1 values of column "id" for 2 vectors' }],
      [{ vectors: randomBlock(2).subarray(1) }, { code: "22000" }],
      [
        { vectors: new Float32Array(2 * DIMENSIONS).fill(1).fill(Number.NaN, 9, 10) },
        { message: "NaN not allowed in vector" },
      ],
      [
        { vectors: new Float32Array(DIMENSIONS).fill(Infinity), ids: [1] },
        { message: "infinite value not allowed in vector" },
      ],
      [{ ids: [null, 1] }, { code: "23502" }],
      [{ ids: ["x", 1] }, { code: "22P02" }],
      [{ column: "id" }, { code: "0A000" }],
      [{ column: "w" }, { code: "42703" }],
    ];
    for (const [wrong, error] of refused) {
      const block = { vectors: randomBlock(2), ids: [1, 2], ...wrong };
      await expect(db.appendVectors("items", block), JSON.stringify(wrong)).rejects.toMatchObject(error);
    }
    await expect(db.appendVectors("nosuch", { vectors })).rejects.toMatchObject({ code: "42P01" });
    expect(await count("items")).toBe(1);
  });

  test("it belongs to the transaction block that is open", async () => {
    await db.query("BEGIN");
    await db.appendVectors("items", { vectors: randomBlock(4), ids: [1, 2, 3, 4] });
    expect(await count("items")).toBe(4);
    await db.query("ROLLBACK");
    expect(await count("items")).toBe(0);
    await db.query("BEGIN");
    await expect(db.appendVectors("items", { vectors: randomBlock(2), ids: [1, 1] })).rejects.toMatchObject({
      code: "23505",
    });
    await expect(db.query("SELECT 1")).rejects.toMatchObject({ code: "25P02" });
    await db.query("ROLLBACK");
    await db.query("BEGIN READ ONLY");
    await expect(db.appendVectors("items", { vectors: randomBlock(1), ids: [1] })).rejects.toMatchObject({
      code: "25006",
    });
    await db.query("ROLLBACK");
  });
});

describe("searchVectors", () => {
  const rows = 3000;
  const block = randomBlock(rows, 2);
  const query = randomBlock(1, 3);
  beforeAll(async () => {
    await db.query(
      `CREATE TABLE texts (id text PRIMARY KEY, n int, v vector(${DIMENSIONS})); CREATE INDEX ON texts USING hnsw (v vector_cosine_ops)`,
    );
    const n = Int32Array.from({ length: rows }, (_, i) => i % 10);
    const ids = Array.from({ length: rows }, (_, i) => `row ${i}`);
    await db.appendVectors("texts", { vectors: block, ids, columns: { n } });
  });

  test("hits are those of SQL, by the index's metric or another", async () => {
    const literal = `[${query.join(",")}]`;
    for (const [metric, operator] of [
      [undefined, "<=>"],
      ["l2", "<->"],
      ["ip", "<#>"],
      ["l1", "<+>"],
    ] as const) {
      const hits = await db.searchVectors("texts", { query, k: 7, metric });
      const sql = await db.query<{ id: string; d: number }>(
        `SELECT id, v ${operator} $1 AS d FROM texts ORDER BY v ${operator} $1 LIMIT 7`,
        [literal],
      );
      expect(hits.ids).toEqual(sql.rows.map(({ id }) => id));
      expect(Array.from(hits.distances)).toEqual(sql.rows.map(({ d }) => d));
    }
  });

  test("a filter with parameters is SQL", async () => {
    const { ids } = await db.searchVectors("texts", {
      query,
      k: 5,
      filter: "n = $1 OR id = $2",
      parameters: [3, "row 1"],
    });
    const found = ids as readonly string[];
    expect(found.length).toBe(5);
    expect(found.every((id) => id === "row 1" || id.endsWith("3"))).toBe(true);
    await expect(db.searchVectors("texts", { query, k: 5, filter: "n = $1" })).rejects.toThrow();
    await expect(db.searchVectors("texts", { query, k: 5, filter: "nosuch" })).rejects.toMatchObject({
      code: "42703",
    });
    await expect(
      db.searchVectors("texts", { query, k: 5, filter: "true); DROP TABLE texts; SELECT (1" }),
    ).rejects.toMatchObject({
      code: "42601",
    });
  });

  test("whole numbers come as typed arrays, more than a batch too", async () => {
    const hits = await db.searchVectors("texts", { query, k: 10_000, idColumn: "n" });
    expect(hits.ids).toBeInstanceOf(Int32Array);
    expect(hits.ids.length).toBe(rows);
    expect(hits.distances.every((d, i, all) => i === 0 || d >= (all[i - 1] as number))).toBe(true);
    const none = await db.searchVectors("texts", { query, k: 0 });
    expect(none).toEqual({ ids: [], distances: new Float64Array(0) });
  });

  test("the query is checked", async () => {
    const short = query.subarray(1);
    await expect(db.searchVectors("texts", { query: short, k: 1 })).rejects.toMatchObject({ code: "22000" });
    const bad = query.slice().fill(Number.NaN, 0, 1);
    await expect(db.searchVectors("texts", { query: bad, k: 1 })).rejects.toMatchObject({ code: "22000" });
    await expect(db.searchVectors("texts", { query, k: -1 })).rejects.toMatchObject({ code: "2201W" });
    await expect(db.searchVectors("items", { query, k: 1, idColumn: "x" })).rejects.toMatchObject({
      code: "42703",
    });
  });

  test("a dropped and remade table is looked at anew", async () => {
    await db.query(`CREATE TABLE again (id int PRIMARY KEY, v vector(${DIMENSIONS}))`);
    await db.appendVectors("again", { vectors: query, ids: [1] });
    expect((await db.searchVectors("again", { query, k: 1 })).ids).toEqual(Int32Array.of(1));
    await db.query(`DROP TABLE again; CREATE TABLE again (id bigint PRIMARY KEY, v vector(${DIMENSIONS}))`);
    await db.appendVectors("again", { vectors: query, ids: new BigInt64Array([2n]) });
    expect((await db.searchVectors("again", { query, k: 1 })).ids).toEqual(new BigInt64Array([2n]));
  });
});
