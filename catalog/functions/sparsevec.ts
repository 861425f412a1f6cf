// pgvector's functions on `sparsevec`: distances by a merge of the two lists of indices, summed in float4 as pgvector does,
// and the casts from and to the dense types and arrays.
import type { SqlArray } from "../../common/types/array.ts";
import {
  checkDimensions,
  checkElement,
  checkModifier,
  type EmbeddingKind,
  HALFVEC,
  VECTOR,
} from "../../common/types/embedding.ts";
import { checkSparseDimensions, SparseVector } from "../../common/types/sparsevec.ts";
import { type BodyTable, binary, ternary, unary } from "./body.ts";
import { floatOverflow } from "./float.ts";
import type { ScalarBody } from "./function.ts";
import { arrayElements, narrowed } from "./vector.ts";
import { differentDimensions } from "./vector-distance.ts";

/** Sum of `term` over every index where at least one of the two has an element; the other's is then 0. */
function mergedSum(a: SparseVector, b: SparseVector, term: (x: number, y: number) => number): number {
  let sum = 0;
  let i = 0;
  let j = 0;
  while (i < a.indices.length || j < b.indices.length) {
    const indexA = a.indices[i] ?? Number.POSITIVE_INFINITY;
    const indexB = b.indices[j] ?? Number.POSITIVE_INFINITY;
    const x = indexA <= indexB ? a.values[i++]! : 0;
    const y = indexB <= indexA ? b.values[j++]! : 0;
    sum = Math.fround(sum + Math.fround(term(x, y)));
  }
  return sum;
}

const squaredDifference = (x: number, y: number): number => {
  const difference = Math.fround(x - y);
  return difference * difference;
};

const squaredDistance = (a: SparseVector, b: SparseVector): number => mergedSum(a, b, squaredDifference);
const innerProduct = (a: SparseVector, b: SparseVector): number => mergedSum(a, b, (x, y) => x * y);
const manhattan = (a: SparseVector, b: SparseVector): number => mergedSum(a, b, (x, y) => Math.abs(x - y));

/** NaN for a zero vector; rounding must not leave [-1, 1]. */
function cosineDistance(a: SparseVector, b: SparseVector): number {
  const similarity = innerProduct(a, b) / Math.sqrt(squaredLength(a) * squaredLength(b));
  return 1 - Math.min(Math.max(similarity, -1), 1);
}

function squaredLength(a: SparseVector): number {
  let sum = 0;
  for (const value of a.values) sum = Math.fround(sum + Math.fround(value * value));
  return sum;
}

function distance(kernel: (a: SparseVector, b: SparseVector) => number): ScalarBody {
  return binary<SparseVector, SparseVector>((a, b) => {
    if (a.dimensions !== b.dimensions) throw differentDimensions("sparsevec", a.dimensions, b.dimensions);
    return kernel(a, b);
  });
}

/** Euclidean length, in float8. */
function norm(a: SparseVector): number {
  let sum = 0;
  for (const value of a.values) sum += value * value;
  return Math.sqrt(sum);
}

/** Divided by its length; elements that become zero are left out, and the zero vector stays. */
function normalize(a: SparseVector): SparseVector {
  const length = norm(a);
  const values = a.values.map((value) => value / length);
  if (values.some((value) => !Number.isFinite(value))) throw floatOverflow();
  const isKept = (_: number, i: number): boolean => values[i] !== 0;
  return new SparseVector(a.dimensions, a.indices.filter(isKept), values.filter(isKept));
}

/** From a dense vector, whose elements are finite and whose dimensions are few enough. */
function fromDense(dense: Float32Array, typmod: number): SparseVector {
  checkModifier(dense.length, typmod);
  return SparseVector.fromDense(dense);
}

function toDense(kind: EmbeddingKind, a: SparseVector, typmod: number): Float32Array {
  checkDimensions(kind, a.dimensions);
  checkModifier(a.dimensions, typmod);
  const dense = a.toDense();
  return kind === VECTOR ? dense : narrowed(kind, dense);
}

function fromArray(array: SqlArray, typmod: number): SparseVector {
  const elements = arrayElements(array);
  checkSparseDimensions(elements.length);
  checkModifier(elements.length, typmod);
  for (const element of elements) checkElement("sparsevec", element);
  return SparseVector.fromDense(elements);
}

export const sparsevecFunctions: BodyTable = {
  sparsevec_l2_distance: distance((a, b) => Math.sqrt(squaredDistance(a, b))),
  sparsevec_l2_squared_distance: distance(squaredDistance),
  sparsevec_inner_product: distance(innerProduct),
  sparsevec_negative_inner_product: distance((a, b) => -innerProduct(a, b)),
  sparsevec_cosine_distance: distance(cosineDistance),
  sparsevec_l1_distance: distance(manhattan),
  sparsevec_l2_norm: unary<SparseVector>(norm),
  sparsevec_l2_normalize: unary<SparseVector>(normalize),
  sparsevec: ternary<SparseVector, number, boolean>((a, typmod) => {
    checkModifier(a.dimensions, typmod);
    return a;
  }),
  vector_to_sparsevec: ternary<Float32Array, number, boolean>(fromDense),
  halfvec_to_sparsevec: ternary<Float32Array, number, boolean>(fromDense),
  sparsevec_to_vector: ternary<SparseVector, number, boolean>((a, typmod) => toDense(VECTOR, a, typmod)),
  sparsevec_to_halfvec: ternary<SparseVector, number, boolean>((a, typmod) => toDense(HALFVEC, a, typmod)),
  array_to_sparsevec: ternary<SqlArray, number, boolean>(fromArray),
};
