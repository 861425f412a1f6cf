// to_char of timestamps and intervals, to_date and to_timestamp. Numbers are padded to their field, names to nine
// characters, unless FM stands before them; reading is lenient about blanks and separators, as PostgreSQL is without FX.
import { SqlError, SqlState, notSupported } from "../../common/error.ts";
import { charactersOf } from "../../common/types/text.ts";
import {
  JULIAN_DAY_2000,
  MICROS_PER_HOUR,
  MICROS_PER_MINUTE,
  MICROS_PER_SECOND,
  civilFromDays,
  dayOfWeek,
  daysFromCivil,
  daysInMonth,
  isDateInRange,
  isFiniteTimestamp,
  isoWeek,
  joinTimestamp,
  splitTimestamp,
} from "../../common/types/calendar.ts";
import { DAY_NAMES, MONTH_NAMES } from "../../common/types/datetime-format.ts";
import { intervalParts } from "../../common/types/interval-format.ts";
import type { Interval } from "../../common/types/interval.ts";
import { formatOffset, fromLocal, toLocal } from "../../common/types/time-zone.ts";
import { type BodyTable, binary } from "./body.ts";
import { type TemplateItem, dateTemplate, invalidTemplate } from "./date-template.ts";
import { type Timestamp, zoneOf } from "./date-time.ts";

const ROMAN = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"] as const;

/** What a template can show; `days` undefined for an interval. */
interface Shown {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  readonly micros: number;
  readonly days: number | undefined;
  readonly offset: number | undefined;
  readonly zoneName: string;
}

function shownTimestamp(days: number, micros: number, offset: number | undefined, zoneName: string): Shown {
  return {
    ...civilFromDays(days),
    hour: Math.floor(micros / MICROS_PER_HOUR),
    minute: Math.floor((micros % MICROS_PER_HOUR) / MICROS_PER_MINUTE),
    second: Math.floor((micros % MICROS_PER_MINUTE) / MICROS_PER_SECOND),
    micros: micros % MICROS_PER_SECOND,
    days,
    offset,
    zoneName,
  };
}

function render(template: string, shown: Shown): string {
  let out = "";
  for (const item of dateTemplate(template)) {
    if (item.kind === "literal") out += item.text;
    else out += field(item, shown);
  }
  return out;
}

type Field = Extract<TemplateItem, { kind: "field" }>;

function field(item: Field, shown: Shown): string {
  const number = numberField(item.name, shown);
  if (number === undefined) return nameField(item, shown);
  const [value, width] = number;
  const digits = Math.abs(value).toString();
  // The sign takes one of the places of months and days, not of hours and years.
  const signWidth = value < 0 && (item.name === "MM" || item.name === "DD") ? 1 : 0;
  const text = (value < 0 ? "-" : "") + (item.fill ? digits : digits.padStart(width - signWidth, "0"));
  return item.ordinal === undefined ? text : text + ordinalSuffix(Math.abs(value), item.ordinal);
}

export function ordinalSuffix(value: number, style: "TH" | "th"): string {
  const tens = Math.floor(value / 10) % 10;
  const suffix = tens === 1 ? "th" : (["th", "st", "nd", "rd"][value % 10] ?? "th");
  return style === "TH" ? suffix.toUpperCase() : suffix;
}

/** Years are shown without a sign, BC counted from 1. */
function yearShown(year: number, isInterval: boolean): number {
  return isInterval ? year : year <= 0 ? 1 - year : year;
}

/** [value, width] of the numeric fields. */
function numberField(name: string, shown: Shown): readonly [number, number] | undefined {
  const { days, hour } = shown;
  const year = yearShown(shown.year, days === undefined);
  switch (name) {
    case "HH24":
      return [hour, 2];
    case "HH12":
    case "HH":
      return [hour % 12 === 0 ? 12 : hour % 12, 2];
    case "MI":
      return [shown.minute, 2];
    case "SS":
      return [shown.second, 2];
    case "MS":
      return [Math.trunc(shown.micros / 1000), 3];
    case "US":
      return [shown.micros, 6];
    case "SSSS":
    case "SSSSS":
      return [hour * 3600 + shown.minute * 60 + shown.second, 1];
    case "YYYY":
      return [year, 4];
    case "YYY":
      return [year % 1000, 3];
    case "YY":
      return [year % 100, 2];
    case "Y":
      return [year % 10, 1];
    case "MM":
      return [shown.month, 2];
    case "DD":
      return [shown.day, 2];
    default:
      break;
  }
  if (/^FF[1-6]$/.test(name)) {
    const width = Number(name[2]);
    return [Math.trunc(shown.micros / 10 ** (6 - width)), width];
  }
  return days === undefined ? intervalNumber(name, shown) : calendarNumber(name, shown, days);
}

