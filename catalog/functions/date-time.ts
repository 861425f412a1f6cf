// Operators, casts and functions of date, time, timestamp, timestamptz and interval, but extract (date-part.ts) and
// to_char and its relatives (to-char.ts). Conversions between timestamp and timestamptz use the session's time zone.
import { SqlError, SqlState } from "../../common/error.ts";
import {
  DATE_INFINITY,
  DATE_NEGATIVE_INFINITY,
  MICROS_PER_DAY,
  MICROS_PER_HOUR,
  MICROS_PER_MINUTE,
  MICROS_PER_SECOND,
  TIMESTAMP_INFINITY,
  TIMESTAMP_NEGATIVE_INFINITY,
  UNIX_EPOCH_DAYS,
  civilFromDays,
  dateOutOfRange,
  daysFromCivil,
  daysInMonth,
  isDateInRange,
  isFiniteDate,
  isFiniteTimestamp,
  isoWeek,
  joinTimestamp,
  splitTimestamp,
  timestampOutOfRange,
  tryJoinTimestamp,
} from "../../common/types/calendar.ts";
import { DAY_NAMES, MONTH_NAMES } from "../../common/types/datetime-format.ts";
import { applyIntervalModifier } from "../../common/types/interval-codec.ts";
import { formatG } from "../../common/types/float.ts";
import { formatInterval } from "../../common/types/interval-format.ts";
import type { IntervalUnit } from "../../common/types/interval-text.ts";
import { Interval, intervalOutOfRange } from "../../common/types/interval.ts";
import { compareNumbers, int64Datum } from "../../common/types/scalar.ts";
import {
  type Zone,
  fixedZone,
  fromLocal,
  namedZone,
  sessionZone,
  toLocal,
} from "../../common/types/time-zone.ts";
import { roundMicros, roundTimestamp } from "../../common/types/timestamp.ts";
import type { Datum } from "../../common/types/type.ts";
import { type BodyTable, binary, nullary, ternary, unary, variadic } from "./body.ts";
import { comparisonBodies } from "./comparison.ts";
import { truncUnit } from "./date-unit.ts";
import type { FunctionCall } from "./function.ts";
import {
  addToTimestamp,
  addToTimestamptz,
  divideInterval,
  justifyDays,
  justifyHours,
  justifyInterval,
  multiplyInterval,
  subtractTimestamps,
} from "./interval-arithmetic.ts";

export type Timestamp = number | bigint;

export const zoneOf = (call: FunctionCall): Zone => sessionZone(call.context.types.timeZone);

function checkDate(days: number): number {
  if (!isDateInRange(days)) throw dateOutOfRange();
  return days;
}

/** Midnight of a date as timestamp; infinities keep. */
export function dateToTimestamp(days: number): Timestamp {
  if (days === DATE_INFINITY) return TIMESTAMP_INFINITY;
  if (days === DATE_NEGATIVE_INFINITY) return TIMESTAMP_NEGATIVE_INFINITY;
  const value = tryJoinTimestamp(days, 0);
  if (value === undefined)
    throw new SqlError(SqlState.datetimeFieldOverflow, "date out of range for timestamp");
  return value;
}

function dateToTimestamptz(days: number, zone: Zone): Timestamp {
  return isFiniteDate(days) ? fromLocal(zone, days, 0) : dateToTimestamp(days);
}

function timestampToDate(value: Timestamp): number {
  if (value === TIMESTAMP_INFINITY) return DATE_INFINITY;
  if (value === TIMESTAMP_NEGATIVE_INFINITY) return DATE_NEGATIVE_INFINITY;
  return splitTimestamp(value).days;
}

/** Wall-clock time of an instant as timestamp. */
export function localTimestamp(value: Timestamp, zone: Zone): Timestamp {
  if (!isFiniteTimestamp(value)) return value;
  const { days, micros } = toLocal(zone, value);
  return joinTimestamp(days, micros);
}

/** The instant of a wall-clock time. */
export function instantOf(value: Timestamp, zone: Zone): Timestamp {
  if (!isFiniteTimestamp(value)) return value;
  const { days, micros } = splitTimestamp(value);
  return fromLocal(zone, days, micros);
}

