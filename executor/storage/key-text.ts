// How PostgreSQL's DETAIL lines print keys and rows.
import { codecOf } from "../../common/types/registry.ts";
import type { Datum, SqlType, TypeContext } from "../../common/types/type.ts";

/** A value in "Failing row contains" is cut after this many bytes, at a character border. */
const MAX_VALUE_BYTES = 64;

/** `(a, b)=(1, x)`. NULLs print as null. */
export function formatKey(
  names: readonly string[],
  types: readonly SqlType[],
  values: readonly Datum[],
  context: TypeContext,
): string {
  const texts = values.map((value, i) => formatValue(value, types[i], context));
  return `(${names.join(", ")})=(${texts.join(", ")})`;
}

/** `Failing row contains (1, null, x).` */
export function failingRow(
  types: readonly SqlType[],
  values: readonly Datum[],
  context: TypeContext,
): string {
  const texts = values.map((value, i) => cut(formatValue(value, types[i], context)));
  return `Failing row contains (${texts.join(", ")}).`;
}

function formatValue(value: Datum, type: SqlType | undefined, context: TypeContext): string {
  return value === null || type === undefined ? "null" : codecOf(type.oid).format(value, context);
}

function cut(text: string): string {
  const bytes = new TextEncoder().encode(text);
  if (bytes.length <= MAX_VALUE_BYTES) return text;
  let end = MAX_VALUE_BYTES;
  while (end > 0 && ((bytes[end] as number) & 0xc0) === 0x80) end -= 1;
  return `${new TextDecoder().decode(bytes.subarray(0, end))}...`;
}
