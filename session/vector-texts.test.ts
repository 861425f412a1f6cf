import fc from "fast-check";
import { expect, test } from "vitest";
import { MAX_DIMENSIONS } from "../common/types/embedding.ts";
import { VectorTexts } from "./vector-texts.ts";

test("vectors that share memory stay what they were read as", () => {
  const texts = new VectorTexts();
  const one = fc.record({ length: fc.integer({ min: 1, max: 3000 }), isPlain: fc.boolean() });
  fc.assert(
    fc.property(fc.array(one, { minLength: 1, maxLength: 30 }), (asked) => {
      const read = asked.map(({ length, isPlain }, at) => {
        const floats = Float32Array.from({ length }, (_, i) => at + i / 8);
        const vector = texts.read(Buffer.from(`[${floats.join(",")}${isPlain ? "]" : ", 1]"}`));
        return { floats: isPlain ? floats : undefined, vector };
      });
      for (const { floats, vector } of read) expect(vector).toEqual(floats);
    }),
    { numRuns: 20 },
  );
});

test("the longest vector fits, and no longer one", () => {
  const texts = new VectorTexts();
  const longest = Buffer.from(`[${Array(MAX_DIMENSIONS).fill("7").join(",")}]`);
  for (let i = 0; i < 3; i++) expect(texts.read(longest)?.length).toBe(MAX_DIMENSIONS);
  expect(
    texts.read(
      Buffer.from(
        `[${Array(MAX_DIMENSIONS + 1)
          .fill("7")
          .join(",")}]`,
      ),
    ),
  ).toBeUndefined();
  expect(texts.read(Buffer.from("[1,2]"))).toEqual(Float32Array.of(1, 2));
});
