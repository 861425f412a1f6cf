// Built-in operators and casts, decoded on demand from the generated rows of pg_operator and pg_cast.
import type { CastEntry, OperatorEntry } from "../functions/function.ts";
import { generatedTable, rowsBy } from "./tables.ts";

const decodedOperators = new Map<number, OperatorEntry>();
let castsByTypes: Map<string, CastEntry> | undefined;

export function builtinOperator(oid: number): OperatorEntry | undefined {
  const row = rowsBy("pg_operator", "oid", String(oid))[0];
  return row === undefined ? undefined : operatorOf(row);
}

export function builtinOperatorsNamed(name: string): readonly OperatorEntry[] {
  return rowsBy("pg_operator", "oprname", name).map(operatorOf);
}

/** The cast between two types as pg_cast has it; length-coercion casts of a type to itself included. */
export function builtinCast(source: number, target: number): CastEntry | undefined {
  castsByTypes ??= readCasts();
  return castsByTypes.get(`${source}>${target}`);
}

function operatorOf(row: number): OperatorEntry {
  const known = decodedOperators.get(row);
  if (known !== undefined) return known;
  const table = generatedTable("pg_operator");
  const fields = table.fields(row);
  const text = (column: string): string => fields[table.position(column)] ?? "";
  const entry: OperatorEntry = {
    oid: Number(text("oid")),
    name: text("oprname"),
    namespace: Number(text("oprnamespace")),
    kind: text("oprkind") === "l" ? "l" : "b",
    leftType: Number(text("oprleft")),
    rightType: Number(text("oprright")),
    resultType: Number(text("oprresult")),
    functionOid: Number(text("oprcode")),
    commutator: Number(text("oprcom")),
    negator: Number(text("oprnegate")),
    canHash: text("oprcanhash") === "t",
  };
  decodedOperators.set(row, entry);
  return entry;
}

function readCasts(): Map<string, CastEntry> {
  const table = generatedTable("pg_cast");
  const casts = new Map<string, CastEntry>();
  for (let row = 0; row < table.rowCount; row++) {
    const fields = table.fields(row);
    const text = (column: string): string => fields[table.position(column)] ?? "";
    const context = text("castcontext");
    const method = text("castmethod");
    casts.set(`${text("castsource")}>${text("casttarget")}`, {
      source: Number(text("castsource")),
      target: Number(text("casttarget")),
      functionOid: Number(text("castfunc")),
      context: context === "i" || context === "a" ? context : "e",
      method: method === "b" || method === "i" ? method : "f",
    });
  }
  return casts;
}
