// Constants and parameters.
import { SqlError } from "../../common/error.ts";
import { parseBits } from "../../common/types/bit.ts";
import { Numeric } from "../../common/types/numeric.ts";
import { Oid } from "../../common/types/oid.ts";
import { positionOf, type A_Const, type Node } from "../../parser/tree.ts";
import type { BoundExpression } from "../logical/expression.ts";
import type { BindContext } from "./context.ts";
import { collationOf } from "./types.ts";

const INT4_MAX = 2_147_483_647n;
const INT8_MAX = 9_223_372_036_854_775_807n;

/** A literal. Strings are of unknown type until a context decides; numbers are int4, int8 or numeric by size. */
export function bindConstant(context: BindContext, node: A_Const): BoundExpression {
  const position = positionOf(node.location);
  if (node.isnull === true) return context.constant(null, Oid.unknown, position);
  if (node.ival !== undefined) return context.constant(node.ival.ival ?? 0, Oid.int4, position);
  if (node.fval !== undefined) return bindNumber(context, node.fval.fval ?? "0", position);
  if (node.boolval !== undefined) return context.constant(node.boolval.boolval ?? false, Oid.bool, position);
  if (node.sval !== undefined) return context.constant(node.sval.sval ?? "", Oid.unknown, position);
  return bindBits(context, node.bsval?.bsval ?? "", position);
}

/** B'101' and X'1F': the parser gives b101 and x1F, which is bit's own text form. */
function bindBits(context: BindContext, text: string, position: number): BoundExpression {
  try {
    return context.constant(parseBits(text), Oid.bit, position);
  } catch (thrown) {
    if (!(thrown instanceof SqlError)) throw thrown;
    throw thrown.with({ position });
  }
}

function bindNumber(context: BindContext, text: string, position: number): BoundExpression {
  if (/^-?\d+$/.test(text)) {
    const value = BigInt(text);
    if (value <= INT4_MAX && value >= -INT4_MAX - 1n)
      return context.constant(Number(value), Oid.int4, position);
    if (value <= INT8_MAX && value >= -INT8_MAX - 1n) {
      const narrow = Number(value);
      return context.constant(Number.isSafeInteger(narrow) ? narrow : value, Oid.int8, position);
    }
  }
  return context.constant(Numeric.parse(text), Oid.numeric, position);
}

export function bindParameter(context: BindContext, number: number, position: number): BoundExpression {
  const oid = context.parameters.mention(number, position);
  return {
    kind: "parameter",
    index: number - 1,
    type: { oid, typmod: -1 },
    collation: collationOf(context, oid),
    position,
  };
}

/** An integer literal as ORDER BY and GROUP BY positions use it; undefined = something else. */
export function integerLiteral(node: Node | undefined): number | undefined {
  if (node === undefined || !("A_Const" in node)) return undefined;
  const { ival } = node.A_Const;
  return ival === undefined ? undefined : (ival.ival ?? 0);
}
