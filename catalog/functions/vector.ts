// pgvector's functions on `vector` and `halfvec` but the distances (vector-distance.ts): arithmetic, parts, casts, averages
// and sums. Both types are Float32Array; every result is rounded as its type keeps elements, and checked after that.
import { SqlError, SqlState } from "../../common/error.ts";
import { SqlArray } from "../../common/types/array.ts";
import { BitString } from "../../common/types/bit.ts";
import {
  checkDimensions,
  checkElement,
  checkModifier,
  elementOutOfRange,
  type EmbeddingKind,
  HALFVEC,
  VECTOR,
} from "../../common/types/embedding.ts";
import { formatFloat4, parseFloat4 } from "../../common/types/float.ts";
import type { Numeric } from "../../common/types/numeric.ts";
import { Oid } from "../../common/types/oid.ts";
import type { Datum } from "../../common/types/type.ts";
import { aggregate } from "./aggregates.ts";
import { type BodyTable, binary, ternary, unary } from "./body.ts";
import { floatOverflow, floatUnderflow } from "./float.ts";
import type { FunctionBody, ScalarBody } from "./function.ts";
import { differentDimensions, norm } from "./vector-distance.ts";

type Embedding = Float32Array;

/** `fn` on each pair of elements, in float4 and then rounded to the type; 22003 when a result leaves its range. */
function addElements(
  kind: EmbeddingKind,
  a: Embedding,
  b: Embedding,
  fn: (a: number, b: number) => number,
): Embedding {
  if (a.length !== b.length) throw differentDimensions(kind.typeName, a.length, b.length);
  const out = new Float32Array(a.length);
  for (let i = 0; i < a.length; i++) {
    out[i] = kind.round(Math.fround(fn(a[i]!, b[i]!)));
    if (!Number.isFinite(out[i]!)) throw floatOverflow();
  }
  return out;
}

function elementwise(kind: EmbeddingKind, fn: (a: number, b: number) => number): ScalarBody {
  return binary<Embedding, Embedding>((a, b) => addElements(kind, a, b, fn));
}

function multiply(kind: EmbeddingKind): ScalarBody {
  return binary<Embedding, Embedding>((a, b) => {
    const out = addElements(kind, a, b, (x, y) => x * y);
    for (let i = 0; i < out.length; i++) {
      if (out[i] === 0 && a[i] !== 0 && b[i] !== 0) throw floatUnderflow();
    }
    return out;
  });
}

/** Divided by its length; the zero vector stays. */
function normalize(kind: EmbeddingKind, a: Embedding): Embedding {
  const length = norm(a);
  const out = new Float32Array(a.length);
  if (length === 0) return out;
  for (let i = 0; i < a.length; i++) {
    out[i] = kind.round(Math.fround(a[i]! / length));
    if (!Number.isFinite(out[i]!)) throw floatOverflow();
  }
  return out;
}

/** Elements from `start` (1 = the first) on, `count` of them or as many as there are. */
function subvector(kind: EmbeddingKind, a: Embedding, start: number, count: number): Embedding {
  if (count < 1) checkDimensions(kind, 0);
  const end = Math.min(start + count, a.length + 1);
  const from = Math.max(start, 1);
  checkDimensions(kind, Math.max(end - from, 0));
  return a.slice(from - 1, end - 1);
}

function concat(kind: EmbeddingKind, a: Embedding, b: Embedding): Embedding {
  checkDimensions(kind, a.length + b.length);
  const out = new Float32Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
}

/** One bit for each element: 1 where it is above zero. */
function binaryQuantize(a: Embedding): BitString {
  const out = BitString.zeros(a.length);
  for (let i = 0; i < a.length; i++) if (a[i]! > 0) out.bytes[i >> 3]! |= 0x80 >> (i & 7);
  return out;
}