function intervalZone(value: Interval): Zone {
  if (value.months !== 0 || value.days !== 0) {
    const shown = formatInterval(value, "postgres");
    throw new SqlError(
      SqlState.invalidParameterValue,
      `interval time zone "${shown}" must not include months or days`,
    );
  }
  return fixedZone(Math.trunc(Number(value.microseconds) / MICROS_PER_SECOND));
}

function negated(value: Interval): Interval {
  return value.negate();
}

/** time + interval wraps around midnight. */
function addToTime(time: number, interval: Interval): number {
  const perDay = BigInt(MICROS_PER_DAY);
  const sum = (BigInt(time) + BigInt(interval.microseconds)) % perDay;
  return Number(sum < 0n ? sum + perDay : sum);
}

/** age(): years, months and days counted in calendar fields, as timestamp_age does. */
function age(a: { days: number; micros: number }, b: { days: number; micros: number }): Interval {
  const isNegative = a.days < b.days || (a.days === b.days && a.micros < b.micros);
  const [late, early] = isNegative ? [b, a] : [a, b];
  const to = civilFromDays(late.days);
  const from = civilFromDays(early.days);
  let micros = late.micros - early.micros;
  let days = to.day - from.day;
  let months = to.month - from.month;
  let years = to.year - from.year;
  if (micros < 0) {
    micros += MICROS_PER_DAY;
    days -= 1;
  }
  while (days < 0) {
    // Borrowed days are those of the month of the earlier moment.
    days += daysInMonth(from.year, from.month);
    months -= 1;
  }
  while (months < 0) {
    months += 12;
    years -= 1;
  }
  const result = Interval.of(years * 12 + months, days, micros);
  return isNegative ? result.negate() : result;
}

function ageOf(a: Timestamp, b: Timestamp): Interval {
  if (!isFiniteTimestamp(a) || !isFiniteTimestamp(b)) throw timestampOutOfRange();
  return age(splitTimestamp(a), splitTimestamp(b));
}

function ageOfInstants(a: Timestamp, b: Timestamp, zone: Zone): Interval {
  if (!isFiniteTimestamp(a) || !isFiniteTimestamp(b)) throw timestampOutOfRange();
  return age(toLocal(zone, a), toLocal(zone, b));
}

/** Start of the unit that holds (days, micros), as days and micros. */
function truncateLocal(unit: IntervalUnit, days: number, micros: number): { days: number; micros: number } {
  const down = (step: number): { days: number; micros: number } => ({
    days,
    micros: micros - (micros % step),
  });
  const { year, month } = civilFromDays(days);
  const january = (y: number): { days: number; micros: number } => ({
    days: daysFromCivil(y, 1, 1),
    micros: 0,
  });
  switch (unit) {
    case "microsecond":
      return { days, micros };
    case "millisecond":
      return down(1000);
    case "second":
      return down(MICROS_PER_SECOND);
    case "minute":
      return down(MICROS_PER_MINUTE);
    case "hour":
      return down(MICROS_PER_HOUR);
    case "day":
      return { days, micros: 0 };
    case "week": {
      const week = isoWeek(days);
      const fourth = daysFromCivil(week.year, 1, 4);
      const monday = fourth - ((((fourth + 5) % 7) + 7) % 7);
      return { days: monday + (week.week - 1) * 7, micros: 0 };
    }
    case "month":
      return { days: daysFromCivil(year, month, 1), micros: 0 };
    case "quarter":
      return { days: daysFromCivil(year, month - ((month - 1) % 3), 1), micros: 0 };
    case "year":
      return january(year);
    case "decade":
      return january(Math.floor(year / 10) * 10);
    case "century":
      return january(Math.floor((year - 1) / 100) * 100 + 1);
    case "millennium":
      return january(Math.floor((year - 1) / 1000) * 1000 + 1);
  }
}

function truncateTimestamp(unitName: string, value: Timestamp): Timestamp {
  if (!isFiniteTimestamp(value)) return value;
  const unit = truncUnit(unitName, "timestamp without time zone");
  const { days, micros } = splitTimestamp(value);
  const start = truncateLocal(unit, days, micros);
  return joinTimestamp(start.days, start.micros);
}

