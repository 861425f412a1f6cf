// The binder's face: a statement of the parse tree -> logical plan with types, parameters, dependencies.
import { notSupported } from "../../common/error.ts";
import type { SqlType } from "../../common/types/type.ts";
import { nodeKind, type Node, type RawStatement } from "../../parser/tree.ts";
import type { PlannerContext } from "../context.ts";
import type { BoundExpression } from "../logical/expression.ts";
import { BindContext, type BindEntryPoints, type BoundQuery, type Clause } from "./context.ts";
import { bindDelete } from "./delete.ts";
import { bindExpression } from "./expression.ts";
import { bindInsert } from "./insert.ts";
import { bindQuery } from "./query.ts";
import { bindScalarText, type ScalarColumn } from "./scalar.ts";
import type { Scope } from "./scope.ts";
import { bindUpdate } from "./update.ts";

export type CommandType = "select" | "insert" | "update" | "delete";

export interface BoundStatement {
  readonly query: BoundQuery;
  readonly commandType: CommandType;
  readonly context: BindContext;
}

const ENTRY_POINTS: BindEntryPoints = {
  expression: bindExpression,
  query: bindQuery,
  modification: bindModification,
};

export function makeBindContext(planner: PlannerContext): BindContext {
  return new BindContext(planner, ENTRY_POINTS);
}

/** Binds SELECT, VALUES, TABLE, INSERT, UPDATE, DELETE; 0A000 for any other statement. */
export function bindStatement(statement: RawStatement, planner: PlannerContext): BoundStatement {
  const context = makeBindContext(planner);
  const { node } = statement;
  if ("SelectStmt" in node) {
    return { query: context.query(node.SelectStmt, undefined), commandType: "select", context };
  }
  const commandType = "InsertStmt" in node ? "insert" : "UpdateStmt" in node ? "update" : "delete";
  return { query: bindModification(node, undefined, context), commandType, context };
}

function bindModification(node: Node, parent: Scope | undefined, context: BindContext): BoundQuery {
  if ("InsertStmt" in node) return bindInsert(context, node.InsertStmt, parent);
  if ("UpdateStmt" in node) return bindUpdate(context, node.UpdateStmt, parent);
  if ("DeleteStmt" in node) return bindDelete(context, node.DeleteStmt, parent);
  throw notSupported(nodeKind(node).replace(/Stmt$/, "").toUpperCase());
}

/**
 * A DEFAULT, CHECK or generation expression over a row whose columns stand at `columns[i].index`. `clause` decides what
 * it may contain. Memoised by text and snapshot.
 */
export function bindScalar(
  expressionText: string,
  columns: readonly ScalarColumn[],
  targetType: SqlType | undefined,
  planner: PlannerContext,
  clause: Extract<Clause, "default" | "check" | "generated">,
  relationName?: string,
): BoundExpression {
  return bindScalarText(makeBindContext(planner), expressionText, columns, targetType, clause, relationName);
}
