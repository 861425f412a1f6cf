// FOREIGN KEY: what it refers to (columns, their unique index, comparable types), its name, and the check of rows that exist.
// Both tables are locked in SHARE ROW EXCLUSIVE and get a new version: plans that write to either look for their foreign
// keys anew.
import { ACCESS_EXCLUSIVE, SHARE_ROW_EXCLUSIVE } from "../../../common/lock-mode.ts";
import type {
  ConstraintEntry,
  ForeignKeyReference,
  IndexEntry,
  TableEntry,
} from "../../../catalog/entries.ts";
import { PLAIN_CONSTRAINT } from "../../../catalog/entries.ts";
import { formatType } from "../../../catalog/deparse/type-name.ts";
import { must } from "../../../common/assert.ts";
import { SqlError, SqlState } from "../../../common/error.ts";
import { quoteIdentifier } from "../../../common/identifier.ts";
import { Oid } from "../../../common/types/oid.ts";
import type { ForeignKeyDefinition } from "../../../planner/physical/definition.ts";
import { formatKey } from "../../storage/key-text.ts";
import { columnType } from "../../storage/scan-target.ts";
import type { DefinitionContext } from "./context.ts";
import { chooseConstraintName, qualifiedName } from "./names.ts";

/** PostgreSQL's INDEX_MAX_KEYS. */
const MAX_KEYS = 32;

/** The table with these foreign keys; rows that exist are checked by validateForeignKey. */
export async function addForeignKeys(
  table: TableEntry,
  definitions: readonly ForeignKeyDefinition[],
  context: DefinitionContext,
): Promise<TableEntry> {
  let result = table;
  for (const definition of definitions) {
    const { table: target } = definition;
    const parent = target === "self" ? result : await lockedTable(target, context);
    const constraint = makeForeignKey(result, parent, definition, context);
    result = { ...result, constraints: [...result.constraints, constraint] };
    if (target !== "self") context.put({ ...parent, version: parent.version + 1 });
  }
  return result;
}

async function lockedTable(table: TableEntry, context: DefinitionContext): Promise<TableEntry> {
  await context.lockRelation(table.oid, SHARE_ROW_EXCLUSIVE);
  const current = context.catalog().entry("table", table.oid);
  if (current?.kind === "table") return current;
  throw new SqlError(SqlState.undefinedTable, `relation "${table.name}" does not exist`);
}

/** Moves a table's version, so that plans that were made before are made again. */
export async function touchTable(oid: number, lockMode: number, context: DefinitionContext): Promise<void> {
  await context.lockRelation(oid, lockMode);
  const table = context.catalog().entry("table", oid);
  if (table?.kind === "table") context.put({ ...table, version: table.version + 1 });
}

/** The other tables that foreign keys which go with `tableOid` referred to: their plans no longer look for rows there. */
export async function touchReferenced(
  constraints: readonly ConstraintEntry[],
  tableOid: number,
  context: DefinitionContext,
): Promise<void> {
  const referenced = new Set(constraints.flatMap(({ reference }) => reference?.tableOid ?? []));
  referenced.delete(tableOid);
  for (const oid of referenced) await touchTable(oid, ACCESS_EXCLUSIVE, context);
}

