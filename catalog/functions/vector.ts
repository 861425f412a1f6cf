// pgvector's functions and operators on `vector`. Distances go through a seam: start-up puts the native kernels in, so that
// an exact scan and the index give the same numbers to the last bit. The plain ones here accumulate in float8.
import { type EmbeddingVector, Float64Vector, type Vector } from "../../common/batch/vector.ts";
import { SqlError, SqlState } from "../../common/error.ts";
import { SqlArray } from "../../common/types/array.ts";
import type { Numeric } from "../../common/types/numeric.ts";
import { Oid } from "../../common/types/oid.ts";
import type { Datum } from "../../common/types/type.ts";
import { applyVectorModifier, checkDimensions, checkElement } from "../../common/types/vector.ts";
import { aggregate } from "./aggregates.ts";
import { nullConstant } from "./batch.ts";
import { type BodyTable, binary, ternary, unary } from "./body.ts";
import { floatOverflow, floatUnderflow } from "./float.ts";
import type { FunctionBody, ScalarBody } from "./function.ts";

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
    const difference = a[i]! - b[i]!;
    sum += difference * difference;
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
  for (let i = 0; i < a.length; i++) sum += Math.abs(a[i]! - b[i]!);
  return sum;
}

function checkSame(a: Embedding, b: Embedding): void {
  if (a.length !== b.length) {
    throw new SqlError(SqlState.dataException, `different vector dimensions ${a.length} and ${b.length}`);
  }
}

/** A distance between two columns, or a column and a constant query. */
function distance(kernel: Distance): FunctionBody {
  const checked = (a: Embedding, b: Embedding): number => {
    checkSame(a, b);
    return kernel(a, b);
  };
  return {
    ...binary<Embedding, Embedding>(checked),
    batch: (args, rowCount) => distanceBatch(kernel, args, rowCount),
  };
}

function distanceBatch(kernel: Distance, args: readonly Vector[], rowCount: number): Vector | undefined {
  const absent = nullConstant(args, rowCount);
  if (absent !== undefined) return absent;
  const [left, right] = args as readonly [Vector, Vector];
  const column = left.kind === "embedding" ? left : right.kind === "embedding" ? right : undefined;
  const query = column === left ? right : left;
  if (column === undefined || query.kind !== "constant") return undefined;
  return columnDistances(kernel, column, query.value as Embedding, rowCount);
}

function columnDistances(
  kernel: Distance,
  column: EmbeddingVector,
  query: Embedding,
  rowCount: number,
): Vector {
  if (rowCount > 0 && column.dim !== query.length) {
    const anyRow = column.nulls === undefined || column.nulls.subarray(0, rowCount).includes(0);
    if (anyRow)
      throw new SqlError(
        SqlState.dataException,
        `different vector dimensions ${column.dim} and ${query.length}`,
      );
  }
  const out = new Float64Array(rowCount);
  for (let row = 0; row < rowCount; row++) {
    if (column.nulls?.[row] === 1) continue;
    out[row] = kernel(column.values.subarray(row * column.dim, (row + 1) * column.dim), query);
  }
  return new Float64Vector(out, column.nulls, rowCount);
}

function elementwise(fn: (a: number, b: number) => number, isProduct: boolean): ScalarBody {
  return binary<Embedding, Embedding>((a, b) => {
    checkSame(a, b);
    const out = new Float32Array(a.length);
    for (let i = 0; i < a.length; i++) {
      out[i] = fn(a[i]!, b[i]!);
      if (!Number.isFinite(out[i]!)) throw floatOverflow();
      if (isProduct && out[i] === 0 && a[i] !== 0 && b[i] !== 0) throw floatUnderflow();
    }
    return out;
  });
}

function norm(a: Embedding): number {
  return Math.sqrt(innerProduct(a, a));
}

function normalize(a: Embedding): Embedding {
  const length = norm(a);
  const out = new Float32Array(a.length);
  if (length > 0) {
    for (let i = 0; i < a.length; i++) {
      out[i] = a[i]! / length;
      if (!Number.isFinite(out[i]!)) throw floatOverflow();
    }
  }
  return out;
}

