// Settings whose values mean something to us beyond their type: PostgreSQL's check hooks. A check gives the value's
// canonical spelling or throws 22023 (0A000 where the value is right but not served).
import { notSupported } from "../common/error.ts";
import type { SettingDefinition } from "./setting-definitions.ts";
import { invalidValue } from "./setting-values.ts";

type Check = (name: string, value: string) => string;

/** Checks keyed by lower-case name. */
const CHECKS: Readonly<Record<string, Check>> = {
  datestyle: checkDateStyle,
  timezone: checkTimeZone,
  client_encoding: checkEncoding,
  standard_conforming_strings: (name, value) => onlyOn(name, value),
  application_name: (_name, value) => value.replace(/[^\x20-\x7e]/g, "?"),
  role: (name, value) => {
    if (value !== "none") throw notSupported(`SET ROLE to "${value}"`);
    return name === "role" ? "none" : value;
  },
};

export function checkSetting(definition: SettingDefinition, value: string): string {
  const check = CHECKS[definition.name.toLowerCase()];
  return check === undefined ? value : check(definition.name, value);
}

const STYLES: Readonly<Record<string, string>> = {
  iso: "ISO",
  sql: "SQL",
  postgres: "Postgres",
  german: "German",
};

const ORDERS: Readonly<Record<string, string>> = {
  ymd: "YMD",
  dmy: "DMY",
  euro: "DMY",
  european: "DMY",
  mdy: "MDY",
  us: "MDY",
  noneuropean: "MDY",
  noneuro: "MDY",
};

/** "iso", "sql, dmy", "european" ...: what is not said stays ISO and MDY (German implies DMY). */
function checkDateStyle(name: string, value: string): string {
  let style: string | undefined;
  let order: string | undefined;
  for (const word of value.split(",")) {
    const key = word.trim().toLowerCase();
    if (key === "default") continue;
    const asStyle = Object.entries(STYLES).find(([start]) => key.startsWith(start))?.[1];
    const asOrder = ORDERS[key];
    if (asStyle !== undefined) {
      style = asStyle;
      if (style === "German") order ??= "DMY";
    } else if (asOrder !== undefined) order = asOrder;
    else throw invalidValue(name, value, { detail: `Unrecognized key word: "${word.trim()}".` });
  }
  return `${style ?? "ISO"}, ${order ?? "MDY"}`;
}

let zoneNames: Map<string, string> | undefined;

/** IANA names in any case, or a number of hours, stored in PostgreSQL's POSIX spelling. */
function checkTimeZone(name: string, value: string): string {
  const hours = /^([-+]?)(\d{1,2})(?:\.(\d+))?$/.exec(value.trim());
  if (hours !== null) return posixZone(Number(value));
  const offset = /^<([-+]\d{2}(?::\d{2})?)>[-+]\d{2}(?::\d{2})?$/.exec(value);
  if (offset !== null) return value;
  zoneNames ??= new Map(Intl.supportedValuesOf("timeZone").map((zone) => [zone.toLowerCase(), zone]));
  const known = zoneNames.get(value.toLowerCase());
  if (known !== undefined) return known;
  if (/^(utc|gmt|zulu|uct)$/i.test(value)) return value.toUpperCase();
  if (/^[A-Za-z]/.test(value) && isIntlZone(value)) return capitalized(value);
  throw invalidValue(name, value);
}

function isIntlZone(value: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: value }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}

/** Links such as Etc/UTC or US/Eastern, which Intl accepts without listing them. */
function capitalized(value: string): string {
  return value === value.toLowerCase()
    ? value
        .split("/")
        .map((part) =>
          part.length <= 3 ? part.toUpperCase() : part.replace(/(^|_)[a-z]/g, (c) => c.toUpperCase()),
        )
        .join("/")
        .replace("ETC/", "Etc/")
    : value;
}

/** -7 hours as "<-07>+07": POSIX counts westwards. */
export function posixZone(hours: number): string {
  const sign = hours < 0 ? "-" : "+";
  const minutes = Math.round(Math.abs(hours) * 60);
  const clock = [Math.floor(minutes / 60), minutes % 60].map((part) => String(part).padStart(2, "0"));
  const text = clock[1] === "00" ? clock[0] : clock.join(":");
  return `<${sign}${text}>${sign === "-" ? "+" : "-"}${text}`;
}

/** The zone as common/types understands it: an IANA name or a fixed offset such as "-07". */
export function zoneOfSetting(value: string): string {
  return /^<([-+][\d:]+)>/.exec(value)?.[1] ?? value;
}

const ENCODINGS: Readonly<Record<string, string>> = { utf8: "UTF8", unicode: "UTF8" };

function checkEncoding(name: string, value: string): string {
  const key = value.toLowerCase().replace(/[^a-z0-9]/g, "");
  const known = ENCODINGS[key];
  if (known !== undefined) return known;
  if (
    /^(sqlascii|latin\d+|win\d+|iso8859\d+|euc\w\w|koi8\w|sjis|big5|gbk|gb18030|uhc|johab|shiftjis2004)$/.test(
      key,
    )
  ) {
    throw notSupported(`client_encoding "${value}" (only UTF8)`);
  }
  throw invalidValue(name, value);
}

function onlyOn(name: string, value: string): string {
  if (value !== "on") throw notSupported(`${name} = off`);
  return value;
}