/** Units of a day and more start at local midnight; smaller ones move the instant only. */
function truncateTimestamptz(unitName: string, value: Timestamp, findZone: () => Zone): Timestamp {
  if (!isFiniteTimestamp(value)) return value;
  const zone = findZone();
  const unit = truncUnit(unitName, "timestamp with time zone");
  const local = toLocal(zone, value);
  const start = truncateLocal(unit, local.days, local.micros);
  const isSmall =
    unit === "hour" ||
    unit === "minute" ||
    unit === "second" ||
    unit === "millisecond" ||
    unit === "microsecond";
  if (isSmall) return joinTimestamp(start.days, start.micros - local.offset * MICROS_PER_SECOND);
  return fromLocal(zone, start.days, start.micros);
}

function truncateInterval(unitName: string, value: Interval): Interval {
  const unit = truncUnit(unitName, "interval");
  const months = (step: number): Interval => Interval.of(Math.trunc(value.months / step) * step, 0, 0);
  const micros = (step: number): Interval => {
    const total = BigInt(value.microseconds);
    return Interval.of(value.months, value.days, int64Datum(total - (total % BigInt(step))));
  };
  switch (unit) {
    case "week":
      throw new SqlError(SqlState.featureNotSupported, `unit "${unitName}" not supported for type interval`, {
        detail: "Months usually have fractional weeks.",
      });
    case "millennium":
      return months(12000);
    case "century":
      return months(1200);
    case "decade":
      return months(120);
    case "year":
      return months(12);
    case "quarter":
      return months(3);
    case "month":
      return months(1);
    case "day":
      return Interval.of(value.months, value.days, 0);
    case "hour":
      return micros(MICROS_PER_HOUR);
    case "minute":
      return micros(MICROS_PER_MINUTE);
    case "second":
      return micros(MICROS_PER_SECOND);
    case "millisecond":
      return micros(1000);
    case "microsecond":
      return value;
  }
}

function fieldOutOfRange(kind: string, text: string): SqlError {
  return new SqlError(SqlState.datetimeFieldOverflow, `${kind} field value out of range: ${text}`);
}

const two = (value: number): string => value.toString().padStart(2, "0");

function makeDate(year: number, month: number, day: number): number {
  const astronomical = year < 0 ? year + 1 : year;
  const isValid =
    year !== 0 &&
    year > -2147483648 &&
    month >= 1 &&
    month <= 12 &&
    day >= 1 &&
    day <= daysInMonth(astronomical, month);
  if (!isValid) throw fieldOutOfRange("date", `${year}-${two(month)}-${two(day)}`);
  const days = daysFromCivil(astronomical, month, day);
  if (!isDateInRange(days))
    throw new SqlError(
      SqlState.datetimeFieldOverflow,
      `date out of range: ${year}-${two(month)}-${two(day)}`,
    );
  return days;
}

function makeTime(hour: number, minute: number, second: number): number {
  const micros = Math.round(second * MICROS_PER_SECOND);
  const total = hour * MICROS_PER_HOUR + minute * MICROS_PER_MINUTE + micros;
  const isValid =
    hour >= 0 &&
    minute >= 0 &&
    minute <= 59 &&
    second >= 0 &&
    second <= 60 &&
    total <= MICROS_PER_DAY &&
    hour <= 24;
  if (!isValid)
    throw fieldOutOfRange("time", `${hour}:${two(minute)}:${formatG(second, 6).padStart(2, "0")}`);
  return total;
}