function makeForeignKey(
  table: TableEntry,
  parent: TableEntry,
  definition: ForeignKeyDefinition,
  context: DefinitionContext,
): ConstraintEntry {
  refuseMixedPersistence(table, parent);
  const columns = keyColumns(table, definition.columns);
  const referenced =
    definition.referenced.length === 0
      ? primaryKey(parent, context)
      : uniqueKey(parent, keyColumns(parent, definition.referenced), context);
  const deleteColumns = keyColumns(table, definition.deleteColumns);
  for (const [i, attnum] of deleteColumns.entries()) {
    if (columns.includes(attnum)) continue;
    throw new SqlError(
      SqlState.invalidColumnReference,
      `column "${definition.deleteColumns[i]}" referenced in ON DELETE SET action must be part of foreign key`,
    );
  }
  refuseGenerated(table, columns, definition);
  if (columns.length !== referenced.columns.length) {
    throw new SqlError(
      SqlState.invalidForeignKey,
      "number of referencing and referenced columns for foreign key disagree",
    );
  }
  const names = definition.columns.join("_");
  const taken = new Set(table.constraints.map((constraint) => constraint.name));
  const name =
    definition.name ??
    chooseConstraintName(
      context.catalog(),
      table.schema,
      { first: table.name, second: names, label: "fkey" },
      taken,
    );
  if (taken.has(name)) {
    throw new SqlError(
      SqlState.duplicateObject,
      `constraint "${name}" for relation "${table.name}" already exists`,
    );
  }
  for (const [i, attnum] of columns.entries())
    requireComparable(
      name,
      [table, attnum],
      [parent, must(referenced.columns[i], "a referenced column")],
      context,
    );
  const reference: ForeignKeyReference = {
    tableOid: parent.oid,
    columns: referenced.columns,
    match: definition.match,
    onUpdate: definition.onUpdate,
    onDelete: definition.onDelete,
    deleteColumns,
  };
  return {
    ...PLAIN_CONSTRAINT,
    oid: context.engine.allocateOid(),
    name,
    type: "f",
    columns,
    indexOid: referenced.index.oid,
    isDeferrable: definition.isDeferrable,
    isDeferred: definition.isDeferred,
    isValidated: definition.isValidated,
    reference,
  };
}

/** Rows must not go before those that name them: temporary and unlogged tables have shorter lives in PostgreSQL. */
const PERSISTENCE = { p: "permanent", u: "unlogged", t: "temporary" } as const;

/** What a table refers to lasts at least as long as the table. */
function refuseMixedPersistence(table: TableEntry, parent: TableEntry): void {
  const own = table.persistence;
  if (own === parent.persistence || (own === "u" && parent.persistence === "p")) return;
  const allowed = own === "u" ? "permanent or unlogged" : PERSISTENCE[own];
  throw new SqlError(
    SqlState.invalidTableDefinition,
    `constraints on ${PERSISTENCE[own]} tables may reference only ${allowed} tables`,
  );
}

function keyColumns(table: TableEntry, names: readonly string[]): number[] {
  if (names.length > MAX_KEYS) {
    throw new SqlError(SqlState.tooManyColumns, `cannot have more than ${MAX_KEYS} keys in a foreign key`);
  }
  return names.map((name) => {
    const column = table.columns.find((candidate) => candidate.name === name && !candidate.isDropped);
    if (column !== undefined) return column.attnum;
    throw new SqlError(
      SqlState.undefinedColumn,
      `column "${name}" referenced in foreign key constraint does not exist`,
    );
  });
}

interface ReferencedKey {
  readonly columns: readonly number[];
  readonly index: IndexEntry;
}

function primaryKey(parent: TableEntry, context: DefinitionContext): ReferencedKey {
  const index = context
    .catalog()
    .indexesOf(parent.oid)
    .find((candidate) => candidate.isPrimary);
  if (index === undefined) {
    throw new SqlError(
      SqlState.undefinedObject,
      `there is no primary key for referenced table "${parent.name}"`,
    );
  }
  if (!index.isImmediate) throw deferrableKey("primary key", parent);
  return { columns: index.columns.slice(0, index.keyCount).map((column) => column.attnum), index };
}

/** The unique index over exactly these columns, in whatever order it has them. */
function uniqueKey(
  parent: TableEntry,
  columns: readonly number[],
  context: DefinitionContext,
): ReferencedKey {
  if (new Set(columns).size < columns.length) {
    throw new SqlError(
      SqlState.invalidForeignKey,
      "foreign key referenced-columns list must not contain duplicates",
    );
  }
  const matching = context
    .catalog()
    .indexesOf(parent.oid)
    .filter(
      (index) =>
        index.isUnique &&
        index.predicate === undefined &&
        index.keyCount === columns.length &&
        index.columns.slice(0, index.keyCount).every((column) => columns.includes(column.attnum)),
    );
  const index = matching.find((candidate) => candidate.isImmediate);
  if (index !== undefined) return { columns, index };
  if (matching.length > 0) throw deferrableKey("unique constraint", parent);
  throw new SqlError(
    SqlState.invalidForeignKey,
    `there is no unique constraint matching given keys for referenced table "${parent.name}"`,
  );
}

function deferrableKey(what: string, parent: TableEntry): SqlError {
  return new SqlError(
    SqlState.objectNotInPrerequisiteState,
    `cannot use a deferrable ${what} for referenced table "${parent.name}"`,
  );
}

