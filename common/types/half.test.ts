// Halves: every one of the 65,536 comes back from its number, and rounding takes the nearer neighbour, ties to even.
import { expect, it } from "vitest";
import { halfBits, halfTable, roundToHalf } from "./half.ts";

const POSITIVE_INFINITE = 0x7c00;

it("every half is its own number", () => {
  const table = halfTable();
  for (let bits = 0; bits < 0x1_0000; bits++) {
    const isNaN = (bits & 0x7fff) > POSITIVE_INFINITE;
    if (isNaN) expect(table[bits]).toBeNaN();
    else expect(halfBits(table[bits] as number)).toBe(bits);
  }
});

it("between two halves the nearer one, halfway the even one", () => {
  const table = halfTable();
  for (let bits = 0; bits < POSITIVE_INFINITE - 1; bits++) {
    const low = table[bits] as number;
    const high = table[bits + 1] as number;
    const middle = (low + high) / 2;
    const even = bits % 2 === 0 ? bits : bits + 1;
    expect(halfBits(middle)).toBe(even);
    expect(halfBits(-middle)).toBe(even | 0x8000);
    // Neighbours of the middle in float4, which has 13 more bits of fraction.
    expect(halfBits(middle - (high - low) / 4096)).toBe(bits);
    expect(halfBits(middle + (high - low) / 4096)).toBe(bits + 1);
  }
});

it("the ends of the range", () => {
  expect(roundToHalf(65519)).toBe(65504);
  expect(roundToHalf(65520)).toBe(Number.POSITIVE_INFINITY);
  expect(roundToHalf(-1e30)).toBe(Number.NEGATIVE_INFINITY);
  expect(roundToHalf(1e-8)).toBe(0);
  expect(Object.is(roundToHalf(-1e-8), -0)).toBe(true);
  expect(roundToHalf(Number.NaN)).toBeNaN();
});
