// bool. Input accepts unique prefixes of true, false, yes, no, and on, off, 1, 0 in any case with surrounding blanks.
import { Oid } from "./oid.ts";
import { compareNumbers, fixedView, invalidSyntax } from "./scalar.ts";
import type { Datum, TypeCodec } from "./type.ts";

/** undefined = not a boolean text. */
export function tryParseBool(text: string): boolean | undefined {
  const word = text.replace(/^[ \t\n\r\v\f]+|[ \t\n\r\v\f]+$/g, "").toLowerCase();
  if (word === "") return undefined;
  if ("true".startsWith(word) || "yes".startsWith(word) || word === "on" || word === "1") return true;
  if ("false".startsWith(word) || "no".startsWith(word) || word === "off" || word === "of" || word === "0")
    return false;
  return undefined;
}

function parse(text: string): Datum {
  const value = tryParseBool(text);
  if (value === undefined) throw invalidSyntax("boolean", text);
  return value;
}

function send(value: Datum): Uint8Array {
  return Uint8Array.of(value === true ? 1 : 0);
}

function receive(bytes: Uint8Array): Datum {
  return fixedView(bytes, 1).getUint8(0) !== 0;
}

export const boolCodec: TypeCodec = {
  oid: Oid.bool,
  name: "bool",
  vectorKind: "bool",
  storageKind: "bool",
  keyKind: "bool",
  parse,
  format: (value) => (value === true ? "t" : "f"),
  receive,
  send,
  toStorage: send,
  fromStorage: receive,
  compare: compareNumbers,
  hashKey: (value) => value as boolean,
};
