// The planner's face: a statement of the parse tree in, a plan the executor can run out. Pure and synchronous.
//
//   parse tree -> binder/ (names, types) -> optimizer/ (rules) -> physical/ (paths, positions) -> PlannedStatement
import type { RawStatement } from "../parser/tree.ts";
import { bindStatement } from "./binder/index.ts";
import type { PlannerContext } from "./context.ts";
import { optimize } from "./optimizer/index.ts";
import { buildPhysical } from "./physical/build.ts";
import type { PlannedStatement } from "./physical/plan.ts";

export { bindForeignKeyRules, bindTableConstraints } from "./binder/foreign-key-rules.ts";
export { bindScalar } from "./binder/index.ts";
export { DEFAULT_SETTINGS, type PlannerContext, type PlannerSettings } from "./context.ts";
export { choosePath } from "./physical/choose-path.ts";

/**
 * Plans SELECT, VALUES, TABLE, INSERT, UPDATE, DELETE (also inside WITH). Throws SqlError for everything that PostgreSQL's
 * parse analysis refuses, and 0A000 naming what is not there yet. The plan holds no parameter values.
 */
export function planStatement(statement: RawStatement, context: PlannerContext): PlannedStatement {
  const { query, commandType, context: bound } = bindStatement(statement, context);
  const optimized = optimize(query.plan, context, (name, type, collation) =>
    bound.newColumn(name, type, collation),
  );
  const parameterTypes = bound.parameters.finish();
  const { built, builder } = buildPhysical(context, optimized);
  for (const entry of builder.dependencies.values()) bound.dependOn(entry, 0);
  const hasResult = commandType === "select" || query.columns.length > 0;
  return {
    plan: built.plan,
    commandType,
    result: hasResult
      ? query.columns.map(({ name, type, collation, tableOid, attnum }) => ({
          name,
          type,
          collation,
          tableOid,
          attnum,
        }))
      : undefined,
    parameterTypes,
    dependencies: [...bound.dependencies.values()],
    locks: [...bound.locks].map(([oid, mode]) => ({ oid, mode })),
    isReadOnly: bound.isReadOnly,
    rowLock: bound.rowLock,
  };
}
