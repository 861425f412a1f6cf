// FOR UPDATE, FOR NO KEY UPDATE, FOR SHARE, FOR KEY SHARE: which rows of which tables a SELECT locks, and PostgreSQL's
// refusals where a result row stands for no single row of a table.
//
//   [Project    select list]
//     Limit
//       LockRows    takes the newest version of what it locked, and judges it anew
//         Sort
//           Filter, FROM
//
// The select list is above LockRows, so that it shows the version that was locked; so is LIMIT, so that no row is locked
// which nobody gets. A clause over a sub-select in FROM is the sub-select's own, as if it were written there.
import { SqlError, SqlState, notSupported } from "../../common/error.ts";
import { positionOf, type Node, type SelectStmt } from "../../parser/tree.ts";
import type { LogicalPlan, LogicalRecheck, LogicalRowMark } from "../logical/plan.ts";
import { outputColumns } from "../logical/plan.ts";
import type { BindContext } from "./context.ts";
import { ROW_SHARE } from "../../common/lock-mode.ts";
import type { LockableTable, LockingClause, Scope } from "./scope.ts";

interface LockRequest {
  /** RowLock of native/engine.ts. */
  readonly mode: number;
  /** LockPolicy of native/engine.ts. */
  readonly policy: number;
  readonly words: string;
}

const STRENGTHS: Readonly<Record<string, { readonly mode: number; readonly words: string }>> = {
  LCS_FORKEYSHARE: { mode: 0, words: "FOR KEY SHARE" },
  LCS_FORSHARE: { mode: 1, words: "FOR SHARE" },
  LCS_FORNOKEYUPDATE: { mode: 2, words: "FOR NO KEY UPDATE" },
  LCS_FORUPDATE: { mode: 3, words: "FOR UPDATE" },
};
const POLICIES: Readonly<Record<string, number>> = { LockWaitBlock: 0, LockWaitError: 1, LockWaitSkip: 2 };
/** Of two clauses over one table the stricter holds: NOWAIT over SKIP LOCKED over waiting. */
const POLICY_RANK = [0, 2, 1];

/** The locking clauses of a SELECT. */
export function lockingClauses(statement: SelectStmt): readonly LockingClause[] {
  return (statement.lockingClause ?? []).flatMap((node: Node) =>
    "LockingClause" in node ? [node.LockingClause as LockingClause] : [],
  );
}

function requestOf(clause: LockingClause): LockRequest {
  const strength = STRENGTHS[clause.strength ?? ""] ?? { mode: 3, words: "FOR UPDATE" };
  return { ...strength, policy: POLICIES[clause.waitPolicy ?? ""] ?? 0 };
}

/** 0A000 as PostgreSQL words it: the clause beside `what`. */
export function refuseLocking(statement: SelectStmt, what: string): void {
  const clause = lockingClauses(statement)[0];
  if (clause !== undefined) throw notAllowed(clause, `is not allowed with ${what}`);
}

/** VALUES has no rows to lock. */
export function refuseLockingValues(statement: SelectStmt): void {
  const clause = lockingClauses(statement)[0];
  if (clause !== undefined) throw notAllowed(clause, "cannot be applied to VALUES");
}

function notAllowed(clause: LockingClause, rest: string): SqlError {
  return new SqlError(SqlState.featureNotSupported, `${requestOf(clause).words} ${rest}`);
}

/** A sub-select of FROM with the clauses that reach it from outside. */
export function withOuterLocks(scope: Scope, alias: string, select: SelectStmt): SelectStmt {
  if (scope.locking.length === 0 || select.valuesLists !== undefined) return select;
  const reaching = scope.locking.filter((clause) => names(clause)?.some((n) => n.name === alias) !== false);
  if (reaching.length === 0) return select;
  const own = reaching.map((clause): Node => ({ LockingClause: withoutNames(clause) }) as Node);
  return { ...select, lockingClause: [...(select.lockingClause ?? []), ...own] };
}

function withoutNames(clause: LockingClause): LockingClause {
  const { lockedRels: _, ...rest } = clause;
  return rest;
}

