// Names of date and time units as date_trunc and extract take them, with PostgreSQL's synonyms and errors.
import { SqlError, SqlState } from "../../common/error.ts";

export type TruncUnit =
  | "microseconds"
  | "milliseconds"
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

export type PartUnit =
  | TruncUnit
  | "dow"
  | "isodow"
  | "doy"
  | "isoyear"
  | "epoch"
  | "julian"
  | "timezone"
  | "timezone_hour"
  | "timezone_minute";

const UNITS: ReadonlyMap<string, PartUnit> = new Map(
  Object.entries({
    microseconds: "us usec usecs usecond useconds microsecond microseconds microsecon",
    milliseconds: "ms msec msecs msecond mseconds millisecond milliseconds millisecon",
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
    dow: "dow",
    isodow: "isodow",
    doy: "doy",
    isoyear: "isoyear",
    epoch: "epoch",
    julian: "julian jd j",
    timezone: "timezone",
    timezone_hour: "timezone_hour timezone_h",
    timezone_minute: "timezone_minute timezone_m",
  } satisfies Record<PartUnit, string>).flatMap(([unit, words]) =>
    words.split(" ").map((word): [string, PartUnit] => [word, unit as PartUnit]),
  ),
);

const TRUNCATABLE: ReadonlySet<PartUnit> = new Set<PartUnit>([
  "microseconds",
  "milliseconds",
  "second",
  "minute",
  "hour",
  "day",
  "week",
  "month",
  "quarter",
  "year",
  "decade",
  "century",
  "millennium",
]);

/** 22023 for an unknown name. */
export function partUnit(name: string, typeName: string): PartUnit {
  const unit = UNITS.get(name.toLowerCase());
  if (unit === undefined) {
    throw new SqlError(
      SqlState.invalidParameterValue,
      `unit "${name.toLowerCase()}" not recognized for type ${typeName}`,
    );
  }
  return unit;
}

export function unsupportedUnit(name: string, typeName: string): SqlError {
  return new SqlError(
    SqlState.featureNotSupported,
    `unit "${name.toLowerCase()}" not supported for type ${typeName}`,
  );
}

/** A unit that date_trunc can cut to; 0A000 for the others. */
export function truncUnit(name: string, typeName: string): TruncUnit {
  const unit = partUnit(name, typeName);
  if (!TRUNCATABLE.has(unit)) throw unsupportedUnit(name, typeName);
  return unit as TruncUnit;
}
