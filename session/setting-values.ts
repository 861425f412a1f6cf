// Reads and prints setting values by their definition, with PostgreSQL's rules for units and its error texts (guc.c).
// The canonical text is what current_setting gives: booleans as on/off, numbers without unit in the setting's base unit for
// storage and with the largest fitting unit for SHOW.
import { SqlError, SqlState } from "../common/error.ts";
import type { SettingDefinition } from "./setting-definitions.ts";

const MAX_INT4 = 2147483647;

const MEMORY_BYTES: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1024,
  MB: 1024 ** 2,
  GB: 1024 ** 3,
  TB: 1024 ** 4,
};
const TIME_US: Readonly<Record<string, number>> = {
  us: 1,
  ms: 1000,
  s: 1e6,
  min: 60e6,
  h: 3600e6,
  d: 86400e6,
};
const MEMORY_HINT = 'Valid units for this parameter are "B", "kB", "MB", "GB", and "TB".';
const TIME_HINT = 'Valid units for this parameter are "us", "ms", "s", "min", "h", and "d".';

/** Checks `text` against the definition; gives the canonical stored text. Throws 22023. */
export function readSetting(definition: SettingDefinition, text: string): string {
  switch (definition.type) {
    case "bool":
      return readBool(definition, text);
    case "integer":
    case "real":
      return readNumber(definition, text);
    case "enum":
      return readEnum(definition, text);
    case "string":
      return text;
  }
}

/** What SHOW and current_setting print for a stored value. */
export function showSetting(definition: SettingDefinition, stored: string): string {
  if (definition.unit === undefined || (definition.type !== "integer" && definition.type !== "real"))
    return stored;
  const value = Number(stored);
  if (!(value > 0)) return stored;
  const units = MEMORY_BYTES[unitName(definition.unit)] === undefined ? TIME_US : MEMORY_BYTES;
  const amount = value * unitFactor(definition.unit);
  // The largest unit that divides the value, as convert_to_base_unit's inverse picks it.
  let best = definition.unit;
  for (const [unit, factor] of Object.entries(units)) {
    if (factor >= unitFactor(definition.unit) && amount % factor === 0) best = unit;
  }
  if (best === definition.unit && /^\d/.test(best)) return stored;
  return `${amount / unitFactor(best)}${best}`;
}

/** Booleans as PostgreSQL reads them: unambiguous prefixes of true, false, yes, no, and on, off, 1, 0. */
export function parseBool(text: string): boolean | undefined {
  const word = text.trim().toLowerCase();
  if (word === "") return undefined;
  if ("true".startsWith(word) || "yes".startsWith(word) || word === "on" || word === "1") return true;
  if ("false".startsWith(word) || "no".startsWith(word) || word === "off" || word === "of" || word === "0")
    return false;
  return undefined;
}

export function invalidValue(
  name: string,
  value: string,
  fields: { detail?: string; hint?: string } = {},
): SqlError {
  return new SqlError(
    SqlState.invalidParameterValue,
    `invalid value for parameter "${name}": "${value}"`,
    fields,
  );
}

function readBool(definition: SettingDefinition, text: string): string {
  const value = parseBool(text);
  if (value === undefined) {
    throw new SqlError(
      SqlState.invalidParameterValue,
      `parameter "${definition.name}" requires a Boolean value`,
    );
  }
  return value ? "on" : "off";
}

function readEnum(definition: SettingDefinition, text: string): string {
  const found = definition.enumValues.find((value) => value.toLowerCase() === text.toLowerCase());
  if (found !== undefined) return found;
  // Several enums also take booleans (synchronous_commit, constraint_exclusion).
  const truth = parseBool(text);
  const spelled = truth === undefined ? undefined : truth ? "on" : "off";
  if (spelled !== undefined && definition.enumValues.includes(spelled)) return spelled;
  throw invalidValue(definition.name, text, {
    hint: `Available values: ${definition.enumValues.join(", ")}.`,
  });
}

function readNumber(definition: SettingDefinition, text: string): string {
  const match = /^\s*([-+]?(?:0[xX][0-9a-fA-F]+|\d*\.?\d+(?:[eE][-+]?\d+)?|\d+\.))\s*([A-Za-z]*)\s*$/.exec(
    text,
  );
  if (match === null) throw invalidValue(definition.name, text);
  const [, digits = "", unit = ""] = match;
  let value = Number(digits);
  if (unit !== "") value *= conversion(definition, unit, text);
  if (definition.type === "integer") {
    value = roundHalfEven(value);
    if (Math.abs(value) > MAX_INT4) {
      throw invalidValue(definition.name, text, { hint: "Value exceeds integer range." });
    }
  }
  if (value < definition.min || value > definition.max) throw outOfRange(definition, value);
  return String(value);
}

function conversion(definition: SettingDefinition, unit: string, text: string): number {
  if (definition.unit === undefined) throw invalidValue(definition.name, text);
  const isMemory = MEMORY_BYTES[unitName(definition.unit)] !== undefined;
  const factor = (isMemory ? MEMORY_BYTES : TIME_US)[unit];
  if (factor === undefined) {
    throw invalidValue(definition.name, text, { hint: isMemory ? MEMORY_HINT : TIME_HINT });
  }
  return factor / unitFactor(definition.unit);
}

function outOfRange(definition: SettingDefinition, value: number): SqlError {
  const unit = definition.unit === undefined ? "" : ` ${definition.unit}`;
  const range = `(${definition.min} .. ${definition.max})`;
  return new SqlError(
    SqlState.invalidParameterValue,
    `${value}${unit} is outside the valid range for parameter "${definition.name}" ${range}`,
  );
}

/** "8kB" counts in pages of 8 kB. */
function unitName(unit: string): string {
  return unit.replace(/^\d+/, "");
}

function unitFactor(unit: string): number {
  const name = unitName(unit);
  const pages = Number(/^\d+/.exec(unit)?.[0] ?? "1");
  return pages * (MEMORY_BYTES[name] ?? TIME_US[name] ?? 1);
}

function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest < 0.5) return floor;
  if (rest > 0.5) return floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}
