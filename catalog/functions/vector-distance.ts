// Distances of pgvector's dense types. vector and halfvec are both Float32Array, so one set of kernels serves both. They go
// through a seam: start-up puts the native kernels in, so that an exact scan and the index give the same numbers to the last
// bit. The plain ones here accumulate in float8 where the seam replaces them and in float4, as pgvector does, where not.
import { type EmbeddingVector, Float64Vector, type Vector } from "../../common/batch/vector.ts";
import { SqlError, SqlState } from "../../common/error.ts";
import { type EmbeddingKind, HALFVEC, VECTOR } from "../../common/types/embedding.ts";
import { nullConstant } from "./batch.ts";
import { type BodyTable, binary } from "./body.ts";
import type { FunctionBody } from "./function.ts";

type Embedding = Float32Array;
export type Distance = (a: Embedding, b: Embedding) => number;

/** User-visible distances of equally long vectors; inner product is the plain one, not negated. */
export interface VectorKernels {
  readonly l2: Distance;
  readonly innerProduct: Distance;
  readonly cosine: Distance;
}

const plainKernels: VectorKernels = {
  l2: (a, b) => Math.sqrt(squaredDistance(a, b)),
  innerProduct,
  cosine: (a, b) => {
    let dot = 0;
    let normA = 0;
    let normB = 0;
    for (let i = 0; i < a.length; i++) {
      dot += a[i]! * b[i]!;
      normA += a[i]! * a[i]!;
      normB += b[i]! * b[i]!;
    }
    // NaN for a zero vector, as pgvector has it; rounding must not leave [-1, 1].
    const similarity = dot / Math.sqrt(normA * normB);
    return 1 - Math.min(Math.max(similarity, -1), 1);
  },
};

let kernels = plainKernels;

/** For start-up only. */
export function setVectorKernels(replacement: VectorKernels): void {
  kernels = replacement;
}

function squaredDistance(a: Embedding, b: Embedding): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = Math.fround(a[i]! - b[i]!);
    sum = Math.fround(sum + Math.fround(difference * difference));
  }
  return sum;
}

function innerProduct(a: Embedding, b: Embedding): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

function manhattan(a: Embedding, b: Embedding): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum = Math.fround(sum + Math.fround(Math.abs(a[i]! - b[i]!)));
  return sum;
}

/** Euclidean length, in float8. */
export function norm(a: Embedding): number {
  return Math.sqrt(innerProduct(a, a));
}

/** The angle of two unit vectors, as a part of pi. */
function angle(a: Embedding, b: Embedding): number {
  return Math.acos(Math.min(Math.max(kernels.innerProduct(a, b), -1), 1)) / Math.PI;
}

export function differentDimensions(typeName: string, a: number, b: number): SqlError {
  return new SqlError(SqlState.dataException, `different ${typeName} dimensions ${a} and ${b}`);
}

/** A distance between two columns, or a column and a constant query. */
function distance(kind: EmbeddingKind, kernel: Distance): FunctionBody {
  const checked = (a: Embedding, b: Embedding): number => {
    if (a.length !== b.length) throw differentDimensions(kind.typeName, a.length, b.length);
    return kernel(a, b);
  };
  return {
    ...binary<Embedding, Embedding>(checked),
    batch: (args, rowCount) => distanceBatch(kind, kernel, args, rowCount),
  };
}

function distanceBatch(
  kind: EmbeddingKind,
  kernel: Distance,
  args: readonly Vector[],
  rowCount: number,
): Vector | undefined {
  const absent = nullConstant(args, rowCount);
  if (absent !== undefined) return absent;
  const [left, right] = args as readonly [Vector, Vector];
  const column = left.kind === "embedding" ? left : right.kind === "embedding" ? right : undefined;
  const query = column === left ? right : left;
  if (column === undefined || query.kind !== "constant") return undefined;
  return columnDistances(kind, kernel, column, query.value as Embedding, rowCount);
}

function columnDistances(
  kind: EmbeddingKind,
  kernel: Distance,
  column: EmbeddingVector,
  query: Embedding,
  rowCount: number,
): Vector {
  if (rowCount > 0 && column.dim !== query.length) {
    const anyRow = column.nulls === undefined || column.nulls.subarray(0, rowCount).includes(0);
    if (anyRow) throw differentDimensions(kind.typeName, column.dim, query.length);
  }
  const out = new Float64Array(rowCount);
  for (let row = 0; row < rowCount; row++) {
    if (column.nulls?.[row] === 1) continue;
    out[row] = kernel(column.values.subarray(row * column.dim, (row + 1) * column.dim), query);
  }
  return new Float64Vector(out, column.nulls, rowCount);
}

/** The kernels are read when a distance is computed: start-up sets them after this table is made. */
const KERNELS: Readonly<Record<string, Distance>> = {
  l2_distance: (a, b) => kernels.l2(a, b),
  l2_squared_distance: squaredDistance,
  inner_product: (a, b) => kernels.innerProduct(a, b),
  negative_inner_product: (a, b) => -kernels.innerProduct(a, b),
  cosine_distance: (a, b) => kernels.cosine(a, b),
  l1_distance: manhattan,
  spherical_distance: angle,
};

/** pgvector's C names: the functions of `vector` that users call have no prefix. */
function cName(kind: EmbeddingKind, name: string): string {
  const isShared = ["l2_distance", "inner_product", "cosine_distance", "l1_distance"].includes(name);
  return kind === VECTOR && isShared ? name : `${kind.typeName}_${name}`;
}

export const vectorDistances: BodyTable = Object.fromEntries(
  [VECTOR, HALFVEC].flatMap((kind) =>
    Object.entries(KERNELS).map(([name, kernel]) => [cName(kind, name), distance(kind, kernel)] as const),
  ),
);
