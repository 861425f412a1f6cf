// Text input of intervals: PostgreSQL's verbose and short units ('1 year 2 mons 3 days 04:05:06', '@ 1 hour ago', '1.5 h'),
// the SQL standard's '1-2 3 4:05:06', and ISO 8601 'P1Y2M3DT4H5M6S' or 'P0001-02-03T04:05:06'. Fractions of large units
// spill into smaller ones: months to days by 30, days to time by 24 hours.
import { SqlError, SqlState } from "../error.ts";
import { MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND } from "./calendar.ts";
import { Interval } from "./interval.ts";
import { Numeric, divideRounding, pow10 } from "./numeric.ts";

export type IntervalUnit =
  | "microsecond"
  | "millisecond"
  | "second"
  | "minute"
  | "hour"
  | "day"
  | "week"
  | "month"
  | "quarter"
  | "year"
  | "decade"
  | "century"
  | "millennium";

const UNITS: ReadonlyMap<string, IntervalUnit> = new Map(
  Object.entries({
    microsecond: "microsecon us usec usecs usecond useconds microsecond microseconds",
    millisecond: "millisecon ms msec msecs msecond mseconds millisecond milliseconds",
    second: "s sec secs second seconds",
    minute: "m min mins minute minutes",
    hour: "h hr hrs hour hours",
    day: "d day days",
    week: "w week weeks",
    month: "mon mons month months",
    quarter: "qtr quarter",
    year: "y yr yrs year years",
    decade: "dec decs decade decades",
    century: "c cent century centuries",
    millennium: "mil mils millennia millennium",
  } satisfies Record<IntervalUnit, string>).flatMap(([unit, words]) =>
    words.split(" ").map((word): [string, IntervalUnit] => [word, unit as IntervalUnit]),
  ),
);

/** The unit of a word such as "mons"; undefined = not a unit. */
export function intervalUnit(word: string): IntervalUnit | undefined {
  return UNITS.get(word.toLowerCase());
}

const MONTHS_PER: Partial<Record<IntervalUnit, number>> = {
  month: 1,
  quarter: 3,
  year: 12,
  decade: 120,
  century: 1200,
  millennium: 12000,
};
const DAYS_PER: Partial<Record<IntervalUnit, number>> = { day: 1, week: 7 };
const MICROS_PER: Partial<Record<IntervalUnit, number>> = {
  microsecond: 1,
  millisecond: 1000,
  second: MICROS_PER_SECOND,
  minute: MICROS_PER_MINUTE,
  hour: MICROS_PER_HOUR,
};

/** Which unit a bare number has, by interval typmod (INTERVAL '5' MINUTE); seconds without one. */
export function parseIntervalText(text: string, bareUnit: IntervalUnit = "second"): Interval {
  const trimmed = text.trim();
  return /^[+-]?P/.test(trimmed) && !/^[+-]?P\s/.test(trimmed)
    ? parseIso(text, trimmed)
    : new IntervalParser(text, bareUnit).parse();
}

function invalid(text: string): SqlError {
  return new SqlError(SqlState.invalidDatetimeFormat, `invalid input syntax for type interval: "${text}"`);
}

function overflow(text: string): SqlError {
  return new SqlError(SqlState.intervalFieldOverflow, `interval field value out of range: "${text}"`);
}

/** Sums of parts, exact until finish(). */
class Parts {
  months = 0;
  days = 0;
  micros = 0n;
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** Adds value x unit; a fraction spills downwards as PostgreSQL's AdjustFractDays and AdjustFractSeconds do. */
  add(value: Numeric, unit: IntervalUnit): void {
    const perMonth = MONTHS_PER[unit];
    const perDay = DAYS_PER[unit];
    const whole = value.truncate(0).coefficient;
    const fraction = value.subtract(Numeric.of(whole, 0)).toNumber();
    if (perMonth !== undefined) {
      this.months += Number(whole) * perMonth;
      if (perMonth > 1) this.months += Math.round(fraction * perMonth);
      else this.#fractionalDays(fraction * 30);
    } else if (perDay !== undefined) {
      this.days += Number(whole) * perDay;
      if (perDay > 1) this.#fractionalDays(fraction * perDay);
      else this.micros += BigInt(Math.round(fraction * MICROS_PER_DAY));
    } else {
      const scaled = value.multiply(Numeric.fromInteger(MICROS_PER[unit] as number));
      this.micros += divideRounding(scaled.coefficient, pow10(scaled.scale));
    }
  }

  #fractionalDays(days: number): void {
    const whole = Math.trunc(days);
    this.days += whole;
    this.micros += BigInt(Math.round((days - whole) * MICROS_PER_DAY));
  }

  negate(): void {
    this.months = -this.months;
    this.days = -this.days;
    this.micros = -this.micros;
  }

  finish(): Interval {
    try {
      return Interval.of(this.months + 0, this.days + 0, this.micros);
    } catch {
      throw overflow(this.#text);
    }
  }
}