/** A generated column cannot be set by an action. */
function refuseGenerated(
  table: TableEntry,
  columns: readonly number[],
  definition: ForeignKeyDefinition,
): void {
  if (!columns.some((attnum) => table.columns[attnum - 1]?.generated !== undefined)) return;
  const refuse = (event: string): SqlError =>
    new SqlError(
      SqlState.syntaxError,
      `invalid ${event} action for foreign key constraint containing generated column`,
    );
  if ("ncd".includes(definition.onUpdate)) throw refuse("ON UPDATE");
  if ("nd".includes(definition.onDelete)) throw refuse("ON DELETE");
}

/** Types whose values btree's operator families compare with each other. */
const FAMILIES: readonly ReadonlySet<number>[] = [
  new Set([Oid.int2, Oid.int4, Oid.int8]),
  new Set([Oid.text, Oid.varchar]),
];

type KeyColumn = readonly [table: TableEntry, attnum: number];

/** 42804 unless the referencing column's values can be looked up in the referenced column's index. */
export function requireComparable(
  constraint: string,
  [table, attnum]: KeyColumn,
  [parent, parentAttnum]: KeyColumn,
  context: DefinitionContext,
): void {
  const type = columnType(table, attnum).oid;
  const parentType = columnType(parent, parentAttnum).oid;
  if (type === parentType) return;
  if (FAMILIES.some((family) => family.has(type) && family.has(parentType))) return;
  if (context.catalog().cast(type, parentType)?.context === "i") return;
  const scope = { catalog: context.catalog(), searchPath: context.searchPath() };
  const name = (of: TableEntry, column: number): string => of.columns[column - 1]?.name ?? "";
  throw new SqlError(
    SqlState.datatypeMismatch,
    `foreign key constraint "${constraint}" cannot be implemented`,
    {
      detail:
        `Key columns "${name(table, attnum)}" and "${name(parent, parentAttnum)}" are of incompatible types: ` +
        `${formatType(scope, type, undefined)} and ${formatType(scope, parentType, undefined)}.`,
    },
  );
}

/** Looks for a row of the table (as the catalogue has it now) that breaks the constraint; 23503 names its key. */
export async function validateForeignKey(
  table: TableEntry,
  constraint: ConstraintEntry,
  context: DefinitionContext,
): Promise<void> {
  const reference = must(constraint.reference, "a foreign key's reference");
  const parent = must(context.catalog().entry("table", reference.tableOid), "the referenced table");
  if (parent.kind !== "table") return;
  const own = constraint.columns.map((attnum) => `fk.${columnName(table, attnum)}`);
  const other = reference.columns.map((attnum) => `pk.${columnName(parent, attnum)}`);
  const isSet = own.map((column) => `${column} IS NOT NULL`);
  // MATCH FULL refuses rows that are NULL in part; SIMPLE looks only at rows without NULL.
  const toCheck = isSet.join(reference.match === "f" ? " OR " : " AND ");
  const row = await context.firstRow(
    `SELECT ${own.join(", ")} FROM ${qualifiedName(table, context)} fk LEFT JOIN ${qualifiedName(parent, context)} pk ` +
      `ON ${own.map((column, i) => `${column} = ${other[i]}`).join(" AND ")} ` +
      `WHERE ${other[0]} IS NULL AND (${toCheck}) LIMIT 1`,
  );
  if (row === undefined) return;
  const names = constraint.columns.map((attnum) => table.columns[attnum - 1]?.name ?? "");
  const types = constraint.columns.map((attnum) => columnType(table, attnum));
  throw new SqlError(
    SqlState.foreignKeyViolation,
    `insert or update on table "${table.name}" violates foreign key constraint "${constraint.name}"`,
    {
      detail: row.includes(null)
        ? "MATCH FULL does not allow mixing of null and nonnull key values."
        : `Key ${formatKey(names, types, row, context.functions.types)} is not present in table "${parent.name}".`,
      schema: context.catalog().entry("schema", table.schema)?.name,
      table: table.name,
      constraint: constraint.name,
    },
  );
}

function columnName(table: TableEntry, attnum: number): string {
  return quoteIdentifier(table.columns[attnum - 1]?.name ?? "");
}