function intervalNumber(name: string, shown: Shown): readonly [number, number] | undefined {
  switch (name) {
    case "CC":
      return [Math.trunc(shown.year / 100), 2];
    case "Q":
      return shown.month === 0 ? undefined : [Math.trunc((shown.month - 1) / 3) + 1, 1];
    default:
      return undefined;
  }
}

function calendarNumber(name: string, shown: Shown, days: number): readonly [number, number] | undefined {
  const dayOfYear = days - daysFromCivil(shown.year, 1, 1) + 1;
  const iso = isoWeek(days);
  const isoYear = yearShown(iso.year, false);
  const weekday = dayOfWeek(days);
  switch (name) {
    case "DDD":
      return [dayOfYear, 3];
    case "IDDD":
      return [(iso.week - 1) * 7 + (weekday === 0 ? 7 : weekday), 3];
    case "D":
      return [weekday + 1, 1];
    case "ID":
      return [weekday === 0 ? 7 : weekday, 1];
    case "WW":
      return [Math.floor((dayOfYear - 1) / 7) + 1, 2];
    case "IW":
      return [iso.week, 2];
    case "W":
      return [Math.floor((shown.day - 1) / 7) + 1, 1];
    case "Q":
      return [Math.floor((shown.month - 1) / 3) + 1, 1];
    case "CC":
      return [
        shown.year > 0 ? Math.floor((shown.year - 1) / 100) + 1 : -Math.floor(-shown.year / 100) - 1,
        2,
      ];
    case "J":
      return [days + JULIAN_DAY_2000, 1];
    case "IYYY":
      return [isoYear, 4];
    case "IYY":
      return [isoYear % 1000, 3];
    case "IY":
      return [isoYear % 100, 2];
    case "I":
      return [isoYear % 10, 1];
    default:
      return undefined;
  }
}

function inCaseOf(item: Field, text: string): string {
  if (item.written === item.written.toUpperCase()) return text.toUpperCase();
  return item.written === item.written.toLowerCase() ? text.toLowerCase() : text;
}

function nameField(item: Field, shown: Shown): string {
  const pad = (text: string, width: number): string => (item.fill ? text : text.padEnd(width));
  const isMorning = ((shown.hour % 24) + 24) % 24 < 12;
  switch (item.name) {
    case "AM":
    case "PM":
      return inCaseOf(item, isMorning ? "AM" : "PM");
    case "A.M.":
    case "P.M.":
      return inCaseOf(item, isMorning ? "A.M." : "P.M.");
    case "Y,YYY": {
      const year = yearShown(shown.year, shown.days === undefined);
      return `${Math.floor(year / 1000)},${(year % 1000).toString().padStart(3, "0")}`;
    }
    case "RM":
      return shown.month === 0 ? "" : pad(inCaseOf(item, ROMAN[shown.month - 1] as string), 4);
    default:
      break;
  }
  if (shown.days === undefined) {
    throw invalidTemplate(
      "invalid format specification for an interval value",
      undefined,
      "Intervals are not tied to specific calendar dates.",
    );
  }
  const month = MONTH_NAMES[shown.month - 1] as string;
  const day = DAY_NAMES[dayOfWeek(shown.days)] as string;
  const offset = shown.offset === undefined ? undefined : formatOffset(shown.offset);
  switch (item.name) {
    case "MONTH":
      return pad(inCaseOf(item, month), 9);
    case "MON":
      return inCaseOf(item, month.slice(0, 3));
    case "DAY":
      return pad(inCaseOf(item, day), 9);
    case "DY":
      return inCaseOf(item, day.slice(0, 3));
    case "BC":
    case "AD":
      return inCaseOf(item, shown.year <= 0 ? "BC" : "AD");
    case "B.C.":
    case "A.D.":
      return inCaseOf(item, shown.year <= 0 ? "B.C." : "A.D.");
    case "TZ":
      return inCaseOf(item, shown.zoneName);
    case "OF":
      return offset ?? "+00";
    case "TZH":
      return (offset ?? "+00").slice(0, 3);
    case "TZM":
      return (offset ?? "").slice(4, 6).padStart(2, "0");
    default:
      throw notSupported(`template pattern "${item.written}"`);
  }
}

