// Names of date and time units as date_trunc and extract take them, with PostgreSQL's synonyms and errors.
import { SqlError, SqlState } from "../../common/error.ts";
import { type IntervalUnit, intervalUnit } from "../../common/types/interval-text.ts";

/** What extract() takes beyond the units of intervals. */
type FieldUnit =
  | "dow"
  | "isodow"
  | "doy"
  | "isoyear"
  | "epoch"
  | "julian"
  | "timezone"
  | "timezone_hour"
  | "timezone_minute";

export type PartUnit = IntervalUnit | FieldUnit;

const FIELDS: ReadonlyMap<string, FieldUnit> = new Map(
  Object.entries({
    dow: "dow",
    isodow: "isodow",
    doy: "doy",
    isoyear: "isoyear",
    epoch: "epoch",
    julian: "julian jd j",
    timezone: "timezone",
    timezone_hour: "timezone_hour timezone_h",
    timezone_minute: "timezone_minute timezone_m",
  } satisfies Record<FieldUnit, string>).flatMap(([unit, words]) =>
    words.split(" ").map((word): [string, FieldUnit] => [word, unit as FieldUnit]),
  ),
);

/** 22023 for an unknown name. */
export function partUnit(name: string, typeName: string): PartUnit {
  const unit = intervalUnit(name) ?? FIELDS.get(name.toLowerCase());
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
export function truncUnit(name: string, typeName: string): IntervalUnit {
  const unit = intervalUnit(name);
  if (unit !== undefined) return unit;
  partUnit(name, typeName);
  throw unsupportedUnit(name, typeName);
}