/** What pgvector asks of an array that is to become a vector: one dimension, no NULLs. The elements as float4. */
export function arrayElements(array: SqlArray): Float32Array {
  if (array.dimensions.length > 1) throw new SqlError(SqlState.dataException, "array must be 1-D");
  if (array.elements.includes(null))
    throw new SqlError(SqlState.nullValueNotAllowed, "array must not contain nulls");
  const isNumeric = array.elementOid === Oid.numeric;
  return Float32Array.from(array.elements, (element) =>
    isNumeric ? parseFloat4((element as Numeric).toString()) : (element as number),
  );
}

/** int4[], float4[], float8[] and numeric[] to vector(n) or halfvec(n). */
function fromArray(kind: EmbeddingKind, array: SqlArray, typmod: number): Embedding {
  const elements = arrayElements(array);
  checkDimensions(kind, elements.length);
  checkModifier(elements.length, typmod);
  const out = narrowed(kind, elements);
  for (const element of out) checkElement(kind.typeName, element);
  return out;
}

/** Float4s as the type keeps them; 22003 for a finite one that the type cannot hold. */
export function narrowed(kind: EmbeddingKind, elements: ArrayLike<number>): Embedding {
  const out = new Float32Array(elements.length);
  for (let i = 0; i < elements.length; i++) {
    const element = elements[i] as number;
    out[i] = kind.round(element);
    if (!Number.isFinite(out[i]!) && Number.isFinite(element)) {
      throw elementOutOfRange(kind.typeName, formatFloat4(element, 1));
    }
  }
  return out;
}

function convert(kind: EmbeddingKind, a: Embedding, typmod: number): Embedding {
  checkDimensions(kind, a.length);
  checkModifier(a.length, typmod);
  return kind === VECTOR ? a : narrowed(kind, a);
}

function toFloat4Array(a: Embedding): SqlArray {
  return SqlArray.of(Oid.float4, Array.from(a));
}

/** float8[] {count, sum of the first elements, ...}: the state of avg as SQL sees it in vector_accum. */
function stateOf(array: SqlArray, caller: string): number[] {
  const isState =
    array.dimensions.length === 1 && array.elements.length > 0 && !array.elements.includes(null);
  if (!isState) throw new SqlError(SqlState.internalError, `${caller}: expected state array`);
  return array.elements as number[];
}

const stateArray = (state: readonly number[]): SqlArray => SqlArray.of(Oid.float8, state);

function accumulate(kind: EmbeddingKind): ScalarBody {
  return binary<SqlArray, Embedding>((array, value) => {
    const state = stateOf(array, `${kind.typeName}_accum`);
    const isNew = state.length === 1;
    if (!isNew) checkModifier(value.length, state.length - 1);
    const sums = Array.from(value, (x, i) => (isNew ? x : finiteSum(state[i + 1]!, x)));
    return stateArray([state[0]! + 1, ...sums]);
  });
}

function finiteSum(a: number, b: number): number {
  const sum = a + b;
  if (!Number.isFinite(sum)) throw floatOverflow();
  return sum;
}

function combine(caller: string): ScalarBody {
  return binary<SqlArray, SqlArray>((left, right) => {
    const [a, b] = [stateOf(left, caller), stateOf(right, caller)];
    if (a[0] === 0) return right;
    if (b[0] === 0) return left;
    checkModifier(b.length - 1, a.length - 1);
    return stateArray(a.map((x, i) => finiteSum(x, b[i]!)));
  });
}

function averageOfState(kind: EmbeddingKind): ScalarBody {
  return unary<SqlArray>((array) => {
    const [count, ...sums] = stateOf(array, `${kind.typeName}_avg`);
    return count === 0 ? null : average(kind, sums, count!);
  });
}

function average(kind: EmbeddingKind, sums: ArrayLike<number>, count: number): Embedding {
  checkDimensions(kind, sums.length);
  const singles = Float32Array.from(sums, (sum) => sum / count);
  const out = narrowed(kind, singles);
  for (const element of out) checkElement(kind.typeName, element);
  return out;
}