// Reading

interface Read {
  year?: number;
  /** Digits the year was given with: fewer than four are completed towards 2020. */
  yearDigits?: number;
  month?: number;
  day?: number;
  dayOfYear?: number;
  julian?: number;
  isoYear?: number;
  isoWeekNumber?: number;
  weekday?: number;
  week?: number;
  weekOfMonth?: number;
  century?: number;
  hour?: number;
  isTwelveHour?: boolean;
  isAfternoon?: boolean;
  minute?: number;
  second?: number;
  micros?: number;
  secondOfDay?: number;
  isBc?: boolean;
  offsetHours?: number;
  offsetMinutes?: number;
  offsetSign?: number;
}

const WIDTHS: Readonly<Record<string, number>> = {
  HH24: 2,
  HH12: 2,
  HH: 2,
  MI: 2,
  SS: 2,
  MS: 3,
  US: 6,
  SSSS: 5,
  SSSSS: 5,
  YYYY: 4,
  YYY: 3,
  YY: 2,
  Y: 1,
  MM: 2,
  DD: 2,
  DDD: 3,
  IDDD: 3,
  D: 1,
  ID: 1,
  WW: 2,
  IW: 2,
  W: 1,
  Q: 1,
  CC: 2,
  J: 20,
  IYYY: 4,
  IYY: 3,
  IY: 2,
  I: 1,
  TZH: 2,
  TZM: 2,
  FF1: 1,
  FF2: 2,
  FF3: 3,
  FF4: 4,
  FF5: 5,
  FF6: 6,
};

class TemplateReader {
  readonly #text: string;
  readonly #items: readonly TemplateItem[];
  readonly #read: Read = {};
  #at = 0;

  constructor(text: string, template: string) {
    this.#text = text;
    this.#items = dateTemplate(template);
  }

