// time (without time zone): microseconds since midnight, 0 .. 24:00:00. time with time zone is not kept here (0A000 elsewhere).
import { SqlError, SqlState } from "../error.ts";
import { MICROS_PER_DAY } from "./calendar.ts";
import { formatTime } from "./datetime-format.ts";
import { parseDateTime } from "./datetime-parse.ts";
import { Oid } from "./oid.ts";
import { compareNumbers, int64Bytes, int64FromBytes, numberHashKey } from "./scalar.ts";
import { sessionZone, toLocal } from "./time-zone.ts";
import { roundMicros } from "./timestamp.ts";
import type { Datum, TypeCodec, TypeContext } from "./type.ts";

export function parseTime(text: string, typmod: number, context: TypeContext): number {
  const parsed = parseDateTime(text, "time", context);
  if (parsed.special === "now") {
    return roundMicros(toLocal(sessionZone(context.timeZone), context.now()).micros, typmod);
  }
  if (!parsed.hasTime) {
    throw new SqlError(SqlState.invalidDatetimeFormat, `invalid input syntax for type time: "${text}"`);
  }
  return roundMicros(parsed.micros, typmod);
}

function receive(bytes: Uint8Array, typmod: number): Datum {
  const micros = int64FromBytes(bytes);
  if (micros < 0 || micros > MICROS_PER_DAY)
    throw new SqlError(SqlState.datetimeFieldOverflow, "time out of range");
  return roundMicros(Number(micros), typmod);
}

export const timeCodec: TypeCodec = {
  oid: Oid.time,
  name: "time",
  vectorKind: "i64",
  storageKind: "i64",
  keyKind: "int",
  parse: parseTime,
  format: (value) => formatTime(value as number),
  receive,
  send: int64Bytes,
  toStorage: int64Bytes,
  fromStorage: int64FromBytes,
  compare: compareNumbers,
  hashKey: numberHashKey,
};
