// =, <>, <, <=, >, >= and the btree comparison functions of every type: they differ only in name and in the codec whose
// order they show. Numbers compare over typed arrays, text equality over UTF-8 bytes.
import { BoolVector, type Nulls, type TextVector, type Vector } from "../../common/batch/vector.ts";
import { must } from "../../common/assert.ts";
import { codecOf } from "../../common/types/registry.ts";
import { compareFloats } from "../../common/types/float.ts";
import { Oid } from "../../common/types/oid.ts";
import { compareNumbers } from "../../common/types/scalar.ts";
import { compareText } from "../../common/types/text.ts";
import type { Datum } from "../../common/types/type.ts";
import { compareArrays } from "../../common/types/array-codec.ts";
import type { SqlArray } from "../../common/types/array.ts";
import { type Comparison, compareBatch, mergeNulls, nullConstant } from "./batch.ts";
import { type BodyTable, binary } from "./body.ts";
import type { FunctionBody, FunctionCall, ScalarBody } from "./function.ts";

const OPERATIONS: readonly Comparison[] = ["eq", "ne", "lt", "le", "gt", "ge"];
type Compare = (a: Datum, b: Datum, call: FunctionCall) => number;

export function holds(operation: Comparison, order: number): boolean {
  switch (operation) {
    case "eq":
      return order === 0;
    case "ne":
      return order !== 0;
    case "lt":
      return order < 0;
    case "le":
      return order <= 0;
    case "gt":
      return order > 0;
    case "ge":
      return order >= 0;
  }
}

/** All six operations of a type under `name(operation)`, optionally with a batch kernel. */
export function comparisonBodies(
  name: (operation: Comparison) => string,
  compare: Compare,
  batch?: (operation: Comparison) => ScalarBody["batch"],
): Record<string, FunctionBody> {
  const bodies: Record<string, FunctionBody> = {};
  for (const operation of OPERATIONS) {
    const row: ScalarBody["row"] = (args, call) =>
      holds(operation, compare(args[0] as Datum, args[1] as Datum, call));
    const kernel = batch?.(operation);
    bodies[name(operation)] =
      kernel === undefined ? { kind: "scalar", row } : { kind: "scalar", row, batch: kernel };
  }
  return bodies;
}

const numberKernel =
  (operation: Comparison): ScalarBody["batch"] =>
  (args, rowCount) =>
    compareBatch(operation, args, rowCount);

function cmp(compare: Compare): FunctionBody {
  return binary<Datum, Datum>((a, b, call) => Math.sign(compare(a, b, call)) + 0);
}

function ofType(oid: number): Compare {
  return (a, b) => must(codecOf(oid).compare, `an order for type ${oid}`)(a, b);
}

/** Text equality over bytes: no JavaScript string is made. */
const textEquality =
  (operation: Comparison): ScalarBody["batch"] =>
  (args, rowCount) => {
    if (operation !== "eq" && operation !== "ne") return undefined;
    const absent = nullConstant(args, rowCount);
    if (absent !== undefined) return absent;
    const [left, right] = args as readonly [Vector, Vector];
    const column = left.kind === "text" ? left : right.kind === "text" ? right : undefined;
    const other = column === left ? right : left;
    if (column === undefined) return undefined;
    const out = new Uint8Array(rowCount);
    let nulls: Nulls = column.nulls;
    if (other.kind === "constant" && typeof other.value === "string") {
      equalToConstant(column, Buffer.from(other.value), out);
    } else if (other.kind === "text") {
      equalColumns(column, other, out);
      nulls = mergeNulls(column.nulls, other.nulls, rowCount);
    } else return undefined;
    if (operation === "ne") for (let i = 0; i < rowCount; i++) out[i] = 1 - (out[i] as number);
    return new BoolVector(out, nulls, rowCount);
  };

