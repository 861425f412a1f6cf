// Text input of date, time, timestamp and timestamptz: PostgreSQL's two steps (ParseDateTime cuts the text into fields,
// DecodeDateTime gives each a meaning by what is already known), so that '1999-01-08', 'January 8, 1999', '08-Jan-99',
// '19990108T040506Z', 'J2451187' and '8/1/99 BC' all read as they do there.
// Output is a DecodedDateTime; the types turn it into values. No arithmetic with zones here.
import { SqlError, SqlState } from "../error.ts";
import {
  MICROS_PER_HOUR,
  MICROS_PER_MINUTE,
  MICROS_PER_SECOND,
  civilFromDays,
  daysInMonth,
  JULIAN_DAY_2000,
} from "./calendar.ts";
import { type Zone, findZone, fixedZone, offsetSeconds, unknownZone } from "./time-zone.ts";
import { abbreviationOffset } from "./time-zone-abbreviations.ts";
import type { TypeContext } from "./type.ts";

export type SpecialDate = "infinity" | "-infinity" | "epoch" | "now" | "today" | "tomorrow" | "yesterday";

export interface DecodedDateTime {
  readonly special: SpecialDate | undefined;
  /** Astronomical year; undefined when the text has no date. */
  readonly year: number | undefined;
  readonly month: number;
  readonly day: number;
  readonly micros: number;
  readonly hasTime: boolean;
  readonly zone: Zone | undefined;
}

/** Longest text read; PostgreSQL's work buffer is MAXDATELEN + MAXDATEFIELDS. */
const MAX_TEXT_LENGTH = 153;
const MAX_FIELDS = 25;

type FieldKind = "date" | "time" | "number" | "word" | "zone" | "special";
interface Field {
  readonly kind: FieldKind;
  readonly text: string;
}

const MONTHS: ReadonlyMap<string, number> = new Map(
  ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
    .map((name, i): [string, number] => [name, i + 1])
    .concat([
      ["january", 1],
      ["february", 2],
      ["march", 3],
      ["april", 4],
      ["june", 6],
      ["july", 7],
      ["august", 8],
      ["sept", 9],
      ["september", 9],
      ["october", 10],
      ["november", 11],
      ["december", 12],
    ]),
);
const WEEKDAYS = new Set(
  "sun sunday mon monday tue tues tuesday wed wednesday weds thu thur thurs thursday fri friday sat saturday".split(
    " ",
  ),
);
const IGNORED = new Set(["at", "on"]);

/** Throws 22007 for text that is no date or time and 22008 for fields out of range; `typeName` goes into the message. */
export function parseDateTime(text: string, typeName: string, context: TypeContext): DecodedDateTime {
  const common = parseIso(text);
  if (common !== undefined) return common;
  if (text.length > MAX_TEXT_LENGTH) throw invalid(text, typeName);
  return new Decoder(text, typeName, context).decode(splitFields(text, typeName));
}

const ISO =
  /^(\d{4})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d)(\.\d{1,9})?)?(?:(Z)|([+-]\d\d(?::?\d\d)?))?)?$/;

/** What drivers and COPY files write, without cutting it into fields; undefined = anything else, errors included. */
function parseIso(text: string): DecodedDateTime | undefined {
  const match = ISO.exec(text);
  if (match === null) return undefined;
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])];
  const [hour, minute, second] = [Number(match[4] ?? 0), Number(match[5] ?? 0), Number(match[6] ?? 0)];
  if (year === 0 || month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return undefined;
  if (hour > 23 || minute > 59 || second > 59) return undefined;
  const fraction = match[7] === undefined ? 0 : Math.round(Number(`0${match[7]}`) * MICROS_PER_SECOND);
  const micros = hour * MICROS_PER_HOUR + minute * MICROS_PER_MINUTE + second * MICROS_PER_SECOND + fraction;
  const offset = match[9] === undefined ? undefined : offsetSeconds(match[9]);
  if (match[9] !== undefined && offset === undefined) return undefined;
  const zone = match[8] !== undefined ? UTC : offset === undefined ? undefined : fixedZone(offset);
  return { special: undefined, year, month, day, micros, hasTime: match[4] !== undefined, zone };
}

