// Rows and queries for the comparison: a folder with rows.jsonl.gz, minilm-384.f16.npy, queries.tsv and
// queries-minilm-384.f16.npy (20,000 package descriptions) when given, else the 2,000 rows that ship with the demo.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";

export interface BenchRow {
  readonly id: number;
  readonly section: string;
  readonly body: string;
  /** A random permutation of 0 .. rows - 1: `r < n` keeps n rows. */
  readonly r: number;
  readonly embedding: Float32Array;
}

export interface BenchQuery {
  readonly text: string;
  readonly embedding: Float32Array;
  readonly literal: string;
}

export interface BenchDataset {
  readonly name: string;
  readonly dimensions: number;
  readonly rows: readonly BenchRow[];
  readonly queries: readonly BenchQuery[];
}

const DIMENSIONS = 384;

/** Deterministic 32-bit generator (mulberry32). */
export function randomSource(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

export function loadBenchDataset(folder: string | undefined, demoFolder: string): BenchDataset {
  const source = folder === undefined ? demoSource(demoFolder) : collectionSource(folder);
  const random = randomSource(7);
  const permutation = Array.from({ length: source.rows.length }, (_, i) => i);
  for (let i = permutation.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [permutation[i], permutation[j]] = [permutation[j] as number, permutation[i] as number];
  }
  return {
    name: source.name,
    dimensions: DIMENSIONS,
    rows: source.rows.map((row, i) => ({
      id: row.id,
      section: row.section,
      body: row.body || row.synopsis,
      r: permutation[i] as number,
      embedding: normalised(source.vectors, i),
    })),
    queries: source.queries.map((text, i) => {
      const embedding = normalised(source.queryVectors, i);
      return { text, embedding, literal: vectorLiteral(embedding) };
    }),
  };
}

interface Source {
  readonly name: string;
  readonly rows: readonly {
    readonly id: number;
    readonly section: string;
    readonly body: string;
    readonly synopsis: string;
  }[];
  readonly vectors: Uint16Array;
  readonly queries: readonly string[];
  readonly queryVectors: Uint16Array;
}

function jsonLines<T>(file: string): T[] {
  const bytes = readFileSync(file);
  const text = (file.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8");
  return text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as T);
}

function halves(bytes: Buffer): Uint16Array {
  const copy = new Uint8Array(bytes);
  return new Uint16Array(copy.buffer, 0, copy.byteLength >> 1);
}

function demoSource(folder: string): Source {
  const queries = jsonLines<{ text: string; embedding: string }>(join(folder, "queries.jsonl"));
  return {
    name: "demo, 2,000 rows",
    rows: jsonLines(join(folder, "packages.jsonl.gz")),
    vectors: halves(readFileSync(join(folder, "embeddings.f16"))),
    queries: queries.map((query) => query.text),
    queryVectors: halves(Buffer.concat(queries.map((query) => Buffer.from(query.embedding, "base64")))),
  };
}

/** NumPy's .npy: magic, version, header length, header, then the array. */
function npyBody(file: string): Buffer {
  const bytes = readFileSync(file);
  return bytes.subarray(10 + bytes.readUInt16LE(8));
}

function collectionSource(folder: string): Source {
  const rows = jsonLines<Source["rows"][number]>(join(folder, "rows.jsonl.gz"));
  return {
    name: `${rows.length} rows`,
    rows,
    vectors: halves(npyBody(join(folder, "minilm-384.f16.npy"))),
    queries: readFileSync(join(folder, "queries.tsv"), "utf8")
      .trimEnd()
      .split("\n")
      .map((line) => line.slice(line.indexOf("\t") + 1)),
    queryVectors: halves(npyBody(join(folder, "queries-minilm-384.f16.npy"))),
  };
}

function normalised(block: Uint16Array, index: number): Float32Array {
  const vector = new Float32Array(DIMENSIONS);
  let sum = 0;
  for (let d = 0; d < DIMENSIONS; d++) {
    const value = halfToNumber(block[index * DIMENSIONS + d] as number);
    vector[d] = value;
    sum += value * value;
  }
  const scale = sum === 0 ? 1 : 1 / Math.sqrt(sum);
  for (let d = 0; d < DIMENSIONS; d++) vector[d] = (vector[d] as number) * scale;
  return vector;
}

function halfToNumber(bits: number): number {
  const sign = bits >> 15 === 1 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

export function vectorLiteral(vector: Float32Array): string {
  return `[${Array.from(vector, (value) => Number(value.toPrecision(7))).join(",")}]`;
}

/** Row positions of the k nearest by cosine among rows that `accept`; unit vectors, so by inner product. */
export function exactNearest(
  dataset: BenchDataset,
  query: Float32Array,
  k: number,
  accept: (row: BenchRow) => boolean,
): { readonly ids: Set<number>; readonly worst: number } {
  const scored: { id: number; score: number }[] = [];
  for (const row of dataset.rows) {
    if (accept(row)) scored.push({ id: row.id, score: dot(row.embedding, query) });
  }
  scored.sort((a, b) => b.score - a.score);
  const top = scored.slice(0, k);
  return { ids: new Set(top.map((item) => item.id)), worst: top.at(-1)?.score ?? -Infinity };
}

export function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number);
  return sum;
}
