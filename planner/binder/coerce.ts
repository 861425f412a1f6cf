// Implicit, assignment and explicit conversions, by the rules of chapter 10 of PostgreSQL's manual and the order in which
// its parse_coerce.c tries them. Conversions of literals happen here and now; everything else becomes a node.
import { SqlError, SqlState, notSupported } from "../../common/error.ts";
import { Oid } from "../../common/types/oid.ts";
import { lookupCodec } from "../../common/types/registry.ts";
import type { SqlType } from "../../common/types/type.ts";
import type { FunctionEntry } from "../../catalog/functions/function.ts";
import type { BoundExpression, ConstantExpression } from "../logical/expression.ts";
import type { BindContext } from "./context.ts";
import { checkGenericTypes } from "./polymorphic.ts";
import {
  categoryOf,
  collationOf,
  elementTypeOf,
  isPolymorphic,
  isPreferred,
  isTrueArray,
  typeName,
} from "./types.ts";

/** How hard a conversion may try. */
export type CoercionContext = "implicit" | "assignment" | "explicit";

type Pathway =
  | { readonly kind: "none" | "relabel" | "io" }
  | { readonly kind: "function"; readonly function: FunctionEntry }
  | { readonly kind: "array"; readonly sourceElement: number; readonly targetElement: number };

const RANK: Readonly<Record<CoercionContext, number>> = { implicit: 0, assignment: 1, explicit: 2 };
const CAST_RANK = { i: 0, a: 1, e: 2 } as const;

/** Which way leads from one type to another under a context. */
export function findPathway(
  context: BindContext,
  source: number,
  target: number,
  how: CoercionContext,
): Pathway {
  if (source === target) return { kind: "relabel" };
  const cast = context.catalog.cast(source, target);
  if (cast !== undefined) {
    if (RANK[how] < CAST_RANK[cast.context]) return { kind: "none" };
    if (cast.method === "i") return { kind: "io" };
    if (cast.method === "b" || cast.functionOid === 0) return { kind: "relabel" };
    return { kind: "function", function: context.functionByOid(cast.functionOid) };
  }
  const sourceType = context.typeByOid(source);
  const targetType = context.typeByOid(target);
  if (sourceType === undefined || targetType === undefined) return { kind: "none" };
  if (isTrueArray(sourceType) && isTrueArray(targetType)) {
    const element = findPathway(context, sourceType.elementOid, targetType.elementOid, how);
    if (element.kind !== "none") {
      return { kind: "array", sourceElement: sourceType.elementOid, targetElement: targetType.elementOid };
    }
  }
  // An int2vector reads as the array of int2 that it is in all but name.
  if (sourceType.name === "int2vector" && target === 1005) return { kind: "relabel" };
  if (sourceType.name === "oidvector" && target === 1028) return { kind: "relabel" };
  // Anything goes to text by assignment, and from text by an explicit cast, through its text form.
  if (RANK[how] >= RANK.assignment && targetType.category === "S") return { kind: "io" };
  if (how === "explicit" && sourceType.category === "S") return { kind: "io" };
  return { kind: "none" };
}

/** Whether every input can become its target; polymorphic targets must agree among themselves. */
export function canCoerce(
  context: BindContext,
  inputs: readonly number[],
  targets: readonly number[],
  how: CoercionContext,
): boolean {
  let hasGenerics = false;
  for (let i = 0; i < inputs.length; i++) {
    const input = inputs[i] as number;
    const target = targets[i] as number;
    if (input === target || target === Oid.any) continue;
    if (isPolymorphic(context, target)) {
      hasGenerics = true;
      continue;
    }
    if (input === Oid.unknown) continue;
    if (findPathway(context, input, target, how).kind !== "none") continue;
    if (target === Oid.record && context.typeByOid(input)?.kind === "c") continue;
    if (target === Oid.recordarray && isCompositeArray(context, input)) continue;
    if (input === Oid.record && context.typeByOid(target)?.kind === "c") continue;
    return false;
  }
  return !hasGenerics || checkGenericTypes(context, inputs, targets);
}

function isCompositeArray(context: BindContext, oid: number): boolean {
  const element = elementTypeOf(context, oid);
  return element !== 0 && context.typeByOid(element)?.kind === "c";
}

/**
 * The expression as `target`, its modifier applied; undefined = no such conversion under `how`. A literal of unknown
 * type is converted now, a parameter of unknown type takes the target's.
 */
export function coerce(
  context: BindContext,
  e: BoundExpression,
  target: SqlType,
  how: CoercionContext,
  written = false,
): BoundExpression | undefined {
  const asType = coerceType(context, e, target, how, written);
  if (asType === undefined) return undefined;
  // x::numeric(5,2) of an integer is two conversions and one cast: only the outer one was written.
  const inner = asType === e ? e : hidden(asType);
  const sized = applyModifier(context, inner, target, how, written);
  return sized === inner ? asType : sized;
}

