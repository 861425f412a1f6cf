// Text output of date, time, timestamp and timestamptz in the four DateStyles (EncodeDateOnly, EncodeDateTime).
import {
  DATE_INFINITY,
  DATE_NEGATIVE_INFINITY,
  MICROS_PER_HOUR,
  MICROS_PER_MINUTE,
  MICROS_PER_SECOND,
  TIMESTAMP_INFINITY,
  TIMESTAMP_NEGATIVE_INFINITY,
  type CivilDate,
  civilFromDays,
  dayOfWeek,
  splitTimestamp,
} from "./calendar.ts";
import { formatOffset, sessionZone, toLocal } from "./time-zone.ts";
import type { TypeContext } from "./type.ts";

export const MONTH_NAMES = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
] as const;
export const DAY_NAMES = [
  "Sunday",
  "Monday",
  "Tuesday",
  "Wednesday",
  "Thursday",
  "Friday",
  "Saturday",
] as const;

const two = (value: number): string => (value < 10 ? `0${value}` : String(value));

export function formatDate(days: number, context: TypeContext): string {
  if (days === DATE_INFINITY) return "infinity";
  if (days === DATE_NEGATIVE_INFINITY) return "-infinity";
  const date = civilFromDays(days);
  return dateText(date, context, "-") + era(date);
}

function era(date: CivilDate): string {
  return date.year <= 0 ? " BC" : "";
}

/** `postgresSeparator`: '-' for a date in style Postgres. */
function dateText(date: CivilDate, context: TypeContext, postgresSeparator: string): string {
  const year = (date.year > 0 ? date.year : 1 - date.year).toString().padStart(4, "0");
  const month = two(date.month);
  const day = two(date.day);
  const isDayFirst = context.dateStyle.order === "DMY";
  switch (context.dateStyle.format) {
    case "ISO":
      return `${year}-${month}-${day}`;
    case "SQL":
      return isDayFirst ? `${day}/${month}/${year}` : `${month}/${day}/${year}`;
    case "German":
      return `${day}.${month}.${year}`;
    case "Postgres":
      return (isDayFirst ? [day, month, year] : [month, day, year]).join(postgresSeparator);
  }
}

/** hh:mm:ss with a fraction of up to six digits, trailing zeros cut. */
export function formatTime(micros: number): string {
  const hours = Math.floor(micros / MICROS_PER_HOUR);
  const minutes = Math.floor((micros % MICROS_PER_HOUR) / MICROS_PER_MINUTE);
  const seconds = Math.floor((micros % MICROS_PER_MINUTE) / MICROS_PER_SECOND);
  return `${two(hours)}:${two(minutes)}:${two(seconds)}${fractionText(micros % MICROS_PER_SECOND)}`;
}

/** ".5" for 500000 microseconds, "" for 0. */
export function fractionText(micros: number): string {
  return micros === 0 ? "" : `.${micros.toString().padStart(6, "0").replace(/0+$/, "")}`;
}

function dateTimeText(days: number, micros: number, context: TypeContext): string {
  const date = civilFromDays(days);
  if (context.dateStyle.format !== "Postgres") return `${dateText(date, context, "-")} ${formatTime(micros)}`;
  const weekday = (DAY_NAMES[dayOfWeek(days)] as string).slice(0, 3);
  const month = (MONTH_NAMES[date.month - 1] as string).slice(0, 3);
  const monthAndDay =
    context.dateStyle.order === "DMY" ? `${two(date.day)} ${month}` : `${month} ${two(date.day)}`;
  const year = (date.year > 0 ? date.year : 1 - date.year).toString().padStart(4, "0");
  return `${weekday} ${monthAndDay} ${formatTime(micros)} ${year}`;
}

function infinityText(value: number | bigint): string | undefined {
  if (value === TIMESTAMP_INFINITY) return "infinity";
  return value === TIMESTAMP_NEGATIVE_INFINITY ? "-infinity" : undefined;
}

export function formatTimestamp(value: number | bigint, context: TypeContext): string {
  const infinite = infinityText(value);
  if (infinite !== undefined) return infinite;
  const { days, micros } = splitTimestamp(value);
  return dateTimeText(days, micros, context) + era(civilFromDays(days));
}

export function formatTimestamptz(value: number | bigint, context: TypeContext): string {
  const infinite = infinityText(value);
  if (infinite !== undefined) return infinite;
  const zone = sessionZone(context.timeZone);
  const { days, micros, offset } = toLocal(zone, value);
  const isIso = context.dateStyle.format === "ISO";
  const zoneText = isIso ? formatOffset(offset) : ` ${zone.abbreviationAt(value)}`;
  return dateTimeText(days, micros, context) + zoneText + era(civilFromDays(days));
}
