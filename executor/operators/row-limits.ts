// LIMIT and OFFSET values, as several operators take them.
import { SqlError, SqlState } from "../../common/error.ts";
import type { Datum } from "../../common/types/type.ts";
import type { BoundExpression } from "../../planner/logical/expression.ts";
import type { ExecutionContext } from "../context.ts";
import { evaluateScalar } from "../expression/compile.ts";
import { chain, type MaybePromise } from "../maybe-promise.ts";

export interface RowLimits {
  /** Infinity = no limit. */
  readonly count: number;
  readonly skip: number;
}

/** Evaluates both; NULL means none; 2201W and 2201X for negative ones. */
export function rowLimits(
  count: BoundExpression | undefined,
  skip: BoundExpression | undefined,
  context: ExecutionContext,
): MaybePromise<RowLimits> {
  const value = (expression: BoundExpression | undefined): MaybePromise<Datum> =>
    expression === undefined ? null : evaluateScalar(expression, context);
  return chain(value(skip), (skipValue) =>
    chain(value(count), (countValue) => {
      const skipRows = skipValue === null ? 0 : Number(skipValue);
      const countRows = countValue === null ? Number.POSITIVE_INFINITY : Number(countValue);
      if (skipRows < 0) {
        throw new SqlError(SqlState.invalidRowCountInResultOffsetClause, "OFFSET must not be negative");
      }
      if (countRows < 0)
        throw new SqlError(SqlState.invalidRowCountInLimitClause, "LIMIT must not be negative");
      return { count: countRows, skip: skipRows };
    }),
  );
}