function makeTimestamp(args: readonly Datum[]): { readonly days: number; readonly micros: number } {
  const [year, month, day, hour, minute, second] = args as readonly [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  return { days: makeDate(year, month, day), micros: makeTime(hour, minute, second) };
}

function makeInterval(args: readonly Datum[]): Interval {
  const [years, months, weeks, days, hours, minutes, seconds] = args as readonly [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  if (!Number.isFinite(seconds * MICROS_PER_SECOND)) throw intervalOutOfRange();
  const micros =
    BigInt(hours) * BigInt(MICROS_PER_HOUR) +
    BigInt(minutes) * BigInt(MICROS_PER_MINUTE) +
    BigInt(Math.round(seconds * MICROS_PER_SECOND));
  return Interval.of(years * 12 + months, weeks * 7 + days, micros);
}

/** timeofday(): 'Wed Jul 22 05:00:00.123456 2026 UTC'. */
function timeOfDay(call: FunctionCall): string {
  const now = call.context.session.clockTimestamp();
  const zone = zoneOf(call);
  const { days, micros } = toLocal(zone, now);
  const date = civilFromDays(days);
  const weekday = (DAY_NAMES[(((days + 6) % 7) + 7) % 7] as string).slice(0, 3);
  const month = (MONTH_NAMES[date.month - 1] as string).slice(0, 3);
  const clock = new Date(micros / 1000).toISOString().slice(11, 19);
  const fraction = (micros % MICROS_PER_SECOND).toString().padStart(6, "0");
  return `${weekday} ${month} ${two(date.day)} ${clock}.${fraction} ${date.year} ${zone.abbreviationAt(now)}`;
}

/** (a, b) OVERLAPS (c, d) over any ordered values; NULL ends as the standard has it. */
function overlaps(args: readonly Datum[]): Datum {
  let [a, b, c, d] = args as readonly [Datum, Datum, Datum, Datum];
  const isAfter = (x: Datum, y: Datum): boolean => compareNumbers(x, y) > 0;
  if (a === null && b === null) return null;
  if (a === null || (b !== null && isAfter(a, b))) [a, b] = [b, a];
  if (c === null && d === null) return null;
  if (c === null || (d !== null && isAfter(c, d))) [c, d] = [d, c];
  if (isAfter(a, c)) {
    if (d === null) return null;
    if (isAfter(d, a)) return true;
    if (b === null) return null;
    return false;
  }
  if (isAfter(c, a)) {
    if (b === null) return null;
    if (isAfter(b, c)) return true;
    return d === null ? null : false;
  }
  return b === null || d === null ? null : true;
}

function scaleTimestamp(value: Timestamp, precision: number): Timestamp {
  if (!isFiniteTimestamp(value) || precision < 0) return value;
  if (precision > 6) {
    throw new SqlError(
      SqlState.invalidParameterValue,
      `timestamp(${precision}) precision must be between 0 and 6`,
    );
  }
  return roundTimestamp(value, precision);
}

/** date_bin(stride, source, origin). */
function bin(stride: Interval, source: Timestamp, origin: Timestamp): Timestamp {
  if (!isFiniteTimestamp(source)) return source;
  if (!isFiniteTimestamp(origin)) throw new SqlError(SqlState.datetimeFieldOverflow, "origin out of range");
  if (stride.months !== 0) {
    throw new SqlError(
      SqlState.featureNotSupported,
      "timestamps cannot be binned into intervals containing months or years",
    );
  }
  const width = stride.span();
  if (width <= 0n) throw new SqlError(SqlState.datetimeFieldOverflow, "stride must be greater than zero");
  const difference = BigInt(source) - BigInt(origin);
  let steps = difference / width;
  if (difference < 0n && steps * width !== difference) steps -= 1n;
  const { days, micros } = splitTimestamp(int64Datum(BigInt(origin) + steps * width));
  return joinTimestamp(days, micros);
}

const dateAndTimestamp = (a: Datum, b: Datum): number => compareNumbers(compareDateKey(a as number), b);
/** A date beyond timestamp's range still sorts where it belongs. */
function compareDateKey(days: number): Timestamp {
  if (!isFiniteDate(days)) return dateToTimestamp(days);
  return tryJoinTimestamp(days, 0) ?? (days > 0 ? TIMESTAMP_INFINITY - 1n : TIMESTAMP_NEGATIVE_INFINITY + 1n);
}

const mixed = {
  ...comparisonBodies((o) => `date_${o}_timestamp`, dateAndTimestamp),
  ...comparisonBodies(
    (o) => `timestamp_${o}_date`,
    (a, b) => -dateAndTimestamp(b, a),
  ),
  ...comparisonBodies(
    (o) => `date_${o}_timestamptz`,
    (a, b, call) => compareNumbers(dateToTimestamptz(a as number, zoneOf(call)), b),
  ),
  ...comparisonBodies(
    (o) => `timestamptz_${o}_date`,
    (a, b, call) => compareNumbers(a, dateToTimestamptz(b as number, zoneOf(call))),
  ),
  ...comparisonBodies(
    (o) => `timestamp_${o}_timestamptz`,
    (a, b, call) => compareNumbers(instantOf(a as Timestamp, zoneOf(call)), b),
  ),
  ...comparisonBodies(
    (o) => `timestamptz_${o}_timestamp`,
    (a, b, call) => compareNumbers(a, instantOf(b as Timestamp, zoneOf(call))),
  ),
};

const datePlusInterval = (days: number, interval: Interval): Timestamp =>
  addToTimestamp(dateToTimestamp(days), interval);
const datePlusTime = (days: number, micros: number): Timestamp =>
  isFiniteDate(days) ? joinTimestamp(days, micros) : dateToTimestamp(days);
const datePlusDays = (days: number, count: number): number =>
  isFiniteDate(days) ? checkDate(days + count) : days;

export const dateTimeFunctions: BodyTable = {
  ...mixed,
  date_pli: binary<number, number>(datePlusDays),
  date_mii: binary<number, number>((days, count) => datePlusDays(days, -count)),
  "sql:integer_pl_date:23,1082": binary<number, number>((count, days) => datePlusDays(days, count)),
  date_mi: binary<number, number>((a, b) => {
    if (!isFiniteDate(a) || !isFiniteDate(b))
      throw new SqlError(SqlState.datetimeFieldOverflow, "cannot subtract infinite dates");
    return a - b;
  }),
  date_pl_interval: binary<number, Interval>(datePlusInterval),
  date_mi_interval: binary<number, Interval>((days, interval) => datePlusInterval(days, negated(interval))),
  "sql:interval_pl_date:1186,1082": binary<Interval, number>((interval, days) =>
    datePlusInterval(days, interval),
  ),
  datetime_timestamp: binary<number, number>(datePlusTime),
  "sql:timedate_pl:1083,1082": binary<number, number>((micros, days) => datePlusTime(days, micros)),
  timestamp_pl_interval: binary<Timestamp, Interval>(addToTimestamp),
  timestamp_mi_interval: binary<Timestamp, Interval>((value, interval) =>
    addToTimestamp(value, negated(interval)),
  ),
  "sql:interval_pl_timestamp:1186,1114": binary<Interval, Timestamp>((interval, value) =>
    addToTimestamp(value, interval),
  ),
  timestamptz_pl_interval: binary<Timestamp, Interval>((value, interval, call) =>
    addToTimestamptz(value, interval, zoneOf(call)),
  ),
  timestamptz_mi_interval: binary<Timestamp, Interval>((value, interval, call) =>
    addToTimestamptz(value, negated(interval), zoneOf(call)),
  ),
  "sql:interval_pl_timestamptz:1186,1184": binary<Interval, Timestamp>((interval, value, call) =>
    addToTimestamptz(value, interval, zoneOf(call)),
  ),
  timestamp_mi: binary<Timestamp, Timestamp>(subtractTimestamps),
  time_pl_interval: binary<number, Interval>(addToTime),
  time_mi_interval: binary<number, Interval>((time, interval) => addToTime(time, negated(interval))),
  "sql:interval_pl_time:1186,1083": binary<Interval, number>((interval, time) => addToTime(time, interval)),
  time_mi_time: binary<number, number>((a, b) => Interval.of(0, 0, a - b)),
  interval_pl: binary<Interval, Interval>((a, b) => a.add(b)),
  interval_mi: binary<Interval, Interval>((a, b) => a.subtract(b)),
  interval_um: unary<Interval>(negated),
  interval_mul: binary<Interval, number>(multiplyInterval),
  mul_d_interval: binary<number, Interval>((factor, value) => multiplyInterval(value, factor)),
  interval_div: binary<Interval, number>(divideInterval),
  interval_justify_hours: unary<Interval>(justifyHours),
  interval_justify_days: unary<Interval>(justifyDays),
  interval_justify_interval: unary<Interval>(justifyInterval),

  date_timestamp: unary<number>(dateToTimestamp),
  date_timestamptz: unary<number>((days, call) => dateToTimestamptz(days, zoneOf(call))),
  timestamp_date: unary<Timestamp>(timestampToDate),
  timestamptz_date: unary<Timestamp>((value, call) => timestampToDate(localTimestamp(value, zoneOf(call)))),
  timestamp_timestamptz: unary<Timestamp>((value, call) => instantOf(value, zoneOf(call))),
  timestamptz_timestamp: unary<Timestamp>((value, call) => localTimestamp(value, zoneOf(call))),
  timestamp_time: unary<Timestamp>((value) =>
    isFiniteTimestamp(value) ? splitTimestamp(value).micros : null,
  ),
  timestamptz_time: unary<Timestamp>((value, call) =>
    isFiniteTimestamp(value) ? toLocal(zoneOf(call), value).micros : null,
  ),
  time_interval: unary<number>((micros) => Interval.of(0, 0, micros)),
  interval_time: unary<Interval>((interval) => addToTime(0, interval)),
  timestamp_scale: binary<Timestamp, number>(scaleTimestamp),
  timestamptz_scale: binary<Timestamp, number>(scaleTimestamp),
  time_scale: binary<number, number>(roundMicros),
  interval_scale: binary<Interval, number>(applyIntervalModifier),

  // An infinite timestamp is itself in every zone, known or not.
  timestamp_zone: binary<string, Timestamp>((name, value) =>
    isFiniteTimestamp(value) ? instantOf(value, namedZone(name)) : value,
  ),
  timestamptz_zone: binary<string, Timestamp>((name, value) =>
    isFiniteTimestamp(value) ? localTimestamp(value, namedZone(name)) : value,
  ),
  timestamp_izone: binary<Interval, Timestamp>((offset, value) =>
    isFiniteTimestamp(value) ? instantOf(value, intervalZone(offset)) : value,
  ),
  timestamptz_izone: binary<Interval, Timestamp>((offset, value) =>
    isFiniteTimestamp(value) ? localTimestamp(value, intervalZone(offset)) : value,
  ),

  timestamp_trunc: binary<string, Timestamp>(truncateTimestamp),
  timestamptz_trunc: binary<string, Timestamp>((unit, value, call) =>
    truncateTimestamptz(unit, value, () => zoneOf(call)),
  ),
  timestamptz_trunc_zone: ternary<string, Timestamp, string>((unit, value, zone) =>
    truncateTimestamptz(unit, value, () => namedZone(zone)),
  ),
  interval_trunc: binary<string, Interval>(truncateInterval),
  timestamp_bin: ternary<Interval, Timestamp, Timestamp>(bin),
  timestamptz_bin: ternary<Interval, Timestamp, Timestamp>(bin),

  timestamp_age: binary<Timestamp, Timestamp>(ageOf),
  timestamptz_age: binary<Timestamp, Timestamp>((a, b, call) => ageOfInstants(a, b, zoneOf(call))),
  "sql:age:1114": unary<Timestamp>((value, call) =>
    ageOf(
      dateToTimestamp(
        timestampToDate(localTimestamp(call.context.session.transactionTimestamp(), zoneOf(call))),
      ),
      value,
    ),
  ),
  "sql:age:1184": unary<Timestamp>((value, call) => {
    const zone = zoneOf(call);
    const today = timestampToDate(localTimestamp(call.context.session.transactionTimestamp(), zone));
    return ageOfInstants(dateToTimestamptz(today, zone), value, zone);
  }),
  date_finite: unary<number>(isFiniteDate),
  timestamp_finite: unary<Timestamp>(isFiniteTimestamp),
  interval_finite: unary<Interval>(() => true),

  make_date: ternary<number, number, number>(makeDate),
  make_time: ternary<number, number, number>(makeTime),
  make_timestamp: variadic((args) => {
    const { days, micros } = makeTimestamp(args);
    return joinTimestamp(days, micros);
  }),
  make_timestamptz: variadic((args, call) => {
    const { days, micros } = makeTimestamp(args);
    return fromLocal(zoneOf(call), days, micros);
  }),
  make_timestamptz_at_timezone: variadic((args) => {
    const { days, micros } = makeTimestamp(args);
    return fromLocal(namedZone(args[6] as string), days, micros);
  }),
  make_interval: variadic(makeInterval),
  float8_timestamptz: unary<number>((seconds) => {
    if (Number.isNaN(seconds)) throw new SqlError(SqlState.datetimeFieldOverflow, "timestamp cannot be NaN");
    if (seconds === Number.POSITIVE_INFINITY) return TIMESTAMP_INFINITY;
    if (seconds === Number.NEGATIVE_INFINITY) return TIMESTAMP_NEGATIVE_INFINITY;
    const days = Math.floor(seconds / 86400);
    const value = tryJoinTimestamp(
      days - UNIX_EPOCH_DAYS,
      Math.round((seconds - days * 86400) * MICROS_PER_SECOND),
    );
    if (value === undefined)
      throw new SqlError(SqlState.datetimeFieldOverflow, `timestamp out of range: "${seconds}"`);
    return value;
  }),
  timeofday: nullary(timeOfDay),
  overlaps_timestamp: variadic(overlaps),
  overlaps_time: variadic(overlaps),
};
