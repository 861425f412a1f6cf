// DROP TABLE, INDEX, SEQUENCE, SCHEMA, EXTENSION. What depends on a dropped object is either internal (a table's indexes and
// sequences go with it), or needs CASCADE; without it PostgreSQL's 2BP01 lists the dependents.
import { ACCESS_EXCLUSIVE } from "../../../common/lock-mode.ts";
import type {
  ConstraintEntry,
  IndexEntry,
  SchemaEntry,
  SequenceEntry,
  TableEntry,
} from "../../../catalog/entries.ts";
import { SqlError, SqlState } from "../../../common/error.ts";
import type { DropPlan, DropTarget } from "../../../planner/physical/definition.ts";
import type { DefinitionContext } from "./context.ts";
import { withoutHiddenColumns } from "./hidden-columns.ts";
import {
  type Dependent,
  foreignKeyDependent,
  foreignKeysTo,
  removeForeignKeys,
  requireCascade,
  shownName,
  shownSequence,
} from "./dependents.ts";
import { touchReferenced } from "./foreign-key.ts";

export async function drop(plan: DropPlan, context: DefinitionContext): Promise<void> {
  const tables = plan.targets.flatMap((target) => (target.kind === "table" ? [target.table] : []));
  if (tables.length > 0) await dropReferences(tables, plan.cascade, context);
  for (const target of plan.targets) await dropTarget(target, plan.cascade, context);
}

/** Foreign keys to `tables` from tables that stay. */
async function dropReferences(
  tables: readonly TableEntry[],
  cascade: boolean,
  context: DefinitionContext,
): Promise<void> {
  const going = new Set(tables.map((table) => table.oid));
  const references = tables.flatMap((table) =>
    foreignKeysTo(table, context, (one) => !going.has(one.table.oid)).map((one) => ({ table, one })),
  );
  const dependents = references.map(({ table, one }) =>
    foreignKeyDependent(one, `table ${shownName(table, context)}`, context),
  );
  const [only, ...others] = tables;
  const isOne = only !== undefined && others.length === 0;
  requireCascade(isOne ? `table ${shownName(only, context)}` : undefined, dependents, cascade, context);
  await refuseWhileChecksWait(tables, context);
  await removeForeignKeys(
    references.map(({ one }) => one),
    context,
  );
}

/** Before foreign keys go: what waits is known by them. */
async function refuseWhileChecksWait(
  tables: readonly TableEntry[],
  context: DefinitionContext,
): Promise<void> {
  for (const table of tables) await context.refuseWhileChecksWait(table, "DROP TABLE");
}

async function dropTarget(target: DropTarget, cascade: boolean, context: DefinitionContext): Promise<void> {
  switch (target.kind) {
    case "missing":
      context.notice({ severity: "NOTICE", code: "00000", message: target.notice });
      return;
    case "table":
      await dropTable(target.table, context);
      return;
    case "index":
      await dropIndexByCommand(target.index, cascade, context);
      return;
    case "sequence":
      dropSequenceByCommand(target.sequence, cascade, context);
      return;
    case "schema":
      await dropSchema(target.schema, cascade, context);
      return;
    case "extension": {
      const entry = context.catalog().entry("extension", target.oid);
      if (entry !== undefined) context.remove(entry);
      return;
    }
  }
}

/** Removes a table with its indexes, owned sequences, comments and statistics; foreign keys to it are gone already. */
export async function dropTable(table: TableEntry, context: DefinitionContext): Promise<void> {
  await context.lockRelation(table.oid, ACCESS_EXCLUSIVE);
  const current = context.catalog().entry("table", table.oid);
  if (current?.kind !== "table") return;
  await touchReferenced(current.constraints, table.oid, context);
  for (const index of context.catalog().indexesOf(table.oid)) removeIndex(index, context);
  for (const column of current.columns) {
    if (column.ownedSequence === 0) continue;
    const sequence = context.catalog().entry("sequence", column.ownedSequence);
    if (sequence?.kind === "sequence") removeSequence(sequence, context);
  }
  const statistics = context.catalog().statisticsOf(table.oid);
  if (statistics !== undefined) context.remove(statistics);
  removeComments(table.oid, context);
  context.transaction.dropRelation(current.storageId);
  context.remove(current);
}

/** Whether the constraint is a key that the index serves (a foreign key names the index of what it refers to). */
export function isBehind(index: IndexEntry, constraint: ConstraintEntry): boolean {
  return constraint.indexOid === index.oid && constraint.reference === undefined;
}

/** Drops an index with its storage; its constraint and hidden columns are the caller's affair. */
export function removeIndex(index: IndexEntry, context: DefinitionContext): void {
  context.transaction.dropIndex(index.storageId);
  removeComments(index.oid, context);
  context.remove(index);
}

