import fc from "fast-check";
import { expect, test } from "vitest";
import { parseVector } from "./vector.ts";

const forms: readonly ((value: number) => string)[] = [
  String,
  (value) => value.toFixed(0),
  (value) => value.toFixed(7),
  (value) => value.toPrecision(9),
  (value) => value.toExponential(3),
  (value) => ` ${value} `,
  (value) => String(Math.fround(value)),
  (value) => String(value).replace(/^(-?)0\./, "$1."),
];

test("elements are the nearest float4 however they are written", () => {
  const element = fc.tuple(
    fc.double({ min: -1e15, max: 1e15, noNaN: true }),
    fc.integer({ min: 0, max: 18 }),
    fc.constantFrom(...forms),
  );
  fc.assert(
    fc.property(fc.array(element, { minLength: 1, maxLength: 20 }), (elements) => {
      const words = elements.map(([value, scale, form]) => form(value / 10 ** scale));
      const expected = Float32Array.from(words, (word) => Number(word));
      expect(parseVector(`[${words.join(",")}]`)).toEqual(expected);
    }),
    { seed: 1, numRuns: 500 },
  );
});

test("ends of numbers and of the whole", () => {
  expect(parseVector("[1.,.5, 2 ,-0]")).toEqual(Float32Array.of(1, 0.5, 2, -0));
  for (const text of ["[1,]", "[,1]", "[1 2]", "[.]", "[-]", "[1", "[1]x", "1]", "[1..2]", "[--1]"]) {
    expect(() => parseVector(text), text).toThrow("invalid input syntax for type vector");
  }
  const tooLarge = "9".repeat(40);
  expect(() => parseVector(`[${tooLarge}]`)).toThrow(`"${tooLarge}" is out of range for type vector`);
});
