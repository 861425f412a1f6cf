// pg_settings, and the time zone views.
import { SqlArray } from "../../common/types/array.ts";
import { Interval } from "../../common/types/interval.ts";
import { Oid } from "../../common/types/oid.ts";
import type { Datum } from "../../common/types/type.ts";
import { OWN_SETTINGS } from "../builtin/own-settings.ts";
import { generatedTable } from "../builtin/tables.ts";
import { generatedRelation, rowDecoder } from "./generated-rows.ts";
import { plainText, type RelationRows, type Row } from "./rows.ts";

export const pgSettings: RelationRows = {
  lookups: [],
  *rows({ functions }) {
    const getSetting = (name: string): string | undefined => functions.session.getSetting(name);
    const decode = rowDecoder("pg_settings", functions.types);
    const { rowCount } = generatedTable("pg_settings");
    for (let row = 0; row < rowCount; row++) yield withValue(decode(row), getSetting);
    for (const setting of OWN_SETTINGS) yield withValue(ownRow(setting), getSetting);
  },
};

function ownRow(setting: (typeof OWN_SETTINGS)[number]): Row {
  return {
    name: setting.name,
    setting: setting.value,
    category: "Customized Options",
    short_desc: setting.description,
    extra_desc: setting.detail ?? null,
    context: "user",
    vartype: setting.vartype,
    source: "default",
    min_val: setting.range?.[0] ?? null,
    max_val: setting.range?.[1] ?? null,
    enumvals: setting.enumValues === undefined ? null : SqlArray.of(Oid.text, setting.enumValues),
    boot_val: setting.value,
    reset_val: setting.value,
    pending_restart: false,
  };
}

/** The value in force, in the setting's own unit; the boot value where the session does not know the setting. */
function withValue(row: Row, getSetting: (name: string) => string | undefined): Row {
  const shown = getSetting(plainText(row["name"]));
  if (shown === undefined) return row;
  const setting = inUnit(shown, row["unit"] ?? null);
  return { ...row, setting, source: setting === row["boot_val"] ? "default" : "session" };
}

const BYTES: ReadonlyMap<string, number> = new Map([
  ["B", 1],
  ["kB", 1024],
  ["8kB", 8192],
  ["MB", 1024 ** 2],
  ["GB", 1024 ** 3],
  ["TB", 1024 ** 4],
]);
const MILLISECONDS: ReadonlyMap<string, number> = new Map([
  ["us", 0.001],
  ["ms", 1],
  ["s", 1000],
  ["min", 60_000],
  ["h", 3_600_000],
  ["d", 86_400_000],
]);

/** "4MB" with unit kB is 4096; values without a suffix are in the unit already. */
function inUnit(shown: string, unit: Datum): string {
  const match = /^(-?[\d.]+)\s*([A-Za-z]+)$/.exec(shown);
  if (match === null || typeof unit !== "string") return shown;
  const table = BYTES.has(unit) ? BYTES : MILLISECONDS;
  const from = table.get(match[2] ?? "");
  const to = table.get(unit);
  return from === undefined || to === undefined ? shown : String(Math.round((Number(match[1]) * from) / to));
}

export const pgTimezoneAbbrevs: RelationRows = generatedRelation("pg_timezone_abbrevs", ["abbrev"]);

/** The zones the runtime knows, with what is in force now. */
export const pgTimezoneNames: RelationRows = {
  lookups: [],
  *rows({ functions }) {
    // Microseconds since 2000-01-01 to JavaScript's milliseconds since 1970.
    const now = new Date(functions.session.transactionTimestamp() / 1000 + Date.UTC(2000, 0, 1));
    const year = now.getUTCFullYear();
    for (const name of Intl.supportedValuesOf("timeZone")) {
      const offsets = new Intl.DateTimeFormat("en-US", { timeZone: name, timeZoneName: "longOffset" });
      const names = new Intl.DateTimeFormat("en-US", { timeZone: name, timeZoneName: "short" });
      const offset = offsetMinutes(offsets, now);
      const january = offsetMinutes(offsets, new Date(Date.UTC(year, 0, 1)));
      const july = offsetMinutes(offsets, new Date(Date.UTC(year, 6, 1)));
      yield {
        name,
        abbrev: zonePart(names, now),
        utc_offset: new Interval(0, 0, offset * 60_000_000),
        is_dst: january !== july && offset === Math.max(january, july),
      };
    }
  },
};

function zonePart(format: Intl.DateTimeFormat, at: Date): string {
  return format.formatToParts(at).find(({ type }) => type === "timeZoneName")?.value ?? "";
}

/** From "GMT+05:30"; "GMT" alone is 0. */
function offsetMinutes(format: Intl.DateTimeFormat, at: Date): number {
  const match = /GMT([+-])(\d+):(\d+)/.exec(zonePart(format, at));
  if (match === null) return 0;
  const minutes = Number(match[2]) * 60 + Number(match[3]);
  return match[1] === "-" ? -minutes : minutes;
}