export function removeSequence(sequence: SequenceEntry, context: DefinitionContext): void {
  context.transaction.dropSequence(sequence.storageId);
  removeComments(sequence.oid, context);
  context.remove(sequence);
}

function removeComments(objectOid: number, context: DefinitionContext): void {
  for (const entry of Array.from(context.catalog().entries())) {
    if (entry.kind === "comment" && entry.objectOid === objectOid) context.remove(entry);
  }
}

async function dropIndexByCommand(
  index: IndexEntry,
  cascade: boolean,
  context: DefinitionContext,
): Promise<void> {
  const table = context.catalog().entry("table", index.tableOid);
  const constraint = table?.kind === "table" ? table.constraints.find((c) => isBehind(index, c)) : undefined;
  if (table !== undefined && constraint !== undefined) {
    throw new SqlError(
      SqlState.dependentObjectsStillExist,
      `cannot drop index ${index.name} because constraint ${constraint.name} on table ${table.name} requires it`,
      { hint: `You can drop constraint ${constraint.name} on table ${table.name} instead.` },
    );
  }
  if (table?.kind === "table") {
    const references = foreignKeysTo(table, context, (one) => one.constraint.indexOid === index.oid);
    const subject = `index ${index.name}`;
    const dependents = references.map((one) => foreignKeyDependent(one, subject, context));
    requireCascade(subject, dependents, cascade, context);
    await removeForeignKeys(references, context);
  }
  removeIndex(index, context);
  const rest = context.catalog().entry("table", index.tableOid);
  if (rest?.kind !== "table") return;
  const visible = withoutHiddenColumns(rest, index);
  if (visible !== rest) context.put({ ...visible, version: rest.version + 1 });
}

/** A sequence behind a column: identity refuses, a serial's default needs CASCADE, which drops the default. */
function dropSequenceByCommand(sequence: SequenceEntry, cascade: boolean, context: DefinitionContext): void {
  const owner = sequence.ownerTable === 0 ? undefined : context.catalog().entry("table", sequence.ownerTable);
  const column = owner?.kind === "table" ? owner.columns[sequence.ownerAttnum - 1] : undefined;
  if (owner?.kind === "table" && column !== undefined && column.ownedSequence === sequence.oid) {
    if (sequence.dependency === "i") {
      throw new SqlError(
        SqlState.dependentObjectsStillExist,
        `cannot drop sequence ${sequence.name} because column ${column.name} of table ${owner.name} requires it`,
        { hint: `You can drop column ${column.name} of table ${owner.name} instead.` },
      );
    }
    const dependent = `default value for column ${column.name} of table ${owner.name}`;
    if (!cascade) {
      throw new SqlError(
        SqlState.dependentObjectsStillExist,
        `cannot drop sequence ${sequence.name} because other objects depend on it`,
        {
          detail: `${dependent} depends on sequence ${sequence.name}`,
          hint: "Use DROP ... CASCADE to drop the dependent objects too.",
        },
      );
    }
    context.notice({ severity: "NOTICE", code: "00000", message: `drop cascades to ${dependent}` });
    context.put({
      ...owner,
      version: owner.version + 1,
      columns: owner.columns.map((c) => (c === column ? { ...c, default: undefined, ownedSequence: 0 } : c)),
    });
  }
  removeSequence(sequence, context);
}

async function dropSchema(schema: SchemaEntry, cascade: boolean, context: DefinitionContext): Promise<void> {
  const tables: TableEntry[] = [];
  const sequences: SequenceEntry[] = [];
  for (const relation of context.catalog().relationsIn(schema.oid)) {
    if (relation.kind === "table") tables.push(relation.table);
    if (relation.kind === "sequence" && relation.sequence.ownerTable === 0) sequences.push(relation.sequence);
  }
  const on = `schema ${schema.name}`;
  const going = new Set(tables.map((table) => table.oid));
  const references = tables.flatMap((table) => {
    const subject = `table ${shownName(table, context)}`;
    return foreignKeysTo(table, context, (one) => !going.has(one.table.oid)).map((one) => ({ subject, one }));
  });
  const dependents: Dependent[] = [
    ...tables.map((table) => ({ description: `table ${shownName(table, context)}`, on })),
    ...sequences.map((sequence) => ({ description: `sequence ${shownSequence(sequence, context)}`, on })),
    ...references.map(({ subject, one }) => foreignKeyDependent(one, subject, context)),
  ];
  requireCascade(on, dependents, cascade, context);
  await refuseWhileChecksWait(tables, context);
  await removeForeignKeys(
    references.map(({ one }) => one),
    context,
  );
  for (const table of tables) await dropTable(table, context);
  for (const sequence of sequences) removeSequence(sequence, context);
  removeComments(schema.oid, context);
  context.remove(schema);
}