/** A time of day in an interval: h:m, h:m:s, or m:s.f; the sign belongs to all of it. */
function timeMicros(text: string, whole: string): bigint {
  const match = /^([+-]?)(\d+):(\d+)(?::(\d+))?(\.\d*)?$/.exec(text);
  if (match === null) throw invalid(whole);
  const [first, second] = [BigInt(match[2] as string), BigInt(match[3] as string)];
  const isMinutes = match[4] === undefined && match[5] !== undefined;
  const hours = isMinutes ? 0n : first;
  const minutes = isMinutes ? first : second;
  const seconds = isMinutes ? second : BigInt(match[4] ?? 0);
  if (minutes > 59n || seconds > 60n) throw overflow(whole);
  const fraction =
    match[5] === undefined || match[5] === "." ? 0 : Math.round(Number(`0${match[5]}`) * MICROS_PER_SECOND);
  const total =
    hours * BigInt(MICROS_PER_HOUR) +
    minutes * BigInt(MICROS_PER_MINUTE) +
    seconds * BigInt(MICROS_PER_SECOND) +
    BigInt(fraction);
  return match[1] === "-" ? -total : total;
}

const TOKEN = /\s*(?:([+-]?\d+-\d+)|([+-]?\d+:[\d:.]*)|([+-]?(?:\d+\.?\d*|\.\d+))|([a-z]+)|(@))/iy;

class IntervalParser {
  readonly #text: string;
  readonly #bareUnit: IntervalUnit;
  readonly #parts: Parts;
  readonly #seen = new Set<IntervalUnit>();

  constructor(text: string, bareUnit: IntervalUnit) {
    this.#text = text;
    this.#bareUnit = bareUnit;
    this.#parts = new Parts(text);
  }

  parse(): Interval {
    let pending: Numeric | undefined;
    let isAgo = false;
    let any = false;
    const lower = this.#text.toLowerCase();
    const end = lower.trimEnd().length;
    let at = 0;
    while (at < end) {
      TOKEN.lastIndex = at;
      const match = TOKEN.exec(lower);
      if (match === null || isAgo) throw invalid(this.#text);
      at += match[0].length;
      const [, yearMonth, time, number, word] = match;
      if (yearMonth !== undefined) this.#yearMonth(yearMonth);
      else if (time !== undefined) {
        // SQL style '1 2:03:04': the number before a time is days.
        if (pending !== undefined) this.#parts.add(pending, "day");
        pending = undefined;
        this.#parts.micros += timeMicros(time, this.#text);
      } else if (number !== undefined) {
        if (pending !== undefined) throw invalid(this.#text);
        pending = Numeric.parse(number);
        any = true;
        continue;
      } else if (word === "ago") {
        isAgo = true;
      } else if (word !== undefined) {
        const unit = intervalUnit(word);
        if (unit === undefined || pending === undefined) throw invalid(this.#text);
        // A unit may come once: PostgreSQL's field mask.
        if (this.#seen.has(unit)) throw invalid(this.#text);
        this.#seen.add(unit);
        this.#parts.add(pending, unit);
        pending = undefined;
      } else continue;
      any = true;
    }
    if (!any) throw invalid(this.#text);
    if (pending !== undefined) this.#parts.add(pending, this.#bareUnit);
    if (isAgo) this.#parts.negate();
    return this.#parts.finish();
  }

  #yearMonth(text: string): void {
    const match = /^([+-]?)(\d+)-(\d+)$/.exec(text) as RegExpExecArray;
    const months = Number(match[3]);
    if (months > 11) throw overflow(this.#text);
    const total = Number(match[2]) * 12 + months;
    this.#parts.months += match[1] === "-" ? -total : total;
  }
}

/** ISO 8601: designators (P1Y2M3W4DT5H6M7S, any sign or fraction per field) or the alternative date-time form. */
function parseIso(text: string, trimmed: string): Interval {
  const parts = new Parts(text);
  const match = /^([+-]?)P([^T]*)(?:T(.*))?$/.exec(trimmed);
  if (match === null || (match[2] === "" && (match[3] ?? "") === "")) throw invalid(text);
  const date = match[2] as string;
  const alternative = /^([+-]?\d+)-([+-]?\d+)(?:-([+-]?\d+))?$/.exec(date);
  if (alternative !== null) {
    parts.months += Number(alternative[1]) * 12 + Number(alternative[2]);
    parts.days += Number(alternative[3] ?? 0);
  } else designators(date, "date", parts, text);
  const time = match[3];
  if (time !== undefined && time !== "") {
    if (time.includes(":")) parts.micros += timeMicros(time, text);
    else designators(time, "time", parts, text);
  }
  if (match[1] === "-") parts.negate();
  return parts.finish();
}

function designators(text: string, kind: "date" | "time", parts: Parts, whole: string): void {
  const units: Readonly<Record<string, IntervalUnit>> =
    kind === "date"
      ? { Y: "year", M: "month", W: "week", D: "day" }
      : { H: "hour", M: "minute", S: "second" };
  const item = /([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)([A-Z])/y;
  let at = 0;
  while (at < text.length) {
    item.lastIndex = at;
    const match = item.exec(text);
    const unit = match === null ? undefined : units[match[2] as string];
    if (match === null || unit === undefined) throw invalid(whole);
    parts.add(Numeric.parse(match[1] as string), unit);
    at += match[0].length;
  }
}
