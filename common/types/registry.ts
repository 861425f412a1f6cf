// Finds the codec of a type. Array types come from their element type when first asked for. Start-up may replace
// a codec (the vector codec by the native one); that is the only change, before any session runs.
import { must } from "../assert.ts";
import { arrayCodec } from "./array-codec.ts";
import { bitCodec, varbitCodec } from "./bit.ts";
import { boolCodec } from "./bool.ts";
import { byteaCodec } from "./bytea.ts";
import { dateCodec } from "./date.ts";
import { float4Codec, float8Codec } from "./float.ts";
import { cidCodec, int2Codec, int4Codec, int8Codec, oidCodec, xid8Codec, xidCodec } from "./int.ts";
import { halfvecCodec } from "./halfvec.ts";
import { int2vectorCodec, oidvectorCodec } from "./int-vector.ts";
import { cidrCodec, inetCodec } from "./inet.ts";
import { intervalCodec } from "./interval-codec.ts";
import { jsonCodec } from "./json.ts";
import { jsonbCodec } from "./jsonb.ts";
import { numericCodec } from "./numeric-codec.ts";
import { Oid, elementOidOf } from "./oid.ts";
import { recordCodec } from "./record-codec.ts";
import { REG_CODECS } from "./reg.ts";
import {
  bm25queryCodec,
  bpcharCodec,
  charCodec,
  cstringCodec,
  nameCodec,
  nodeTreeCodec,
  opaqueTextCodec,
  refcursorCodec,
  textCodec,
  unknownCodec,
  varcharCodec,
  voidCodec,
} from "./text.ts";
import { sparsevecCodec } from "./sparsevec.ts";
import { tidCodec } from "./tid.ts";
import { timeCodec } from "./time.ts";
import { timestampCodec, timestamptzCodec } from "./timestamp.ts";
import type { TypeCodec } from "./type.ts";
import { uuidCodec } from "./uuid.ts";
import { vectorCodec } from "./vector.ts";

const codecs = new Map<number, TypeCodec>();

/** First oid that users' objects get: a type up there that nobody registered is the row type of a table. */
const FIRST_USER_OID = 16384;
const rowCodec = recordCodec(codecOf);

for (const codec of [
  boolCodec,
  byteaCodec,
  int2Codec,
  int4Codec,
  int8Codec,
  oidCodec,
  xidCodec,
  cidCodec,
  xid8Codec,
  int2vectorCodec,
  oidvectorCodec,
  float4Codec,
  float8Codec,
  numericCodec,
  textCodec,
  varcharCodec,
  bpcharCodec,
  nameCodec,
  charCodec,
  unknownCodec,
  cstringCodec,
  nodeTreeCodec,
  refcursorCodec,
  voidCodec,
  opaqueTextCodec(Oid.aclitem, "aclitem"),
  opaqueTextCodec(Oid.trigger, "trigger"),
  dateCodec,
  timeCodec,
  timestampCodec,
  timestamptzCodec,
  intervalCodec,
  uuidCodec,
  inetCodec,
  cidrCodec,
  jsonCodec,
  jsonbCodec,
  tidCodec,
  bitCodec,
  varbitCodec,
  vectorCodec,
  halfvecCodec,
  sparsevecCodec,
  bm25queryCodec,
  ...REG_CODECS,
  rowCodec,
  // Columns of pg_catalog that are declared anyarray (pg_statistic, pg_stats): any array prints by its own element type.
  arrayCodec(Oid.anyarray, "anyarray", Oid.any, codecOf),
]) {
  codecs.set(codec.oid, codec);
}

/** The codec of a type; undefined = a type without values here (such as point). */
export function lookupCodec(oid: number): TypeCodec | undefined {
  const known = codecs.get(oid);
  if (known !== undefined) return known;
  const element = elementOidOf(oid);
  if (element === undefined && oid >= FIRST_USER_OID) return rowCodec;
  const elementCodec = element === undefined ? undefined : codecs.get(element);
  if (elementCodec === undefined) return undefined;
  const made = arrayCodec(oid, `_${elementCodec.name}`, elementCodec.oid, codecOf);
  codecs.set(oid, made);
  return made;
}

/** The codec of a type that the binder let through. */
export function codecOf(oid: number): TypeCodec {
  return must(lookupCodec(oid), `a codec for type ${oid}`);
}

/** Adds or replaces a codec; for start-up only. */
export function registerCodec(codec: TypeCodec): void {
  codecs.set(codec.oid, codec);
}
