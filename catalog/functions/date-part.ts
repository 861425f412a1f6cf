// extract() and date_part(). Both read the same field; extract answers numeric with the scale PostgreSQL shows (0 for whole
// fields, 6 for seconds and epoch, 3 for milliseconds), date_part float8.
import {
  JULIAN_DAY_2000,
  MICROS_PER_DAY,
  MICROS_PER_HOUR,
  MICROS_PER_MINUTE,
  MICROS_PER_SECOND,
  TIMESTAMP_INFINITY,
  UNIX_EPOCH_DAYS,
  DATE_INFINITY,
  civilFromDays,
  dayOfWeek,
  daysFromCivil,
  isFiniteDate,
  isFiniteTimestamp,
  isoWeek,
  splitTimestamp,
} from "../../common/types/calendar.ts";
import { intervalParts } from "../../common/types/interval-format.ts";
import type { Interval } from "../../common/types/interval.ts";
import { Numeric } from "../../common/types/numeric.ts";
import { toLocal } from "../../common/types/time-zone.ts";
import { type BodyTable, binary } from "./body.ts";
import { type PartUnit, partUnit, unsupportedUnit } from "./date-unit.ts";
import { type Timestamp, zoneOf } from "./date-time.ts";

const whole = (value: number | bigint): Numeric => Numeric.fromInteger(value);
/** Microseconds as seconds with six digits. */
const seconds = (micros: number | bigint): Numeric => Numeric.of(BigInt(micros), 6);
const milliseconds = (micros: number): Numeric => Numeric.of(BigInt(micros), 3);

function timeField(unit: PartUnit, micros: number): Numeric | undefined {
  switch (unit) {
    case "microsecond":
      return whole(micros % MICROS_PER_MINUTE);
    case "millisecond":
      return milliseconds(micros % MICROS_PER_MINUTE);
    case "second":
      return seconds(micros % MICROS_PER_MINUTE);
    case "minute":
      return whole(Math.trunc((micros % MICROS_PER_HOUR) / MICROS_PER_MINUTE));
    case "hour":
      return whole(Math.trunc(micros / MICROS_PER_HOUR));
    default:
      return undefined;
  }
}

/** Centuries and millennia have no year 0: 1..100 is the first. */
function period(year: number, length: number): number {
  return year > 0
    ? Math.floor((year + length - 1) / length)
    : -Math.floor((length - 1 - (year - 1)) / length);
}

function dateField(unit: PartUnit, days: number): Numeric | undefined {
  const { year, month, day } = civilFromDays(days);
  switch (unit) {
    case "day":
      return whole(day);
    case "month":
      return whole(month);
    case "quarter":
      return whole(Math.floor((month - 1) / 3) + 1);
    case "week":
      return whole(isoWeek(days).week);
    case "year":
      return whole(year > 0 ? year : year - 1);
    case "decade":
      return whole(Math.floor(year / 10));
    case "century":
      return whole(period(year, 100));
    case "millennium":
      return whole(period(year, 1000));
    case "isoyear": {
      const iso = isoWeek(days).year;
      return whole(iso > 0 ? iso : iso - 1);
    }
    case "dow":
      return whole(dayOfWeek(days));
    case "isodow":
      return whole(dayOfWeek(days) === 0 ? 7 : dayOfWeek(days));
    case "doy":
      return whole(days - daysFromCivil(year, 1, 1) + 1);
    default:
      return undefined;
  }
}

/** Whole Julian day plus the fraction of the day. */
function julian(days: number, micros: number): Numeric {
  const day = whole(days + JULIAN_DAY_2000);
  if (micros === 0) return day.add(whole(0));
  const fraction = Numeric.of(BigInt(micros), 0).divide(whole(MICROS_PER_DAY));
  return day.add(fraction);
}

/** What an infinite value answers: ±Infinity for the fields that grow without end, NULL for those that go round. */
function infiniteField(unit: PartUnit, isPositive: boolean): Numeric | null {
  switch (unit) {
    case "year":
    case "decade":
    case "century":
    case "millennium":
    case "julian":
    case "isoyear":
    case "epoch":
      return isPositive ? Numeric.infinity : Numeric.negativeInfinity;
    default:
      return null;
  }
}

function timestampPart(name: string, value: Timestamp): Numeric | null {
  const typeName = "timestamp without time zone";
  const unit = partUnit(name, typeName);
  if (!isFiniteTimestamp(value)) return infiniteField(unit, value === TIMESTAMP_INFINITY);
  if (unit.startsWith("timezone")) throw unsupportedUnit(name, typeName);
  const { days, micros } = splitTimestamp(value);
  if (unit === "epoch") return epoch(value);
  if (unit === "julian") return julian(days, micros);
  const field = dateField(unit, days) ?? timeField(unit, micros);
  if (field === undefined) throw unsupportedUnit(name, typeName);
  return field;
}