/** What OF names; undefined = everything in FROM. */
function names(
  clause: LockingClause,
):
  | readonly { readonly name: string; readonly schema: string | undefined; readonly position: number }[]
  | undefined {
  const listed = clause.lockedRels ?? [];
  if (listed.length === 0) return undefined;
  return listed.flatMap((node) =>
    "RangeVar" in node
      ? [
          {
            name: node.RangeVar.relname ?? "",
            schema: node.RangeVar.schemaname,
            position: positionOf(node.RangeVar.location),
          },
        ]
      : [],
  );
}

/**
 * The marks of a SELECT whose FROM is bound. Takes the table lock ROW SHARE for each. `hasGroups` and the like are the
 * caller's to refuse; here the names after OF are checked.
 */
export function bindRowMarks(
  context: BindContext,
  clauses: readonly LockingClause[],
  scope: Scope,
): readonly LogicalRowMark[] {
  const marks = new Map<LockableTable, LockRequest>();
  for (const clause of clauses) {
    const request = requestOf(clause);
    const named = names(clause);
    if (named === undefined && scope.systemRelations.length > 0)
      throw notSupported(`${request.words} over a system catalog`);
    const tables = named === undefined ? scope.lockable : named.flatMap((n) => lockedBy(scope, request, n));
    for (const table of tables) marks.set(table, stricter(marks.get(table), request));
    context.rowLock ??= `SELECT ${request.words}`;
  }
  return [...marks].map(([{ table, alias, rid, columns }, { mode, policy, words }]): LogicalRowMark => {
    context.dependOn(table, ROW_SHARE);
    return { table, alias, rid, columns, mode, policy, words };
  });
}

function stricter(old: LockRequest | undefined, next: LockRequest): LockRequest {
  if (old === undefined) return next;
  const rank = (request: LockRequest): number => POLICY_RANK[request.policy] ?? 0;
  const policy = rank(next) > rank(old) ? next.policy : old.policy;
  return { ...(next.mode > old.mode ? next : old), policy };
}

function lockedBy(
  scope: Scope,
  { words }: LockRequest,
  {
    name,
    schema,
    position,
  }: { readonly name: string; readonly schema: string | undefined; readonly position: number },
): readonly LockableTable[] {
  if (schema !== undefined) {
    throw new SqlError(SqlState.syntaxError, `${words} must specify unqualified relation names`, {
      position,
    });
  }
  const table = scope.lockable.find((candidate) => candidate.alias === name);
  if (table !== undefined) return [table];
  if (scope.systemRelations.includes(name)) throw notSupported(`${words} over a system catalog`, position);
  const item = scope.items.find((candidate) => candidate.alias === name);
  if (item === undefined) {
    throw new SqlError(
      SqlState.undefinedTable,
      `relation "${name}" in ${words} clause not found in FROM clause`,
      { position },
    );
  }
  // A sub-select took the clause as its own when it was bound.
  if (item.fromKind === "sub-select") return [];
  throw new SqlError(SqlState.featureNotSupported, `${words} cannot be applied to ${item.fromKind}`, {
    position,
  });
}

/**
 * What a row with a newer version must pass again, bottom up: conditions of inner joins and WHERE. Where an outer join's
 * condition no longer holds, its nullable side becomes NULL.
 */
export function recheckOf(plan: LogicalPlan): readonly LogicalRecheck[] {
  switch (plan.kind) {
    case "filter":
      return [...recheckOf(plan.input), ...conditionsOf(plan.conditions, undefined)];
    case "join": {
      const below = [...recheckOf(plan.left), ...recheckOf(plan.right)];
      if (plan.joinType === "inner") return [...below, ...conditionsOf(plan.conditions, undefined)];
      // No row of a full join can be locked.
      if (plan.joinType !== "left" && plan.joinType !== "right") return below;
      const nullable = plan.joinType === "left" ? plan.right : plan.left;
      return [...below, ...conditionsOf(plan.conditions, outputColumns(nullable))];
    }
    default:
      return [];
  }
}

function conditionsOf(
  conditions: readonly LogicalRecheck["condition"][],
  nullable: LogicalRecheck["nullable"],
): readonly LogicalRecheck[] {
  return conditions.map((condition) => ({ condition, nullable }));
}
