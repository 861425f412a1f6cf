import { expect, test } from "vitest";
import { defaultBeam } from "./beam.ts";

const options = (quantization?: string) => ({
  options: quantization === undefined ? [] : ([["quantization", quantization]] as const),
});

test("a beam grows with the index, up to the largest there is", () => {
  const sizes = [0, 1, 1000, 5000, 20_000, 100_000, 1_000_000, 100_000_000, 1e10];
  expect(sizes.map((size) => defaultBeam(options(), size, 10))).toEqual([
    64, 64, 64, 64, 67, 118, 264, 1000, 1000,
  ]);
});

test("coarse codes take a wider beam, fine ones the same", () => {
  const kinds = [undefined, "none", "f16", "sq8", "rabitq", "pq", "bq"];
  expect(kinds.map((kind) => defaultBeam(options(kind), 20_000, 10))).toEqual([
    67, 67, 67, 67, 168, 168, 269,
  ]);
});

test("many neighbours take a beam that goes beyond them", () => {
  expect([1, 20, 21, 100, 5000].map((count) => defaultBeam(options(), 20_000, count))).toEqual([
    67, 67, 67, 134, 5034,
  ]);
});
