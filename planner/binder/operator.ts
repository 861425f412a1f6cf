// Operators: which one a name and operand types mean, and the call. Follows PostgreSQL's oper(): an exact match first, where
// an unknown literal counts as the other side's type, then the rules that functions use.
import { SqlError, SqlState } from "../../common/error.ts";
import { Oid } from "../../common/types/oid.ts";
import type { FunctionEntry, OperatorEntry } from "../../catalog/functions/function.ts";
import type { BoundExpression, CallExpression } from "../logical/expression.ts";
import { matchCandidates, selectCandidate } from "./candidates.ts";
import { coerce } from "./coerce.ts";
import type { BindContext } from "./context.ts";
import { actualType, bindGenericTypes, type GenericBinding } from "./polymorphic.ts";
import { collationOf, isPolymorphic, typeName } from "./types.ts";

/** schema is undefined unless written as OPERATOR(schema.+). */
export interface OperatorName {
  readonly schema: string | undefined;
  readonly name: string;
  readonly position: number;
}

/** An operator for operand types; `left` = 0 for a prefix operator. Throws 42883 and 42725 with PostgreSQL's words. */
export function resolveOperator(
  context: BindContext,
  name: OperatorName,
  left: number,
  right: number,
): OperatorEntry {
  if (name.schema !== undefined && context.catalog.schemaByName(name.schema) === undefined) {
    throw new SqlError(SqlState.invalidSchemaName, `schema "${name.schema}" does not exist`, {
      position: name.position || undefined,
    });
  }
  const kind = left === 0 ? "l" : "b";
  const all = context.catalog
    .operatorsByName(name.schema, name.name, context.searchPath)
    .filter((entry) => entry.kind === kind);
  const exactLeft = left === Oid.unknown ? right : left;
  const exactRight = right === Oid.unknown && left !== 0 ? left : right;
  const exact = all.find((entry) => entry.leftType === exactLeft && entry.rightType === exactRight);
  if (exact !== undefined && !(left === Oid.unknown && right === Oid.unknown)) return exact;
  const inputs = left === 0 ? [right] : [left, right];
  const candidates = all.map((entry) => ({
    entry,
    argumentTypes: left === 0 ? [entry.rightType] : [entry.leftType, entry.rightType],
  }));
  const matching = matchCandidates(context, inputs, candidates);
  if (matching.length === 1) return (matching[0] as { entry: OperatorEntry }).entry;
  if (matching.length === 0) {
    const hint =
      left === 0
        ? "No operator matches the given name and argument type. You might need to add an explicit type cast."
        : "No operator matches the given name and argument types. You might need to add explicit type casts.";
    throw operatorError(context, SqlState.undefinedFunction, name, left, right, "does not exist", hint);
  }
  const best = selectCandidate(context, inputs, matching);
  if (best === undefined) {
    const hint = "Could not choose a best candidate operator. You might need to add explicit type casts.";
    throw operatorError(context, SqlState.ambiguousFunction, name, left, right, "is not unique", hint);
  }
  return best.entry;
}

function operatorError(
  context: BindContext,
  state: string,
  name: OperatorName,
  left: number,
  right: number,
  problem: string,
  hint: string,
): SqlError {
  const full = name.schema === undefined ? name.name : `${name.schema}.${name.name}`;
  const operands =
    left === 0
      ? `${full} ${typeName(context, right)}`
      : `${typeName(context, left)} ${full} ${typeName(context, right)}`;
  return new SqlError(state, `operator ${problem}: ${operands}`, {
    hint,
    position: name.position || undefined,
  });
}

/** left op right (left undefined: prefix), operands converted. */
export function bindOperator(
  context: BindContext,
  name: OperatorName,
  left: BoundExpression | undefined,
  right: BoundExpression,
): CallExpression {
  const entry = resolveOperator(context, name, left?.type.oid ?? 0, right.type.oid);
  const operands = left === undefined ? [right] : [left, right];
  const declared = left === undefined ? [entry.rightType] : [entry.leftType, entry.rightType];
  const inputs = operands.map((operand) => operand.type.oid);
  const generics = bindGenericTypes(context, inputs, declared) ?? { element: 0, compatible: 0 };
  const args = operands.map((operand, i) =>
    convertOperand(context, operand, declared[i] as number, generics),
  );
  const result = actualType(context, entry.resultType, generics);
  return operatorCall(context, entry, args, result, name.position);
}

function operatorCall(
  context: BindContext,
  entry: OperatorEntry,
  args: readonly BoundExpression[],
  result: number,
  position: number,
): CallExpression {
  return {
    kind: "call",
    function: operatorFunction(context, entry, position),
    args,
    operator: entry.name,
    cast: undefined,
    type: { oid: result, typmod: -1 },
    collation: collationOf(context, result),
    position,
  };
}

/** The function behind an operator; 42883 for one that is only a shell. */
export function operatorFunction(
  context: BindContext,
  entry: OperatorEntry,
  position: number,
): FunctionEntry {
  const found = context.catalog.functionByOid(entry.functionOid);
  if (found !== undefined) return found;
  throw new SqlError(SqlState.undefinedFunction, `operator is only a shell: ${entry.name}`, {
    position: position || undefined,
  });
}

function convertOperand(
  context: BindContext,
  operand: BoundExpression,
  declared: number,
  generics: GenericBinding,
): BoundExpression {
  if (!isPolymorphic(context, declared))
    return coerce(context, operand, { oid: declared, typmod: -1 }, "implicit") ?? operand;
  const actual = actualType(context, declared, generics);
  return actual === 0
    ? operand
    : (coerce(context, operand, { oid: actual, typmod: -1 }, "implicit") ?? operand);
}