/** The average: sums in float8. */
function averageAggregate(kind: EmbeddingKind): FunctionBody {
  return aggregate<{ sums: Float64Array | undefined; count: number }>({
    strict: true,
    init: () => ({ sums: undefined, count: 0 }),
    step: (state, args) => {
      const value = args[0] as Embedding;
      state.sums ??= new Float64Array(value.length);
      checkModifier(value.length, state.sums.length);
      for (let i = 0; i < value.length; i++) state.sums[i] = finiteSum(state.sums[i]!, value[i]!);
      state.count += 1;
    },
    finish: (state): Datum => (state.sums === undefined ? null : average(kind, state.sums, state.count)),
  });
}

/** The sum: additions of the type one after the other, each rounded, as pgvector's aggregate over `+` makes them. */
function sumAggregate(kind: EmbeddingKind): FunctionBody {
  return aggregate<{ sum: Embedding | undefined }>({
    strict: true,
    init: () => ({ sum: undefined }),
    step: (state, args) => {
      const value = args[0] as Embedding;
      state.sum =
        state.sum === undefined ? value.slice() : addElements(kind, state.sum, value, (a, b) => a + b);
    },
    finish: (state): Datum => state.sum ?? null,
  });
}

/** Functions under the type's own name. */
function functionsOf(kind: EmbeddingKind): BodyTable {
  const name = kind.typeName;
  return {
    [name]: ternary<Embedding, number, boolean>((a, typmod) => {
      checkModifier(a.length, typmod);
      return a;
    }),
    [`${name}_add`]: elementwise(kind, (a, b) => a + b),
    [`${name}_sub`]: elementwise(kind, (a, b) => a - b),
    [`${name}_mul`]: multiply(kind),
    [`${name}_concat`]: binary<Embedding, Embedding>((a, b) => concat(kind, a, b)),
    [`${name}_accum`]: accumulate(kind),
    [`${name}_avg`]: averageOfState(kind),
    [`${name}_to_float4`]: ternary<Embedding, number, boolean>(toFloat4Array),
    [`array_to_${name}`]: ternary<SqlArray, number, boolean>((array, typmod) =>
      fromArray(kind, array, typmod),
    ),
  };
}

const dimensions = unary<Embedding>((a) => a.length);
const lengthOf = unary<Embedding>(norm);
const quantize = unary<Embedding>(binaryQuantize);

export const vectorFunctions: BodyTable = {
  ...functionsOf(VECTOR),
  ...functionsOf(HALFVEC),
  vector_combine: combine("vector_combine"),
  vector_dims: dimensions,
  halfvec_vector_dims: dimensions,
  vector_norm: lengthOf,
  halfvec_l2_norm: lengthOf,
  l2_normalize: unary<Embedding>((a) => normalize(VECTOR, a)),
  halfvec_l2_normalize: unary<Embedding>((a) => normalize(HALFVEC, a)),
  binary_quantize: quantize,
  halfvec_binary_quantize: quantize,
  subvector: ternary<Embedding, number, number>((a, start, count) => subvector(VECTOR, a, start, count)),
  halfvec_subvector: ternary<Embedding, number, number>((a, start, count) =>
    subvector(HALFVEC, a, start, count),
  ),
  vector_to_halfvec: ternary<Embedding, number, boolean>((a, typmod) => convert(HALFVEC, a, typmod)),
  halfvec_to_vector: ternary<Embedding, number, boolean>((a, typmod) => convert(VECTOR, a, typmod)),
  [`agg:avg:${Oid.vector}`]: averageAggregate(VECTOR),
  [`agg:avg:${Oid.halfvec}`]: averageAggregate(HALFVEC),
  [`agg:sum:${Oid.vector}`]: sumAggregate(VECTOR),
  [`agg:sum:${Oid.halfvec}`]: sumAggregate(HALFVEC),
  to_bm25query: unary<string>((query) => query),
  to_bm25query_index: binary<string, string>((query, index) => `${index}:${query}`),
};
