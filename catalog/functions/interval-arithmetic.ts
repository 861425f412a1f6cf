// interval times and divided by a number, justify_*, and adding an interval to dates and times. Fractions of months become days of
// a 30-day month and fractions of days become time (interval_mul and interval_div of timestamp.c).
import { SqlError, SqlState } from "../../common/error.ts";
import {
  MICROS_PER_DAY,
  MICROS_PER_SECOND,
  civilFromDays,
  daysFromCivil,
  daysInMonth,
  isFiniteTimestamp,
  joinTimestamp,
  splitTimestamp,
  timestampOutOfRange,
} from "../../common/types/calendar.ts";
import { Interval, intervalOutOfRange } from "../../common/types/interval.ts";
import { divisionByZero } from "../../common/types/numeric.ts";
import { int64Datum } from "../../common/types/scalar.ts";
import { type Zone, fromLocal, toLocal } from "../../common/types/time-zone.ts";
import { addInt8 } from "./integer.ts";

type Timestamp = number | bigint;

function fromFloat(months: number, days: number, micros: number): Interval {
  if (!Number.isFinite(months) || !Number.isFinite(days) || !Number.isFinite(micros))
    throw intervalOutOfRange();
  return Interval.of(
    months,
    days,
    Math.abs(micros) < 9e15 ? Math.round(micros) : int64Datum(BigInt(Math.round(micros))),
  );
}

/** Rounds like C's rint on seconds with six digits (TSROUND). */
function roundMicrosecond(seconds: number): number {
  return Math.round(seconds * MICROS_PER_SECOND) / MICROS_PER_SECOND;
}

export function multiplyInterval(value: Interval, factor: number): Interval {
  return scale(value, (part) => part * factor);
}

export function divideInterval(value: Interval, divisor: number): Interval {
  if (divisor === 0) throw divisionByZero();
  return scale(value, (part) => part / divisor);
}

function scale(value: Interval, apply: (part: number) => number): Interval {
  const exactMonths = apply(value.months);
  const exactDays = apply(value.days);
  const months = Math.trunc(exactMonths);
  let days = Math.trunc(exactDays);
  // What is left of the months, in days; and of the days, in seconds.
  const monthDays = roundMicrosecond((exactMonths - months) * 30);
  let seconds = roundMicrosecond((exactDays - days + monthDays - Math.trunc(monthDays)) * 86400);
  if (Math.abs(seconds) >= 86400) {
    const carried = Math.trunc(seconds / 86400);
    days += carried;
    seconds -= carried * 86400;
  }
  days += Math.trunc(monthDays);
  return fromFloat(months, days, apply(Number(value.microseconds)) + seconds * MICROS_PER_SECOND);
}

/** Moves `months` calendar months, staying inside the month. */
function addMonths(days: number, months: number): number {
  const date = civilFromDays(days);
  const total = date.year * 12 + date.month - 1 + months;
  const year = Math.floor(total / 12);
  const month = total - year * 12 + 1;
  return daysFromCivil(year, month, Math.min(date.day, daysInMonth(year, month)));
}

/** timestamp + interval: months first, then days, then time. */
export function addToTimestamp(value: Timestamp, interval: Interval): Timestamp {
  if (!isFiniteTimestamp(value)) return value;
  let { days, micros } = splitTimestamp(value);
  if (interval.months !== 0) days = addMonths(days, interval.months);
  days += interval.days;
  return addMicros(joinTimestamp(days, micros), interval.microseconds);
}

/** timestamptz + interval: months and days move the wall clock of `zone`, time moves the instant. */
export function addToTimestamptz(value: Timestamp, interval: Interval, zone: Zone): Timestamp {
  if (!isFiniteTimestamp(value)) return value;
  let moved = value;
  if (interval.months !== 0) {
    const local = toLocal(zone, moved);
    moved = fromLocal(zone, addMonths(local.days, interval.months), local.micros);
  }
  if (interval.days !== 0) {
    const local = toLocal(zone, moved);
    moved = fromLocal(zone, local.days + interval.days, local.micros);
  }
  return addMicros(moved, interval.microseconds);
}

function addMicros(value: Timestamp, micros: Timestamp): Timestamp {
  if (micros === 0) return value;
  let sum: Timestamp;
  try {
    sum = addInt8(value, micros);
  } catch {
    throw timestampOutOfRange();
  }
  const { days, micros: rest } = splitTimestamp(sum);
  return joinTimestamp(days, rest);
}

/** a - b as days and time. */
export function subtractTimestamps(a: Timestamp, b: Timestamp): Interval {
  if (!isFiniteTimestamp(a) || !isFiniteTimestamp(b)) {
    throw new SqlError(SqlState.datetimeFieldOverflow, "cannot subtract infinite timestamps");
  }
  return justifyHours(Interval.of(0, 0, BigInt(a) - BigInt(b)));
}

/** 24-hour periods become days, and the signs of the two agree. */
export function justifyHours(value: Interval): Interval {
  const perDay = BigInt(MICROS_PER_DAY);
  let micros = BigInt(value.microseconds);
  const whole = micros / perDay;
  micros -= whole * perDay;
  let days = value.days + Number(whole);
  if (days > 0 && micros < 0n) {
    micros += perDay;
    days -= 1;
  } else if (days < 0 && micros > 0n) {
    micros -= perDay;
    days += 1;
  }
  return Interval.of(value.months, days, int64Datum(micros));
}

/** 30-day periods become months. */
export function justifyDays(value: Interval): Interval {
  const whole = Math.trunc(value.days / 30);
  let days = value.days - whole * 30;
  let months = value.months + whole;
  if (months > 0 && days < 0) {
    days += 30;
    months -= 1;
  } else if (months < 0 && days > 0) {
    days -= 30;
    months += 1;
  }
  return Interval.of(months, days, value.microseconds);
}

/** Both, with one sign for all three parts. */
export function justifyInterval(value: Interval): Interval {
  const perDay = BigInt(MICROS_PER_DAY);
  let micros = BigInt(value.microseconds);
  const wholeDays = micros / perDay;
  micros -= wholeDays * perDay;
  let days = value.days + Number(wholeDays);
  const wholeMonths = Math.trunc(days / 30);
  days -= wholeMonths * 30;
  let months = value.months + wholeMonths;
  if (months > 0 && (days < 0 || (days === 0 && micros < 0n))) {
    days += 30;
    months -= 1;
  } else if (months < 0 && (days > 0 || (days === 0 && micros > 0n))) {
    days -= 30;
    months += 1;
  }
  if (days > 0 && micros < 0n) {
    micros += perDay;
    days -= 1;
  } else if (days < 0 && micros > 0n) {
    micros -= perDay;
    days += 1;
  }
  return Interval.of(months, days, int64Datum(micros));
}