function epoch(value: Timestamp): Numeric {
  return seconds(BigInt(value) + BigInt(UNIX_EPOCH_DAYS) * BigInt(MICROS_PER_DAY));
}

function timestamptzPart(name: string, value: Timestamp, call: Parameters<typeof zoneOf>[0]): Numeric | null {
  const typeName = "timestamp with time zone";
  const unit = partUnit(name, typeName);
  if (!isFiniteTimestamp(value)) return infiniteField(unit, value === TIMESTAMP_INFINITY);
  if (unit === "epoch") return epoch(value);
  const { days, micros, offset } = toLocal(zoneOf(call), value);
  switch (unit) {
    case "timezone":
      return whole(offset);
    case "timezone_hour":
      return whole(Math.trunc(offset / 3600) + 0);
    case "timezone_minute":
      return whole(Math.trunc((offset % 3600) / 60) + 0);
    case "julian":
      return julian(days, micros);
    default:
      break;
  }
  const field = dateField(unit, days) ?? timeField(unit, micros);
  if (field === undefined) throw unsupportedUnit(name, typeName);
  return field;
}

function datePart(name: string, days: number): Numeric | null {
  const unit = partUnit(name, "date");
  const field = isFiniteDate(days) ? finiteDatePart(unit, days) : infiniteField(unit, days === DATE_INFINITY);
  if (field === undefined || (field === null && unsupportedForDate(unit)))
    throw unsupportedUnit(name, "date");
  return field;
}

function unsupportedForDate(unit: PartUnit): boolean {
  return timeField(unit, 0) !== undefined || unit.startsWith("timezone");
}

function finiteDatePart(unit: PartUnit, days: number): Numeric | undefined {
  if (unit === "epoch") return whole((days + UNIX_EPOCH_DAYS) * 86400);
  if (unit === "julian") return whole(days + JULIAN_DAY_2000);
  return dateField(unit, days);
}

function timePart(name: string, micros: number): Numeric {
  const typeName = "time without time zone";
  const unit = partUnit(name, typeName);
  const field = unit === "epoch" ? seconds(micros) : timeField(unit, micros);
  if (field === undefined) throw unsupportedUnit(name, typeName);
  return field;
}

/** 365.25 days a year in an interval's epoch. */
const SECONDS_PER_YEAR = 31_557_600n;

function intervalPart(name: string, value: Interval): Numeric {
  const unit = partUnit(name, "interval");
  const parts = intervalParts(value);
  const secondMicros = parts.seconds * MICROS_PER_SECOND + parts.micros;
  switch (unit) {
    case "microsecond":
      return whole(secondMicros);
    case "millisecond":
      return milliseconds(secondMicros);
    case "second":
      return seconds(secondMicros);
    case "minute":
      return whole(parts.minutes);
    case "hour":
      return whole(parts.hours);
    case "day":
      return whole(parts.days);
    case "month":
      return whole(parts.months);
    case "quarter":
      return whole(Math.trunc(parts.months / 3) + 1);
    case "year":
      return whole(parts.years);
    case "decade":
      return whole(Math.trunc(parts.years / 10) + 0);
    case "century":
      return whole(Math.trunc(parts.years / 100) + 0);
    case "millennium":
      return whole(Math.trunc(parts.years / 1000) + 0);
    case "epoch": {
      const days =
        BigInt(parts.years) * SECONDS_PER_YEAR +
        BigInt(parts.months) * 2_592_000n +
        BigInt(parts.days) * 86_400n;
      return seconds(days * BigInt(MICROS_PER_SECOND) + BigInt(value.microseconds));
    }
    default:
      throw unsupportedUnit(name, "interval");
  }
}

const float = (value: Numeric | null): number | null => (value === null ? null : value.toNumber());

export const datePartFunctions: BodyTable = {
  extract_timestamp: binary<string, Timestamp>(timestampPart),
  timestamp_part: binary<string, Timestamp>((name, value) => float(timestampPart(name, value))),
  extract_timestamptz: binary<string, Timestamp>(timestamptzPart),
  timestamptz_part: binary<string, Timestamp>((name, value, call) =>
    float(timestamptzPart(name, value, call)),
  ),
  extract_date: binary<string, number>(datePart),
  // date_part of a date goes through timestamp, so its hours are 0 instead of an error.
  "sql:date_part:25,1082": binary<string, number>((name, days) =>
    float(
      isFiniteDate(days)
        ? timestampPart(name, days * MICROS_PER_DAY)
        : infiniteField(partUnit(name, "timestamp without time zone"), days === DATE_INFINITY),
    ),
  ),
  extract_time: binary<string, number>(timePart),
  time_part: binary<string, number>((name, micros) => float(timePart(name, micros))),
  extract_interval: binary<string, Interval>(intervalPart),
  interval_part: binary<string, Interval>((name, value) => float(intervalPart(name, value))),
};
