// Function calls: which function a name and argument types mean, and the call with its arguments converted. Follows
// PostgreSQL's FuncnameGetCandidates and func_get_detail: defaults, VARIADIC expansion and named notation included.
import { SqlError, SqlState } from "../../common/error.ts";
import { Oid } from "../../common/types/oid.ts";
import type { SqlType } from "../../common/types/type.ts";
import type { FunctionEntry } from "../../catalog/functions/function.ts";
import type { BoundExpression } from "../logical/expression.ts";
import { matchCandidates, selectCandidate, type Candidate } from "./candidates.ts";
import { coerce, commonType, findPathway } from "./coerce.ts";
import type { BindContext } from "./context.ts";
import { actualType, bindGenericTypes } from "./polymorphic.ts";
import { arrayTypeOf, collationOf, isPolymorphic, typeName } from "./types.ts";

/** An argument as written. */
export interface Argument {
  readonly value: BoundExpression;
  /** f(name => value) */
  readonly name: string | undefined;
}

export interface FunctionName {
  readonly schema: string | undefined;
  readonly name: string;
  readonly position: number;
}

interface FunctionCandidate extends Candidate {
  readonly entry: FunctionEntry;
  /** For each declared argument: index of the written one, or -1 = its default. */
  readonly order: readonly number[];
  /** Trailing written arguments that become one array; 0 = none. */
  readonly variadicCount: number;
}

/** The function chosen, arguments converted to its declared types, and the actual result type. */
export interface ResolvedCall {
  readonly entry: FunctionEntry;
  readonly args: readonly BoundExpression[];
  readonly resultType: SqlType;
}

/** Binds a default's text (SQL) of a function's argument. */
export type DefaultBinder = (text: string, type: number) => BoundExpression;

/**
 * Resolves a call. Throws 42883 when nothing matches, 42725 when several do equally. undefined = the name is
 * that of a type and the single argument converts to it: the caller makes it a cast.
 */
export function resolveFunction(
  context: BindContext,
  name: FunctionName,
  args: readonly Argument[],
  isVariadicCall: boolean,
  bindDefault: DefaultBinder,
): ResolvedCall | undefined {
  const named = context.catalog.functionsByName(name.schema, name.name, context.searchPath);
  const candidates = named.flatMap((entry) => candidatesOf(entry, args, isVariadicCall));
  const inputs = args.map((arg) => arg.value.type.oid);
  const chosen = choose(context, candidates, inputs);
  if (chosen === "ambiguous") {
    throw new SqlError(
      SqlState.ambiguousFunction,
      `function ${callSignature(context, name, args)} is not unique`,
      {
        hint: "Could not choose a best candidate function. You might need to add explicit type casts.",
        position: name.position || undefined,
      },
    );
  }
  if (chosen === undefined) {
    if (isTypeConversion(context, name, args)) return undefined;
    throw undefinedFunction(context, name, args);
  }
  return buildCall(context, chosen, args, bindDefault);
}

function choose(
  context: BindContext,
  candidates: readonly FunctionCandidate[],
  inputs: readonly number[],
): FunctionCandidate | "ambiguous" | undefined {
  // The same types twice: earlier schemas hide later ones, and a function with fewer defaults or no variadic part wins.
  const distinct = new Map<string, FunctionCandidate>();
  for (const candidate of candidates) {
    const key = candidate.argumentTypes.join();
    const other = distinct.get(key);
    if (other === undefined || weight(candidate) < weight(other)) distinct.set(key, candidate);
  }
  const all = [...distinct.values()];
  const exact = all.find((c) => c.argumentTypes.every((type, i) => type === inputs[i]));
  if (exact !== undefined) return exact;
  const matching = matchCandidates(context, inputs, all);
  if (matching.length <= 1) return matching[0];
  return selectCandidate(context, inputs, matching) ?? "ambiguous";
}

function weight(candidate: FunctionCandidate): number {
  return (candidate.variadicCount > 0 ? 1000 : 0) + candidate.order.filter((index) => index < 0).length;
}

