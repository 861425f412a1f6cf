// Texts and bytes as PostgreSQL 15 gives them.
import { expect, test } from "vitest";
import { cidrCodec, inetCodec } from "./inet.ts";
import type { TypeContext } from "./type.ts";

const context = {} as TypeContext;

test.each([
  ["10.0.0.1/8", "10.0.0.1/8"],
  ["1.2.3.4/32", "1.2.3.4"],
  ["::1", "::1"],
  ["2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
  ["::ffff:1.2.3.4", "::ffff:1.2.3.4"],
  ["0:0:1::", "0:0:1::"],
])("inet %s prints as %s", (text, printed) => {
  const value = inetCodec.parse(text, -1, context);
  expect(inetCodec.format(value, context)).toBe(printed);
  expect(inetCodec.receive(inetCodec.send(value), -1, context)).toBe(printed);
});

test("cidr fills in the mask and refuses host bits", () => {
  expect(cidrCodec.parse("10.1", -1, context)).toBe("10.1.0.0/16");
  expect(cidrCodec.parse("2001:db8::/32", -1, context)).toBe("2001:db8::/32");
  expect(() => cidrCodec.parse("10.0.0.1/8", -1, context)).toThrow('invalid cidr value: "10.0.0.1/8"');
});

test("bytes are inet_send's", () => {
  expect(Buffer.from(inetCodec.send("10.0.0.1/8")).toString("hex")).toBe("020800040a000001");
  expect(Buffer.from(cidrCodec.send("10.0.0.0/8")).toString("hex")).toBe("020801040a000000");
  expect(Buffer.from(inetCodec.send("::1")).toString("hex")).toBe("0380001000000000000000000000000000000001");
});

test.each(["1.2.3", "1.2.3.256", "1.2.3.4/33", ":::", "1::2::3", "g::", ""])("inet %s is 22P02", (text) => {
  expect(() => inetCodec.parse(text, -1, context)).toThrow(`invalid input syntax for type inet: "${text}"`);
});

test("order: family, network, mask, address", () => {
  const sorted = ["10.0.0.0/8", "10.0.0.1/8", "10.0.0.0/16", "10.0.0.1", "11.0.0.0/8", "::1"];
  const compare = inetCodec.compare ?? (() => 0);
  expect(sorted.toReversed().toSorted(compare)).toEqual(sorted);
});
