// Whole-batch kernels answer what their row bodies answer, NULLs and errors included, over every mix of column and constant.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ConstantVector, type Vector, encodeUtf8, TextVector, vectorOf } from "../../common/batch/vector.ts";
import { int64Datum } from "../../common/types/scalar.ts";
import type { Datum, VectorKind } from "../../common/types/type.ts";
import type { ScalarBody } from "./function.ts";
import { functionBody } from "./registry.ts";
import { testCall } from "./test-call.ts";

const int4 = fc.oneof(
  fc.integer({ min: -5, max: 5 }),
  fc.constantFrom(2147483647, -2147483648, 65536, -46341),
);
const int8 = fc.oneof(
  fc.integer({ min: -5, max: 5 }),
  fc.constantFrom(2 ** 53 - 1, -(2 ** 53 - 1), 3_037_000_500),
  fc.constantFrom(2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n).map(int64Datum),
);
const float8 = fc.oneof(
  fc.double(),
  fc.constantFrom(0, -0, Number.NaN, 1e308, 1e-300, Number.POSITIVE_INFINITY),
);
const text = fc.oneof(fc.constantFrom("", "a", "ab", "abc", "é", "😀b", "bab"), fc.string());

const call = testCall([], 0);

function textColumn(values: readonly Datum[]): TextVector {
  const offsets = new Uint32Array(values.length + 1);
  const nulls = new Uint8Array(values.length);
  const parts = values.map((value) => encodeUtf8((value ?? "") as string));
  parts.forEach((part, i) => {
    offsets[i + 1] = (offsets[i] as number) + part.length;
    if (values[i] === null) nulls[i] = 1;
  });
  return new TextVector(offsets, new Uint8Array(Buffer.concat(parts)), nulls, values.length);
}

function columnOf(kind: VectorKind, values: readonly Datum[]): Vector {
  return kind === "text" ? textColumn(values) : vectorOf(kind, values);
}

type Outcome = { readonly values: readonly Datum[] } | { readonly error: string };

function outcome(run: () => readonly Datum[]): Outcome {
  try {
    return { values: run() };
  } catch (error) {
    return { error: (error as Error).message };
  }
}

function checkBody(
  name: string,
  kind: VectorKind,
  left: fc.Arbitrary<Datum>,
  right: fc.Arbitrary<Datum>,
): void {
  const body = functionBody(name) as ScalarBody;
  const rows = fc.array(fc.tuple(fc.option(left), fc.option(right)), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(rows, fc.constantFrom("none", "left", "right"), (pairs, constant) => {
      const filled = pairs.map(([a, b]): [Datum, Datum] => [
        constant === "left" ? (pairs[0] as [Datum, Datum])[0] : a,
        constant === "right" ? (pairs[0] as [Datum, Datum])[1] : b,
      ]);
      const args = [0, 1].map((side): Vector => {
        const values = filled.map((pair) => pair[side] as Datum);
        const isConstant = (side === 0 ? "left" : "right") === constant;
        return isConstant ? new ConstantVector(values[0] as Datum, values.length) : columnOf(kind, values);
      });
      const byRow = outcome(() =>
        filled.map(([a, b]) => (a === null || b === null ? null : body.row([a, b], call))),
      );
      let batch: Vector | undefined;
      const byBatch = outcome(() => {
        batch = body.batch?.(args, filled.length, call);
        return batch === undefined ? [] : filled.map((_, row) => batch?.get(row) as Datum);
      });
      // undefined = the row body runs; anything else must agree.
      if (batch === undefined && !("error" in byBatch)) return;
      expect(byBatch).toEqual(byRow);
    }),
  );
}

describe("batch = row", () => {
  for (const operation of ["eq", "ne", "lt", "le", "gt", "ge"]) {
    it(`int4${operation}`, () => checkBody(`int4${operation}`, "i32", int4, int4));
    it(`int8${operation}`, () => checkBody(`int8${operation}`, "i64", int8, int8));
    it(`float8${operation}`, () => checkBody(`float8${operation}`, "f64", float8, float8));
  }
  for (const operation of ["pl", "mi", "mul"]) {
    it(`int4${operation}`, () => checkBody(`int4${operation}`, "i32", int4, int4));
    it(`int8${operation}`, () => checkBody(`int8${operation}`, "i64", int8, int8));
    it(`float8${operation}`, () => checkBody(`float8${operation}`, "f64", float8, float8));
  }
  it("texteq", () => checkBody("texteq", "text", text, text));
  it("textne", () => checkBody("textne", "text", text, text));
  const pattern = fc.constantFrom(
    "",
    "%",
    "a%",
    "%b",
    "%b%",
    "%ab%",
    "a_",
    "_",
    "é%",
    "%😀%",
    "abc",
    "%a%b%",
  );
  it("textlike", () => checkBody("textlike", "text", text, pattern));
  it("textnlike", () => checkBody("textnlike", "text", text, pattern));
});