/** The conversion as if inserted: not printed under the one that was written. */
function hidden(e: BoundExpression): BoundExpression {
  return "cast" in e && e.cast === "explicit" ? { ...e, cast: "implicit" } : e;
}

function coerceType(
  context: BindContext,
  e: BoundExpression,
  target: SqlType,
  how: CoercionContext,
  written: boolean,
): BoundExpression | undefined {
  const source = e.type.oid;
  const cast = written ? "explicit" : "implicit";
  if (source === target.oid || target.oid === Oid.any) return e;
  if (isPolymorphic(context, target.oid)) return e;
  if (source === Oid.unknown) {
    if (e.kind === "constant") return convertLiteral(context, e, target);
    if (e.kind === "parameter") {
      context.parameters.decide(e.index, target.oid, e.position);
      return { ...e, type: { oid: target.oid, typmod: -1 }, collation: collationOf(context, target.oid) };
    }
    return {
      kind: "io-cast",
      input: e,
      cast,
      type: { oid: target.oid, typmod: -1 },
      collation: collationOf(context, target.oid),
      position: e.position,
    };
  }
  const base = {
    type: { oid: target.oid, typmod: -1 },
    collation: keepCollation(context, e, target.oid),
    position: e.position,
  };
  const pathway = findPathway(context, source, target.oid, how);
  switch (pathway.kind) {
    case "relabel":
      return { kind: "relabel", input: e, cast, ...base };
    case "io":
      return { kind: "io-cast", input: e, cast, ...base };
    case "function": {
      const args: BoundExpression[] = [e];
      const takesModifier = pathway.function.argumentTypes.length >= 2;
      if (takesModifier) args.push(context.constant(target.typmod, Oid.int4));
      if (pathway.function.argumentTypes.length >= 3)
        args.push(context.constant(how === "explicit", Oid.bool));
      const type = takesModifier ? { oid: target.oid, typmod: target.typmod } : base.type;
      return { kind: "call", function: pathway.function, args, operator: undefined, cast, ...base, type };
    }
    case "array": {
      const slot: BoundExpression = {
        kind: "column",
        index: 0,
        name: "element",
        type: { oid: pathway.sourceElement, typmod: -1 },
        collation: collationOf(context, pathway.sourceElement),
        position: e.position,
      };
      const element = coerceType(context, slot, { oid: pathway.targetElement, typmod: -1 }, how, written);
      return element === undefined ? undefined : { kind: "array-cast", input: e, element, cast, ...base };
    }
    case "none":
      if (target.oid === Oid.record && context.typeByOid(source)?.kind === "c") {
        return { kind: "relabel", input: e, cast, ...base };
      }
      if (e.kind === "row" && context.typeByOid(target.oid)?.kind === "c")
        return coerceRow(context, e, target, how);
      return undefined;
  }
}

/** ROW(...) becomes a composite field by field. */
function coerceRow(
  context: BindContext,
  e: Extract<BoundExpression, { kind: "row" }>,
  target: SqlType,
  how: CoercionContext,
): BoundExpression | undefined {
  const relation = context.catalog.relationByOid(context.typeByOid(target.oid)?.relationOid ?? 0);
  if (relation?.kind !== "table") return undefined;
  const columns = relation.table.columns.filter((column) => !column.isDropped);
  if (columns.length !== e.fields.length) return undefined;
  const fields: BoundExpression[] = [];
  for (const [i, column] of columns.entries()) {
    const field = coerce(context, e.fields[i] as BoundExpression, column.type, how);
    if (field === undefined) return undefined;
    fields.push(field);
  }
  return { ...e, fields, names: columns.map((column) => column.name), type: { oid: target.oid, typmod: -1 } };
}

function keepCollation(context: BindContext, e: BoundExpression, target: number): number {
  const own = collationOf(context, target);
  return own !== 0 && e.collation !== 0 ? e.collation : own;
}

function convertLiteral(context: BindContext, e: ConstantExpression, target: SqlType): ConstantExpression {
  const base = {
    kind: "constant",
    type: { oid: target.oid, typmod: -1 },
    collation: collationOf(context, target.oid),
    position: e.position,
  } as const;
  if (e.value === null) return { ...base, value: null };
  const codec = lookupCodec(target.oid);
  if (codec === undefined) throw notSupported(`type ${typeName(context, target.oid)}`, e.position);
  const text = e.value as string;
  // The fields of INTERVAL '1' YEAR say what a bare number means, so they must be known when the text is read.
  const typmod = target.oid === Oid.interval ? target.typmod : -1;
  try {
    return { ...base, value: codec.parse(text, typmod, context.planner.functionContext.types) };
  } catch (error) {
    throw error instanceof SqlError ? error.with({ position: e.position || undefined }) : error;
  }
}

