// anyelement and its family: all arguments of one family must agree on one actual type. Two families: `any*` wants
// equality, `anycompatible*` the common type of its arguments. Ranges are not among our types, so their members never match.
import { Oid } from "../../common/types/oid.ts";
import type { TypeEntry } from "../../catalog/catalog.ts";
import type { BindContext } from "./context.ts";
import { arrayTypeOf, categoryOf, isPolymorphic, isPreferred, isTrueArray } from "./types.ts";

/** What a call's polymorphic types stand for; 0 = not determined. */
export interface GenericBinding {
  readonly element: number;
  readonly compatible: number;
}

/**
 * Finds the actual types; undefined = the arguments do not agree. Unknown literals join whatever the others say, and
 * become text when nobody says anything (as PostgreSQL does for anycompatible; for anyelement it is then an error).
 */
export function bindGenericTypes(
  context: BindContext,
  inputs: readonly number[],
  declared: readonly number[],
): GenericBinding | undefined {
  let element = 0;
  let isNonArray = false;
  let hasElement = false;
  const compatible: number[] = [];
  let hasCompatible = false;
  for (let i = 0; i < declared.length; i++) {
    const name = context.typeByOid(declared[i] as number)?.name;
    const input = inputs[i] as number;
    switch (name) {
      case "anynonarray":
      case "anyenum":
      case "anyelement":
        hasElement = true;
        if (name === "anynonarray") isNonArray = true;
        if (input === Oid.unknown) break;
        if (name === "anyenum" && context.typeByOid(input)?.kind !== "e") return undefined;
        if (element !== 0 && element !== input) return undefined;
        element = input;
        break;
      case "anyarray": {
        hasElement = true;
        if (input === Oid.unknown) break;
        const inner = input === Oid.anyarray ? Oid.anyelement : elementOf(context.typeByOid(input));
        if (inner === 0 || (element !== 0 && element !== inner)) return undefined;
        element = inner;
        break;
      }
      case "anycompatible":
      case "anycompatiblenonarray":
        hasCompatible = true;
        if (input !== Oid.unknown) compatible.push(input);
        break;
      case "anycompatiblearray": {
        hasCompatible = true;
        if (input === Oid.unknown) break;
        const inner = elementOf(context.typeByOid(input));
        if (inner === 0) return undefined;
        compatible.push(inner);
        break;
      }
      case "anyrange":
      case "anymultirange":
      case "anycompatiblerange":
      case "anycompatiblemultirange":
        return undefined;
      default:
        break;
    }
  }
  if (hasElement && isNonArray && element !== 0 && elementOf(context.typeByOid(element)) !== 0)
    return undefined;
  let common = 0;
  if (hasCompatible) {
    const found = commonOf(context, compatible);
    if (found === undefined) return undefined;
    common = found;
  }
  return { element, compatible: common };
}

export function checkGenericTypes(
  context: BindContext,
  inputs: readonly number[],
  declared: readonly number[],
): boolean {
  return bindGenericTypes(context, inputs, declared) !== undefined;
}

/** The actual type behind a declared one; 0 = polymorphic and undetermined. */
export function actualType(context: BindContext, declared: number, binding: GenericBinding): number {
  if (!isPolymorphic(context, declared)) return declared;
  switch (context.typeByOid(declared)?.name) {
    case "anyarray":
      if (binding.element === Oid.anyelement) return Oid.anyarray;
      return binding.element === 0 ? 0 : arrayTypeOf(context, binding.element);
    case "anycompatiblearray":
      return binding.compatible === 0 ? 0 : arrayTypeOf(context, binding.compatible);
    case "anycompatible":
    case "anycompatiblenonarray":
      return binding.compatible;
    default:
      return binding.element;
  }
}

function elementOf(type: TypeEntry | undefined): number {
  if (type === undefined) return 0;
  return isTrueArray(type) || type.name === "int2vector" || type.name === "oidvector" ? type.elementOid : 0;
}

/** select_common_type over types alone; unknown inputs were left out before. */
function commonOf(context: BindContext, types: readonly number[]): number | undefined {
  if (types.length === 0) return Oid.text;
  let best = types[0] as number;
  for (const next of types.slice(1)) {
    if (next === best) continue;
    if (categoryOf(context, next) !== categoryOf(context, best)) return undefined;
    if (!isPreferred(context, best) && isImplicit(context, best, next) && !isImplicit(context, next, best))
      best = next;
  }
  return types.every((type) => type === best || isImplicit(context, type, best)) ? best : undefined;
}

/** Implicit casts alone: enough among scalar types, and keeps this file below coerce.ts. */
function isImplicit(context: BindContext, source: number, target: number): boolean {
  return context.catalog.cast(source, target)?.context === "i";
}
