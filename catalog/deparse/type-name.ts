// format_type: a type's name in SQL with its modifier, as PostgreSQL's format_type_extended chooses it (the standard's
// spelling for the types the standard names, otherwise the catalogue's name).
import { Oid } from "../../common/types/oid.ts";
import type { TypeEntry } from "../catalog.ts";
import { quoteIdentifier } from "../../common/identifier.ts";
import { type NameScope, qualified, schemaName } from "./identifier.ts";

const STANDARD_NAMES: ReadonlyMap<number, string> = new Map([
  [Oid.bool, "boolean"],
  [Oid.float4, "real"],
  [Oid.float8, "double precision"],
  [Oid.int2, "smallint"],
  [Oid.int4, "integer"],
  [Oid.int8, "bigint"],
]);

const BIT = 1560;
const VARBIT = 1562;

/** `typmod` undefined = none given (SQL's NULL), which differs from -1 for character and bit. */
export function formatType(scope: NameScope, oid: number, typmod: number | undefined): string {
  if (oid === 0) return "-";
  const type = scope.catalog.typeByOid(oid);
  if (type === undefined) return "???";
  if (isTrueArray(type)) return `${formatType(scope, type.elementOid, typmod)}[]`;
  const modifier = typmod !== undefined && typmod >= 0 ? typmod : undefined;
  const standard = STANDARD_NAMES.get(oid);
  if (standard !== undefined) return standard;
  const suffix = modifier === undefined ? "" : modifierText(oid, modifier);
  switch (oid) {
    case Oid.numeric:
      return `numeric${suffix}`;
    case Oid.interval:
      return `interval${suffix}`;
    case Oid.varchar:
      return `character varying${suffix}`;
    case VARBIT:
      return `bit varying${suffix}`;
    case Oid.time:
      return `time${suffix} without time zone`;
    case Oid.timetz:
      return `time${suffix} with time zone`;
    case Oid.timestamp:
      return `timestamp${suffix} without time zone`;
    case Oid.timestamptz:
      return `timestamp${suffix} with time zone`;
    // CHARACTER alone means character(1), so a bpchar known to have no length keeps its own name; bit likewise.
    case Oid.bpchar:
      if (modifier !== undefined || typmod === undefined) return `character${suffix}`;
      break;
    case BIT:
      if (modifier !== undefined || typmod === undefined) return `bit${suffix}`;
      break;
  }
  return catalogName(scope, type) + suffix;
}

/** A type by its catalogue name, qualified where it is not visible. */
export function catalogName(scope: NameScope, type: TypeEntry): string {
  return isTypeVisible(scope, type)
    ? quoteIdentifier(type.name)
    : qualified(schemaName(scope.catalog, type.namespace), type.name);
}

export function isTypeVisible(scope: NameScope, type: TypeEntry): boolean {
  return scope.catalog.typeByName(undefined, type.name, scope.searchPath)?.oid === type.oid;
}

/** Fixed-length types with elements (point, name) are no arrays; int2vector and oidvector are types of their own to SQL. */
function isTrueArray(type: TypeEntry): boolean {
  const isVarying = type.elementOid !== 0 && type.length === -1;
  return isVarying && type.oid !== Oid.int2vector && type.oid !== Oid.oidvector;
}

/** The type's typmodout: "(10,2)", " day to second(3)", "(3)". */
export function modifierText(oid: number, typmod: number): string {
  switch (oid) {
    case Oid.bpchar:
    case Oid.varchar:
      return typmod > 4 ? `(${typmod - 4})` : "";
    case Oid.numeric: {
      if (typmod < 4) return "";
      const packed = typmod - 4;
      // The scale is a signed 11-bit number.
      return `(${(packed >> 16) & 0xffff},${((packed & 0x7ff) ^ 1024) - 1024})`;
    }
    case Oid.interval:
      return intervalModifier(typmod);
    default:
      return `(${typmod})`;
  }
}

const INTERVAL_FIELDS: ReadonlyMap<number, string> = new Map([
  [1 << 2, " year"],
  [1 << 1, " month"],
  [1 << 3, " day"],
  [1 << 10, " hour"],
  [1 << 11, " minute"],
  [1 << 12, " second"],
  [(1 << 2) | (1 << 1), " year to month"],
  [(1 << 3) | (1 << 10), " day to hour"],
  [(1 << 3) | (1 << 10) | (1 << 11), " day to minute"],
  [(1 << 3) | (1 << 10) | (1 << 11) | (1 << 12), " day to second"],
  [(1 << 10) | (1 << 11), " hour to minute"],
  [(1 << 10) | (1 << 11) | (1 << 12), " hour to second"],
  [(1 << 11) | (1 << 12), " minute to second"],
]);

/** Fields in the high half, precision in the low half; 0x7fff and 0xffff stand for "all". */
function intervalModifier(typmod: number): string {
  const precision = typmod & 0xffff;
  const fields = INTERVAL_FIELDS.get((typmod >> 16) & 0x7fff) ?? "";
  return precision === 0xffff ? fields : `${fields}(${precision})`;
}