/** Length coercion: varchar(3), numeric(10,2), timestamp(0), vector(3), arrays of these. */
function applyModifier(
  context: BindContext,
  e: BoundExpression,
  target: SqlType,
  how: CoercionContext,
  written: boolean,
): BoundExpression {
  if (target.typmod < 0 || target.oid !== e.type.oid || e.type.typmod === target.typmod) return e;
  const cast = written ? "explicit" : "implicit";
  const base = { type: target, collation: e.collation, position: e.position };
  const element = context.typeByOid(target.oid);
  if (element !== undefined && isTrueArray(element)) {
    const elementType = { oid: element.elementOid, typmod: target.typmod };
    const slot: BoundExpression = {
      kind: "column",
      index: 0,
      name: "element",
      type: { oid: element.elementOid, typmod: -1 },
      collation: e.collation,
      position: e.position,
    };
    const adjusted = applyModifier(context, slot, elementType, how, written);
    return adjusted === slot
      ? { ...e, type: target }
      : { kind: "array-cast", input: e, element: adjusted, cast, ...base };
  }
  const entry = context.catalog.cast(target.oid, target.oid);
  if (entry === undefined || entry.functionOid === 0) return { kind: "relabel", input: e, cast, ...base };
  const sized = context.functionByOid(entry.functionOid);
  const args: BoundExpression[] = [e, context.constant(target.typmod, Oid.int4)];
  if (sized.argumentTypes.length >= 3) args.push(context.constant(how === "explicit", Oid.bool));
  return { kind: "call", function: sized, args, operator: undefined, cast, ...base };
}

/** As coerce, but a missing conversion is 42846 with PostgreSQL's text. For explicit casts. */
export function coerceOrThrow(
  context: BindContext,
  e: BoundExpression,
  target: SqlType,
  how: CoercionContext,
  position: number,
): BoundExpression {
  const result = coerce(context, e, target, how, how === "explicit");
  if (result !== undefined) return result;
  throw new SqlError(
    SqlState.cannotCoerce,
    `cannot cast type ${typeName(context, e.type.oid)} to ${typeName(context, target.oid)}`,
    { position: position || undefined },
  );
}

/** For conditions: anything assignable to boolean; 42804 `argument of WHERE must be type boolean, not type integer`. */
export function coerceToBoolean(
  context: BindContext,
  e: BoundExpression,
  construct: string,
): BoundExpression {
  return coerceToSpecific(context, e, { oid: Oid.bool, typmod: -1 }, construct);
}

export function coerceToSpecific(
  context: BindContext,
  e: BoundExpression,
  target: SqlType,
  construct: string,
): BoundExpression {
  const result = coerce(context, e, target, "assignment");
  if (result === undefined) {
    throw new SqlError(
      SqlState.datatypeMismatch,
      `argument of ${construct} must be type ${typeName(context, target.oid)}, not type ${typeName(context, e.type.oid)}`,
      { position: e.position || undefined },
    );
  }
  return result;
}

/**
 * The type to which UNION branches, CASE results, VALUES columns, ARRAY elements and the like resolve (chapter 10.5);
 * undefined = they do not match and `construct` is undefined, else 42804.
 */
export function commonType(
  context: BindContext,
  inputs: readonly BoundExpression[],
  construct: string,
): number;
export function commonType(
  context: BindContext,
  inputs: readonly BoundExpression[],
  construct: undefined,
): number | undefined;
export function commonType(
  context: BindContext,
  inputs: readonly BoundExpression[],
  construct: string | undefined,
): number | undefined {
  const first = inputs[0];
  if (first === undefined) return Oid.text;
  if (first.type.oid !== Oid.unknown && inputs.every((e) => e.type.oid === first.type.oid))
    return first.type.oid;
  let best = first.type.oid;
  for (const e of inputs.slice(1)) {
    const next = e.type.oid;
    if (next === Oid.unknown || next === best) continue;
    if (best === Oid.unknown) {
      best = next;
    } else if (categoryOf(context, next) !== categoryOf(context, best)) {
      if (construct === undefined) return undefined;
      throw new SqlError(
        SqlState.datatypeMismatch,
        `${construct} types ${typeName(context, best)} and ${typeName(context, next)} cannot be matched`,
        { position: e.position || undefined },
      );
    } else if (
      !isPreferred(context, best) &&
      canCoerce(context, [best], [next], "implicit") &&
      !canCoerce(context, [next], [best], "implicit")
    ) {
      best = next;
    }
  }
  return best === Oid.unknown ? Oid.text : best;
}

/** Modifier that all inputs share under a common type, else -1. */
export function commonModifier(inputs: readonly BoundExpression[], oid: number): number {
  const first = inputs[0];
  if (first === undefined || first.type.oid !== oid) return -1;
  return inputs.every((e) => e.type.oid === oid && e.type.typmod === first.type.typmod)
    ? first.type.typmod
    : -1;
}

export function coerceToCommon(
  context: BindContext,
  e: BoundExpression,
  oid: number,
  construct: string,
): BoundExpression {
  const result = coerce(context, e, { oid, typmod: -1 }, "implicit");
  if (result !== undefined) return result;
  throw new SqlError(
    SqlState.cannotCoerce,
    `${construct} could not convert type ${typeName(context, e.type.oid)} to ${typeName(context, oid)}`,
    { position: e.position || undefined },
  );
}