  read(): Read {
    this.#items.forEach((item, i) => {
      if (this.#at >= this.#text.length) return;
      if (item.kind === "literal") this.#literal(item);
      else this.#field(item, this.#items[i + 1]);
    });
    return this.#read;
  }

  #skipBlanks(): void {
    while (/\s/.test(this.#text[this.#at] ?? "")) this.#at += 1;
  }

  /** A separator or blank in the template stands for one separator or any blanks in the text; other text for itself. */
  #literal(item: Extract<TemplateItem, { kind: "literal" }>): void {
    if (!item.isSeparator) {
      this.#at += charactersOf(item.text).length;
      return;
    }
    this.#skipBlanks();
    if (/[^\sA-Za-z0-9+-]/.test(this.#text[this.#at] ?? "") || (this.#text[this.#at] ?? "") === "-")
      this.#at += 1;
    this.#skipBlanks();
  }

  #field(item: Field, next: TemplateItem | undefined): void {
    this.#skipBlanks();
    const width = WIDTHS[item.name];
    if (width === undefined) return this.#name(item);
    const isOpen =
      item.fill || next === undefined || next.kind === "literal" || WIDTHS[next.name] === undefined;
    const digits = this.#digits(item, isOpen ? 20 : width);
    if (item.ordinal !== undefined && /^[A-Za-z]{2}/.test(this.#text.slice(this.#at))) this.#at += 2;
    this.#assign(item.name, digits);
  }

  #digits(item: Field, width: number): string {
    const pattern = new RegExp(`^[+-]?\\d{1,${width}}`);
    const match = pattern.exec(this.#text.slice(this.#at));
    if (match === null) {
      const found = this.#text.slice(this.#at, this.#at + (WIDTHS[item.name] ?? 2));
      throw invalidTemplate(`invalid value "${found}" for "${item.written}"`, "Value must be an integer.");
    }
    this.#at += match[0].length;
    return match[0];
  }

  #assign(name: string, digits: string): void {
    const value = Number(digits);
    const read = this.#read;
    switch (name) {
      case "HH24":
        read.hour = value;
        return;
      case "HH12":
      case "HH":
        if (value < 1 || value > 12) {
          throw invalidTemplate(
            `hour "${value}" is invalid for the 12-hour clock`,
            undefined,
            "Use the 24-hour clock, or give an hour between 1 and 12.",
          );
        }
        read.hour = value;
        read.isTwelveHour = true;
        return;
      case "MI":
        read.minute = value;
        return;
      case "SS":
        read.second = value;
        return;
      case "SSSS":
      case "SSSSS":
        read.secondOfDay = value;
        return;
      case "YYYY":
      case "YYY":
      case "YY":
      case "Y":
        read.year = value;
        read.yearDigits = name === "YYYY" ? 4 : digits.length;
        return;
      case "IYYY":
      case "IYY":
      case "IY":
      case "I":
        read.isoYear = name === "IYYY" ? value : completeYear(value, digits.length);
        return;
      case "MM":
        read.month = value;
        return;
      case "DD":
        read.day = value;
        return;
      case "DDD":
      case "IDDD":
        read.dayOfYear = value;
        return;
      case "D":
        read.weekday = value === 1 ? 7 : value - 1;
        return;
      case "ID":
        read.weekday = value;
        return;
      case "WW":
        read.week = value;
        return;
      case "IW":
        read.isoWeekNumber = value;
        return;
      case "W":
        read.weekOfMonth = value;
        return;
      case "CC":
        read.century = value;
        return;
      case "J":
        read.julian = value;
        return;
      case "TZH":
        read.offsetSign = digits.startsWith("-") ? -1 : 1;
        read.offsetHours = Math.abs(value);
        return;
      case "TZM":
        read.offsetMinutes = value;
        return;
      case "MS":
      case "US":
      case "FF1":
      case "FF2":
      case "FF3":
      case "FF4":
      case "FF5":
      case "FF6":
        // A fraction: '1' for MS is a tenth of a second.
        read.micros = Math.round(Number(`0.${digits}`) * MICROS_PER_SECOND);
        return;
      default:
        // Q says nothing about the date.
        return;
    }
  }

  #name(item: Field): void {
    const rest = this.#text.slice(this.#at).toLowerCase();
    const find = (names: readonly string[]): number => {
      const index = names.findIndex((name) => rest.startsWith(name.toLowerCase()));
      if (index < 0) {
        const found = /^\S*/.exec(this.#text.slice(this.#at))?.[0] ?? "";
        throw invalidTemplate(
          `invalid value "${found}" for "${item.written}"`,
          "The given value did not match any of the allowed values for this field.",
        );
      }
      this.#at += (names[index] as string).length;
      return index;
    };
    switch (item.name) {
      case "MONTH":
        // Abbreviations are read as well.
        this.#read.month = (find([...MONTH_NAMES, ...MONTH_NAMES.map((name) => name.slice(0, 3))]) % 12) + 1;
        return;
      case "MON":
        this.#read.month = find(MONTH_NAMES.map((name) => name.slice(0, 3))) + 1;
        return;
      case "DAY":
        find([...DAY_NAMES, ...DAY_NAMES.map((name) => name.slice(0, 3))]);
        return;
      case "DY":
        find(DAY_NAMES.map((name) => name.slice(0, 3)));
        return;
      case "RM":
        this.#read.month = 12 - find(ROMAN.toReversed());
        return;
      case "AM":
      case "PM":
        this.#read.isAfternoon = find(["am", "pm"]) === 1;
        this.#read.isTwelveHour = true;
        return;
      case "A.M.":
      case "P.M.":
        this.#read.isAfternoon = find(["a.m.", "p.m."]) === 1;
        this.#read.isTwelveHour = true;
        return;
      case "BC":
      case "AD":
        this.#read.isBc = find(["bc", "ad"]) === 0;
        return;
      case "B.C.":
      case "A.D.":
        this.#read.isBc = find(["b.c.", "a.d."]) === 0;
        return;
      case "Y,YYY": {
        const match = /^(\d+),(\d{3})/.exec(rest);
        if (match === null) throw invalidTemplate('invalid input string for "Y,YYY"');
        this.#at += match[0].length;
        this.#read.year = Number(match[1]) * 1000 + Number(match[2]);
        this.#read.yearDigits = 4;
        return;
      }
      default:
        throw notSupported(`formatting field "${item.written}" in to_date and to_timestamp`);
    }
  }
}

/** Years of one to three digits: the one nearest to 2020 (adjust_partial_year_to_2020). */
function completeYear(year: number, digits: number): number {
  if (digits > 3) return year;
  if (year < 70) return year + 2000;
  if (year < 100) return year + 1900;
  return year < 520 ? year + 2000 : year + 1000;
}

function fieldOverflow(text: string): SqlError {
  return new SqlError(SqlState.datetimeFieldOverflow, `date/time field value out of range: "${text}"`);
}

function dayOf(read: Read, text: string): number {
  if (read.julian !== undefined) return read.julian - JULIAN_DAY_2000;
  if (read.isoYear !== undefined) {
    const fourth = daysFromCivil(read.isoYear, 1, 4);
    const monday = fourth - ((dayOfWeek(fourth) + 6) % 7);
    if (read.dayOfYear !== undefined) return monday + read.dayOfYear - 1;
    return monday + ((read.isoWeekNumber ?? 1) - 1) * 7 + (read.weekday ?? 1) - 1;
  }
  let year = read.year === undefined ? 0 : completeYear(read.year, read.yearDigits ?? 4);
  if (read.century !== undefined) {
    year =
      read.year === undefined
        ? (read.century - 1) * 100 + 1
        : (read.century - 1) * 100 + (read.year % 100 === 0 ? 100 : read.year % 100);
  }
  if (read.isBc === true && year > 0) year = 1 - year;
  if (read.dayOfYear !== undefined) {
    if (read.dayOfYear < 1 || read.dayOfYear > 366) throw fieldOverflow(text);
    return daysFromCivil(year, 1, 1) + read.dayOfYear - 1;
  }
  if (read.week !== undefined) return daysFromCivil(year, 1, 1) + (read.week - 1) * 7;
  const month = read.month ?? 1;
  const day = read.day ?? (read.weekOfMonth === undefined ? 1 : (read.weekOfMonth - 1) * 7 + 1);
  if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) throw fieldOverflow(text);
  return daysFromCivil(year, month, day);
}

