// ALTER TABLE. An added column reads its initial value from the engine where a row is older than the column; only where every
// row has a value of its own (serial, identity, a volatile default) rows get new versions, and generated values are put beside the
// versions there are. A dropped column stays in
// storage, hidden. The caller holds ACCESS EXCLUSIVE on the table.
import type { ColumnEntry, IndexEntry, TableEntry } from "../../../catalog/entries.ts";
import { SqlError, SqlState } from "../../../common/error.ts";
import { must, unreachable } from "../../../common/assert.ts";
import { quoteIdentifier } from "../../../common/identifier.ts";
import type {
  AlterTableCommand,
  AlterTablePlan,
  RenameIndexPlan,
} from "../../../planner/physical/definition.ts";
import { isVolatile } from "../../../planner/logical/walk.ts";
import { columnSpec } from "../../storage/column-spec.ts";
import { singleValueBuffer } from "../../storage/column-buffer.ts";
import type { DefinitionContext } from "./context.ts";
import { alterColumnTypes } from "./alter-type.ts";
import { attnumOf } from "./column-number.ts";
import {
  addChecks,
  addKeys,
  alterConstraint,
  dropConstraint,
  requireNoNulls,
  validateCheck,
  validateConstraint,
} from "./constraint.ts";
import { makeColumn } from "./create-table.ts";
import {
  type Dependent,
  foreignKeyDependent,
  foreignKeysTo,
  removeForeignKeys,
  requireCascade,
  shownName,
} from "./dependents.ts";
import { addForeignKeys, touchReferenced, validateForeignKey } from "./foreign-key.ts";
import { isBehind, removeIndex, removeSequence } from "./drop.ts";
import { droppedName, readsColumn, withoutHiddenColumns } from "./hidden-columns.ts";
import { lockName } from "./name-lock.ts";
import { qualifiedName, relationExists } from "./names.ts";

export async function alterTable(plan: AlterTablePlan, context: DefinitionContext): Promise<void> {
  let table = plan.table;
  const renames = ({ kind }: AlterTableCommand): boolean =>
    kind === "rename-table" || kind === "rename-column";
  if (!plan.commands.every(renames)) await context.refuseWhileChecksWait(table, "ALTER TABLE");
  for (const command of plan.commands) {
    const changed = await runCommand(command, table, context);
    if (changed === table) continue;
    table = { ...changed, version: table.version + 1 };
    context.put(table);
  }
}

async function runCommand(
  command: AlterTableCommand,
  table: TableEntry,
  context: DefinitionContext,
): Promise<TableEntry> {
  switch (command.kind) {
    case "add-column":
      return addColumn(command, table, context);
    case "drop-column":
      return dropColumn(command, table, context);
    case "alter-types":
      return alterColumnTypes(table, command.changes, context);
    case "rename-column":
      return renameColumn(table, command.name, command.to, context);
    case "rename-table":
      await lockName(context, table.schema, command.to);
      if (relationExists(context.catalog(), table.schema, command.to)) {
        throw new SqlError(SqlState.duplicateTable, `relation "${command.to}" already exists`);
      }
      return { ...table, name: command.to };
    case "set-default":
      return withColumn(table, command.name, (column) => ({ ...column, default: command.default }));
    case "set-not-null":
      return setNotNull(table, command.name, command.notNull, context);
    case "add-key": {
      const keyed = await addKeys(table, [command.key], context);
      if (command.key.kind === "primary") {
        for (const name of command.key.columns) await requireNoNulls(table, name, context);
      }
      return keyed;
    }
    case "add-check": {
      const changed = addChecks(table, [command.check], context);
      const added = must(changed.constraints.at(-1), "the check just added");
      if (added.isValidated) await validateCheck(table, added, context);
      return changed;
    }
    case "add-foreign-key": {
      const changed = await addForeignKeys(table, [command.foreignKey], context);
      const added = must(changed.constraints.at(-1), "the foreign key just added");
      if (added.isValidated) await validateForeignKey(changed, added, context);
      return changed;
    }
    case "validate-constraint":
      return validateConstraint(table, command.name, context);
    case "alter-constraint":
      return alterConstraint(table, command.name, command, context);
    case "drop-constraint":
      return dropConstraint(table, command, context);
    default:
      return unreachable(command);
  }
}

