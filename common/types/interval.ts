// SQL interval: months, days and microseconds kept apart, because a month has no fixed number of days and a day no fixed
// number of hours. Comparison and hashing take a month as 30 days and a day as 24 hours, as PostgreSQL's interval_cmp does,
// so that '1 month' = '30 days' although they print differently.
// This file is the value; text forms are in interval-text.ts.
import { SqlError, SqlState } from "../error.ts";

const MICROS_PER_DAY = 86_400_000_000n;
const INT32_MAX = 2147483647;
const INT32_MIN = -2147483648;
const INT64_MAX = 9223372036854775807n;
const INT64_MIN = -9223372036854775808n;

export class Interval {
  readonly months: number;
  readonly days: number;
  /** number while |v| < 2^53, else bigint. */
  readonly microseconds: number | bigint;

  constructor(months: number, days: number, microseconds: number | bigint) {
    this.months = months;
    this.days = days;
    this.microseconds = microseconds;
  }

  /** Checks the int32 and int64 ranges of the parts (22008) and makes microseconds canonical. */
  static of(months: number, days: number, microseconds: number | bigint): Interval {
    const isIn = (value: number): boolean => value >= INT32_MIN && value <= INT32_MAX;
    if (!isIn(months) || !isIn(days)) throw outOfRange();
    if (typeof microseconds === "number") {
      if (Number.isSafeInteger(microseconds)) return new Interval(months + 0, days + 0, microseconds + 0);
      if (!Number.isFinite(microseconds)) throw outOfRange();
    }
    const exact = BigInt(microseconds);
    if (exact > INT64_MAX || exact < INT64_MIN) throw outOfRange();
    return new Interval(months + 0, days + 0, narrow(exact));
  }

  negate(): Interval {
    return Interval.of(-this.months, -this.days, narrow(-BigInt(this.microseconds)));
  }

  add(other: Interval): Interval {
    const micros = BigInt(this.microseconds) + BigInt(other.microseconds);
    return Interval.of(this.months + other.months, this.days + other.days, narrowOrKeep(micros));
  }

  subtract(other: Interval): Interval {
    const micros = BigInt(this.microseconds) - BigInt(other.microseconds);
    return Interval.of(this.months - other.months, this.days - other.days, narrowOrKeep(micros));
  }

  /** Total length with 30-day months and 24-hour days: what comparison and hashing use. */
  span(): bigint {
    return BigInt(this.months * 30 + this.days) * MICROS_PER_DAY + BigInt(this.microseconds);
  }
}

export function compareIntervals(a: Interval, b: Interval): number {
  const left = a.span();
  const right = b.span();
  return left < right ? -1 : left > right ? 1 : 0;
}

export function intervalOutOfRange(): SqlError {
  return outOfRange();
}

function outOfRange(): SqlError {
  return new SqlError(SqlState.datetimeFieldOverflow, "interval out of range");
}

function narrow(value: bigint): number | bigint {
  return value >= -9007199254740991n && value <= 9007199254740991n ? Number(value) : value;
}

function narrowOrKeep(value: bigint): number | bigint {
  return narrow(value);
}
