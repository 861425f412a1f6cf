// date: days since 2000-01-01; the int32 extremes are the infinities.
import { SqlError, SqlState } from "../error.ts";
import {
  DATE_INFINITY,
  DATE_NEGATIVE_INFINITY,
  UNIX_EPOCH_DAYS,
  daysFromCivil,
  isDateInRange,
  isFiniteDate,
} from "./calendar.ts";
import { formatDate } from "./datetime-format.ts";
import { parseDateTime } from "./datetime-parse.ts";
import { Oid } from "./oid.ts";
import { compareNumbers, int32Bytes, int32FromBytes, numberHashKey } from "./scalar.ts";
import { sessionZone, toLocal } from "./time-zone.ts";
import type { TypeCodec, TypeContext } from "./type.ts";

/** The session's calendar day at the transaction's start. */
export function currentDay(context: TypeContext): number {
  return toLocal(sessionZone(context.timeZone), context.now()).days;
}

export function parseDate(text: string, context: TypeContext): number {
  const parsed = parseDateTime(text, "date", context);
  switch (parsed.special) {
    case "infinity":
      return DATE_INFINITY;
    case "-infinity":
      return DATE_NEGATIVE_INFINITY;
    case "epoch":
      return -UNIX_EPOCH_DAYS;
    case "now":
    case "today":
      return currentDay(context);
    case "tomorrow":
      return currentDay(context) + 1;
    case "yesterday":
      return currentDay(context) - 1;
    case undefined:
      break;
  }
  if (parsed.year === undefined) {
    throw new SqlError(SqlState.invalidDatetimeFormat, `invalid input syntax for type date: "${text}"`);
  }
  const days = daysFromCivil(parsed.year, parsed.month, parsed.day);
  if (!isDateInRange(days))
    throw new SqlError(SqlState.datetimeFieldOverflow, `date out of range: "${text}"`);
  return days;
}

function receive(bytes: Uint8Array): number {
  const days = int32FromBytes(bytes);
  if (isFiniteDate(days) && !isDateInRange(days)) {
    throw new SqlError(SqlState.datetimeFieldOverflow, "date out of range");
  }
  return days;
}

export const dateCodec: TypeCodec = {
  oid: Oid.date,
  name: "date",
  vectorKind: "i32",
  storageKind: "i32",
  keyKind: "int",
  parse: (text, _typmod, context) => parseDate(text, context),
  format: (value, context) => formatDate(value as number, context),
  receive,
  send: int32Bytes,
  toStorage: int32Bytes,
  fromStorage: int32FromBytes,
  compare: compareNumbers,
  hashKey: numberHashKey,
};