const UTC = fixedZone(0);

function invalid(text: string, typeName: string): SqlError {
  return new SqlError(SqlState.invalidDatetimeFormat, `invalid input syntax for type ${typeName}: "${text}"`);
}

function splitFields(text: string, typeName: string): Field[] {
  const fields: Field[] = [];
  const patterns: readonly (readonly [FieldKind, RegExp])[] = [
    ["time", /\d+:[\d:.]*/y],
    ["date", /\d+([-/.])\d+\1[\d\-/.]*|\d+[-/]\d+|\d+([-/.])[a-z][a-z0-9]*(?:[-/.][a-z0-9]*)*/y],
    ["number", /\d+\.\d*|\d+|\.\d+/y],
    ["date", /[a-z]+[-/.][a-z0-9+\-/_.:]*/y],
    ["date", /[a-z]+\/[a-z0-9+\-/_.:]*/y],
    ["word", /[a-z]+/y],
    ["special", /[+-]\s*[a-z]+/y],
    ["zone", /[+-]\s*\d[\d:.-]*/y],
  ];
  const lower = text.toLowerCase();
  let at = 0;
  scan: while (at < lower.length) {
    if (/[\s,;()]/.test(lower[at] as string)) {
      at += 1;
      continue;
    }
    for (const [kind, pattern] of patterns) {
      pattern.lastIndex = at;
      const match = pattern.exec(lower);
      if (match === null) continue;
      fields.push({ kind, text: match[0].replace(/\s+/g, "") });
      if (fields.length > MAX_FIELDS) throw invalid(text, typeName);
      at += match[0].length;
      continue scan;
    }
    throw invalid(text, typeName);
  }
  return fields;
}

class Decoder {
  readonly #text: string;
  readonly #typeName: string;
  readonly #context: TypeContext;
  #special: SpecialDate | undefined;
  #year: number | undefined;
  #month: number | undefined;
  #day: number | undefined;
  /** Digits the year was written with: two are windowed to 1970..2069. */
  #yearDigits = 0;
  #hasTextMonth = false;
  #isBc = false;
  #micros: number | undefined;
  #meridiem: "am" | "pm" | undefined;
  #zone: Zone | undefined;
  #dayOfYear: number | undefined;
  #julian: number | undefined;
  /** A "t" or "j" was just read: the next number is a time or a Julian day. */
  #expect: "time" | "julian" | undefined;

  constructor(text: string, typeName: string, context: TypeContext) {
    this.#text = text;
    this.#typeName = typeName;
    this.#context = context;
  }

  decode(fields: readonly Field[]): DecodedDateTime {
    if (fields.length === 0) throw this.#invalid();
    fields.forEach((field, i) => this.#field(field, i, fields));
    if (this.#expect !== undefined) throw this.#invalid();
    return this.#result();
  }

  #invalid(): SqlError {
    return invalid(this.#text, this.#typeName);
  }

  #overflow(): SqlError {
    return new SqlError(
      SqlState.datetimeFieldOverflow,
      `date/time field value out of range: "${this.#text}"`,
    );
  }

  /** Month and day may have been swapped by the DateStyle. */
  #monthDayOverflow(): SqlError {
    return new SqlError(
      SqlState.datetimeFieldOverflow,
      `date/time field value out of range: "${this.#text}"`,
      {
        hint: 'Perhaps you need a different "datestyle" setting.',
      },
    );
  }

