// DROP TABLE, INDEX, SEQUENCE, SCHEMA, EXTENSION. What depends on a dropped object is either internal (a table's indexes and
// sequences go with it), or needs CASCADE; without it PostgreSQL's 2BP01 lists the dependents.
import type { IndexEntry, SchemaEntry, SequenceEntry, TableEntry } from "../../../catalog/entries.ts";
import { SqlError, SqlState } from "../../../common/error.ts";
import type { DropPlan, DropTarget } from "../../../planner/physical/definition.ts";
import type { DefinitionContext } from "./context.ts";
import { withoutHiddenColumns } from "./hidden-columns.ts";

const ACCESS_EXCLUSIVE = 8;

export async function drop(plan: DropPlan, context: DefinitionContext): Promise<void> {
  for (const target of plan.targets) await dropTarget(target, plan.cascade, context);
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
      dropIndexByCommand(target.index, context);
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

/** Removes a table with its indexes, owned sequences, comments and statistics. */
export async function dropTable(table: TableEntry, context: DefinitionContext): Promise<void> {
  await context.lockRelation(table.oid, ACCESS_EXCLUSIVE);
  for (const index of context.catalog().indexesOf(table.oid)) removeIndex(index, context);
  for (const column of table.columns) {
    if (column.ownedSequence === 0) continue;
    const sequence = context.catalog().entry("sequence", column.ownedSequence);
    if (sequence?.kind === "sequence") removeSequence(sequence, context);
  }
  const statistics = context.catalog().statisticsOf(table.oid);
  if (statistics !== undefined) context.remove(statistics);
  removeComments(table.oid, context);
  context.transaction.dropRelation(table.storageId);
  context.remove(table);
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

function dropIndexByCommand(index: IndexEntry, context: DefinitionContext): void {
  const table = context.catalog().entry("table", index.tableOid);
  const constraint =
    table?.kind === "table" ? table.constraints.find((c) => c.indexOid === index.oid) : undefined;
  if (table !== undefined && constraint !== undefined) {
    throw new SqlError(
      SqlState.dependentObjectsStillExist,
      `cannot drop index ${index.name} because constraint ${constraint.name} on table ${table.name} requires it`,
      { hint: `You can drop constraint ${constraint.name} on table ${table.name} instead.` },
    );
  }
  removeIndex(index, context);
  if (table?.kind !== "table") return;
  const rest = withoutHiddenColumns(table, index);
  if (rest !== table) context.put({ ...rest, version: table.version + 1 });
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
  const dependents = [...tables.map((t) => `table ${t.name}`), ...sequences.map((s) => `sequence ${s.name}`)];
  if (dependents.length > 0 && !cascade) {
    throw new SqlError(
      SqlState.dependentObjectsStillExist,
      `cannot drop schema ${schema.name} because other objects depend on it`,
      {
        detail: dependents.map((name) => `${name} depends on schema ${schema.name}`).join("\n"),
        hint: "Use DROP ... CASCADE to drop the dependent objects too.",
      },
    );
  }
  if (dependents.length === 1) {
    context.notice({ severity: "NOTICE", code: "00000", message: `drop cascades to ${dependents[0]}` });
  } else if (dependents.length > 1) {
    context.notice({
      severity: "NOTICE",
      code: "00000",
      message: `drop cascades to ${dependents.length} other objects`,
      detail: dependents.map((name) => `drop cascades to ${name}`).join("\n"),
    });
  }
  for (const table of tables) await dropTable(table, context);
  for (const sequence of sequences) removeSequence(sequence, context);
  removeComments(schema.oid, context);
  context.remove(schema);
}
