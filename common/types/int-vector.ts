// int2vector and oidvector of the system catalogues: one-dimensional arrays that count from 0 and print as "1 2 3".
import { SqlArray } from "./array.ts";
import { receiveArray, sendArray } from "./array-codec.ts";
import { int2Codec, oidCodec, parseInteger, parseUnsigned } from "./int.ts";
import { Oid } from "./oid.ts";
import type { Datum, TypeCodec } from "./type.ts";

function spaceSeparated(
  oid: number,
  name: string,
  element: TypeCodec,
  parseElement: (text: string) => number,
): TypeCodec {
  const make = (elements: readonly Datum[]): SqlArray =>
    new SqlArray(element.oid, [elements.length], [0], elements);
  const codecOf = (): TypeCodec => element;
  const format = (value: Datum): string => ((value as SqlArray).elements as readonly number[]).join(" ");
  const receive = (bytes: Uint8Array): Datum => make(receiveArray(bytes, element.oid, codecOf).elements);
  const send = (value: Datum): Uint8Array => sendArray(value as SqlArray, codecOf);
  return {
    oid,
    name,
    vectorKind: "boxed",
    storageKind: "bytes",
    keyKind: undefined,
    parse: (text) => make((text.match(/\S+/g) ?? []).map((word) => parseElement(word))),
    format,
    receive,
    send,
    toStorage: send,
    fromStorage: receive,
    // As btoidvectorcmp: the shorter first.
    compare: (a, b) => {
      const left = (a as SqlArray).elements as readonly number[];
      const right = (b as SqlArray).elements as readonly number[];
      if (left.length !== right.length) return left.length - right.length;
      for (let i = 0; i < left.length; i++) {
        const difference = (left[i] as number) - (right[i] as number);
        if (difference !== 0) return difference;
      }
      return 0;
    },
    hashKey: format,
  };
}

export const int2vectorCodec = spaceSeparated(Oid.int2vector, "int2vector", int2Codec, (text) =>
  parseInteger(text, "smallint", -32768, 32767),
);
export const oidvectorCodec = spaceSeparated(Oid.oidvector, "oidvector", oidCodec, (text) =>
  parseUnsigned(text, "oid"),
);
