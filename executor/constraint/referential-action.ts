// The referenced side of a foreign key: keys are gone, because rows were deleted or updated. NO ACTION and RESTRICT look for
// rows that refer to them, the other actions delete or update those rows, as statements of the same transaction whose own
// events join the queue of the statement that set them off.
//
// Referencing rows are looked for in the newest state also under REPEATABLE READ: one that another transaction committed
// meanwhile must not be left behind. An action on a row that the snapshot does not hold is 40001 (PostgreSQL's crosscheck).
import { ROW_EXCLUSIVE, ROW_SHARE } from "../../common/lock-mode.ts";
import { assert, must } from "../../common/assert.ts";
import { BoxedVector, type Batch } from "../../common/batch/vector.ts";
import { NO_ROW, RowLock, RowLockOutcome } from "../../native/engine.ts";
import type { BoundExpression } from "../../planner/logical/expression.ts";
import type { ForeignKeyRules, TableConstraints, UpdatePlan } from "../../planner/physical/plan.ts";
import type { ExecutionContext } from "../context.ts";
import { readLocked, readNewest } from "../modify/existing-rows.ts";
import { RowUpdater } from "../modify/row-updater.ts";
import { lockRows } from "../modify/write-rows.ts";
import { actionOf, type Key, type RemovedKeyEvent } from "./events.ts";
import { KeySet, lookupParents, parentTypes } from "./keys.ts";
import { noteDeleted } from "./note.ts";
import { convertKeys } from "./reference-check.ts";
import { findReferencing, type ReferencingRows } from "./referencing-rows.ts";
import { stillReferenced } from "./violations.ts";

/** Table lock that an event takes on the referencing table. */
export function childLockMode(event: RemovedKeyEvent): number {
  return "ar".includes(actionOf(event)) ? ROW_SHARE : ROW_EXCLUSIVE;
}

export async function runAction(
  event: RemovedKeyEvent,
  rules: ForeignKeyRules,
  context: ExecutionContext,
): Promise<void> {
  switch (actionOf(event)) {
    case "a":
      return refuseReferences(rules, withoutReplaced(event.keys, rules, context), context);
    case "r":
      context.transaction.beginCheck();
      return refuseReferences(rules, event.keys, context);
    case "c":
      return event.cause === "delete"
        ? deleteReferencing(event, rules, context)
        : updateReferencing(event, rules, cascade(event, rules), context);
    case "n":
      return updateReferencing(event, rules, setNull(event, rules), context);
    case "d":
      await updateReferencing(event, rules, setDefault(event, rules), context);
      // Rows whose key was the default already still refer to what is gone.
      return refuseReferences(rules, withoutReplaced(event.keys, rules, context), context);
  }
}

/** NO ACTION: keys that a row of the referenced table has again need no look. */
function withoutReplaced(keys: readonly Key[], rules: ForeignKeyRules, context: ExecutionContext): Key[] {
  context.transaction.beginCheck();
  const parents = lookupParents(rules, keys, context);
  return keys.filter((_, i) => parents[i] === NO_ROW);
}

/** 23503 for the first key that rows refer to. Such a row is locked first: it may be about to go. */
async function refuseReferences(
  rules: ForeignKeyRules,
  keys: readonly Key[],
  context: ExecutionContext,
): Promise<void> {
  if (keys.length === 0) return;
  const set = keySet(rules, keys);
  const { rids, positions } = await findReferencing(rules, set, context);
  for (let i = 0; i < rids.length; i++) {
    const rid = rids.slice(i, i + 1);
    const [outcome] = await lockRows(rules.child, rid, RowLock.keyShare, context);
    if (outcome === RowLockOutcome.gone) continue;
    const position = positions[i] as number;
    if (outcome === RowLockOutcome.changed && (await positionsNow(rules, set, rid, context))[0] !== position)
      continue;
    throw stillReferenced(rules, must(set.keys[position], "a key"), context);
  }
}

function keySet(rules: ForeignKeyRules, keys: readonly Key[]): KeySet {
  const set = new KeySet(parentTypes(rules));
  for (const key of keys) set.add(key);
  return set;
}

/** Positions in `set` of the keys that locked rows have in their newest versions; undefined = refers to none of them. */
async function positionsNow(
  rules: ForeignKeyRules,
  set: KeySet,
  rids: Uint32Array,
  context: ExecutionContext,
): Promise<(number | undefined)[]> {
  const read = readNewest(rules.child, rules.constraint.columns, rids, context);
  const converted = await convertKeys(rules, read.columns, read.rids.length, context);
  const found = new Map<number, number | undefined>();
  for (const [row, rid] of read.rids.entries()) found.set(rid, set.find(converted, row));
  return Array.from(rids, (rid) => found.get(rid));
}

