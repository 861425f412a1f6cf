// Seeded clustered vectors, and recall of an index search against the exact one. Shared by the everyday and the slow suite.
import type { EmbeddedDatabase } from "../../index.ts";

export const DIM = 128;
export const K = 10;
const CLUSTERS = 24;
/** Distance of points from their cluster's centre, beside centres in [-1, 1) per coordinate. */
const SPREAD = 0.5;

/** mulberry32: numbers in [0, 1), the same for the same seed. */
export function random(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface Point {
  readonly cluster: number;
  readonly vector: Float32Array;
}

/** Points around `CLUSTERS` centres; the same seed gives the same centres and points. */
export function points(seed: number): () => Point {
  const next = random(seed);
  const uniform = (): number => next() * 2 - 1;
  const centres = Array.from({ length: CLUSTERS }, () => Float32Array.from({ length: DIM }, uniform));
  return () => {
    const cluster = Math.floor(next() * CLUSTERS);
    const centre = centres[cluster] as Float32Array;
    return { cluster, vector: centre.map((x) => x + uniform() * SPREAD) };
  };
}

/**
 * Fills `items (id, cluster, share, v)`: `share` is uniform in [0, 1000), so `share < n` keeps n tenths of a per cent at random.
 * Half of the rows come before the index and half after it.
 */
export async function load(
  db: EmbeddedDatabase,
  rows: number,
  next: () => Point,
  seed: number,
): Promise<void> {
  const share = random(seed);
  await db.query("CREATE TABLE items (id int PRIMARY KEY, cluster int, share int, v vector(128))");
  const batch = 250;
  for (let from = 0; from < rows; from += batch) {
    if (from === Math.floor(rows / 2 / batch) * batch) {
      await db.query("CREATE INDEX items_v ON items USING hnsw (v vector_l2_ops)");
      await db.query("CREATE INDEX ON items (share)");
      await db.query("CREATE INDEX ON items (cluster)");
    }
    const values = Array.from({ length: Math.min(batch, rows - from) }, (_, i) => {
      const { cluster, vector } = next();
      return `(${from + i}, ${cluster}, ${Math.floor(share() * 1000)}, '[${vector.join(",")}]')`;
    });
    await db.query(`INSERT INTO items VALUES ${values.join(", ")}`);
  }
  await db.query("ANALYZE items");
}

export interface Found {
  readonly id: number;
  readonly distance: number;
}

/** The K nearest under `where` as the session's settings have it; `exact` asks for the exact answer. */
export async function nearest(
  db: EmbeddedDatabase,
  vector: Float32Array,
  where: string,
  exact: boolean,
): Promise<Found[]> {
  if (exact) await db.query("SET omendb.exact = on");
  try {
    const { rows } = await db.query(
      `SELECT id, v <-> $1 AS distance FROM items WHERE ${where} ORDER BY v <-> $1 LIMIT ${K}`,
      [`[${vector.join(",")}]`],
    );
    return rows.map((row) => ({ id: row["id"] as number, distance: row["distance"] as number }));
  } finally {
    if (exact) await db.query("RESET omendb.exact");
  }
}

/** Of the exact answer's places, the share that `found` fills with rows no farther away: ties count as right. */
export function recall(found: readonly Found[], exact: readonly Found[]): number {
  if (exact.length === 0) return 1;
  const farthest = (exact.at(-1)?.distance ?? 0) * (1 + 1e-6);
  return found.filter(({ distance }) => distance <= farthest).length / exact.length;
}

/** Predicates by what they do to a search: how many rows they keep, and where those lie relative to the query's cluster. */
export const PREDICATES: readonly {
  readonly name: string;
  readonly where: (cluster: number) => string;
  readonly floor: number;
}[] = [
  { name: "no predicate", where: () => "true", floor: 0.98 },
  { name: "50 % at random", where: () => "share < 500", floor: 0.95 },
  { name: "10 % at random", where: () => "share < 100", floor: 0.95 },
  { name: "1 % at random", where: () => "share < 10", floor: 0.95 },
  { name: "0.1 % at random", where: () => "share < 1", floor: 0.95 },
  { name: "correlated: the query's cluster", where: (cluster) => `cluster = ${cluster}`, floor: 0.95 },
  { name: "anti-correlated: every other cluster", where: (cluster) => `cluster <> ${cluster}`, floor: 0.95 },
  {
    name: "anti-correlated: one other cluster",
    where: (cluster) => `cluster = ${(cluster + 7) % CLUSTERS}`,
    floor: 0.95,
  },
];
