// SQL values as JSON: to_json(b), row_to_json, array_to_json, json(b)_build_*. Numbers and booleans stay themselves, json goes
// in as it is, dates in ISO 8601 with a 'T', arrays and rows become arrays and objects, everything else its text in quotes.
// jsonb results are the json text made canonical.
import { SqlError, SqlState } from "../../common/error.ts";
import { SqlArray } from "../../common/types/array.ts";
import { quoteJson } from "../../common/types/json-text.ts";
import { canonicalJsonb } from "../../common/types/jsonb.ts";
import { Oid, elementOidOf } from "../../common/types/oid.ts";
import { SqlRecord } from "../../common/types/record.ts";
import { codecOf } from "../../common/types/registry.ts";
import { formatOffset, sessionZone } from "../../common/types/time-zone.ts";
import { isFiniteTimestamp } from "../../common/types/calendar.ts";
import type { Datum, TypeContext } from "../../common/types/type.ts";
import { type BodyTable, binary, nullary, unary, variadic } from "./body.ts";
import type { FunctionCall } from "./function.ts";

const NUMBERS: ReadonlySet<number> = new Set([
  Oid.int2,
  Oid.int4,
  Oid.int8,
  Oid.float4,
  Oid.float8,
  Oid.numeric,
]);

/** JSON text of a value; `pretty` puts array elements and row members on lines of their own. */
export function jsonOf(value: Datum, oid: number, context: TypeContext, pretty = false): string {
  if (value === null) return "null";
  if (value instanceof SqlArray) return arrayJson(value, context, pretty);
  if (value instanceof SqlRecord) return recordJson(value, context, pretty);
  switch (oid) {
    case Oid.bool:
      return value === true ? "true" : "false";
    case Oid.json:
    case Oid.jsonb:
      return value as string;
    case Oid.date:
      return quoteJson(codecOf(oid).format(value, isoContext(context)));
    case Oid.timestamp:
    case Oid.timestamptz:
      return quoteJson(timestampText(value as number | bigint, oid, context));
    default:
      break;
  }
  const text = codecOf(oid).format(value, context);
  // NaN and the infinities are not JSON numbers.
  if (NUMBERS.has(oid) && /^-?\d/.test(text)) return text;
  return quoteJson(text);
}

function isoContext(context: TypeContext): TypeContext {
  return { ...context, dateStyle: { format: "ISO", order: "YMD" } };
}

/** 2000-01-01T00:00:00+00:00: XML Schema's form, with minutes in every offset. */
function timestampText(value: number | bigint, oid: number, context: TypeContext): string {
  const text = codecOf(oid).format(value, isoContext(context));
  if (!isFiniteTimestamp(value)) return text;
  const withT = text.replace(" ", "T");
  if (oid === Oid.timestamp) return withT;
  const offset = formatOffset(sessionZone(context.timeZone).offsetAt(value));
  return offset.length === 3 ? withT.replace(/([+-]\d\d)( BC)?$/, "$1:00$2") : withT;
}

function arrayJson(array: SqlArray, context: TypeContext, pretty: boolean): string {
  if (array.elements.length === 0) return "[]";
  const separator = pretty ? ",\n " : ",";
  let position = 0;
  const level = (depth: number): string => {
    const isInner = depth + 1 < array.dimensions.length;
    const parts: string[] = [];
    for (let i = 0; i < (array.dimensions[depth] as number); i++) {
      parts.push(
        isInner ? level(depth + 1) : jsonOf(array.elements[position++] as Datum, array.elementOid, context),
      );
    }
    return `[${parts.join(depth === 0 ? separator : ",")}]`;
  };
  return level(0);
}

function recordJson(record: SqlRecord, context: TypeContext, pretty: boolean): string {
  const members = record.values.map((value, i) => {
    const name = record.names?.[i] ?? `f${i + 1}`;
    return `${quoteJson(name)}:${jsonOf(value, record.typeOids[i] as number, context)}`;
  });
  return `{${members.join(pretty ? ",\n " : ",")}}`;
}

/** Text of an object key; 22023 for NULL and for values that are not scalar. */
export function jsonKey(value: Datum, oid: number, context: TypeContext): string {
  if (value === null) throw new SqlError(SqlState.invalidParameterValue, "field name must not be null");
  if (value instanceof SqlArray || value instanceof SqlRecord || oid === Oid.json || oid === Oid.jsonb) {
    throw new SqlError(
      SqlState.invalidParameterValue,
      "key value must be scalar, not array, composite, or json",
    );
  }
  const text = jsonOf(value, oid, context);
  return text.startsWith('"') ? text : quoteJson(text);
}

interface Typed {
  readonly value: Datum;
  readonly oid: number;
}

/** The arguments, or the elements of one VARIADIC array. */
function values(args: readonly Datum[], call: FunctionCall): Typed[] {
  const first = args[0];
  const isArray = elementOidOf(call.argumentTypes[0]?.oid ?? 0) !== undefined;
  // The binder marks VARIADIC by passing one array; a single ordinary array argument is a value as well, and a pair or
  // list of one is what json_build_array(ARRAY[..]) means, so only object building (always pairs) spreads it.
  if (args.length === 1 && isArray && first instanceof SqlArray && spreads(call)) {
    return first.elements.map((value) => ({ value, oid: first.elementOid }));
  }
  return args.map((value, i) => ({ value, oid: call.argumentTypes[i]?.oid ?? Oid.text }));
}

