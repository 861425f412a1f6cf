// Time zones: IANA names through Intl, and fixed offsets. Offsets are asked from Intl once per zone and UTC day and
// remembered, because a formatter call costs microseconds; a day whose two ends have different offsets is asked
// for exactly. Times are microseconds since 2000-01-01.
import { SqlError, SqlState } from "../error.ts";
import {
  MICROS_PER_DAY,
  MICROS_PER_SECOND,
  UNIX_EPOCH_DAYS,
  joinTimestamp,
  splitTimestamp,
} from "./calendar.ts";
import { abbreviationOffset } from "./time-zone-abbreviations.ts";

/** Remembered days per zone; dropped all at once when full. */
const MAX_CACHED_DAYS = 20_000;
const DAYS_PER_CYCLE = 146_097;
/** Intl knows the years 100 .. 9999 without surprises. */
const FIRST_DAY = -690_000;
const LAST_DAY = 2_900_000;
/** POSIX and PostgreSQL allow offsets below this, in seconds. */
const MAX_OFFSET_SECONDS = 168 * 3600;

export interface Zone {
  readonly name: string;
  /** Seconds east of UTC at an instant. */
  offsetAt(utc: number | bigint): number;
  /** The abbreviation printed by the DateStyles other than ISO. */
  abbreviationAt(utc: number | bigint): string;
}

class FixedZone implements Zone {
  readonly name: string;
  readonly #offset: number;
  constructor(name: string, offset: number) {
    this.name = name;
    this.#offset = offset;
  }
  offsetAt(): number {
    return this.#offset;
  }
  abbreviationAt(): string {
    return this.#offset === 0 && /^[A-Za-z]+$/.test(this.name) ? this.name : formatOffset(this.#offset);
  }
}

class IanaZone implements Zone {
  readonly name: string;
  readonly #format: Intl.DateTimeFormat;
  #abbreviations: Intl.DateTimeFormat | undefined;
  readonly #days = new Map<number, number>();

  constructor(name: string, format: Intl.DateTimeFormat) {
    this.name = name;
    this.#format = format;
  }

  offsetAt(utc: number | bigint): number {
    const { days, micros } = splitTimestamp(utc);
    const day = knownDay(days);
    let start = this.#days.get(day);
    if (start === undefined) start = this.#remember(day, this.#ask(day, 0));
    let end = this.#days.get(day + 1);
    if (end === undefined) end = this.#remember(day + 1, this.#ask(day + 1, 0));
    return start === end ? start : this.#ask(day, micros);
  }

  #remember(day: number, offset: number): number {
    if (this.#days.size >= MAX_CACHED_DAYS) this.#days.clear();
    this.#days.set(day, offset);
    return offset;
  }

  #ask(day: number, micros: number): number {
    const second = Math.floor(micros / MICROS_PER_SECOND);
    const utcMs = (day + UNIX_EPOCH_DAYS) * 86_400_000 + second * 1000;
    const fields = new Map(this.#format.formatToParts(utcMs).map((part) => [part.type, part.value]));
    const field = (name: Intl.DateTimeFormatPartTypes): number => Number(fields.get(name));
    const local = Date.UTC(
      2000,
      field("month") - 1,
      field("day"),
      field("hour"),
      field("minute"),
      field("second"),
    );
    // Date.UTC reads years below 100 as 19xx, so the year is put in apart.
    const shown = new Date(local).setUTCFullYear(field("year"), field("month") - 1, field("day"));
    return Math.round((shown - utcMs) / 1000);
  }

  abbreviationAt(utc: number | bigint): string {
    this.#abbreviations ??= new Intl.DateTimeFormat("en-US", { timeZone: this.name, timeZoneName: "short" });
    const { days, micros } = splitTimestamp(utc);
    const utcMs = (knownDay(days) + UNIX_EPOCH_DAYS) * 86_400_000 + Math.floor(micros / 1000);
    const part = this.#abbreviations.formatToParts(utcMs).find((item) => item.type === "timeZoneName");
    const text = part?.value ?? "";
    return /^[A-Z]+$/.test(text) && text !== "GMT"
      ? text
      : this.name === "UTC"
        ? "UTC"
        : formatOffset(this.offsetAt(utc));
  }
}

/** A day whose rules are those of `days`: the calendar repeats every 400 years, and before the year 100 nothing changes. */
function knownDay(days: number): number {
  if (days <= LAST_DAY) return Math.max(days, FIRST_DAY);
  return days - Math.ceil((days - LAST_DAY) / DAYS_PER_CYCLE) * DAYS_PER_CYCLE;
}

const zones = new Map<string, Zone | undefined>();
/** Names come from users; the map is emptied when somebody tries this many. */
const MAX_CACHED_ZONES = 1000;

/** An IANA name in any case, or "+03", "-05:30" (east positive), or the POSIX form "<+03>-03". undefined = unknown. */
export function findZone(name: string): Zone | undefined {
  if (zones.has(name)) return zones.get(name);
  if (zones.size >= MAX_CACHED_ZONES) zones.clear();
  const zone = makeZone(name);
  zones.set(name, zone);
  return zone;
}