/** How a function could take the written arguments; none when their number or names do not fit. */
function candidatesOf(
  entry: FunctionEntry,
  args: readonly Argument[],
  isVariadicCall: boolean,
): readonly FunctionCandidate[] {
  if (entry.kind === "p") return [];
  const declared = entry.argumentTypes;
  const minimum = declared.length - entry.defaults.length;
  if (args.some((arg) => arg.name !== undefined)) return namedCandidate(entry, args);
  const found: FunctionCandidate[] = [];
  if (
    args.length <= declared.length &&
    args.length >= minimum &&
    (entry.variadicType === 0 || isVariadicCall)
  ) {
    const order = declared.map((_, i) => (i < args.length ? i : -1));
    found.push({ entry, order, variadicCount: 0, argumentTypes: declared.slice(0, args.length) });
  }
  if (entry.variadicType !== 0 && !isVariadicCall) {
    const fixed = declared.length - 1;
    if (args.length >= Math.max(fixed + 1, 1)) {
      const extra = args.length - fixed;
      const types = [...declared.slice(0, fixed), ...Array.from({ length: extra }, () => entry.variadicType)];
      found.push({ entry, order: declared.map((_, i) => i), variadicCount: extra, argumentTypes: types });
    }
  }
  return found;
}

function namedCandidate(entry: FunctionEntry, args: readonly Argument[]): readonly FunctionCandidate[] {
  const names = inputNames(entry);
  const declared = entry.argumentTypes;
  if (names === undefined || args.length > declared.length || entry.variadicType !== 0) return [];
  const order = declared.map(() => -1);
  for (const [i, arg] of args.entries()) {
    const place = arg.name === undefined ? i : names.indexOf(arg.name);
    if (place < 0 || order[place] !== -1) return [];
    order[place] = i;
  }
  const minimum = declared.length - entry.defaults.length;
  if (order.some((index, place) => index < 0 && place < minimum)) return [];
  const types = args.map((_, i) => declared[order.indexOf(i)] as number);
  return [{ entry, order, variadicCount: 0, argumentTypes: types }];
}

function inputNames(entry: FunctionEntry): readonly string[] | undefined {
  if (entry.argumentNames === undefined) return undefined;
  const modes = entry.argumentModes;
  if (modes === undefined) return entry.argumentNames;
  return entry.argumentNames.filter((_, i) => modes[i] === "i" || modes[i] === "b" || modes[i] === "v");
}

function buildCall(
  context: BindContext,
  candidate: FunctionCandidate,
  args: readonly Argument[],
  bindDefault: DefaultBinder,
): ResolvedCall {
  const { entry } = candidate;
  const written = args.map((arg) => arg.value);
  const inputs = written.map((value) => value.type.oid);
  const generics = bindGenericTypes(context, inputs, candidate.argumentTypes) ?? {
    element: 0,
    compatible: 0,
  };
  const converted = written.map((value, i) => {
    const declared = candidate.argumentTypes[i] as number;
    if (!isPolymorphic(context, declared)) return convert(context, value, declared);
    const actual = actualType(context, declared, generics);
    if (actual === 0) throw undeterminedPolymorphic(value);
    return actual === Oid.anyarray ? value : convert(context, value, actual);
  });
  const ordered: BoundExpression[] = [];
  const firstVariadic =
    candidate.variadicCount > 0 ? entry.argumentTypes.length - 1 : entry.argumentTypes.length;
  const defaultsFrom = entry.argumentTypes.length - entry.defaults.length;
  for (let place = 0; place < firstVariadic; place++) {
    const index = candidate.order[place] as number;
    const declared = entry.argumentTypes[place] as number;
    ordered.push(
      index >= 0
        ? (converted[index] as BoundExpression)
        : bindDefault(entry.defaults[place - defaultsFrom] ?? "NULL", declared),
    );
  }
  if (candidate.variadicCount > 0)
    ordered.push(variadicArray(context, entry, converted.slice(firstVariadic), ordered));
  const result = actualType(context, entry.resultType, generics);
  if (result === 0) throw undeterminedPolymorphic(written[0]);
  return { entry, args: ordered.flat(), resultType: { oid: result, typmod: -1 } };
}