/** json_build_object of a single argument can only be a spread array. */
function spreads(call: FunctionCall): boolean {
  return call.argumentTypes.length === 1;
}

function buildObject(args: readonly Datum[], call: FunctionCall): string {
  const list = values(args, call);
  if (list.length % 2 !== 0) {
    throw new SqlError(SqlState.invalidParameterValue, "argument list must have even number of elements", {
      hint: `The arguments of ${call.resultType.oid === Oid.jsonb ? "jsonb" : "json"}_build_object() must consist of alternating keys and values.`,
    });
  }
  const members: string[] = [];
  for (let i = 0; i < list.length; i += 2) {
    const key = list[i] as Typed;
    const member = list[i + 1] as Typed;
    if (key.value === null) {
      throw new SqlError(SqlState.invalidParameterValue, `argument ${i + 1} cannot be null`, {
        hint: "Object keys should be text.",
      });
    }
    members.push(
      `${jsonKey(key.value, key.oid, call.context.types)} : ${jsonOf(member.value, member.oid, call.context.types)}`,
    );
  }
  return `{${members.join(", ")}}`;
}

function buildArray(args: readonly Datum[], call: FunctionCall): string {
  return `[${args.map((value, i) => jsonOf(value, call.argumentTypes[i]?.oid ?? Oid.text, call.context.types)).join(", ")}]`;
}

const first = (call: FunctionCall): number => call.argumentTypes[0]?.oid ?? Oid.text;

/** json_object(text[]): pairs in one array, or an N x 2 array. */
function objectOfArray(array: SqlArray): string {
  if (array.dimensions.length > 2 || (array.dimensions.length === 2 && array.dimensions[1] !== 2)) {
    throw new SqlError(
      SqlState.arraySubscriptError,
      array.dimensions.length > 2 ? "wrong number of array subscripts" : "array must have two columns",
    );
  }
  if (array.elements.length % 2 !== 0) {
    throw new SqlError(SqlState.arraySubscriptError, "array must have even number of elements");
  }
  const keys = array.elements.filter((_, i) => i % 2 === 0);
  const members = array.elements.filter((_, i) => i % 2 === 1);
  return pairs(keys, members);
}

function objectOfTwo(keys: SqlArray, members: SqlArray): string {
  if (keys.dimensions.length > 1 || keys.dimensions.length !== members.dimensions.length) {
    throw new SqlError(SqlState.arraySubscriptError, "wrong number of array subscripts");
  }
  if (keys.elements.length !== members.elements.length) {
    throw new SqlError(SqlState.arraySubscriptError, "mismatched array dimensions");
  }
  return pairs(keys.elements, members.elements);
}

function pairs(keys: readonly Datum[], members: readonly Datum[]): string {
  const list = keys.map((key, i) => {
    if (key === null)
      throw new SqlError(SqlState.nullValueNotAllowed, "null value not allowed for object key");
    const value = members[i] as Datum;
    return `${quoteJson(key as string)} : ${value === null ? "null" : quoteJson(value as string)}`;
  });
  return `{${list.join(", ")}}`;
}

export const jsonBuildFunctions: BodyTable = {
  to_json: unary<Datum>((value, call) => jsonOf(value, first(call), call.context.types)),
  to_jsonb: unary<Datum>((value, call) => canonicalJsonb(jsonOf(value, first(call), call.context.types))),
  row_to_json: unary<Datum>((value, call) => jsonOf(value, first(call), call.context.types)),
  row_to_json_pretty: binary<Datum, boolean>((value, pretty, call) =>
    jsonOf(value, first(call), call.context.types, pretty),
  ),
  array_to_json: unary<Datum>((value, call) => jsonOf(value, first(call), call.context.types)),
  array_to_json_pretty: binary<Datum, boolean>((value, pretty, call) =>
    jsonOf(value, first(call), call.context.types, pretty),
  ),
  json_build_object: variadic(buildObject),
  json_build_object_noargs: nullary(() => "{}"),
  jsonb_build_object: variadic((args, call) => canonicalJsonb(buildObject(args, call))),
  jsonb_build_object_noargs: nullary(() => "{}"),
  json_build_array: variadic(buildArray),
  json_build_array_noargs: nullary(() => "[]"),
  jsonb_build_array: variadic((args, call) => canonicalJsonb(buildArray(args, call))),
  jsonb_build_array_noargs: nullary(() => "[]"),
  json_object: unary<SqlArray>(objectOfArray),
  jsonb_object: unary<SqlArray>((array) => canonicalJsonb(objectOfArray(array))),
  json_object_two_arg: binary<SqlArray, SqlArray>(objectOfTwo),
  jsonb_object_two_arg: binary<SqlArray, SqlArray>((keys, members) =>
    canonicalJsonb(objectOfTwo(keys, members)),
  ),
};
