// json: any valid JSON text, kept as it was written. No order and no equality.
import { Oid } from "./oid.ts";
import { decodeClientText, opaqueTextCodec } from "./text.ts";
import { validateJson } from "./json-text.ts";
import type { TypeCodec } from "./type.ts";

export const jsonCodec: TypeCodec = {
  ...opaqueTextCodec(Oid.json, "json"),
  hashKey: undefined,
  parse: (text) => {
    validateJson(text);
    return text;
  },
  receive: (bytes) => {
    const text = decodeClientText(bytes);
    validateJson(text);
    return text;
  },
};
