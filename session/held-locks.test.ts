import { expect, test } from "vitest";
import { HeldLocks } from "./held-locks.ts";

test("locks are held until they are let go of, few or many", () => {
  const locks = new HeldLocks();
  for (const count of [3, 100, 1]) {
    const keys = Array.from({ length: count }, (_, i) => i * 16 + 1);
    for (const key of [...keys, ...keys]) locks.add(key);
    expect(keys.every((key) => locks.has(key))).toBe(true);
    expect(locks.has(count * 16 + 1)).toBe(false);
    locks.clear();
    expect(keys.some((key) => locks.has(key))).toBe(false);
  }
});
