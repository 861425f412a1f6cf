// Vector sets of the benchmarks: folders of NumPy arrays (`base.npy`, `query.npy`, floats, halves or bytes, `meta.json` with
// the metric; or the package descriptions' `minilm-384.f16.npy` and `queries-minilm-384.f16.npy`), or generated ones.
// Everything becomes 32-bit floats, row-major.
import { existsSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { randomSource } from "../dataset.ts";

export type SetMetric = "l2" | "ip" | "cosine";

export interface VectorSet {
  readonly name: string;
  readonly metric: SetMetric;
  readonly dimensions: number;
  readonly count: number;
  /** count x dimensions. */
  readonly base: Float32Array;
  readonly queryCount: number;
  readonly queries: Float32Array;
}

export const OPERATOR: Readonly<Record<SetMetric, string>> = { l2: "<->", ip: "<#>", cosine: "<=>" };

interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly values: Float32Array;
}

/** A set from a folder; `maxQueries` bounds the queries taken from its beginning. */
export function readSet(folder: string, maxQueries: number): VectorSet {
  const isTexts = existsSync(join(folder, "minilm-384.f16.npy"));
  const base = readMatrix(join(folder, isTexts ? "minilm-384.f16.npy" : "base.npy"));
  const queries = readMatrix(join(folder, isTexts ? "queries-minilm-384.f16.npy" : "query.npy"));
  const metaFile = join(folder, "meta.json");
  const meta = existsSync(metaFile)
    ? (JSON.parse(readFileSync(metaFile, "utf8")) as { readonly metric: SetMetric })
    : { metric: "cosine" as const };
  return assembled(isTexts ? "minilm" : basename(folder), meta.metric, base, queries, maxQueries);
}

function assembled(
  name: string,
  metric: SetMetric,
  base: Matrix,
  queries: Matrix,
  maxQueries: number,
): VectorSet {
  const queryCount = Math.min(maxQueries, queries.rows);
  return {
    name: `${name}, ${base.rows} x ${base.columns}`,
    metric,
    dimensions: base.columns,
    count: base.rows,
    base: base.values,
    queryCount,
    queries: queries.values.subarray(0, queryCount * base.columns),
  };
}

/** One row of a block. */
export function rowOf(block: Float32Array, dimensions: number, row: number): Float32Array {
  return block.subarray(row * dimensions, (row + 1) * dimensions);
}

/** As pgvector prints floats, near enough to be read back as the same ones. */
export function literalOf(vector: Float32Array): string {
  return `[${Array.from(vector, (value) => Number(value.toPrecision(8))).join(",")}]`;
}

/** NumPy's .npy of two dimensions: magic, version, header length, header, then the array. */
function readMatrix(file: string): Matrix {
  const bytes = readFileSync(file);
  const start = 10 + bytes.readUInt16LE(8);
  const header = bytes.toString("latin1", 10, start);
  const shape = /'shape': \((\d+), (\d+)\)/.exec(header);
  const type = /'descr': '([^']+)'/.exec(header)?.[1];
  if (shape === null || type === undefined) throw new Error(`${file} is no matrix in NumPy's form`);
  const body = new Uint8Array(bytes.subarray(start)).buffer;
  return { rows: Number(shape[1]), columns: Number(shape[2]), values: floats(body, type, file) };
}

function floats(body: ArrayBuffer, type: string, file: string): Float32Array {
  switch (type) {
    case "<f4":
      return new Float32Array(body);
    case "|u1":
      return Float32Array.from(new Uint8Array(body));
    case "<f2":
      return Float32Array.from(new Uint16Array(body), halfToNumber);
    default:
      throw new Error(`${file} holds ${type}: not read here`);
  }
}

function halfToNumber(bits: number): number {
  const sign = bits >> 15 === 1 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** How a generated set is shaped. */
export interface SetShape {
  /** Rank of the space that a cluster spans. */
  readonly rank: number;
  /** Of a cluster, against the distances between centres. */
  readonly spread: number;
  /** Share of noise in all dimensions. */
  readonly noise: number;
  readonly rowsPerCluster: number;
}

/** Clusters that hardly meet: a graph finds nearly everything with any ef. */
const SEPARATE: SetShape = { rank: 12, spread: 0.9, noise: 0.08, rowsPerCluster: 320 };
/**
 * Clusters that overlap, of an intrinsic dimension near that of SIFT descriptors: about as many neighbours to tell apart
 * wherever one looks, however large the set.
 */
export const OVERLAPPING: SetShape = { rank: 24, spread: 2.5, noise: 1, rowsPerCluster: 320 };

/**
 * A seeded mixture: centres with a decaying spectrum, every cluster spread over a few random directions of its own, and a
 * little noise in all dimensions. Rows and queries are drawn alike, in random order, so that any prefix is a smaller set
 * of the same kind.
 */
export function generatedSet(
  count: number,
  dimensions: number,
  queryCount: number,
  seed: number,
  shape: SetShape = SEPARATE,
): VectorSet {
  const { rank, spread, noise, rowsPerCluster } = shape;
  const random = randomSource(seed);
  const clusters = Math.max(16, Math.round(count / rowsPerCluster));
  const centres = new Float32Array(clusters * dimensions);
  for (let i = 0; i < centres.length; i++) centres[i] = normal(random) * ((i % dimensions) + 1) ** -0.35;
  // Directions are shared between clusters: a table of them is small, and the picks are what differs.
  const directions = new Float32Array(256 * dimensions);
  for (let i = 0; i < directions.length; i++)
    directions[i] = normal(random) * ((i % dimensions) + 1) ** -0.35;
  const block = new Float32Array((count + queryCount) * dimensions);
  for (let row = 0; row < count + queryCount; row++) {
    const cluster = Math.floor(random() ** 1.5 * clusters);
    const out = rowOf(block, dimensions, row);
    out.set(rowOf(centres, dimensions, cluster));
    for (let r = 0; r < rank; r++) {
      const direction = rowOf(directions, dimensions, (cluster * 37 + r * 101) % 256);
      const scale = (normal(random) * spread) / Math.sqrt(rank);
      for (let d = 0; d < dimensions; d++) out[d] = (out[d] as number) + scale * (direction[d] as number);
    }
    for (let d = 0; d < dimensions; d++) out[d] = (out[d] as number) + noise * (random() - 0.5);
  }
  return {
    name: `generated, ${count} x ${dimensions}`,
    metric: "l2",
    dimensions,
    count,
    base: block.subarray(0, count * dimensions),
    queryCount,
    queries: block.subarray(count * dimensions),
  };
}

/** Box and Muller's transform, one of the pair. */
function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
