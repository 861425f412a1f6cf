// pgvector's functions: answers and errors as pgvector 0.8 gives them.
import { afterEach, describe, expect, it } from "vitest";
import { ConstantVector, EmbeddingVector } from "../../common/batch/vector.ts";
import { SqlError } from "../../common/error.ts";
import { Oid } from "../../common/types/oid.ts";
import { codecOf } from "../../common/types/registry.ts";
import type { Datum } from "../../common/types/type.ts";
import type { AggregateBody, ScalarBody } from "./function.ts";
import { functionBody } from "./registry.ts";
import { testCall } from "./test-call.ts";
import { setVectorKernels } from "./vector-distance.ts";

const call = testCall([Oid.vector, Oid.vector], Oid.float8);
const vector = (text: string): Datum => codecOf(Oid.vector).parse(text, -1, call.context.types);
const scalar = (name: string): ScalarBody => functionBody(name) as ScalarBody;

function answer(name: string, ...args: readonly (string | number)[]): unknown {
  try {
    const result = scalar(name).row(
      args.map((arg) => (typeof arg === "string" ? vector(arg) : arg)),
      call,
    );
    return result instanceof Float32Array ? codecOf(Oid.vector).format(result, call.context.types) : result;
  } catch (error) {
    if (error instanceof SqlError) return `!${error.code} ${error.message}`;
    throw error;
  }
}

describe("distances", () => {
  it.each([
    ["l2_distance", "[1,2,3]", "[4,6,3]", 5],
    ["inner_product", "[1,2]", "[3,4]", 11],
    ["vector_negative_inner_product", "[1,2]", "[3,4]", -11],
    ["cosine_distance", "[1,0]", "[0,2]", 1],
    ["cosine_distance", "[1,1]", "[-1,-1]", 2],
    ["cosine_distance", "[0,0]", "[1,1]", Number.NaN],
    ["l1_distance", "[1,2,3]", "[3,1,3]", 3],
    ["l2_distance", "[1,2]", "[1,2,3]", "!22000 different vector dimensions 2 and 3"],
  ])("%s(%s, %s)", (name, a, b, want) => expect(answer(name, a, b)).toEqual(want));
});

describe("arithmetic and parts", () => {
  it.each([
    ["vector_add", ["[1,2]", "[3,4]"], "[4,6]"],
    ["vector_sub", ["[1,2]", "[3,4.5]"], "[-2,-2.5]"],
    ["vector_mul", ["[1,2]", "[3,4]"], "[3,8]"],
    ["vector_add", ["[3e38]", "[3e38]"], "!22003 value out of range: overflow"],
    ["vector_mul", ["[1e-30]", "[1e-30]"], "!22003 value out of range: underflow"],
    ["vector_concat", ["[1]", "[2,3]"], "[1,2,3]"],
    ["l2_normalize", ["[3,4]"], "[0.6,0.8]"],
    ["l2_normalize", ["[0,0]"], "[0,0]"],
    ["vector_norm", ["[3,4]"], 5],
    ["vector_dims", ["[3,4]"], 2],
    ["subvector", ["[1,2,3]", 2, 5], "[2,3]"],
    ["subvector", ["[1,2,3]", -1, 3], "[1]"],
    ["subvector", ["[1,2,3]", 4, 1], "!22000 vector must have at least 1 dimension"],
  ] as const)("%s(%s)", (name, args, want) => expect(answer(name, ...args)).toEqual(want));
});

describe("aggregates", () => {
  const run = (name: string, values: readonly string[]): Datum => {
    const body = functionBody(`agg:${name}:${Oid.vector}`) as AggregateBody;
    let state = body.init(call);
    for (const value of values) state = body.step(state, [vector(value)], call);
    return body.finish(state, call);
  };
  it("avg and sum by element, NULL of nothing", () => {
    expect(run("avg", ["[1,2]", "[3,5]"])).toEqual(Float32Array.of(2, 3.5));
    expect(run("sum", ["[1,2]", "[3,5]"])).toEqual(Float32Array.of(4, 7));
    expect(run("sum", [])).toBeNull();
    expect(() => run("avg", ["[1,2]", "[1]"])).toThrow("expected 2 dimensions, not 1");
  });
});

describe("batches", () => {
  const column = new EmbeddingVector(2, Float32Array.of(1, 0, 0, 0, 3, 4), Uint8Array.of(0, 1, 0), 3);
  const query = new ConstantVector(Float32Array.of(0, 0), 3);

  it("a column against a constant, either way round, NULL rows stay NULL", () => {
    for (const args of [
      [column, query],
      [query, column],
    ]) {
      const out = scalar("l2_distance").batch?.(args, 3, call);
      expect([0, 1, 2].map((row) => out?.get(row))).toEqual([1, null, 5]);
    }
  });

  it("a query of another dimension is an error, unless every row is NULL", () => {
    const wrong = new ConstantVector(Float32Array.of(1), 3);
    expect(() => scalar("l2_distance").batch?.([column, wrong], 3, call)).toThrow(
      "different vector dimensions 2 and 1",
    );
    const empty = new EmbeddingVector(2, new Float32Array(2), Uint8Array.of(1), 1);
    expect(scalar("l2_distance").batch?.([empty, wrong], 1, call)?.get(0)).toBeNull();
  });

  afterEach(() => {
    setVectorKernels(plain);
  });
  const plain = {
    l2: (a: Float32Array, b: Float32Array) => Math.hypot(...a.map((x, i) => x - (b[i] as number))),
    innerProduct: () => 0,
    cosine: () => 0,
  };
  it("distances go through the kernels that start-up set", () => {
    setVectorKernels({ ...plain, l2: () => 42 });
    expect(answer("l2_distance", "[1]", "[2]")).toBe(42);
    expect(scalar("l2_distance").batch?.([column, query], 3, call)?.get(2)).toBe(42);
  });
});