function equalToConstant(column: TextVector, wanted: Uint8Array, out: Uint8Array): void {
  const { offsets, bytes } = column;
  const length = wanted.length;
  for (let row = 0; row < column.length; row++) {
    const start = offsets[row] as number;
    if ((offsets[row + 1] as number) - start !== length) continue;
    let i = 0;
    while (i < length && bytes[start + i] === wanted[i]) i++;
    out[row] = i === length ? 1 : 0;
  }
}

function equalColumns(a: TextVector, b: TextVector, out: Uint8Array): void {
  for (let row = 0; row < a.length; row++) {
    const left = a.offsets[row] as number;
    const right = b.offsets[row] as number;
    const length = (a.offsets[row + 1] as number) - left;
    if ((b.offsets[row + 1] as number) - right !== length) continue;
    let i = 0;
    while (i < length && a.bytes[left + i] === b.bytes[right + i]) i++;
    out[row] = i === length ? 1 : 0;
  }
}

const textCompare: Compare = (a, b) => compareText(a as string, b as string);
/** eq and ne are written texteq, the others text_lt. */
const textName = (operation: Comparison): string =>
  operation === "eq" || operation === "ne" ? `text${operation}` : `text_${operation}`;
const arrayCompare: Compare = (a, b) => compareArrays(a as SqlArray, b as SqlArray, codecOf);

const integerPairs = ["int2", "int4", "int8", "int24", "int42", "int28", "int82", "int48", "int84"];
const floatPairs = ["float4", "float8", "float48", "float84"];
/** Types whose functions are named typ + operation or typ + "_" + operation. */
const joined: readonly (readonly [string, number])[] = [
  ["bool", Oid.bool],
  ["char", Oid.char],
  ["name", Oid.name],
  ["bytea", Oid.bytea],
  ["bpchar", Oid.bpchar],
  ["oidvector", Oid.oidvector],
  ["tid", Oid.tid],
  ["numeric_", Oid.numeric],
  ["interval_", Oid.interval],
  ["uuid_", Oid.uuid],
  ["jsonb_", Oid.jsonb],
  ["record_", Oid.record],
  ["record_image_", Oid.record],
  // bit and varbit share one set.
  ["bit", Oid.bit],
  ["vector_", Oid.vector],
  ["halfvec_", Oid.halfvec],
  ["sparsevec_", Oid.sparsevec],
];