/** VARIADIC "any" takes its arguments one by one; every other variadic function takes one array. */
function variadicArray(
  context: BindContext,
  entry: FunctionEntry,
  values: readonly BoundExpression[],
  before: BoundExpression[],
): BoundExpression {
  if (entry.variadicType === Oid.any) {
    before.push(...values.slice(0, -1).map((value) => unknownToText(context, value)));
    return unknownToText(context, values.at(-1) as BoundExpression);
  }
  const elementOid = isPolymorphic(context, entry.variadicType)
    ? commonType(context, values, "VARIADIC")
    : entry.variadicType;
  return {
    kind: "array",
    elements: values.map((value) => convert(context, value, elementOid)),
    isNested: false,
    type: { oid: arrayTypeOf(context, elementOid), typmod: -1 },
    collation: collationOf(context, elementOid),
    position: values[0]?.position ?? 0,
  };
}

function unknownToText(context: BindContext, value: BoundExpression): BoundExpression {
  return value.type.oid === Oid.unknown ? convert(context, value, Oid.text) : value;
}

function convert(context: BindContext, value: BoundExpression, oid: number): BoundExpression {
  // The candidate matched by implicit coercion, so there is a way; "any" and the like leave the value alone.
  if (oid === Oid.any) return value;
  return coerce(context, value, { oid, typmod: -1 }, "implicit") ?? value;
}

function undeterminedPolymorphic(value: BoundExpression | undefined): SqlError {
  return new SqlError(
    SqlState.datatypeMismatch,
    "could not determine polymorphic type because input has type unknown",
    {
      position: value?.position || undefined,
    },
  );
}

/** f(x) where f is a type and x converts to it without further ado. */
function isTypeConversion(context: BindContext, name: FunctionName, args: readonly Argument[]): boolean {
  const only = args[0];
  if (args.length !== 1 || only === undefined || only.name !== undefined) return false;
  const type = context.catalog.typeByName(name.schema, name.name, context.searchPath);
  if (type === undefined) return false;
  if (only.value.type.oid === Oid.unknown) return true;
  const pathway = findPathway(context, only.value.type.oid, type.oid, "explicit");
  return pathway.kind === "relabel" || (pathway.kind === "io" && type.category !== "S");
}

function undefinedFunction(context: BindContext, name: FunctionName, args: readonly Argument[]): SqlError {
  return new SqlError(
    SqlState.undefinedFunction,
    `function ${callSignature(context, name, args)} does not exist`,
    {
      hint: "No function matches the given name and argument types. You might need to add explicit type casts.",
      position: name.position || undefined,
    },
  );
}

/** "lower(integer, x => text)" */
export function callSignature(context: BindContext, name: FunctionName, args: readonly Argument[]): string {
  const full = name.schema === undefined ? name.name : `${name.schema}.${name.name}`;
  const types = args.map((arg) => {
    const type = typeName(context, arg.value.type.oid);
    return arg.name === undefined ? type : `${arg.name} => ${type}`;
  });
  return `${full}(${types.join(", ")})`;
}

/** Columns of a function in FROM: its OUT and TABLE arguments, or undefined for a single unnamed value. */
export function functionColumns(
  context: BindContext,
  call: ResolvedCall,
): readonly { readonly name: string; readonly type: number }[] | undefined {
  const { entry } = call;
  const modes = entry.argumentModes;
  const types = entry.allArgumentTypes;
  if (modes === undefined || types === undefined) return undefined;
  const generics = bindGenericTypes(
    context,
    call.args.map((arg) => arg.type.oid),
    entry.argumentTypes.slice(0, call.args.length),
  ) ?? { element: 0, compatible: 0 };
  const columns: { name: string; type: number }[] = [];
  for (const [i, mode] of modes.entries()) {
    if (mode !== "o" && mode !== "b" && mode !== "t") continue;
    const type = actualType(context, types[i] as number, generics);
    columns.push({ name: entry.argumentNames?.[i] || `column${columns.length + 1}`, type });
  }
  return columns.length === 0 ? undefined : columns;
}
