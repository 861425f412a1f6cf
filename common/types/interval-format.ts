// Text output of intervals in the four IntervalStyles (EncodeInterval).
import { MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND } from "./calendar.ts";
import { fractionText } from "./datetime-format.ts";
import type { Interval } from "./interval.ts";
import type { TypeContext } from "./type.ts";

/** Signed parts, truncating: all have the sign of their source. */
export interface IntervalParts {
  readonly years: number;
  readonly months: number;
  readonly days: number;
  readonly hours: number;
  readonly minutes: number;
  readonly seconds: number;
  readonly micros: number;
}

export function intervalParts(value: Interval): IntervalParts {
  const total = BigInt(value.microseconds);
  const hours = Number(total / BigInt(MICROS_PER_HOUR));
  const rest = Number(total % BigInt(MICROS_PER_HOUR));
  return {
    years: Math.trunc(value.months / 12) + 0,
    months: (value.months % 12) + 0,
    days: value.days,
    hours,
    minutes: Math.trunc(rest / MICROS_PER_MINUTE) + 0,
    seconds: Math.trunc((rest % MICROS_PER_MINUTE) / MICROS_PER_SECOND) + 0,
    micros: (rest % MICROS_PER_SECOND) + 0,
  };
}

const two = (value: number): string => Math.abs(value).toString().padStart(2, "0");

export function formatInterval(value: Interval, style: TypeContext["intervalStyle"]): string {
  const parts = intervalParts(value);
  switch (style) {
    case "postgres":
      return postgresStyle(parts);
    case "postgres_verbose":
      return verboseStyle(parts);
    case "iso_8601":
      return isoStyle(parts);
    case "sql_standard":
      return standardStyle(parts);
  }
}

function timeText(parts: IntervalParts): string {
  return `${two(parts.hours)}:${two(parts.minutes)}:${two(parts.seconds)}${fractionText(Math.abs(parts.micros))}`;
}

function isTimeNegative(parts: IntervalParts): boolean {
  return parts.hours < 0 || parts.minutes < 0 || parts.seconds < 0 || parts.micros < 0;
}

function hasTime(parts: IntervalParts): boolean {
  return parts.hours !== 0 || parts.minutes !== 0 || parts.seconds !== 0 || parts.micros !== 0;
}

/** A positive part after a negative one gets a '+'. */
function postgresStyle(parts: IntervalParts): string {
  const out: string[] = [];
  let isAfterNegative = false;
  for (const [value, unit] of [
    [parts.years, "year"],
    [parts.months, "mon"],
    [parts.days, "day"],
  ] as const) {
    if (value === 0) continue;
    out.push(`${isAfterNegative && value > 0 ? "+" : ""}${value} ${unit}${value === 1 ? "" : "s"}`);
    isAfterNegative = value < 0;
  }
  if (out.length === 0 || hasTime(parts)) {
    const sign = isTimeNegative(parts) ? "-" : isAfterNegative ? "+" : "";
    out.push(sign + timeText(parts));
  }
  return out.join(" ");
}

/** "@ 1 year 2 mons ago": the first part's sign decides whether it is "ago". */
function verboseStyle(parts: IntervalParts): string {
  const list = [
    [parts.years, "year"],
    [parts.months, "mon"],
    [parts.days, "day"],
    [parts.hours, "hour"],
    [parts.minutes, "min"],
  ] as const;
  let isAgo: boolean | undefined;
  const out: string[] = [];
  for (const [value, unit] of list) {
    if (value === 0) continue;
    isAgo ??= value < 0;
    const shown = isAgo ? -value : value;
    out.push(`${shown} ${unit}${shown === 1 ? "" : "s"}`);
  }
  if (parts.seconds !== 0 || parts.micros !== 0) {
    const isNegative = parts.seconds < 0 || parts.micros < 0;
    const wasAgo = isAgo;
    isAgo ??= isNegative;
    const sign = wasAgo === undefined || isNegative === wasAgo ? "" : "-";
    const text = `${Math.abs(parts.seconds)}${fractionText(Math.abs(parts.micros))}`;
    out.push(`${sign}${text} sec${text === "1" ? "" : "s"}`);
  }
  if (out.length === 0) return "@ 0";
  return `@ ${out.join(" ")}${isAgo === true ? " ago" : ""}`;
}

function isoStyle(parts: IntervalParts): string {
  const date = designated([
    [parts.years, "Y"],
    [parts.months, "M"],
    [parts.days, "D"],
  ]);
  let time = designated([
    [parts.hours, "H"],
    [parts.minutes, "M"],
  ]);
  if (parts.seconds !== 0 || parts.micros !== 0) {
    const sign = parts.seconds < 0 || parts.micros < 0 ? "-" : "";
    time += `${sign}${Math.abs(parts.seconds)}${fractionText(Math.abs(parts.micros))}S`;
  }
  if (date === "" && time === "") return "PT0S";
  return `P${date}${time === "" ? "" : `T${time}`}`;
}

function designated(items: readonly (readonly [number, string])[]): string {
  return items.map(([value, letter]) => (value === 0 ? "" : `${value}${letter}`)).join("");
}

/** Year-month, day and time fields; mixed signs or mixed kinds print every field with its sign. */
function standardStyle(parts: IntervalParts): string {
  const values = Object.values(parts) as number[];
  const isNegative = values.some((value) => value < 0);
  const isPositive = values.some((value) => value > 0);
  const hasYearMonth = parts.years !== 0 || parts.months !== 0;
  const hasDayTime = parts.days !== 0 || hasTime(parts);
  if (!isNegative && !isPositive) return "0";
  const sec = `${two(parts.seconds)}${fractionText(Math.abs(parts.micros))}`;
  if ((isNegative && isPositive) || (hasYearMonth && hasDayTime)) {
    const sign = (negative: boolean): string => (negative ? "-" : "+");
    return (
      `${sign(parts.years < 0 || parts.months < 0)}${Math.abs(parts.years)}-${Math.abs(parts.months)} ` +
      `${sign(parts.days < 0)}${Math.abs(parts.days)} ` +
      `${sign(isTimeNegative(parts))}${Math.abs(parts.hours)}:${two(parts.minutes)}:${sec}`
    );
  }
  const sign = isNegative ? "-" : "";
  if (hasYearMonth) return `${sign}${Math.abs(parts.years)}-${Math.abs(parts.months)}`;
  const time = `${Math.abs(parts.hours)}:${two(parts.minutes)}:${sec}`;
  return parts.days !== 0 ? `${sign}${Math.abs(parts.days)} ${time}` : sign + time;
}
