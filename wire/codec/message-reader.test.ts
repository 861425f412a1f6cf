// Names of statements and portals: read from memory of their own or recognised, they are the strings that were sent.
import fc from "fast-check";
import { expect, test } from "vitest";
import { MessageReader } from "./message-reader.ts";

function readerOf(...names: readonly string[]): MessageReader {
  const buffer = Buffer.concat(names.map((name) => Buffer.from(`${name}\0`)));
  const reader = new MessageReader();
  reader.open(buffer, 0, buffer.length);
  return reader;
}

test("names are what was sent, however often and whatever was read before", () => {
  // Two letters: many names of one hash, and many that come again.
  const name = fc.oneof(
    fc.string({ unit: fc.constantFrom("a", "P", "1"), maxLength: 6 }),
    fc.string({ unit: fc.constantFrom("\u00e9", "b"), maxLength: 4 }),
    fc.constantFrom("n".repeat(63), "n".repeat(64), "n".repeat(200)),
  );
  fc.assert(
    fc.property(fc.array(name, { maxLength: 30 }), (names) => {
      const reader = readerOf(...names);
      expect(names.map(() => reader.name())).toEqual(names);
      reader.finish();
    }),
  );
});

test("a name does not reach beyond its message", () => {
  expect(readerOf("P0_1").name()).toBe("P0_1");
  const buffer = Buffer.from("P0_1\0");
  for (let end = 0; end < buffer.length; end++) {
    const reader = new MessageReader();
    reader.open(buffer, 0, end);
    expect(() => reader.name()).toThrow("invalid string in message");
  }
});
