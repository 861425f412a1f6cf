// timestamp and timestamptz: microseconds since 2000-01-01, of the wall clock or of UTC. The modifier is the number of
// digits kept of the second's fraction.
import { SqlError, SqlState } from "../error.ts";
import {
  TIMESTAMP_INFINITY,
  TIMESTAMP_NEGATIVE_INFINITY,
  MICROS_PER_SECOND,
  UNIX_EPOCH_DAYS,
  checkTimestamp,
  daysFromCivil,
  isFiniteTimestamp,
  joinTimestamp,
  tryJoinTimestamp,
} from "./calendar.ts";
import { formatTimestamp, formatTimestamptz } from "./datetime-format.ts";
import { parseDateTime } from "./datetime-parse.ts";
import { Oid } from "./oid.ts";
import { compareNumbers, int64Bytes, int64FromBytes, numberHashKey } from "./scalar.ts";
import { offsetForLocal, sessionZone, toLocal } from "./time-zone.ts";
import type { Datum, TypeCodec, TypeContext } from "./type.ts";

const FRACTION_STEP = [1_000_000, 100_000, 10_000, 1_000, 100, 10] as const;

/** Rounds half away from zero to `typmod` digits of the second's fraction. */
export function roundMicros(micros: number, typmod: number): number {
  const step = FRACTION_STEP[typmod];
  if (step === undefined) return micros;
  const rounded = Math.floor((Math.abs(micros) + step / 2) / step) * step;
  return micros < 0 ? -rounded : rounded;
}

/** As roundMicros for any timestamp. */
export function roundTimestamp(value: number | bigint, typmod: number): number | bigint {
  const step = FRACTION_STEP[typmod];
  if (step === undefined || !isFiniteTimestamp(value)) return value;
  if (typeof value === "number") return roundMicros(value, typmod);
  const wide = BigInt(step);
  const half = wide / 2n;
  return checkTimestamp(value < 0n ? -((-value + half) / wide) * wide : ((value + half) / wide) * wide);
}

function parseEither(text: string, typmod: number, context: TypeContext, hasZone: boolean): number | bigint {
  const typeName = hasZone ? "timestamp with time zone" : "timestamp";
  const parsed = parseDateTime(text, typeName, context);
  const session = sessionZone(context.timeZone);
  const local = (days: number, micros: number): number | bigint => {
    const zone = parsed.zone ?? session;
    const offset = hasZone ? offsetForLocal(zone, days, micros) : 0;
    const value = tryJoinTimestamp(days, micros - offset * MICROS_PER_SECOND);
    if (value === undefined)
      throw new SqlError(SqlState.datetimeFieldOverflow, `timestamp out of range: "${text}"`);
    return roundTimestamp(value, typmod);
  };
  const today = (): number => toLocal(session, context.now()).days;
  switch (parsed.special) {
    case "infinity":
      return TIMESTAMP_INFINITY;
    case "-infinity":
      return TIMESTAMP_NEGATIVE_INFINITY;
    case "epoch":
      return joinTimestamp(-UNIX_EPOCH_DAYS, 0);
    case "now": {
      const now = toLocal(session, context.now());
      return roundTimestamp(hasZone ? context.now() : joinTimestamp(now.days, now.micros), typmod);
    }
    case "today":
      return local(today(), parsed.micros);
    case "tomorrow":
      return local(today() + 1, parsed.micros);
    case "yesterday":
      return local(today() - 1, parsed.micros);
    case undefined:
      break;
  }
  if (parsed.year === undefined) {
    throw new SqlError(
      SqlState.invalidDatetimeFormat,
      `invalid input syntax for type ${typeName}: "${text}"`,
    );
  }
  return local(daysFromCivil(parsed.year, parsed.month, parsed.day), parsed.micros);
}

export function parseTimestamp(text: string, typmod: number, context: TypeContext): number | bigint {
  return parseEither(text, typmod, context, false);
}

export function parseTimestamptz(text: string, typmod: number, context: TypeContext): number | bigint {
  return parseEither(text, typmod, context, true);
}

function receive(bytes: Uint8Array, typmod: number): Datum {
  const value = int64FromBytes(bytes);
  return isFiniteTimestamp(value) ? roundTimestamp(checkTimestamp(value), typmod) : value;
}

export const timestampCodec: TypeCodec = {
  oid: Oid.timestamp,
  name: "timestamp",
  vectorKind: "i64",
  storageKind: "i64",
  keyKind: "int",
  parse: parseTimestamp,
  format: (value, context) => formatTimestamp(value as number | bigint, context),
  receive,
  send: int64Bytes,
  toStorage: int64Bytes,
  fromStorage: int64FromBytes,
  compare: compareNumbers,
  hashKey: numberHashKey,
};

export const timestamptzCodec: TypeCodec = {
  ...timestampCodec,
  oid: Oid.timestamptz,
  name: "timestamptz",
  parse: parseTimestamptz,
  format: (value, context) => formatTimestamptz(value as number | bigint, context),
};
