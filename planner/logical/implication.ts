// Whether conditions that hold for a row prove another one: what it takes to read by a partial index. The proofs are
// PostgreSQL's simple ones (predtest.c); what they miss only costs a plan.
//
//   the same condition                      a AND b proves a          a proves a OR b
//   x < 5 proves x < 10 (constants)         x = 3 proves x IN (1, 3)  x IN (1, 3) proves x < 5
//   a strict condition on x proves x IS NOT NULL
import { SqlArray } from "../../common/types/array.ts";
import { Oid } from "../../common/types/oid.ts";
import { lookupCodec } from "../../common/types/registry.ts";
import type { Datum } from "../../common/types/type.ts";
import type { BoundExpression } from "./expression.ts";
import { conjuncts, sameExpression } from "./walk.ts";

/** `conditions` are known to be true together. */
export function implies(conditions: readonly BoundExpression[], goal: BoundExpression): boolean {
  const known = conditions.flatMap(conjuncts).map(truthOf);
  return conjuncts(goal).every((part) => proves(known, truthOf(part)));
}

function proves(known: readonly BoundExpression[], goal: BoundExpression): boolean {
  if (goal.kind === "and") return goal.args.every((part) => proves(known, truthOf(part)));
  if (goal.kind === "or" && goal.args.some((arm) => proves(known, truthOf(arm)))) return true;
  return known.some((condition) => provesAlone(condition, goal));
}

function provesAlone(condition: BoundExpression, goal: BoundExpression): boolean {
  if (sameExpression(condition, goal)) return true;
  if (condition.kind === "or") {
    // Whichever arm holds, the goal does.
    return condition.args.every((arm) => proves(conjuncts(arm).map(truthOf), goal));
  }
  if (goal.kind === "is-not-null") {
    const known = condition.kind === "is-not-null" ? condition.input : condition;
    return isStrictFor(known, goal.input);
  }
  const given = testOf(condition);
  const wanted = testOf(goal);
  return (
    given !== undefined &&
    wanted !== undefined &&
    given.type === wanted.type &&
    sameExpression(given.subject, wanted.subject) &&
    testProves(given, wanted)
  );
}

/** The ways to write a boolean test for true, as one. */
function truthOf(e: BoundExpression): BoundExpression {
  if (e.kind === "boolean-test" && e.test === "is-true") return truthOf(e.input);
  if (e.kind !== "call" || e.operator !== "=" || e.args.length !== 2) return e;
  const [left, right] = e.args as [BoundExpression, BoundExpression];
  if (right.kind !== "constant" || right.type.oid !== Oid.bool || left.type.oid !== Oid.bool) return e;
  if (right.value === true) return left;
  return right.value === false
    ? { kind: "not", input: left, type: e.type, collation: e.collation, position: e.position }
    : e;
}

/** Whether the value is NULL when `subject` is. */
function isStrictFor(e: BoundExpression, subject: BoundExpression): boolean {
  if (sameExpression(e, subject)) return true;
  switch (e.kind) {
    case "call":
      return e.function.isStrict && e.args.some((arg) => isStrictFor(arg, subject));
    case "scalar-array":
      return e.quantifier === "any" && e.function.isStrict && isStrictFor(e.left, subject);
    case "relabel":
    case "io-cast":
    case "not":
      return isStrictFor(e.input, subject);
    default:
      return false;
  }
}

type Comparison = "=" | "<>" | "<" | "<=" | ">" | ">=";
const FLIPPED: Readonly<Record<Comparison, Comparison>> = {
  "=": "=",
  "<>": "<>",
  "<": ">",
  "<=": ">=",
  ">": "<",
  ">=": "<=",
};

/** subject operator value; `=` with several values: one of them. */
interface Test {
  readonly subject: BoundExpression;
  readonly operator: Comparison;
  readonly values: readonly Datum[];
  /** Of the values: both tests must compare by the same order. */
  readonly type: number;
}

function testOf(e: BoundExpression): Test | undefined {
  if (e.kind === "scalar-array") {
    const { right } = e;
    const isList = e.quantifier === "any" && e.operator === "=" && right.kind === "constant";
    if (!isList || !(right.value instanceof SqlArray)) return undefined;
    // A NULL element is equal to nothing.
    const values = right.value.elements.filter((value) => value !== null);
    return { subject: e.left, operator: "=", values, type: right.value.elementOid };
  }
  if (e.kind !== "call" || e.args.length !== 2 || e.operator === undefined || !(e.operator in FLIPPED))
    return undefined;
  const operator = e.operator as Comparison;
  const [left, right] = e.args as [BoundExpression, BoundExpression];
  if (right.kind === "constant" && right.value !== null)
    return { subject: left, operator, values: [right.value], type: right.type.oid };
  if (left.kind === "constant" && left.value !== null)
    return { subject: right, operator: FLIPPED[operator], values: [left.value], type: left.type.oid };
  return undefined;
}

function testProves(given: Test, wanted: Test): boolean {
  const compare = lookupCodec(given.type)?.compare;
  if (compare === undefined || given.values.length === 0) return false;
  if (given.operator === "=")
    return given.values.every((value) =>
      wanted.values.some((other) => holds(compare(value, other), wanted.operator)),
    );
  const [bound] = given.values as [Datum];
  const [limit] = wanted.values as [Datum];
  if (wanted.values.length !== 1) return false;
  const order = compare(bound, limit);
  switch (`${given.operator} ${wanted.operator}`) {
    case "< <":
    case "< <=":
    case "<= <=":
    case "< <>":
      return order <= 0;
    case "<= <":
    case "<= <>":
      return order < 0;
    case "> >":
    case "> >=":
    case ">= >=":
    case "> <>":
      return order >= 0;
    case ">= >":
    case ">= <>":
      return order > 0;
    case "<> <>":
      return order === 0;
    default:
      return false;
  }
}

function holds(order: number, operator: Comparison): boolean {
  switch (operator) {
    case "=":
      return order === 0;
    case "<>":
      return order !== 0;
    case "<":
      return order < 0;
    case "<=":
      return order <= 0;
    case ">":
      return order > 0;
    case ">=":
      return order >= 0;
  }
}
