// `quantization = auto`, the default: which indexes have codes, and that nobody notices but by the size of the index: recall is that
// of floats whatever comes later, distances and their order are exact, and a restart changes nothing.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type EmbeddedDatabase, open } from "../../index.ts";
import { random } from "../recall/recall.ts";

const DIM = 128;
const K = 10;
const ROWS = 2500;
const QUERIES = 40;

const next = random(61);
const normal = (): number => next() + next() + next() + next() - 2;
const centres = Array.from({ length: 20 }, () => Array.from({ length: DIM }, normal));

/** Around some centre; all of it `scale` times as large and `offset` away. */
function point(scale: number, offset: number): Float32Array {
  const centre = centres[Math.floor(next() * centres.length)] ?? [];
  return Float32Array.from(centre, (x) => offset + scale * (x + 0.5 * normal()));
}

const literal = (vector: Float32Array): string => `[${vector.join(",")}]`;

const folder = mkdtempSync(join(tmpdir(), "omendb-codes-"));
let db: EmbeddedDatabase;
beforeAll(async () => {
  db = await open({ path: folder });
});
afterAll(async () => {
  await db.close();
  rmSync(folder, { recursive: true, force: true });
});

async function bytesPerRow(column: string, opclass: string, options: string): Promise<number> {
  await db.query(`CREATE INDEX sized ON sizes USING hnsw (${column} ${opclass}) ${options}`);
  const { rows } = await db.query("SELECT pg_relation_size('sized')::int AS bytes");
  await db.query("DROP INDEX sized");
  return (rows[0]?.["bytes"] as number) / 1200;
}

test("vectors of 128 dimensions or more have codes, others have not, unless something is said", async () => {
  await db.query(
    `CREATE TABLE sizes (wide vector(${DIM}), narrow vector(${DIM - 1}), half halfvec(${DIM}));
     INSERT INTO sizes SELECT a::real[]::vector, a[:${DIM - 1}]::real[]::vector, a::real[]::vector::halfvec
       FROM (SELECT array_agg(random()) AS a FROM generate_series(0, ${1200 * DIM - 1}) i GROUP BY i / ${DIM}) r`,
  );
  const plain = await bytesPerRow("wide", "vector_l2_ops", "WITH (quantization = none)");
  const near = (bytes: number): number => Math.round((bytes - plain) / DIM);
  for (const opclass of ["vector_l2_ops", "vector_ip_ops", "vector_cosine_ops"])
    expect(near(await bytesPerRow("wide", opclass, "")), opclass).toBe(1);
  expect(near(await bytesPerRow("wide", "vector_l2_ops", "WITH (quantization = 'AUTO', m = 16)"))).toBe(1);
  expect(near(await bytesPerRow("wide", "vector_l1_ops", ""))).toBe(0);
  expect(near(await bytesPerRow("narrow", "vector_l2_ops", ""))).toBe(0);
  expect(near(await bytesPerRow("half", "halfvec_l2_ops", ""))).toBe(0);
  const needs = 'option "rerank" needs a "quantization"';
  for (const options of ["rerank = 4", "rerank = 4, quantization = auto"]) {
    const made = db.query(`CREATE INDEX ON sizes USING hnsw (wide vector_l2_ops) WITH (${options})`);
    await expect(made).rejects.toMatchObject({ code: "22023", message: needs });
  }
});

interface Found {
  readonly id: number;
  readonly distance: number;
}

async function nearest(table: string, query: Float32Array): Promise<Found[]> {
  const { rows } = await db.query(
    `SELECT id, v <-> $1 AS distance FROM ${table} ORDER BY v <-> $1 LIMIT ${K}`,
    [literal(query)],
  );
  return rows as unknown as Found[];
}

/** Mean recall of both tables; what was found is in the exact order, at the exact distances. */
async function recalls(queries: readonly Float32Array[]): Promise<readonly [number, number]> {
  const hits = { coded: 0, floats: 0 };
  for (const query of queries) {
    await db.query("SET omendb.exact = on");
    const exact = await nearest("coded", query);
    await db.query("RESET omendb.exact");
    for (const table of ["coded", "floats"] as const) {
      const found = await nearest(table, query);
      const places = new Map(exact.map(({ id, distance }) => [id, distance]));
      const known = found.filter(({ id }) => places.has(id));
      for (const { id, distance } of known) expect(distance).toBe(places.get(id));
      expect(found.map(({ distance }) => distance)).toEqual(
        found.map(({ distance }) => distance).toSorted((a, b) => a - b),
      );
      hits[table] += known.length;
    }
  }
  return [hits.coded / (K * queries.length), hits.floats / (K * queries.length)];
}

/** Rows that come into an index that is there. */
async function append(from: number, scale: number, offset: number): Promise<void> {
  const vectors = new Float32Array(ROWS * DIM);
  for (let i = 0; i < ROWS; i++) vectors.set(point(scale, offset), i * DIM);
  const ids = Int32Array.from({ length: ROWS }, (_, i) => from + i);
  for (const table of ["coded", "floats"]) await db.appendVectors(table, { vectors, ids });
}

test("an index that starts empty finds what one of floats finds, whatever comes into it", async () => {
  for (const [table, options] of [
    ["coded", ""],
    ["floats", "WITH (quantization = none)"],
  ]) {
    await db.query(`CREATE TABLE ${table} (id int PRIMARY KEY, v vector(${DIM}))`);
    await db.query(`CREATE INDEX ${table}_v ON ${table} USING hnsw (v vector_l2_ops) ${options}`);
  }
  // The usual, far outside its range, and much finer than its steps.
  const kinds: [number, number][] = [
    [1, 0],
    [30, 200],
    [0.002, -3],
  ];
  for (const [at, [scale, offset]] of kinds.entries()) {
    await append(at * ROWS, scale, offset);
    const queries = kinds
      .slice(0, at + 1)
      .flatMap(([s, o]) => Array.from({ length: QUERIES }, () => point(s, o)));
    const [coded, floats] = await recalls(queries);
    expect(coded, `after ${at + 1} kinds, floats ${floats}`).toBeGreaterThanOrEqual(floats - 0.01);
  }
}, 120_000);

test("codes outlive a restart", async () => {
  const query = point(30, 200);
  const before = await nearest("coded", query);
  await db.close();
  db = await open({ path: folder });
  expect(await nearest("coded", query)).toEqual(before);
});
