// CURRENT_DATE, CURRENT_TIMESTAMP, USER and the other functions that SQL writes without brackets, as calls of the functions
// that stand behind them.
import { notSupported } from "../../common/error.ts";
import { Oid } from "../../common/types/oid.ts";
import type { BoundExpression } from "../logical/expression.ts";
import { plainCall } from "./call.ts";
import { coerceOrThrow } from "./coerce.ts";
import type { BindContext } from "./context.ts";
import { resolveFunction } from "./overload.ts";

interface Meaning {
  readonly function: string;
  /** Cast applied to the function's result. */
  readonly type: number | undefined;
  /** Name of the output column. */
  readonly column: string;
}

const MEANINGS: Readonly<Record<string, Meaning>> = {
  SVFOP_CURRENT_DATE: { function: "now", type: Oid.date, column: "current_date" },
  SVFOP_CURRENT_TIME: { function: "now", type: Oid.timetz, column: "current_time" },
  SVFOP_CURRENT_TIME_N: { function: "now", type: Oid.timetz, column: "current_time" },
  SVFOP_CURRENT_TIMESTAMP: { function: "now", type: undefined, column: "current_timestamp" },
  SVFOP_CURRENT_TIMESTAMP_N: { function: "now", type: Oid.timestamptz, column: "current_timestamp" },
  SVFOP_LOCALTIME: { function: "now", type: Oid.time, column: "localtime" },
  SVFOP_LOCALTIME_N: { function: "now", type: Oid.time, column: "localtime" },
  SVFOP_LOCALTIMESTAMP: { function: "now", type: Oid.timestamp, column: "localtimestamp" },
  SVFOP_LOCALTIMESTAMP_N: { function: "now", type: Oid.timestamp, column: "localtimestamp" },
  SVFOP_CURRENT_ROLE: { function: "current_user", type: undefined, column: "current_role" },
  SVFOP_CURRENT_USER: { function: "current_user", type: undefined, column: "current_user" },
  SVFOP_USER: { function: "current_user", type: undefined, column: "user" },
  SVFOP_SESSION_USER: { function: "session_user", type: undefined, column: "session_user" },
  SVFOP_CURRENT_CATALOG: { function: "current_database", type: undefined, column: "current_catalog" },
  SVFOP_CURRENT_SCHEMA: { function: "current_schema", type: undefined, column: "current_schema" },
};

/** Output column name of such a function, as PostgreSQL gives it. */
export function sqlFunctionColumn(op: string): string {
  return MEANINGS[op]?.column ?? "?column?";
}

export function bindSqlFunction(
  context: BindContext,
  op: string,
  typmod: number,
  position: number,
): BoundExpression {
  const meaning = MEANINGS[op];
  if (meaning === undefined) throw notSupported(op, position);
  const resolved = resolveFunction(
    context,
    { schema: "pg_catalog", name: meaning.function, position },
    [],
    false,
    () => context.constant(null, Oid.unknown),
  );
  if (resolved === undefined) throw notSupported(meaning.column, position);
  // The name as SQL writes it: what deparsing prints instead of now() and its kind. The entry is the same function.
  const written = { ...resolved, entry: { ...resolved.entry, name: meaning.column.toUpperCase() } };
  const call = plainCall(context, written, position);
  if (meaning.type === undefined) return call;
  if (meaning.type === call.type.oid && typmod < 0) return call;
  return coerceOrThrow(context, call, { oid: meaning.type, typmod }, "explicit", position);
}