/** The rows that refer to the event's keys, locked, those left out that do so no longer. */
async function lockReferencing(
  event: RemovedKeyEvent,
  rules: ForeignKeyRules,
  mode: number,
  context: ExecutionContext,
): Promise<ReferencingRows & { readonly set: KeySet }> {
  const set = keySet(rules, event.keys);
  context.transaction.beginCheck();
  const { rids } = await findReferencing(rules, set, context);
  // Back to the transaction's own snapshot: under REPEATABLE READ it decides what may be written.
  context.transaction.beginStatement();
  const outcomes = await lockRows(rules.child, rids, mode, context);
  const held = rids.filter((_, i) => outcomes[i] !== RowLockOutcome.gone);
  const now = await positionsNow(rules, set, held, context);
  const kept = now.flatMap((position, i) => (position === undefined ? [] : [i]));
  return {
    set,
    rids: Uint32Array.from(kept, (i) => held[i] as number),
    positions: Uint32Array.from(kept, (i) => now[i] as number),
  };
}

async function deleteReferencing(
  event: RemovedKeyEvent,
  rules: ForeignKeyRules,
  context: ExecutionContext,
): Promise<void> {
  const { child } = rules;
  const { rids } = await lockReferencing(event, rules, RowLock.update, context);
  if (rids.length === 0) return;
  const { referencedBy } = context.constraints.constraintsOf(child);
  const watched = [...new Set(referencedBy.flatMap(({ columns }) => columns))];
  const old = readLocked(child, watched, rids, context);
  context.transaction.deleteRows(child.storageId, rids, 0, rids.length);
  noteDeleted(referencedBy, old, rids.length, context);
}

/** What an action writes: assignments over the new keys of the referenced rows. */
type Assignments = UpdatePlan["assignments"];

function cascade(event: RemovedKeyEvent, rules: ForeignKeyRules): Assignments {
  assert(event.newKeys.length === event.keys.length, "an update has a new key for each old one");
  return rules.constraint.columns.map((attnum, i) => ({
    attnum,
    expression: must(rules.cascaded[i], "a column to cascade"),
  }));
}

function setNull(event: RemovedKeyEvent, rules: ForeignKeyRules): Assignments {
  return assignedColumns(event, rules).map(({ attnum, position }) => ({
    attnum,
    expression: nullOf(must(rules.defaults[position], "a default")),
  }));
}

function nullOf({ type, collation }: BoundExpression): BoundExpression {
  return { kind: "constant", value: null, type, collation, position: 0 };
}

function setDefault(event: RemovedKeyEvent, rules: ForeignKeyRules): Assignments {
  return assignedColumns(event, rules).map(({ attnum, position }) => ({
    attnum,
    expression: must(rules.defaults[position], "a default"),
  }));
}

/** All columns of the key, or those that ON DELETE SET NULL (...) names. */
function assignedColumns(
  event: RemovedKeyEvent,
  { constraint, reference }: ForeignKeyRules,
): readonly { readonly attnum: number; readonly position: number }[] {
  const only = event.cause === "delete" ? reference.deleteColumns : [];
  return constraint.columns
    .map((attnum, position) => ({ attnum, position }))
    .filter(({ attnum }) => only.length === 0 || only.includes(attnum));
}

async function updateReferencing(
  event: RemovedKeyEvent,
  rules: ForeignKeyRules,
  assignments: Assignments,
  context: ExecutionContext,
): Promise<void> {
  const { child } = rules;
  const constraints: TableConstraints = context.constraints.constraintsOf(child);
  const updater = new RowUpdater({ table: child, assignments, constraints }, context);
  const { rids, positions, set } = await lockReferencing(event, rules, updater.lockMode, context);
  if (rids.length === 0) return;
  const newKeys = newKeysOf(event, rules, set);
  const input: Batch = {
    columns: rules.constraint.columns.map(
      (_, i) => new BoxedVector(Array.from(positions, (position) => newKeys(position)?.[i] ?? null)),
    ),
    rowCount: rids.length,
  };
  const old = readLocked(child, updater.oldColumnsNeeded(new Set()), rids, context);
  await updater.update(input, rids, old);
  updater.close();
}

/** The new key of each key in `set`; none after a delete. */
function newKeysOf(
  event: RemovedKeyEvent,
  rules: ForeignKeyRules,
  set: KeySet,
): (position: number) => Key | undefined {
  if (event.newKeys.length === 0) return () => undefined;
  const positions = new KeySet(parentTypes(rules));
  const byPosition: Key[] = [];
  for (const [i, key] of event.keys.entries())
    if (positions.add(key) !== undefined) byPosition.push(must(event.newKeys[i], "a new key"));
  assert(byPosition.length === set.keys.length, "both sets hold the same keys");
  return (position) => byPosition[position];
}
