// Round trips and orders that must hold for every value: text, binary and storage forms, storage bytes in the type's order.
import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { SqlArray } from "./array.ts";
import { civilFromDays, daysFromCivil, joinTimestamp, splitTimestamp } from "./calendar.ts";
import { parseBits } from "./bit.ts";
import { compareBytes } from "./bytes.ts";
import { halfTable } from "./half.ts";
import { Interval } from "./interval.ts";
import { Numeric } from "./numeric.ts";
import { Oid } from "./oid.ts";
import { codecOf } from "./registry.ts";
import { int64Datum } from "./scalar.ts";
import { SparseVector } from "./sparsevec.ts";
import type { Datum, TypeContext } from "./type.ts";

const context: TypeContext = {
  dateStyle: { format: "ISO", order: "MDY" },
  intervalStyle: "postgres",
  timeZone: "Europe/Berlin",
  extraFloatDigits: 1,
  byteaOutput: "hex",
  now: () => 0,
};

const numeric: fc.Arbitrary<Datum> = fc.oneof(
  fc
    .tuple(fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }), fc.integer({ min: 0, max: 25 }))
    .map(([c, s]) => Numeric.of(c, s)),
  fc
    .tuple(fc.bigInt({ min: -20n, max: 20n }), fc.integer({ min: 0, max: 3 }))
    .map(([c, s]) => Numeric.of(c, s)),
  fc.constantFrom(Numeric.nan, Numeric.infinity, Numeric.negativeInfinity),
);
const near = (value: bigint): fc.Arbitrary<bigint> => fc.bigInt({ min: value - 5n, max: value + 5n });
const int8: fc.Arbitrary<Datum> = fc
  .oneof(
    near(2n ** 53n),
    near(-(2n ** 53n)),
    near(2n ** 63n - 6n),
    near(-(2n ** 63n) + 5n),
    fc.bigInt({ min: -100n, max: 100n }),
  )
  .map(int64Datum);
const text = fc.string({ unit: "binary" }).filter((value) => !value.includes("\u0000"));
const timestamp: fc.Arbitrary<Datum> = fc
  .tuple(fc.integer({ min: -2_451_545, max: 106_751_982 }), fc.integer({ min: 0, max: 86_399_999 }))
  .map(([days, millis]) => joinTimestamp(days, millis * 1000 + 7));
const interval: fc.Arbitrary<Datum> = fc
  .tuple(
    fc.integer({ min: -100_000, max: 100_000 }),
    fc.integer({ min: -100_000, max: 100_000 }),
    fc.bigInt({ min: -(10n ** 16n), max: 10n ** 16n }),
  )
  .map(([months, days, micros]) => Interval.of(months, days, micros));

const VALUES: readonly (readonly [number, string, fc.Arbitrary<Datum>])[] = [
  [Oid.bool, "bool", fc.boolean()],
  [Oid.int2, "int2", fc.integer({ min: -32768, max: 32767 })],
  [Oid.int4, "int4", fc.integer()],
  [Oid.int8, "int8", int8],
  [Oid.float8, "float8", fc.double()],
  [Oid.float4, "float4", fc.float()],
  [Oid.numeric, "numeric", numeric],
  [Oid.text, "text", text],
  [Oid.bytea, "bytea", fc.uint8Array()],
  [Oid.uuid, "uuid", fc.uuid()],
  [Oid.date, "date", fc.integer({ min: -2_451_545, max: 2_145_031_948 })],
  [Oid.time, "time", fc.integer({ min: 0, max: 86_399_999 }).map((millis) => millis * 1000 + 13)],
  [Oid.timestamp, "timestamp", timestamp],
  [Oid.interval, "interval", interval],
  [
    Oid.vector,
    "vector",
    fc
      .array(fc.float({ noNaN: true, noDefaultInfinity: true }), { minLength: 1, maxLength: 20 })
      .map((values) => Float32Array.from(values)),
  ],
  [
    Oid.halfvec,
    "halfvec",
    fc
      .array(fc.integer({ min: 0, max: 0xffff }), { minLength: 1, maxLength: 20 })
      .map((bits) =>
        Float32Array.from(
          bits,
          (half) => halfTable()[(half & 0x7c00) === 0x7c00 ? half & 0x83ff : half] as number,
        ),
      ),
  ],
  [
    Oid.sparsevec,
    "sparsevec",
    fc
      .array(fc.oneof(fc.constant(0), fc.float({ noNaN: true, noDefaultInfinity: true })), {
        minLength: 1,
        maxLength: 20,
      })
      .map((values) => SparseVector.fromDense(Float32Array.from(values))),
  ],
  [
    Oid.varbit,
    "varbit",
    fc.array(fc.constantFrom("0", "1"), { maxLength: 70 }).map((bits) => parseBits(bits.join(""))),
  ],
  [1009, "text[]", fc.array(fc.option(text)).map((values) => SqlArray.of(Oid.text, values))],
  [1231, "numeric[]", fc.array(fc.option(numeric)).map((values) => SqlArray.of(Oid.numeric, values))],
];

