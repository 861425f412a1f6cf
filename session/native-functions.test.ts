// The vector codec that start-up puts in place of the plain one reads every text alike.
import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import { toSqlError } from "../common/error.ts";
import { Oid } from "../common/types/oid.ts";
import { codecOf } from "../common/types/registry.ts";
import { vectorCodec } from "../common/types/vector.ts";
import { types } from "../executor/testing/support.ts";
import { useNativeFunctions } from "./native-functions.ts";

beforeAll(() => useNativeFunctions());

const outcome = (read: () => unknown): unknown => {
  try {
    return read();
  } catch (thrown) {
    const { code, message, fields } = toSqlError(thrown);
    return { code, message, detail: fields.detail };
  }
};

test("texts of numbers give the same floats", () => {
  const codec = codecOf(Oid.vector);
  const number = fc.oneof(
    fc.float({ noNaN: true, noDefaultInfinity: true }).map(String),
    fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e30, max: 1e30 }).map(String),
    fc.integer().map(String),
  );
  fc.assert(
    fc.property(fc.array(number, { minLength: 1, maxLength: 20 }), (numbers) => {
      const text = `[${numbers.join(",")}]`;
      const plain = codec.parsePlain?.(Buffer.from(text));
      const expected = outcome(() => vectorCodec.parse(text, -1, types));
      expect(outcome(() => codec.parse(text, -1, types))).toEqual(expected);
      if (plain !== undefined) expect(plain).toEqual(expected);
    }),
  );
});

test("odd texts are read or refused in the same words", () => {
  const codec = codecOf(Oid.vector);
  const texts = [
    "",
    "[]",
    "[1",
    "[1,]",
    " [ 1 , 2 ] ",
    "[nan]",
    "[1e39]",
    "[inf]",
    "[1]x",
    "1,2",
    "[1,2,3,4]",
  ];
  texts.push(`[${Array(16001).fill("1").join(",")}]`);
  for (const text of texts) {
    const expected = outcome(() => vectorCodec.parse(text, 3, types));
    expect(outcome(() => codec.parse(text, 3, types))).toEqual(expected);
  }
});