async function addColumn(
  command: Extract<AlterTableCommand, { kind: "add-column" }>,
  table: TableEntry,
  context: DefinitionContext,
): Promise<TableEntry> {
  const { column } = command;
  if (table.columns.some((existing) => existing.name === column.name && !existing.isDropped)) {
    const message = `column "${column.name}" of relation "${table.name}" already exists`;
    if (!command.ifNotExists) throw new SqlError(SqlState.duplicateColumn, message);
    context.notice({ severity: "NOTICE", code: SqlState.duplicateColumn, message: `${message}, skipping` });
    return table;
  }
  const attnum = table.columns.length + 1;
  const entry = makeColumn(column, attnum, {
    context,
    schemaOid: table.schema,
    tableOid: table.oid,
    table: table.name,
    persistence: table.persistence,
    taken: new Set(),
  });
  const perRow =
    column.sequence !== undefined ||
    column.generated !== undefined ||
    (command.initial !== undefined && isVolatile(command.initial));
  const initial = command.initial === undefined || perRow ? null : await context.evaluate(command.initial);
  const widened: TableEntry = { ...table, columns: [...table.columns, entry], version: table.version + 1 };
  context.transaction.addColumn(
    table.storageId,
    columnSpec(column.type),
    singleValueBuffer(column.type, initial),
  );
  // What looks at rows from here on must see the column.
  context.put(widened);
  if (column.generated !== undefined) await context.fillColumns(widened, [attnum]);
  else if (perRow) {
    const name = qualifiedName(widened, context);
    await context.execute(`UPDATE ${name} SET ${quoteIdentifier(column.name)} = DEFAULT`);
  }
  if (entry.notNull && initial === null) await requireNoNulls(widened, column.name, context);
  const keyed = await addKeys(widened, command.keys, context);
  const result = await addForeignKeys(
    addChecks(keyed, command.checks, context),
    command.foreignKeys,
    context,
  );
  context.put(result);
  for (const constraint of result.constraints.slice(keyed.constraints.length)) {
    if (constraint.type === "c") await validateCheck(result, constraint, context);
    else await validateForeignKey(result, constraint, context);
  }
  return result;
}

async function setNotNull(
  table: TableEntry,
  name: string,
  notNull: boolean,
  context: DefinitionContext,
): Promise<TableEntry> {
  const attnum = attnumOf(table, name);
  if (notNull) await requireNoNulls(table, name, context);
  else if (
    table.constraints.some((constraint) => constraint.type === "p" && constraint.columns.includes(attnum))
  ) {
    throw new SqlError(SqlState.invalidTableDefinition, `column "${name}" is in a primary key`);
  } else if (table.columns[attnum - 1]?.identity !== "") {
    throw new SqlError(
      SqlState.syntaxError,
      `column "${name}" of relation "${table.name}" is an identity column`,
    );
  }
  return withColumn(table, name, (column) => ({ ...column, notNull }));
}

/** Dropping a column takes its indexes and constraints along; foreign keys of other tables to it need CASCADE. */
async function dropColumn(
  command: Extract<AlterTableCommand, { kind: "drop-column" }>,
  table: TableEntry,
  context: DefinitionContext,
): Promise<TableEntry> {
  const column = table.columns.find((candidate) => candidate.name === command.name && !candidate.isDropped);
  if (column === undefined) {
    const message = `column "${command.name}" of relation "${table.name}" does not exist`;
    if (!command.ifExists) throw new SqlError(SqlState.undefinedColumn, message);
    context.notice({ severity: "NOTICE", code: "00000", message: `${message}, skipping` });
    return table;
  }
  const { attnum } = column;
  const subject = `column ${column.name} of table ${shownName(table, context)}`;
  const references = foreignKeysTo(
    table,
    context,
    // A foreign key of the table itself that stands on the column goes with it anyway.
    ({ table: other, constraint }) =>
      constraint.reference?.columns.includes(attnum) === true &&
      !(other.oid === table.oid && constraint.columns.includes(attnum)),
  );
  const generated = table.columns.filter(
    (other) =>
      !other.isDropped &&
      other.generated !== undefined &&
      context.attnumsRead(other.generated, table).includes(attnum),
  );
  const dependents: Dependent[] = [
    ...generated.map(({ name }) => ({
      description: `column ${name} of table ${shownName(table, context)}`,
      on: subject,
    })),
    ...references.map((one) => foreignKeyDependent(one, subject, context)),
  ];
  requireCascade(subject, dependents, command.cascade, context);
  await removeForeignKeys(
    references.filter((one) => one.table.oid !== table.oid),
    context,
  );
  let rest = table;
  for (const { name } of generated) {
    const dependent = { kind: "drop-column", name, ifExists: false, cascade: true } as const;
    rest = await dropColumn(dependent, rest, context);
  }
  for (const index of context.catalog().indexesOf(table.oid)) {
    if (!readsColumn(index, attnum)) continue;
    removeIndex(index, context);
    rest = withoutHiddenColumns(rest, index);
  }
  if (column.ownedSequence !== 0) {
    const sequence = context.catalog().entry("sequence", column.ownedSequence);
    if (sequence?.kind === "sequence") removeSequence(sequence, context);
  }
  const gone = rest.constraints.filter(
    (constraint) =>
      constraint.columns.includes(attnum) || references.some((one) => one.constraint.oid === constraint.oid),
  );
  await touchReferenced(gone, table.oid, context);
  return {
    ...rest,
    constraints: rest.constraints.filter((constraint) => !gone.includes(constraint)),
    columns: rest.columns.map((other) => (other === column ? droppedColumn(column) : other)),
  };
}