  #field(field: Field, index: number, fields: readonly Field[]): void {
    switch (field.kind) {
      case "time":
        return this.#time(field.text);
      case "date":
        return this.#date(field.text, index, fields);
      case "number":
        return this.#number(field.text, fields[index + 1]);
      case "zone":
        return this.#offset(field.text);
      case "special":
        if (field.text === "-infinity") return this.#setSpecial("-infinity");
        if (field.text === "+infinity") return this.#setSpecial("infinity");
        throw this.#invalid();
      case "word":
        return this.#word(field.text);
    }
  }

  #setSpecial(special: SpecialDate): void {
    if (this.#special !== undefined || this.#year !== undefined) throw this.#invalid();
    this.#special = special;
  }

  #hasDate(): boolean {
    return (
      (this.#year !== undefined && this.#month !== undefined && this.#day !== undefined) ||
      this.#julian !== undefined ||
      this.#dayOfYear !== undefined
    );
  }

  #time(text: string): void {
    if (this.#micros !== undefined) throw this.#invalid();
    const match = /^(\d+):(\d+)(?::(\d+)(\.\d*)?|(\.\d*))?$/.exec(text);
    if (match === null) throw this.#invalid();
    this.#expect = undefined;
    // "mm:ss.ffffff": a fraction right after two parts makes them minutes and seconds only in intervals.
    if (match[5] !== undefined) throw this.#invalid();
    this.#setTime(Number(match[1]), Number(match[2]), Number(match[3] ?? 0), match[4]);
  }

  #setTime(hour: number, minute: number, second: number, fraction: string | undefined): void {
    const micros =
      fraction === undefined || fraction === "." ? 0 : Math.round(Number(`0${fraction}`) * MICROS_PER_SECOND);
    const total = hour * MICROS_PER_HOUR + minute * MICROS_PER_MINUTE + second * MICROS_PER_SECOND + micros;
    if (minute > 59 || second > 60 || hour > 24 || total > 24 * MICROS_PER_HOUR) throw this.#overflow();
    this.#micros = total;
  }

  #offset(text: string): void {
    if (this.#zone !== undefined && !(this.#zone.offsetAt(0) === 0)) throw this.#invalid();
    const seconds = offsetSeconds(text);
    if (seconds === undefined) {
      if (/^[+-]\d[\d:]*$/.test(text)) {
        throw new SqlError(
          SqlState.invalidTimeZoneDisplacementValue,
          `time zone displacement out of range: "${this.#text}"`,
        );
      }
      throw this.#invalid();
    }
    this.#zone = fixedZone(seconds);
  }

  #word(word: string): void {
    const month = MONTHS.get(word);
    if (month !== undefined) return this.#textMonth(month);
    switch (word) {
      case "infinity":
      case "inf":
        return this.#setSpecial("infinity");
      case "epoch":
      case "now":
      case "today":
      case "tomorrow":
      case "yesterday":
        if (word === "now") this.#micros = 0;
        return this.#setSpecial(word);
      case "allballs":
        this.#micros = 0;
        this.#zone = fixedZone(0);
        return;
      case "am":
      case "pm":
        this.#meridiem = word;
        return;
      case "ad":
        return;
      case "bc":
        this.#isBc = true;
        return;
      case "t":
        if (!this.#hasDate()) throw this.#invalid();
        this.#expect = "time";
        return;
      case "j":
      case "jd":
      case "julian":
        this.#expect = "julian";
        return;
      case "dst":
        if (this.#zone === undefined) throw this.#invalid();
        this.#zone = fixedZone(this.#zone.offsetAt(0) + 3600);
        return;
      default:
        break;
    }
    if (WEEKDAYS.has(word) || IGNORED.has(word)) return;
    const offset = abbreviationOffset(word);
    if (offset !== undefined) {
      if (this.#zone !== undefined) throw this.#invalid();
      this.#zone = fixedZone(offset);
      return;
    }
    this.#namedZone(word);
  }

  #namedZone(name: string): void {
    const zone = /^[a-z]{3,}/.test(name) && this.#zone === undefined ? findZone(name) : undefined;
    if (zone === undefined) {
      if (name.includes("/")) throw unknownZone(name);
      throw this.#invalid();
    }
    this.#zone = zone;
  }

  #textMonth(month: number): void {
    if (this.#hasTextMonth) throw this.#invalid();
    // A number taken for the month before its name came was the day: "8 January 1999".
    if (this.#month !== undefined && this.#day === undefined) this.#day = this.#month;
    else if (this.#month !== undefined) throw this.#invalid();
    this.#hasTextMonth = true;
    this.#month = month;
  }

  /** Fields joined by '-', '/' or '.'; also the basic-format time with offset, and zone names with a slash. */
  #date(text: string, index: number, fields: readonly Field[]): void {
    if (this.#hasDate() || this.#expect === "time") {
      const basic = /^(\d{4}|\d{6})([+-]\d.*)$/.exec(text);
      if (basic !== null) {
        this.#number(basic[1] as string, fields[index + 1]);
        return this.#offset(basic[2] as string);
      }
      if (/^[a-z]/.test(text)) return this.#namedZone(text);
      throw this.#invalid();
    }
    if (/^[a-z]+\//.test(text) || (/^[a-z]/.test(text) && !MONTHS.has(/^[a-z]+/.exec(text)?.[0] ?? ""))) {
      return this.#namedZone(text);
    }
    const julian = /^(\d{4,})[-.](\d{3})$/.exec(text);
    if (julian !== null) {
      this.#year = Number(julian[1]);
      this.#yearDigits = 4;
      this.#dayOfYear = Number(julian[2]);
      return;
    }
    for (const part of text.split(/[-/.]/)) {
      if (part === "") throw this.#invalid();
      const month = MONTHS.get(part);
      if (month !== undefined) this.#textMonth(month);
    }
    for (const part of text.split(/[-/.]/)) {
      if (MONTHS.has(part)) continue;
      if (!/^\d+$/.test(part)) throw this.#invalid();
      this.#datePart(part);
    }
  }

  /** One of year, month, day, by length, DateStyle and what is known (DecodeNumber). */
  #datePart(digits: string): void {
    const value = Number(digits);
    const known =
      (this.#year === undefined ? 0 : 1) +
      (this.#month === undefined ? 0 : 2) +
      (this.#day === undefined ? 0 : 4);
    const setYear = (): void => {
      this.#year = value;
      this.#yearDigits = digits.length;
    };
    if (digits.length === 3 && known === 1) {
      this.#dayOfYear = value;
      return;
    }
    switch (known) {
      case 0:
        if (digits.length >= 3 || this.#context.dateStyle.order === "YMD") return setYear();
        if (this.#context.dateStyle.order === "DMY") this.#day = value;
        else this.#month = value;
        return;
      case 1:
        this.#month = value;
        return;
      case 2:
        if (this.#hasTextMonth) {
          if (digits.length >= 3 || this.#context.dateStyle.order === "YMD") return setYear();
        }
        this.#day = value;
        return;
      case 3:
        if (this.#hasTextMonth && digits.length >= 3 && this.#yearDigits <= 2) {
          // "08-Jan-1999" read with YMD: the two-digit number was the day.
          this.#day = this.#year;
          return setYear();
        }
        this.#day = value;
        return;
      case 4:
        this.#month = value;
        return;
      case 6:
        return setYear();
      default:
        throw this.#invalid();
    }
  }

  #number(text: string, next: Field | undefined): void {
    if (this.#expect === "julian") {
      this.#expect = undefined;
      const [days, fraction] = text.split(".");
      this.#julian = Number(days);
      if (fraction !== undefined && fraction !== "")
        this.#micros = Math.round(Number(`0.${fraction}`) * 24 * MICROS_PER_HOUR);
      return;
    }
    const [digits, fraction] = text.split(".") as [string, string | undefined];
    if (
      this.#expect === "time" ||
      (this.#hasDate() && this.#micros === undefined && (digits.length === 6 || digits.length === 4))
    ) {
      this.#expect = undefined;
      return this.#concatenatedTime(digits, fraction);
    }
    if (fraction !== undefined) {
      if (digits.length === 8 && !this.#hasDate()) throw this.#invalid();
      return this.#fractional(text, digits, fraction);
    }
    // "4 am", "04 PM"
    if ((next?.text === "am" || next?.text === "pm") && this.#micros === undefined && this.#hasDate()) {
      return this.#setTime(Number(digits), 0, 0, undefined);
    }
    if (
      this.#typeName === "time" &&
      this.#micros === undefined &&
      (digits.length === 6 || digits.length === 4)
    ) {
      return this.#concatenatedTime(digits, undefined);
    }
    if (
      !this.#hasDate() &&
      this.#year === undefined &&
      this.#month === undefined &&
      (digits.length === 8 || digits.length === 6)
    ) {
      return this.#concatenatedDate(digits);
    }
    if (digits.length > 8 && this.#year === undefined && this.#month === undefined) throw this.#invalid();
    if (this.#hasDate()) throw this.#invalid();
    this.#datePart(digits);
  }

  #fractional(text: string, digits: string, fraction: string): void {
    const parts = /^(\d{2})\.(\d{2})$/.exec(text);
    if (parts !== null && !this.#hasDate()) {
      this.#datePart(digits);
      return this.#datePart(fraction);
    }
    if (/^\d{4}\.\d{3}$/.test(text)) {
      this.#year = Number(digits);
      this.#yearDigits = 4;
      this.#dayOfYear = Number(fraction);
      return;
    }
    throw this.#invalid();
  }

  #concatenatedTime(digits: string, fraction: string | undefined): void {
    if (this.#micros !== undefined || (digits.length !== 6 && digits.length !== 4 && digits.length !== 2))
      throw this.#invalid();
    const part = (at: number): number => Number(digits.slice(at, at + 2) || 0);
    this.#setTime(part(0), part(2), part(4), fraction === undefined ? undefined : `.${fraction}`);
  }

  #concatenatedDate(digits: string): void {
    const yearLength = digits.length - 4;
    this.#year = Number(digits.slice(0, yearLength));
    this.#yearDigits = yearLength;
    this.#month = Number(digits.slice(yearLength, yearLength + 2));
    this.#day = Number(digits.slice(yearLength + 2));
  }

  #result(): DecodedDateTime {
    this.#applyMeridiem();
    const base = { micros: this.#micros ?? 0, hasTime: this.#micros !== undefined, zone: this.#zone };
    if (this.#special !== undefined) {
      return { special: this.#special, year: undefined, month: 1, day: 1, ...base };
    }
    if (this.#julian !== undefined) {
      const date = civilFromDays(this.#julian - JULIAN_DAY_2000);
      return { special: undefined, ...date, ...base };
    }
    if (this.#year === undefined && this.#month === undefined && this.#day === undefined) {
      if (this.#micros === undefined) throw this.#invalid();
      return { special: undefined, year: undefined, month: 1, day: 1, ...base };
    }
    return { special: undefined, ...this.#civil(), ...base };
  }

  #applyMeridiem(): void {
    if (this.#meridiem === undefined || this.#micros === undefined) return;
    const hour = Math.floor(this.#micros / MICROS_PER_HOUR);
    if (hour > 12) throw this.#overflow();
    if (this.#meridiem === "pm" && hour !== 12) this.#micros += 12 * MICROS_PER_HOUR;
    if (this.#meridiem === "am" && hour === 12) this.#micros -= 12 * MICROS_PER_HOUR;
  }

  #civil(): { readonly year: number; readonly month: number; readonly day: number } {
    let year = this.#year;
    if (year === undefined) throw this.#invalid();
    if (this.#isBc) {
      if (year <= 0) throw this.#overflow();
      year = 1 - year;
    } else if (this.#yearDigits <= 2) year += year < 70 ? 2000 : 1900;
    else if (year === 0) throw this.#overflow();
    if (this.#dayOfYear !== undefined) return dateOfYear(year, this.#dayOfYear, this.#overflow());
    const { month, day } = { month: this.#month, day: this.#day };
    if (month === undefined || day === undefined) throw this.#invalid();
    if (month < 1 || month > 12) throw this.#monthDayOverflow();
    if (day < 1 || day > 31) throw this.#monthDayOverflow();
    if (day > daysInMonth(year, month)) throw this.#overflow();
    return { year, month, day };
  }
}

function dateOfYear(
  year: number,
  dayOfYear: number,
  error: SqlError,
): { year: number; month: number; day: number } {
  let day = dayOfYear;
  for (let month = 1; month <= 12; month++) {
    const length = daysInMonth(year, month);
    if (day >= 1 && day <= length) return { year, month, day };
    day -= length;
  }
  throw error;
}
