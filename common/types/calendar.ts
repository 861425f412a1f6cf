// Days and microseconds: the proleptic Gregorian calendar counted from 2000-01-01, with astronomical years (0 = 1 BC).
// The civil-day conversions are the era arithmetic of Howard Hinnant's "chrono-compatible low-level date algorithms".
import { SqlError, SqlState } from "../error.ts";
import { int64Datum } from "./scalar.ts";

export const MICROS_PER_DAY = 86_400_000_000;
export const MICROS_PER_HOUR = 3_600_000_000;
export const MICROS_PER_MINUTE = 60_000_000;
export const MICROS_PER_SECOND = 1_000_000;

/** Days from 1970-01-01 to 2000-01-01. */
export const UNIX_EPOCH_DAYS = 10957;
/** Julian day number of 2000-01-01. */
export const JULIAN_DAY_2000 = 2451545;

export const DATE_INFINITY = 2147483647;
export const DATE_NEGATIVE_INFINITY = -2147483648;
export const TIMESTAMP_INFINITY = 9223372036854775807n;
export const TIMESTAMP_NEGATIVE_INFINITY = -9223372036854775808n;

/** 4714-11-24 BC, Julian day 0. */
const MIN_DAY = -JULIAN_DAY_2000;
/** First day after the last date, 5874898-01-01. */
const END_DAY = 2145031949;
/** First day after the last timestamp, 294277-01-01. */
const END_TIMESTAMP_DAY = 106751983;

export interface CivilDate {
  readonly year: number;
  readonly month: number;
  readonly day: number;
}

export function daysFromCivil(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146097 + dayOfEra - 719468 - UNIX_EPOCH_DAYS;
}

export function civilFromDays(days: number): CivilDate {
  const z = days + 719468 + UNIX_EPOCH_DAYS;
  const era = Math.floor(z / 146097);
  const dayOfEra = z - era * 146097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36524) - Math.floor(dayOfEra / 146096)) /
      365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shifted = Math.floor((5 * dayOfYear + 2) / 153);
  const month = shifted < 10 ? shifted + 3 : shifted - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  return { year, month, day: dayOfYear - Math.floor((153 * shifted + 2) / 5) + 1 };
}

export function isLeapYear(year: number): boolean {
  return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
}

export function daysInMonth(year: number, month: number): number {
  if (month === 2) return isLeapYear(year) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

/** 0 = Sunday. */
export function dayOfWeek(days: number): number {
  return (((days + 6) % 7) + 7) % 7;
}

/** ISO 8601 week and the year it belongs to. */
export function isoWeek(days: number): { readonly year: number; readonly week: number } {
  const thursday = days - ((dayOfWeek(days) + 6) % 7) + 3;
  const { year } = civilFromDays(thursday);
  return { year, week: Math.floor((thursday - daysFromCivil(year, 1, 1)) / 7) + 1 };
}

export function isFiniteTimestamp(value: number | bigint): boolean {
  return value !== TIMESTAMP_INFINITY && value !== TIMESTAMP_NEGATIVE_INFINITY;
}

export function isFiniteDate(days: number): boolean {
  return days !== DATE_INFINITY && days !== DATE_NEGATIVE_INFINITY;
}

export function isDateInRange(days: number): boolean {
  return days >= MIN_DAY && days < END_DAY;
}

/** A finite timestamp as whole days and the microseconds of the day. */
export function splitTimestamp(value: number | bigint): { readonly days: number; readonly micros: number } {
  if (typeof value === "bigint") {
    let days = value / BigInt(MICROS_PER_DAY);
    let micros = value % BigInt(MICROS_PER_DAY);
    if (micros < 0n) {
      days -= 1n;
      micros += BigInt(MICROS_PER_DAY);
    }
    return { days: Number(days), micros: Number(micros) };
  }
  // The quotient may round up just below a whole day, so the remainder decides.
  let days = Math.floor(value / MICROS_PER_DAY);
  let micros = value - days * MICROS_PER_DAY;
  if (micros < 0) {
    days -= 1;
    micros += MICROS_PER_DAY;
  } else if (micros >= MICROS_PER_DAY) {
    days += 1;
    micros -= MICROS_PER_DAY;
  }
  return { days, micros };
}

/** Days and microseconds (any sign, any size below 2^53) as a timestamp; undefined = outside PostgreSQL's range. */
export function tryJoinTimestamp(days: number, micros: number): number | bigint | undefined {
  const carry = Math.floor(micros / MICROS_PER_DAY);
  const day = days + carry;
  if (day < MIN_DAY || day >= END_TIMESTAMP_DAY) return undefined;
  if (day > -104000 && day < 104000) return days * MICROS_PER_DAY + micros;
  return int64Datum(BigInt(days) * BigInt(MICROS_PER_DAY) + BigInt(micros));
}

export function joinTimestamp(days: number, micros: number): number | bigint {
  const value = tryJoinTimestamp(days, micros);
  if (value === undefined) throw timestampOutOfRange();
  return value;
}

/** An int64 microsecond count as a timestamp; 22008 outside the range. */
export function checkTimestamp(value: number | bigint): number | bigint {
  if (typeof value === "number" && Math.abs(value) < 8e15) return value;
  const exact = BigInt(value);
  if (
    exact < BigInt(MIN_DAY) * BigInt(MICROS_PER_DAY) ||
    exact >= BigInt(END_TIMESTAMP_DAY) * BigInt(MICROS_PER_DAY)
  ) {
    throw timestampOutOfRange();
  }
  return int64Datum(exact);
}

export function timestampOutOfRange(): SqlError {
  return new SqlError(SqlState.datetimeFieldOverflow, "timestamp out of range");
}

export function dateOutOfRange(): SqlError {
  return new SqlError(SqlState.datetimeFieldOverflow, "date out of range");
}
