// Functions and operators by name: what regproc, regprocedure, regoper and regoperator read and print, and the argument
// lists that pg_get_function_arguments and its company print.
import { SqlError, SqlState } from "../../common/error.ts";
import { rowsBy, generatedTable } from "../builtin/tables.ts";
import type { FunctionEntry, OperatorEntry } from "../functions/function.ts";
import { quoteIdentifier } from "../../common/identifier.ts";
import { type NameScope, qualified, schemaName } from "./identifier.ts";
import { formatType } from "./type-name.ts";

/** regproc: qualified unless the bare name finds this function and no other. */
export function functionName(scope: NameScope, entry: FunctionEntry): string {
  const candidates = scope.catalog.functionsByName(undefined, entry.name, scope.searchPath);
  const isUnique = candidates.length === 1 && candidates[0]?.oid === entry.oid;
  return isUnique
    ? quoteIdentifier(entry.name)
    : qualified(schemaName(scope.catalog, entry.namespace), entry.name);
}

/** regprocedure: name(types). */
export function functionSignature(scope: NameScope, entry: FunctionEntry): string {
  const name = isFunctionVisible(scope, entry)
    ? quoteIdentifier(entry.name)
    : qualified(schemaName(scope.catalog, entry.namespace), entry.name);
  return `${name}(${entry.argumentTypes.map((oid) => formatType(scope, oid, undefined)).join(",")})`;
}

/** pg_function_is_visible: found on the path with exactly these argument types. */
export function isFunctionVisible(scope: NameScope, entry: FunctionEntry): boolean {
  const candidates = scope.catalog.functionsByName(undefined, entry.name, scope.searchPath);
  return candidates.find((other) => sameTypes(other.argumentTypes, entry.argumentTypes))?.oid === entry.oid;
}

/** regoper: qualified unless the bare name finds this operator alone. */
export function operatorName(scope: NameScope, entry: OperatorEntry): string {
  const candidates = scope.catalog.operatorsByName(undefined, entry.name, scope.searchPath);
  const isUnique = candidates.length === 1 && candidates[0]?.oid === entry.oid;
  return isUnique
    ? entry.name
    : `${quoteIdentifier(schemaName(scope.catalog, entry.namespace))}.${entry.name}`;
}

/** regoperator: +(integer,integer). */
export function operatorSignature(scope: NameScope, entry: OperatorEntry): string {
  const visible = isOperatorVisible(scope, entry);
  const name = visible
    ? entry.name
    : `${quoteIdentifier(schemaName(scope.catalog, entry.namespace))}.${entry.name}`;
  const operand = (oid: number): string => (oid === 0 ? "NONE" : formatType(scope, oid, undefined));
  return `${name}(${operand(entry.leftType)},${operand(entry.rightType)})`;
}

export function isOperatorVisible(scope: NameScope, entry: OperatorEntry): boolean {
  const candidates = scope.catalog.operatorsByName(undefined, entry.name, scope.searchPath);
  const same = candidates.find(
    (other) => other.leftType === entry.leftType && other.rightType === entry.rightType,
  );
  return same?.oid === entry.oid;
}

export function sameTypes(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((oid, i) => oid === b[i]);
}

/** "name(a, b)" cut into its name and the texts of its arguments; 22P02 when the parentheses are missing. */
export function splitSignature(text: string): { readonly name: string; readonly args: readonly string[] } {
  const open = text.indexOf("(");
  if (open < 0) throw new SqlError(SqlState.invalidTextRepresentation, "expected a left parenthesis");
  const close = text.lastIndexOf(")");
  if (close < open) throw new SqlError(SqlState.invalidTextRepresentation, "expected a right parenthesis");
  const inner = text.slice(open + 1, close).trim();
  return { name: text.slice(0, open), args: inner === "" ? [] : splitArguments(inner) };
}