function subvector(a: Embedding, start: number, count: number): Embedding {
  if (count < 1) throw new SqlError(SqlState.dataException, "vector must have at least 1 dimension");
  const end = Math.min(start + count, a.length + 1);
  const from = Math.max(start, 1);
  checkDimensions(Math.max(end - from, 0));
  return a.slice(from - 1, end - 1);
}

function concat(a: Embedding, b: Embedding): Embedding {
  checkDimensions(a.length + b.length);
  const out = new Float32Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
}

/** int4[], float4[], float8[] and numeric[] to vector(n). */
function fromArray(array: SqlArray, typmod: number): Embedding {
  if (array.dimensions.length > 1) throw new SqlError(SqlState.dataException, "array must be 1-D");
  if (array.elements.includes(null))
    throw new SqlError(SqlState.nullValueNotAllowed, "array must not contain nulls");
  checkDimensions(array.elements.length);
  if (typmod >= 0 && typmod !== array.elements.length) {
    throw new SqlError(SqlState.dataException, `expected ${typmod} dimensions, not ${array.elements.length}`);
  }
  const out = new Float32Array(array.elements.length);
  array.elements.forEach((element, i) => {
    out[i] = array.elementOid === Oid.numeric ? (element as Numeric).toNumber() : (element as number);
    checkElement(out[i]);
  });
  return out;
}

interface VectorSum {
  sum: Float64Array | undefined;
  count: number;
}

/** Sums in float8; avg and sum both come back as float4 values. */
function vectorSum(
  finish: (sum: Float64Array, count: number) => Float64Array,
  mismatch: (expected: number, found: number) => string,
): FunctionBody {
  return aggregate<VectorSum>({
    strict: true,
    init: () => ({ sum: undefined, count: 0 }),
    step: (state, args) => {
      const value = args[0] as Embedding;
      state.sum ??= new Float64Array(value.length);
      if (state.sum.length !== value.length) {
        throw new SqlError(SqlState.dataException, mismatch(state.sum.length, value.length));
      }
      for (let i = 0; i < value.length; i++) state.sum[i]! += value[i]!;
      state.count += 1;
    },
    finish: (state): Datum => {
      if (state.sum === undefined) return null;
      const result = new Float32Array(finish(state.sum, state.count));
      if (result.some((value) => !Number.isFinite(value))) throw floatOverflow();
      return result;
    },
  });
}

export const vectorFunctions: BodyTable = {
  l2_distance: distance((a, b) => kernels.l2(a, b)),
  vector_l2_squared_distance: distance(squaredDistance),
  inner_product: distance((a, b) => kernels.innerProduct(a, b)),
  vector_negative_inner_product: distance((a, b) => -kernels.innerProduct(a, b)),
  cosine_distance: distance((a, b) => kernels.cosine(a, b)),
  l1_distance: distance(manhattan),
  vector_spherical_distance: distance(
    (a, b) => Math.acos(Math.min(Math.max(innerProduct(a, b), -1), 1)) / Math.PI,
  ),
  vector_dims: unary<Embedding>((a) => a.length),
  vector_norm: unary<Embedding>(norm),
  l2_norm: unary<Embedding>(norm),
  l2_normalize: unary<Embedding>(normalize),
  subvector: ternary<Embedding, number, number>(subvector),
  vector_add: elementwise((a, b) => a + b, false),
  vector_sub: elementwise((a, b) => a - b, false),
  vector_mul: elementwise((a, b) => a * b, true),
  vector_concat: binary<Embedding, Embedding>(concat),
  vector: ternary<Embedding, number, boolean>((a, typmod) => applyVectorModifier(a, typmod)),
  array_to_vector: ternary<SqlArray, number, boolean>(fromArray),
  to_bm25query: unary<string>((query) => query),
  to_bm25query_index: binary<string, string>((query, index) => `${index}:${query}`),
  vector_to_float4: ternary<Embedding, number, boolean>((a) => SqlArray.of(Oid.float4, Array.from(a))),
  [`agg:avg:${Oid.vector}`]: vectorSum(
    (sum, count) => sum.map((value) => value / count),
    (expected, found) => `expected ${expected} dimensions, not ${found}`,
  ),
  [`agg:sum:${Oid.vector}`]: vectorSum(
    (sum) => sum,
    (expected, found) => `different vector dimensions ${expected} and ${found}`,
  ),
};
