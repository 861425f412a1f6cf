// Short forms for writing function bodies: the arguments arrive typed, the table of a family maps pg_proc.prosrc to bodies.
/* oxlint-disable typescript/no-unnecessary-type-parameters -- they type the callbacks; the cast from Datum is here alone */
import type { Datum } from "../../common/types/type.ts";
import type { FunctionBody, FunctionCall, ScalarBody, SetBody } from "./function.ts";

/** Bodies of one family by pg_proc.prosrc. */
export type BodyTable = Readonly<Record<string, FunctionBody>>;

export function nullary(fn: (call: FunctionCall) => Datum): ScalarBody {
  return { kind: "scalar", row: (_args, call) => fn(call) };
}

export function unary<A extends Datum>(fn: (a: A, call: FunctionCall) => Datum): ScalarBody {
  return { kind: "scalar", row: (args, call) => fn(args[0] as A, call) };
}

export function binary<A extends Datum, B extends Datum>(
  fn: (a: A, b: B, call: FunctionCall) => Datum,
): ScalarBody {
  return { kind: "scalar", row: (args, call) => fn(args[0] as A, args[1] as B, call) };
}

export function ternary<A extends Datum, B extends Datum, C extends Datum>(
  fn: (a: A, b: B, c: C, call: FunctionCall) => Datum,
): ScalarBody {
  return { kind: "scalar", row: (args, call) => fn(args[0] as A, args[1] as B, args[2] as C, call) };
}

/** Any number of arguments. */
export function variadic(fn: (args: readonly Datum[], call: FunctionCall) => Datum): ScalarBody {
  return { kind: "scalar", row: fn };
}

export function setReturning(fn: SetBody["rows"]): SetBody {
  return { kind: "set", rows: fn };
}