describe("round trips", () => {
  for (const [oid, name, values] of VALUES) {
    const codec = codecOf(oid);
    it(`${name}: parse after format, receive after send, fromStorage after toStorage`, () => {
      fc.assert(
        fc.property(values, (value) => {
          const shown = codec.format(value, context);
          expect(codec.format(codec.parse(shown, -1, context), context)).toBe(shown);
          expect(codec.format(codec.receive(codec.send(value), -1, context), context)).toBe(shown);
          expect(codec.format(codec.fromStorage(codec.toStorage(value)), context)).toBe(shown);
        }),
      );
    });
    it(`${name}: equal hash keys exactly for equal values`, () => {
      fc.assert(
        fc.property(values, values, (a, b) => {
          const isEqual = codec.compare?.(a, b) === 0;
          expect(
            Object.is(codec.hashKey?.(a), codec.hashKey?.(b)) || codec.hashKey?.(a) === codec.hashKey?.(b),
          ).toBe(isEqual);
        }),
      );
    });
  }

  it("a timestamptz prints and reads back in a zone with daylight saving", () => {
    const codec = codecOf(Oid.timestamptz);
    fc.assert(
      fc.property(fc.integer({ min: -3_000_000_000, max: 3_000_000_000 }), (seconds) => {
        const value = seconds * 1_000_000;
        expect(codec.parse(codec.format(value, context), -1, context)).toBe(value);
      }),
    );
  });
});

describe("numeric storage", () => {
  it("orders as values do, and the scale stands in the last two bytes only", () => {
    const codec = codecOf(Oid.numeric);
    const key = (value: Datum): Uint8Array => codec.toStorage(value).subarray(0, -2);
    fc.assert(
      fc.property(numeric, numeric, (a, b) => {
        expect(Math.sign(compareBytes(key(a), key(b)))).toBe(Math.sign(codec.compare?.(a, b) ?? 0));
      }),
      { numRuns: 1000 },
    );
  });
});

describe("calendar", () => {
  it("days and civil dates are inverse", () => {
    fc.assert(
      fc.property(fc.integer({ min: -2_451_545, max: 2_145_031_948 }), (days) => {
        const { year, month, day } = civilFromDays(days);
        expect(daysFromCivil(year, month, day)).toBe(days);
      }),
    );
  });
  it("splitting a timestamp keeps it", () => {
    fc.assert(
      fc.property(timestamp, (value) => {
        const { days, micros } = splitTimestamp(value as number | bigint);
        expect(joinTimestamp(days, micros)).toBe(value);
      }),
    );
  });
});

test("integers are read from their bytes as from their text", () => {
  const digits = fc.stringMatching(/^-?[0-9]{0,17}$/);
  const odd = fc.constantFrom(
    "",
    "-",
    "+1",
    " 1",
    "1 ",
    "-0",
    "00012",
    "1e3",
    "0x1",
    "1.0",
    "\u0661",
    "--1",
    "1-",
  );
  const edges = [15, 16, 31, 32, 53, 63, 64].flatMap((bits) =>
    [-1n, 0n, 1n].map((d) => 2n ** BigInt(bits) + d),
  );
  const edge = fc.constantFrom(...edges.flatMap((value) => [String(value), String(-value)]));
  const types = fc.constantFrom(Oid.int2, Oid.int4, Oid.int8, Oid.xid8);
  fc.assert(
    fc.property(types, fc.oneof(digits, odd, edge), (oid, text) => {
      const codec = codecOf(oid);
      const plain = codec.parsePlain?.(Buffer.from(text));
      if (plain !== undefined) expect(plain).toBe(codec.parse(text, -1, context));
      else if (/^-?[0-9]{1,9}$/.test(text) && oid === Oid.int8) expect.fail(`${text} is plain`);
    }),
  );
});
