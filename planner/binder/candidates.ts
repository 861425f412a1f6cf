// Choosing among functions or operators of one name by argument types: chapter 10.2 and 10.3 of PostgreSQL's manual, in the
// order of its func_match_argtypes and func_select_candidate. Pure choice; building the call is overload.ts and operator.ts.
import { Oid } from "../../common/types/oid.ts";
import { canCoerce } from "./coerce.ts";
import type { BindContext } from "./context.ts";
import { categoryOf, isPreferred } from "./types.ts";

/** Something callable with this many arguments of these declared types. */
export interface Candidate {
  readonly argumentTypes: readonly number[];
}

/** Those whose arguments can be coerced implicitly. */
export function matchCandidates<T extends Candidate>(
  context: BindContext,
  inputs: readonly number[],
  all: readonly T[],
): readonly T[] {
  return all.filter((candidate) => canCoerce(context, inputs, candidate.argumentTypes, "implicit"));
}

/** The best of several that all match; undefined = no single best ("is not unique"). */
export function selectCandidate<T extends Candidate>(
  context: BindContext,
  inputs: readonly number[],
  matching: readonly T[],
): T | undefined {
  let left = matching;
  const narrow = (next: readonly T[]): boolean => {
    if (next.length > 0) left = next;
    return left.length === 1;
  };
  if (left.length <= 1) return left[0];

  // Most exact matches, unknown literals not counted.
  if (
    narrow(
      mostBy(left, (c) =>
        countWhere(inputs, (input, i) => input !== Oid.unknown && input === c.argumentTypes[i]),
      ),
    )
  ) {
    return left[0];
  }
  // Most exact matches or preferred types at the places that need a conversion.
  const exactOrPreferred = (c: T): number =>
    countWhere(inputs, (input, i) => {
      if (input === Oid.unknown) return false;
      const declared = c.argumentTypes[i] as number;
      return (
        input === declared ||
        (categoryOf(context, input) === categoryOf(context, declared) && isPreferred(context, declared))
      );
    });
  if (narrow(mostBy(left, exactOrPreferred))) return left[0];

  if (!inputs.includes(Oid.unknown)) return undefined;
  const byCategory = filterByUnknownCategories(context, inputs, left);
  if (byCategory !== undefined && narrow(byCategory)) return left[0];

  // All known arguments of one type: suppose the unknown ones are of it too.
  const known = new Set(inputs.filter((input) => input !== Oid.unknown));
  if (known.size !== 1) return undefined;
  const [only] = known;
  const assumed = inputs.map(() => only as number);
  const accepting = left.filter((c) => canCoerce(context, assumed, c.argumentTypes, "implicit"));
  return accepting.length === 1 ? accepting[0] : undefined;
}

/**
 * For each unknown argument the candidates vote for a type category (string wins where present); those outside it
 * go, and where the category has a preferred type among them, those that do not accept it go too. undefined = the
 * candidates disagree.
 */
function filterByUnknownCategories<T extends Candidate>(
  context: BindContext,
  inputs: readonly number[],
  candidates: readonly T[],
): readonly T[] | undefined {
  const slots: { readonly category: string; readonly hasPreferred: boolean }[] = [];
  for (let i = 0; i < inputs.length; i++) {
    if (inputs[i] !== Oid.unknown) {
      slots.push({ category: "", hasPreferred: false });
      continue;
    }
    const declared = candidates.map((c) => c.argumentTypes[i] as number);
    const categories = new Set(declared.map((oid) => categoryOf(context, oid)));
    const category = categories.has("S") ? "S" : categories.size === 1 ? [...categories][0] : undefined;
    if (category === undefined) return undefined;
    const hasPreferred = declared.some(
      (oid) => categoryOf(context, oid) === category && isPreferred(context, oid),
    );
    slots.push({ category, hasPreferred });
  }
  return candidates.filter((c) =>
    slots.every(({ category, hasPreferred }, i) => {
      if (category === "") return true;
      const declared = c.argumentTypes[i] as number;
      return categoryOf(context, declared) === category && (!hasPreferred || isPreferred(context, declared));
    }),
  );
}

function mostBy<T>(items: readonly T[], score: (item: T) => number): readonly T[] {
  const scores = items.map(score);
  const best = Math.max(...scores);
  return items.filter((_, i) => scores[i] === best);
}

function countWhere(inputs: readonly number[], test: (input: number, i: number) => boolean): number {
  let count = 0;
  for (let i = 0; i < inputs.length; i++) if (test(inputs[i] as number, i)) count += 1;
  return count;
}
