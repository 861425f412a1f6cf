import fc from "fast-check";
import { expect, test } from "vitest";
import { LayeredMap } from "./layered-map.ts";

test("a chain of changes reads as a plain map, and older versions stay as they were", () => {
  const change = fc.tuple(fc.integer({ min: 0, max: 300 }), fc.option(fc.integer(), { nil: undefined }));
  fc.assert(
    fc.property(fc.array(fc.array(change, { maxLength: 80 }), { maxLength: 12 }), (steps) => {
      let map = LayeredMap.empty<number, number>();
      const model = new Map<number, number>();
      const versions: [LayeredMap<number, number>, Map<number, number>][] = [[map, new Map()]];
      for (const step of steps) {
        map = map.with(step);
        for (const [key, value] of step) {
          if (value === undefined) model.delete(key);
          else model.set(key, value);
        }
        versions.push([map, new Map(model)]);
      }
      for (const [version, expected] of versions) {
        expect(new Map(version.entries())).toEqual(expected);
        for (const [key, value] of expected) expect(version.get(key)).toBe(value);
        expect([...version.values()]).toHaveLength(expected.size);
      }
    }),
    { numRuns: 60 },
  );
});