function makeZone(name: string): Zone | undefined {
  const fixed = /^(?:<([+-]\d{2}(?::\d{2}){0,2})>[+-]\d.*|([+-]\d{1,2}(?::\d{2}){0,2}))$/.exec(name);
  if (fixed !== null) {
    const seconds = offsetSeconds((fixed[1] ?? fixed[2]) as string);
    return seconds === undefined ? undefined : new FixedZone(name, seconds);
  }
  if (!/^[A-Za-z][A-Za-z0-9_+\-/]*$/.test(name)) return undefined;
  if (/^(?:utc|gmt|zulu|uct|etc\/utc|etc\/uct|etc\/gmt|universal|etc\/universal)$/i.test(name)) {
    return new FixedZone(/gmt/i.test(name) ? "GMT" : "UTC", 0);
  }
  try {
    const format = new Intl.DateTimeFormat("en-US", {
      timeZone: name,
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
    return new IanaZone(format.resolvedOptions().timeZone, format);
  } catch {
    return undefined;
  }
}

/** The zone of a session setting, which SET has already checked. */
export function sessionZone(name: string): Zone {
  const zone = findZone(name);
  if (zone === undefined) throw unknownZone(name);
  return zone;
}

/**
 * The zone of AT TIME ZONE and make_timestamptz: an abbreviation, an IANA name, or a number, which here is POSIX, west
 * positive, as PostgreSQL reads it.
 */
export function namedZone(name: string): Zone {
  const offset = abbreviationOffset(name);
  if (offset !== undefined) return new FixedZone(name.toUpperCase(), offset);
  const isNumber = /^[+-]\d/.test(name);
  const zone = isNumber ? findZone((name.startsWith("-") ? "+" : "-") + name.slice(1)) : findZone(name);
  if (zone === undefined) throw unknownZone(name);
  return zone;
}

/** A fixed number of seconds east of UTC. */
export function fixedZone(seconds: number): Zone {
  return new FixedZone(formatOffset(seconds), seconds);
}

export function unknownZone(name: string): SqlError {
  return new SqlError(SqlState.invalidParameterValue, `time zone "${name}" not recognized`);
}

/** "+hh", "+hh:mm", "+hhmm", "+hh:mm:ss" as seconds east; undefined = malformed or too large. */
export function offsetSeconds(text: string): number | undefined {
  const match =
    /^([+-])(\d{1,2})(?::(\d{1,2})(?::(\d{1,2}))?)?$/.exec(text) ??
    /^([+-])(\d{1,2}?)(\d{2})(\d{2})?$/.exec(text);
  if (match === null) return undefined;
  const minutes = Number(match[3] ?? 0);
  const seconds = Number(match[4] ?? 0);
  if (Number(match[2]) > 15 || minutes > 59 || seconds > 59) return undefined;
  const total = Number(match[2]) * 3600 + minutes * 60 + seconds;
  if (total > MAX_OFFSET_SECONDS) return undefined;
  return match[1] === "-" ? -total : total;
}

/** +hh, +hh:mm or +hh:mm:ss. */
export function formatOffset(seconds: number): string {
  const two = (value: number): string => value.toString().padStart(2, "0");
  const magnitude = Math.abs(seconds);
  let text = (seconds < 0 ? "-" : "+") + two(Math.floor(magnitude / 3600));
  if (magnitude % 3600 !== 0) text += `:${two(Math.floor((magnitude % 3600) / 60))}`;
  if (magnitude % 60 !== 0) text += `:${two(magnitude % 60)}`;
  return text;
}

/**
 * Offset in force for a local time. Where clocks jump forward the skipped hour is read with the offset before the jump;
 * where they go back the repeated hour is standard time (DetermineTimeZoneOffset).
 */
export function offsetForLocal(zone: Zone, days: number, micros: number): number {
  const at = (offset: number): number => {
    const utc = tryAt(days, micros - offset * MICROS_PER_SECOND);
    return zone.offsetAt(utc);
  };
  const before = zone.offsetAt(tryAt(days - 1, micros));
  const after = zone.offsetAt(tryAt(days + 1, micros));
  if (before === after) return before;
  const isBefore = at(before) === before;
  const isAfter = at(after) === after;
  if (isBefore && !isAfter) return before;
  if (isAfter) return after;
  return before;
}

function tryAt(days: number, micros: number): number | bigint {
  const clamped = Math.min(Math.max(days, -2_400_000), 106_000_000);
  return joinTimestamp(clamped, micros);
}

/** Local wall-clock time of an instant, as days and microseconds. */
export function toLocal(
  zone: Zone,
  utc: number | bigint,
): { readonly days: number; readonly micros: number; readonly offset: number } {
  const offset = zone.offsetAt(utc);
  const { days, micros } = splitTimestamp(utc);
  const shifted = micros + offset * MICROS_PER_SECOND;
  const carry = Math.floor(shifted / MICROS_PER_DAY);
  return { days: days + carry, micros: shifted - carry * MICROS_PER_DAY, offset };
}

/** The instant of a local wall-clock time; 22008 outside the range. */
export function fromLocal(zone: Zone, days: number, micros: number): number | bigint {
  return joinTimestamp(days, micros - offsetForLocal(zone, days, micros) * MICROS_PER_SECOND);
}
