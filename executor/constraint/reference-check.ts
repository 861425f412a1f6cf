// The referencing side of a foreign key (PostgreSQL's RI_FKey_check): the keys of new and changed rows must be there in the
// referenced table, and are locked FOR KEY SHARE so that they stay.
//
// Keys are looked up once each, in the order in which rows have them first: READ COMMITTED in the newest state, REPEATABLE
// READ in its snapshot, where a referenced row whose key is gone since is 40001.
import { must } from "../../common/assert.ts";
import type { Vector } from "../../common/batch/vector.ts";
import { SqlError, SqlState, toSqlError } from "../../common/error.ts";
import { NO_ROW, RowLock, RowLockOutcome } from "../../native/engine.ts";
import type { ForeignKeyRules } from "../../planner/physical/plan.ts";
import type { ExecutionContext } from "../context.ts";
import { compileExpression } from "../expression/compile.ts";
import { evaluateAll } from "../expression/evaluate.ts";
import type { MaybePromise } from "../maybe-promise.ts";
import { readNewest } from "../modify/existing-rows.ts";
import { lockRows } from "../modify/write-rows.ts";
import type { Key, ReferenceEvent } from "./events.ts";
import { KeySet, lookupParents, parentTypes } from "./keys.ts";
import { keyAt } from "./note.ts";
import { missingParent, mixedNulls } from "./violations.ts";

/** 23503 for the first row without a referenced one. */
export async function checkReferences(
  event: ReferenceEvent,
  rules: ForeignKeyRules,
  context: ExecutionContext,
): Promise<void> {
  context.transaction.beginStatement();
  const wanted = await distinctKeys(event, rules, context);
  const { keys } = wanted.set;
  const parents = lookupParents(rules, keys, context);
  const missing = parents.indexOf(NO_ROW);
  const present = missing < 0 ? parents : parents.subarray(0, missing);
  const lost = await lockKeys(rules, present.slice(), wanted.set, context);
  const failed = lost ?? (missing < 0 ? undefined : missing);
  if (failed !== undefined) throw missingParent(rules, wanted.keyOf(failed), context);
  if (wanted.hasMixedNulls) throw mixedNulls(rules, context);
}

interface WantedKeys {
  /** In the types of the referenced table. */
  readonly set: KeySet;
  /** A key as its first row has it, for messages. */
  keyOf(position: number): Key;
  readonly hasMixedNulls: boolean;
}

async function distinctKeys(
  event: ReferenceEvent,
  rules: ForeignKeyRules,
  context: ExecutionContext,
): Promise<WantedKeys> {
  const { child, constraint, reference } = rules;
  const set = new KeySet(parentTypes(rules));
  const shown: Key[] = [];
  let hasMixedNulls = false;
  for (const rids of event.rids) {
    for (let from = 0; from < rids.length && !hasMixedNulls; from += context.batchRows) {
      const pause = context.turn();
      if (pause !== undefined) await pause;
      const part = rids.subarray(from, from + context.batchRows);
      const read = readNewest(child, constraint.columns, part, context);
      const rowCount = read.rids.length;
      const converted = await convertKeys(rules, read.columns, rowCount, context);
      for (let row = 0; row < rowCount; row++) {
        const nulls = converted.filter((vector) => vector.isNull(row)).length;
        if (nulls === 0) {
          const all = converted.map((_, i) => i + 1);
          if (set.add(keyAt(converted, all, row)) !== undefined)
            shown.push(keyAt(read.columns, constraint.columns, row));
        } else if (reference.match === "f" && nulls < converted.length) {
          // Rows behind this one are not looked at: it is an error already, after those before it.
          hasMixedNulls = true;
          break;
        }
      }
    }
  }
  return { set, keyOf: (position) => must(shown[position], "a key's first row"), hasMixedNulls };
}

/** Keys of child rows in the types of the referenced table. */
export function convertKeys(
  rules: ForeignKeyRules,
  columns: readonly Vector[],
  rowCount: number,
  context: ExecutionContext,
): MaybePromise<readonly Vector[]> {
  return evaluateAll(rules.childKey.map(compileExpression), { columns, rowCount }, context);
}

/**
 * Locks referenced rows; gives the position of the first key that its row no longer has. With a fixed snapshot such a row is
 * 40001, while one that changed in other columns only will do, as for PostgreSQL's FOR KEY SHARE.
 */
async function lockKeys(
  rules: ForeignKeyRules,
  rids: Uint32Array,
  set: KeySet,
  context: ExecutionContext,
): Promise<number | undefined> {
  const { parent, reference } = rules;
  const isFixed = context.functionContext.session.getSetting("transaction_isolation") !== "read committed";
  // From here on the newest state counts: what the snapshot holds was looked up.
  if (isFixed) context.transaction.beginCheck();
  let outcomes: Uint8Array;
  try {
    outcomes = await lockRows(parent, rids, RowLock.keyShare, context);
  } catch (error) {
    asLockedRows(error);
  }
  for (let i = 0; i < rids.length; i++) {
    if (outcomes[i] === RowLockOutcome.locked && !isFixed) continue;
    const newest = readNewest(parent, reference.columns, rids.slice(i, i + 1), context);
    const columns = reference.columns.map((attnum) =>
      must(newest.columns[attnum - 1], "a referenced column"),
    );
    if (newest.rids.length > 0 && set.find(columns, 0) === i) continue;
    if (!isFixed) return i;
    throw concurrentUpdate();
  }
  return undefined;
}

/** PostgreSQL's LockRows says "update" of deleted rows too. */
function asLockedRows(error: unknown): never {
  throw toSqlError(error).code === SqlState.serializationFailure ? concurrentUpdate() : error;
}

function concurrentUpdate(): SqlError {
  return new SqlError(SqlState.serializationFailure, "could not serialize access due to concurrent update");
}