function droppedColumn(column: ColumnEntry): ColumnEntry {
  return {
    ...column,
    name: droppedName(column.attnum),
    notNull: false,
    default: undefined,
    identity: "",
    generated: undefined,
    isDropped: true,
    ownedSequence: 0,
  };
}

/**
 * CHECK and index texts name columns, so they are rewritten; DEFAULTs cannot name any. The texts of the user's own generated
 * columns are not followed.
 */
function renameColumn(table: TableEntry, name: string, to: string, context: DefinitionContext): TableEntry {
  const attnum = attnumOf(table, name);
  if (table.columns.some((column) => column.name === to && !column.isDropped)) {
    throw new SqlError(SqlState.duplicateColumn, `column "${to}" of relation "${table.name}" already exists`);
  }
  const renamedTable: TableEntry = {
    ...table,
    columns: table.columns.map((column) => (column.attnum === attnum ? { ...column, name: to } : column)),
  };
  const renamed = (text: string): string => context.rewriteText(text, table, renamedTable);
  const hidden = new Set<number | undefined>();
  for (const index of context.catalog().indexesOf(table.oid)) {
    if (!readsColumn(index, attnum)) continue;
    for (const column of index.columns) hidden.add(column.hiddenAttnum);
    hidden.add(index.predicate?.hiddenAttnum);
    context.put(renamedIndex(index, renamed));
  }
  return {
    ...table,
    columns: table.columns.map((column) => {
      if (column.attnum === attnum) return { ...column, name: to };
      const isGenerated = column.generated !== undefined && (!column.isDropped || hidden.has(column.attnum));
      return isGenerated ? { ...column, generated: renamed(column.generated) } : column;
    }),
    constraints: table.constraints.map((constraint) =>
      constraint.expression !== undefined && constraint.columns.includes(attnum)
        ? { ...constraint, expression: renamed(constraint.expression) }
        : constraint,
    ),
  };
}

function renamedIndex(index: IndexEntry, renamed: (text: string) => string): IndexEntry {
  const { predicate } = index;
  return {
    ...index,
    version: index.version + 1,
    columns: index.columns.map((column) => {
      const { expression } = column;
      if (expression === undefined) return column;
      return { ...column, expression: { ...expression, text: renamed(expression.text) } };
    }),
    predicate: predicate === undefined ? undefined : { ...predicate, text: renamed(predicate.text) },
  };
}

function withColumn(
  table: TableEntry,
  name: string,
  change: (column: ColumnEntry) => ColumnEntry,
): TableEntry {
  const attnum = attnumOf(table, name);
  return {
    ...table,
    columns: table.columns.map((column) => (column.attnum === attnum ? change(column) : column)),
  };
}

/** ALTER INDEX ... RENAME TO; a constraint behind the index is renamed with it. */
export async function renameIndex(plan: RenameIndexPlan, context: DefinitionContext): Promise<void> {
  const { index } = plan;
  await lockName(context, index.schema, plan.to);
  if (relationExists(context.catalog(), index.schema, plan.to)) {
    throw new SqlError(SqlState.duplicateTable, `relation "${plan.to}" already exists`);
  }
  const renamed: IndexEntry = { ...index, name: plan.to, version: index.version + 1 };
  context.put(renamed);
  const table = context.catalog().entry("table", index.tableOid);
  if (table?.kind !== "table") return;
  if (!table.constraints.some((constraint) => isBehind(index, constraint))) return;
  context.put({
    ...table,
    version: table.version + 1,
    constraints: table.constraints.map((constraint) =>
      isBehind(index, constraint) ? { ...constraint, name: plan.to } : constraint,
    ),
  });
}
