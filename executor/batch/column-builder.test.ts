// A built column equals the values that went in, whatever the representations were and in whatever pieces they came.
import fc from "fast-check";
import { expect, test } from "vitest";
import { ConstantVector, TextVector, type Vector, vectorOf } from "../../common/batch/vector.ts";
import type { Datum, VectorKind } from "../../common/types/type.ts";
import { ColumnBuilder } from "./column-builder.ts";
import { gather, slice } from "./gather.ts";

const encoder = new TextEncoder();

function textVector(values: readonly (string | null)[]): TextVector {
  const parts = values.map((value) => encoder.encode(value ?? ""));
  const offsets = new Uint32Array(values.length + 1);
  for (let i = 0; i < parts.length; i++)
    offsets[i + 1] = (offsets[i] as number) + (parts[i] as Uint8Array).length;
  const nulls = Uint8Array.from(values, (value) => (value === null ? 1 : 0));
  return new TextVector(offsets, Buffer.concat(parts), nulls.includes(1) ? nulls : undefined, values.length);
}

const number = fc.option(fc.integer({ min: -5, max: 5 }), { nil: null });
const wide = fc.option(fc.bigInt({ min: 2n ** 60n, max: 2n ** 62n }), { nil: null });
const typed = (kind: VectorKind, value: fc.Arbitrary<Datum>): fc.Arbitrary<Vector> =>
  fc.array(value, { maxLength: 9 }).map((values) => vectorOf(kind, values));
/** Vectors that may follow one another in one column. */
const families: fc.Arbitrary<Vector[]>[] = [
  fc.array(fc.oneof(typed("i32", number), typed("boxed", number))),
  fc.array(fc.oneof(typed("i64", number), typed("i64", wide), typed("boxed", wide))),
  fc.array(fc.oneof(typed("f64", number))),
  fc.array(fc.oneof(typed("bool", fc.option(fc.boolean(), { nil: null })))),
  fc.array(
    fc.oneof(
      fc.array(fc.option(fc.string(), { nil: null }), { maxLength: 9 }).map(textVector),
      typed("boxed", fc.option(fc.string(), { nil: null })),
    ),
  ),
];
const padded = fc
  .oneof(...families)
  .chain((vectors) =>
    fc
      .tuple(
        ...vectors.map((vector) =>
          fc.constantFrom<Vector[]>(
            [vector],
            [vector, new ConstantVector(null, 3)],
            [new ConstantVector(vector.length > 0 ? vector.get(0) : null, 2), vector],
          ),
        ),
      )
      .map((groups) => groups.flat()),
  );
const valuesOf = (vector: Vector): Datum[] =>
  Array.from({ length: vector.length }, (_, row) => vector.get(row));

test("append and finish", () => {
  fc.assert(
    fc.property(padded, (vectors) => {
      const builder = new ColumnBuilder();
      for (const vector of vectors) builder.append(vector, 0, vector.length);
      expect(valuesOf(builder.finish())).toEqual(vectors.flatMap(valuesOf));
    }),
  );
});

test("slice and gather agree with the values", () => {
  fc.assert(
    fc.property(padded, fc.array(fc.nat(), { maxLength: 12 }), (vectors, picks) => {
      const builder = new ColumnBuilder();
      for (const vector of vectors) builder.append(slice(vector, 0, vector.length), 0, vector.length);
      const column = builder.finish();
      const values = valuesOf(column);
      const half = Math.floor(values.length / 2);
      expect(valuesOf(slice(column, half, values.length))).toEqual(values.slice(half));
      if (values.length === 0) return;
      const rows = Int32Array.from(picks, (pick) => (pick % (values.length + 1)) - 1);
      expect(valuesOf(gather(column, rows))).toEqual([...rows].map((row) => (row < 0 ? null : values[row])));
    }),
  );
});
