// Built-in functions, decoded on demand from pg_proc's generated rows, each with its body.
//
// `source` is the key of the body:
//   internal and C functions   prosrc, PostgreSQL's internal name ("int4pl")
//   aggregates                 "agg:name:argument oids" (pg_proc has only "aggregate_dummy" for them)
//   functions written in SQL   "sql:name:argument oids" (their prosrc is empty or a whole query)
import type { FunctionEntry } from "../functions/function.ts";
import { bodyOf } from "./bodies.ts";
import { words } from "./generated-table.ts";
import { generatedTable, rowsBy } from "./tables.ts";

const LANGUAGE_SQL = "14";
const decoded = new Map<number, FunctionEntry>();

export function builtinFunction(oid: number): FunctionEntry | undefined {
  const row = rowsBy("pg_proc", "oid", String(oid))[0];
  return row === undefined ? undefined : entryOf(row);
}

/** All overloads, in any of the system schemas. */
export function builtinFunctionsNamed(name: string): readonly FunctionEntry[] {
  return rowsBy("pg_proc", "proname", name).map(entryOf);
}

export function* builtinFunctions(): Iterable<FunctionEntry> {
  const { rowCount } = generatedTable("pg_proc");
  for (let row = 0; row < rowCount; row++) yield entryOf(row);
}

function entryOf(row: number): FunctionEntry {
  const known = decoded.get(row);
  if (known !== undefined) return known;
  const table = generatedTable("pg_proc");
  const fields = table.fields(row);
  const text = (column: string): string => fields[table.position(column)] ?? "";
  const list = (column: string): string[] | undefined =>
    text(column) === "" ? undefined : words(text(column));
  const name = text("proname");
  const kind = kindOf(text("prokind"));
  const argumentOids = words(text("proargtypes"));
  const source = sourceOf(name, kind, argumentOids, text("prolang"), text("prosrc"));
  const entry: FunctionEntry = {
    oid: Number(text("oid")),
    name,
    namespace: Number(text("pronamespace")),
    kind,
    isStrict: text("proisstrict") === "t",
    returnsSet: text("proretset") === "t",
    volatility: volatilityOf(text("provolatile")),
    resultType: Number(text("prorettype")),
    argumentTypes: argumentOids.map(Number),
    allArgumentTypes: list("proallargtypes")?.map(Number),
    argumentModes: list("proargmodes"),
    argumentNames: list("proargnames"),
    variadicType: Number(text("provariadic")),
    defaults: text("proargdefaults") === "" ? [] : (JSON.parse(text("proargdefaults")) as string[]),
    source,
    body: bodyOf(source),
  };
  decoded.set(row, entry);
  return entry;
}

function sourceOf(
  name: string,
  kind: string,
  args: readonly string[],
  language: string,
  prosrc: string,
): string {
  if (kind === "a") return `agg:${name}:${args.join(",")}`;
  if (language === LANGUAGE_SQL) return `sql:${name}:${args.join(",")}`;
  return prosrc;
}

function kindOf(text: string): FunctionEntry["kind"] {
  return text === "a" || text === "w" || text === "p" ? text : "f";
}

function volatilityOf(text: string): FunctionEntry["volatility"] {
  return text === "i" || text === "s" ? text : "v";
}
