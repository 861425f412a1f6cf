// Operator classes: which operators an index of a method answers for a type. From the generated pg_opclass and pg_amop.
import { must } from "../../common/assert.ts";
import type { OperatorClassEntry } from "../catalog.ts";
import { builtinCast } from "./operators.ts";
import { generatedTable, rowsBy } from "./tables.ts";
import { builtinType } from "./types.ts";

const ANY_ARRAY = 2277;
const ANY_ENUM = 3500;
const ANY_RANGE = 3831;
const ANY_MULTIRANGE = 4537;
const RECORD = 2249;

const decoded = new Map<number, OperatorClassEntry>();

export function builtinOperatorClass(oid: number): OperatorClassEntry | undefined {
  const row = rowsBy("pg_opclass", "oid", String(oid))[0];
  return row === undefined ? undefined : entryOf(row);
}

/** By method and name. The caller checks that the class accepts its type (`acceptsType`). */
export function operatorClassNamed(method: string, name: string): OperatorClassEntry | undefined {
  return rowsBy("pg_opclass", "opcname", name)
    .map(entryOf)
    .find((candidate) => candidate.method === method);
}

/**
 * The default class of a method for a type: one for the type itself, else one for a type it is binary-coercible to
 * (varchar takes text_ops), as PostgreSQL's GetDefaultOpClass chooses.
 */
export function defaultOperatorClass(method: string, type: number): OperatorClassEntry | undefined {
  const methodOid = accessMethodOid(method);
  if (methodOid === undefined) return undefined;
  const defaults = rowsBy("pg_opclass", "opcmethod", String(methodOid))
    .map(entryOf)
    .filter((candidate) => candidate.isDefault);
  return (
    defaults.find((candidate) => candidate.inputType === type) ??
    defaults.find(
      (candidate) => builtinType(candidate.inputType)?.isPreferred === true && acceptsType(candidate, type),
    ) ??
    defaults.find((candidate) => acceptsType(candidate, type))
  );
}

/** Whether values of `type` may be indexed with the class without conversion. */
export function acceptsType(operatorClass: OperatorClassEntry, type: number): boolean {
  const input = operatorClass.inputType;
  if (input === type) return true;
  const cast = builtinCast(type, input);
  if (cast !== undefined && cast.method === "b" && cast.context === "i") return true;
  const entry = builtinType(type);
  if (entry === undefined) return input === RECORD;
  if (input === ANY_ARRAY) return entry.category === "A" && entry.elementOid !== 0;
  if (input === ANY_ENUM) return entry.kind === "e";
  if (input === ANY_RANGE) return entry.kind === "r";
  if (input === ANY_MULTIRANGE) return entry.kind === "m";
  return input === RECORD && entry.kind === "c";
}

export function accessMethodOid(name: string): number | undefined {
  const row = rowsBy("pg_am", "amname", name)[0];
  return row === undefined ? undefined : Number(generatedTable("pg_am").field(row, 0));
}

export function accessMethodName(oid: number): string {
  const row = must(rowsBy("pg_am", "oid", String(oid))[0], "an access method");
  return generatedTable("pg_am").field(row, 1) ?? "";
}

function entryOf(row: number): OperatorClassEntry {
  const known = decoded.get(row);
  if (known !== undefined) return known;
  const table = generatedTable("pg_opclass");
  const fields = table.fields(row);
  const text = (column: string): string => fields[table.position(column)] ?? "";
  const inputType = Number(text("opcintype"));
  const family = Number(text("opcfamily"));
  const entry: OperatorClassEntry = {
    oid: Number(text("oid")),
    name: text("opcname"),
    namespace: Number(text("opcnamespace")),
    method: accessMethodName(Number(text("opcmethod"))) as OperatorClassEntry["method"],
    inputType,
    isDefault: text("opcdefault") === "t",
    family,
    operators: familyOperators(family, inputType),
  };
  decoded.set(row, entry);
  return entry;
}

/** Strategy -> operator with the class's own type on both sides. */
function familyOperators(family: number, type: number): ReadonlyMap<number, number> {
  const table = generatedTable("pg_amop");
  const operators = new Map<number, number>();
  for (const row of rowsBy("pg_amop", "amopfamily", String(family))) {
    const fields = table.fields(row);
    const number = (column: string): number => Number(fields[table.position(column)]);
    if (number("amoplefttype") === type && number("amoprighttype") === type) {
      operators.set(number("amopstrategy"), number("amopopr"));
    }
  }
  return operators;
}