export const comparisonFunctions: BodyTable = {
  ...Object.assign(
    {},
    ...integerPairs.map((pair) => comparisonBodies((o) => pair + o, compareNumbers, numberKernel)),
  ),
  ...Object.assign(
    {},
    ...floatPairs.map((pair) => comparisonBodies((o) => pair + o, compareFloats, numberKernel)),
  ),
  ...Object.assign({}, ...joined.map(([prefix, oid]) => comparisonBodies((o) => prefix + o, ofType(oid)))),
  ...comparisonBodies((o) => `oid${o}`, compareNumbers, numberKernel),
  ...comparisonBodies((o) => `date_${o}`, compareNumbers, numberKernel),
  ...comparisonBodies((o) => `time_${o}`, compareNumbers, numberKernel),
  // timestamptz uses timestamp's functions.
  ...comparisonBodies((o) => `timestamp_${o}`, compareNumbers, numberKernel),
  ...comparisonBodies(textName, textCompare, textEquality),
  ...comparisonBodies((o) => `name${o}text`, textCompare, textEquality),
  ...comparisonBodies((o) => `text${o}name`, textCompare, textEquality),
  ...comparisonBodies((o) => `text_pattern_${o}`, textCompare, textEquality),
  ...comparisonBodies((o) => `bpchar_pattern_${o}`, ofType(Oid.bpchar)),
  ...comparisonBodies((o) => `array_${o}`, arrayCompare),
  // The other operand may be an int4.
  xideq: binary<number, number>((a, b) => a >>> 0 === b >>> 0),
  xidneq: binary<number, number>((a, b) => a >>> 0 !== b >>> 0),
  cideq: binary<number, number>((a, b) => a === b),
  xid8eq: binary<number | bigint, number | bigint>((a, b) => a === b),
  xid8ne: binary<number | bigint, number | bigint>((a, b) => a !== b),
  btboolcmp: cmp(ofType(Oid.bool)),
  btint2cmp: cmp(compareNumbers),
  btint4cmp: cmp(compareNumbers),
  btint8cmp: cmp(compareNumbers),
  btint24cmp: cmp(compareNumbers),
  btint42cmp: cmp(compareNumbers),
  btint28cmp: cmp(compareNumbers),
  btint82cmp: cmp(compareNumbers),
  btint48cmp: cmp(compareNumbers),
  btint84cmp: cmp(compareNumbers),
  btoidcmp: cmp(compareNumbers),
  btfloat4cmp: cmp(compareFloats),
  btfloat8cmp: cmp(compareFloats),
  btfloat48cmp: cmp(compareFloats),
  btfloat84cmp: cmp(compareFloats),
  bttextcmp: cmp(textCompare),
  btnamecmp: cmp(textCompare),
  btnametextcmp: cmp(textCompare),
  bttextnamecmp: cmp(textCompare),
  bttext_pattern_cmp: cmp(textCompare),
  btcharcmp: cmp(ofType(Oid.char)),
  bpcharcmp: cmp(ofType(Oid.bpchar)),
  btbpchar_pattern_cmp: cmp(ofType(Oid.bpchar)),
  byteacmp: cmp(ofType(Oid.bytea)),
  bttidcmp: cmp(ofType(Oid.tid)),
  btoidvectorcmp: cmp(ofType(Oid.oidvector)),
  btarraycmp: cmp(arrayCompare),
  btrecordcmp: cmp(ofType(Oid.record)),
  numeric_cmp: cmp(ofType(Oid.numeric)),
  interval_cmp: cmp(ofType(Oid.interval)),
  uuid_cmp: cmp(ofType(Oid.uuid)),
  jsonb_cmp: cmp(ofType(Oid.jsonb)),
  bitcmp: cmp(ofType(Oid.bit)),
  vector_cmp: cmp(ofType(Oid.vector)),
  halfvec_cmp: cmp(ofType(Oid.halfvec)),
  sparsevec_cmp: cmp(ofType(Oid.sparsevec)),
  date_cmp: cmp(compareNumbers),
  time_cmp: cmp(compareNumbers),
  timestamp_cmp: cmp(compareNumbers),
  ...largerSmaller("text_larger", "text_smaller", textCompare),
  ...largerSmaller("bpchar_larger", "bpchar_smaller", ofType(Oid.bpchar)),
  ...largerSmaller("int2larger", "int2smaller", compareNumbers),
  ...largerSmaller("int4larger", "int4smaller", compareNumbers),
  ...largerSmaller("int8larger", "int8smaller", compareNumbers),
  ...largerSmaller("oidlarger", "oidsmaller", compareNumbers),
  ...largerSmaller("float4larger", "float4smaller", compareFloats),
  ...largerSmaller("float8larger", "float8smaller", compareFloats),
  ...largerSmaller("numeric_larger", "numeric_smaller", ofType(Oid.numeric)),
  ...largerSmaller("date_larger", "date_smaller", compareNumbers),
  ...largerSmaller("time_larger", "time_smaller", compareNumbers),
  ...largerSmaller("timestamp_larger", "timestamp_smaller", compareNumbers),
  ...largerSmaller("interval_larger", "interval_smaller", ofType(Oid.interval)),
  ...largerSmaller("array_larger", "array_smaller", arrayCompare),
  ...largerSmaller("tidlarger", "tidsmaller", ofType(Oid.tid)),
};

/** Of equal values the second. */
function largerSmaller(larger: string, smaller: string, compare: Compare): Record<string, FunctionBody> {
  return {
    [larger]: binary<Datum, Datum>((a, b, call) => (compare(a, b, call) > 0 ? a : b)),
    [smaller]: binary<Datum, Datum>((a, b, call) => (compare(a, b, call) < 0 ? a : b)),
  };
}