function microsOf(read: Read, text: string): number {
  let hour = read.hour ?? 0;
  if (read.isTwelveHour === true && read.hour !== undefined && read.isAfternoon !== undefined) {
    hour = (hour % 12) + (read.isAfternoon ? 12 : 0);
  } else if (read.isTwelveHour === true && hour === 12 && read.isAfternoon === undefined) hour = 0;
  const [minute, second] = [read.minute ?? 0, read.second ?? 0];
  if (hour > 24 || minute > 59 || second > 59 || hour < 0 || (hour === 24 && minute + second > 0))
    throw fieldOverflow(text);
  const total =
    read.secondOfDay === undefined
      ? hour * MICROS_PER_HOUR + minute * MICROS_PER_MINUTE + second * MICROS_PER_SECOND
      : read.secondOfDay * MICROS_PER_SECOND;
  return total + (read.micros ?? 0);
}

function toTimestamp(text: string, template: string, call: Parameters<typeof zoneOf>[0]): Timestamp {
  const read = new TemplateReader(text, template).read();
  const days = dayOf(read, text);
  const micros = microsOf(read, text);
  if (read.offsetHours === undefined) return fromLocal(zoneOf(call), days, micros);
  const offset = (read.offsetSign ?? 1) * (read.offsetHours * 3600 + (read.offsetMinutes ?? 0) * 60);
  return joinTimestamp(days, micros - offset * MICROS_PER_SECOND);
}

function toDate(text: string, template: string): number {
  const days = dayOf(new TemplateReader(text, template).read(), text);
  if (!isDateInRange(days))
    throw new SqlError(SqlState.datetimeFieldOverflow, `date out of range: "${text}"`);
  return days;
}

export const toCharDateFunctions: BodyTable = {
  timestamp_to_char: binary<Timestamp, string>((value, template) => {
    if (template === "" || !isFiniteTimestamp(value)) return null;
    const { days, micros } = splitTimestamp(value);
    return render(template, shownTimestamp(days, micros, undefined, ""));
  }),
  timestamptz_to_char: binary<Timestamp, string>((value, template, call) => {
    if (template === "" || !isFiniteTimestamp(value)) return null;
    const zone = zoneOf(call);
    const { days, micros, offset } = toLocal(zone, value);
    return render(template, shownTimestamp(days, micros, offset, zone.abbreviationAt(value)));
  }),
  interval_to_char: binary<Interval, string>((value, template) => {
    if (template === "") return null;
    const { years, months, days, hours, minutes, seconds, micros } = intervalParts(value);
    return render(template, {
      year: years,
      month: months,
      day: days,
      hour: hours,
      minute: minutes,
      second: seconds,
      micros,
      days: undefined,
      offset: undefined,
      zoneName: "",
    });
  }),
  to_timestamp: binary<string, string>(toTimestamp),
  to_date: binary<string, string>(toDate),
};