/** At commas outside parentheses: numeric(10,2) is one argument. */
function splitArguments(text: string): string[] {
  const args: string[] = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === "(") depth++;
    else if (text[i] === ")") depth--;
    else if (text[i] === "," && depth === 0) {
      args.push(text.slice(start, i).trim());
      start = i + 1;
    }
  }
  return [...args, text.slice(start).trim()];
}

interface Argument {
  readonly mode: string;
  readonly name: string;
  readonly type: number;
}

function argumentsOf(entry: FunctionEntry): Argument[] {
  const types = entry.allArgumentTypes ?? entry.argumentTypes;
  return types.map((type, i) => ({
    mode: entry.argumentModes?.[i] ?? "i",
    name: entry.argumentNames?.[i] ?? "",
    type,
  }));
}

const isInput = (mode: string): boolean => mode === "i" || mode === "b" || mode === "v";
const MODE_PREFIX: Readonly<Record<string, string>> = {
  i: "",
  b: "INOUT ",
  o: "OUT ",
  v: "VARIADIC ",
  t: "",
};

/** pg_get_function_arguments; without defaults it is pg_get_function_identity_arguments. */
export function functionArguments(scope: NameScope, entry: FunctionEntry, withDefaults: boolean): string {
  const args = argumentsOf(entry).filter((argument) => argument.mode !== "t");
  const ordered = orderedSetDirectCount(entry);
  const texts = args.map((argument, i) => {
    const fallback = withDefaults ? argumentDefault(entry, i + 1) : undefined;
    const prefix = entry.kind === "p" && argument.mode === "i" ? "IN " : (MODE_PREFIX[argument.mode] ?? "");
    return argumentText(scope, argument, prefix) + (fallback === undefined ? "" : ` DEFAULT ${fallback}`);
  });
  if (ordered === undefined) return texts.join(", ");
  // A hypothetical-set aggregate over VARIADIC "any" repeats its last argument behind ORDER BY.
  const direct = texts.slice(0, ordered);
  const aggregated = texts.length > ordered ? texts.slice(ordered) : texts.slice(-1);
  return `${direct.join(", ")}${direct.length > 0 ? " " : ""}ORDER BY ${aggregated.join(", ")}`;
}

/** The default of the n-th argument of any mode (from 1); undefined when it has none. */
export function argumentDefault(entry: FunctionEntry, position: number): string | undefined {
  const args = argumentsOf(entry);
  const argument = args[position - 1];
  if (argument === undefined || !isInput(argument.mode)) return undefined;
  const inputs = args.filter(({ mode }) => isInput(mode)).length;
  const before = args.slice(0, position - 1).filter(({ mode }) => isInput(mode)).length;
  return entry.defaults[before - (inputs - entry.defaults.length)];
}

/** pg_get_function_result; undefined for a procedure. */
export function functionResult(scope: NameScope, entry: FunctionEntry): string | undefined {
  if (entry.kind === "p") return undefined;
  const columns = argumentsOf(entry).filter((argument) => argument.mode === "t");
  if (columns.length > 0)
    return `TABLE(${columns.map((column) => argumentText(scope, column, "")).join(", ")})`;
  return `${entry.returnsSet ? "SETOF " : ""}${formatType(scope, entry.resultType, undefined)}`;
}

function argumentText(scope: NameScope, argument: Argument, prefix: string): string {
  const name = argument.name === "" ? "" : `${quoteIdentifier(argument.name)} `;
  return `${prefix}${name}${formatType(scope, argument.type, undefined)}`;
}

/** Number of direct arguments of an ordered-set aggregate; undefined for everything else. */
function orderedSetDirectCount(entry: FunctionEntry): number | undefined {
  if (entry.kind !== "a") return undefined;
  const row = rowsBy("pg_aggregate", "aggfnoid", String(entry.oid))[0];
  if (row === undefined) return undefined;
  const table = generatedTable("pg_aggregate");
  if (table.field(row, table.position("aggkind")) === "n") return undefined;
  return Number(table.field(row, table.position("aggnumdirectargs")));
}
