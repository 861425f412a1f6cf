// ALTER COLUMN TYPE: the rows are written anew into other storage, all columns of one ALTER TABLE at once and each over the
// row as it was; indexes are built again, constraints looked at again. Where the bytes stay as they are (varchar to text, a
// longer varchar) only the catalogue changes. The caller holds ACCESS EXCLUSIVE on the table.
import { ACCESS_EXCLUSIVE } from "../../../common/lock-mode.ts";
import {
  type ColumnEntry,
  type ConstraintEntry,
  type IndexEntry,
  isHidden,
  type TableEntry,
} from "../../../catalog/entries.ts";
import { formatType } from "../../../catalog/deparse/type-name.ts";
import { requireGraphType } from "../../../catalog/graph-type.ts";
import { must } from "../../../common/assert.ts";
import { notSupported, SqlError, SqlState } from "../../../common/error.ts";
import { quoteIdentifier } from "../../../common/identifier.ts";
import { Oid } from "../../../common/types/oid.ts";
import type { SqlType } from "../../../common/types/type.ts";
import type { ColumnTypeChange } from "../../../planner/physical/definition.ts";
import { columnSpec } from "../../storage/column-spec.ts";
import { attnumOf } from "./column-number.ts";
import { requireNoNulls, validateCheck } from "./constraint.ts";
import type { DefinitionContext } from "./context.ts";
import { foreignKeysTo } from "./dependents.ts";
import { requireComparable, touchTable, validateForeignKey } from "./foreign-key.ts";
import { qualifiedName } from "./names.ts";
import { moveStorage } from "./storage.ts";

/** The table with the columns' new types, its rows and indexes in place. */
export async function alterColumnTypes(
  table: TableEntry,
  changes: readonly ColumnTypeChange[],
  context: DefinitionContext,
): Promise<TableEntry> {
  const byAttnum = new Map(changes.map((change) => [attnumOf(table, change.name), change]));
  for (const attnum of byAttnum.keys()) refuseReaders(table, attnum, context);
  const columns = table.columns.map((column): ColumnEntry => {
    const change = byAttnum.get(column.attnum);
    if (change === undefined) return column;
    refuseIdentity(column, change.type);
    return { ...column, type: change.type, collation: change.collation, default: change.default };
  });
  forgetStatistics(table, byAttnum, context);
  if (
    changes.every((change) =>
      keepsBytes(must(table.columns[attnumOf(table, change.name) - 1], "the column"), change),
    )
  )
    return { ...table, columns };
  const indexes = context
    .catalog()
    .indexesOf(table.oid)
    .map((index) => withOperatorClasses(index, table, byAttnum, context));
  const storageId = await writeAnew(table, columns, byAttnum, context);
  const moved: TableEntry = { ...table, columns, storageId, version: table.version + 1 };
  await moveStorage(table, moved, indexes, context);
  await checkConstraints(moved, byAttnum, context);
  return moved;
}

/** What is computed from the column would have to change with it. */
function refuseReaders(table: TableEntry, attnum: number, context: DefinitionContext): void {
  const name = table.columns[attnum - 1]?.name ?? "";
  for (const column of table.columns) {
    if (column.generated === undefined || column.attnum === attnum) continue;
    if (!context.attnumsRead(column.generated, table).includes(attnum)) continue;
    if (isHidden(column)) throw notSupported("ALTER COLUMN TYPE under an expression or partial index");
    throw new SqlError(
      SqlState.featureNotSupported,
      "cannot alter type of a column used by a generated column",
      { detail: `Column "${name}" is used by generated column "${column.name}".` },
    );
  }
}

function refuseIdentity(column: ColumnEntry, { oid }: SqlType): void {
  if (column.identity === "" || oid === Oid.int2 || oid === Oid.int4 || oid === Oid.int8) return;
  throw new SqlError(
    SqlState.invalidParameterValue,
    "identity column type must be smallint, integer, or bigint",
  );
}

function keepsBytes(column: ColumnEntry, { name, type, value }: ColumnTypeChange): boolean {
  if (value !== quoteIdentifier(name) || column.generated !== undefined) return false;
  const from = column.type;
  if (type.oid === from.oid && type.typmod === from.typmod) return true;
  if (type.oid === Oid.text) return from.oid === Oid.varchar;
  if (type.oid !== Oid.varchar || (from.oid !== Oid.varchar && from.oid !== Oid.text)) return false;
  return type.typmod < 0 || (from.oid === Oid.varchar && from.typmod >= 0 && type.typmod >= from.typmod);
}

/** The distribution of the old type's values says nothing about the new one's. */
function forgetStatistics(
  table: TableEntry,
  changed: ReadonlyMap<number, ColumnTypeChange>,
  context: DefinitionContext,
): void {
  const statistics = context.catalog().entry("statistics", table.oid);
  if (statistics?.kind !== "statistics") return;
  context.put({
    ...statistics,
    version: statistics.version + 1,
    columns: statistics.columns.filter(({ attnum }) => !changed.has(attnum)),
  });
}

/** Copies all rows through a table that exists for this alone; returns its storage. */
async function writeAnew(
  table: TableEntry,
  columns: readonly ColumnEntry[],
  changed: ReadonlyMap<number, ColumnTypeChange>,
  context: DefinitionContext,
): Promise<number> {
  const storageId = context.engine.allocateOid();
  context.transaction.createRelation(
    storageId,
    columns.map((column) => columnSpec(column.type)),
    table.persistence === "t",
  );
  const transient: TableEntry = {
    ...table,
    oid: context.engine.allocateOid(),
    name: `pg_temp_${table.oid}`,
    version: 1,
    storageId,
    constraints: [],
    // Generated columns, those of indexes too, are computed by the INSERT. NOT NULL is looked at afterwards, under the table's name.
    columns: columns.map((column) => ({
      ...column,
      notNull: false,
      default: undefined,
      identity: "",
      ownedSequence: 0,
    })),
  };
  context.put(transient);
  const copied = columns.filter((column) => !column.isDropped && column.generated === undefined);
  const names = copied.map(({ name }) => quoteIdentifier(name));
  const values = copied.map(({ attnum, name }) => changed.get(attnum)?.value ?? quoteIdentifier(name));
  await context.execute(
    `INSERT INTO ${qualifiedName(transient, context)} (${names.join(", ")}) ` +
      `SELECT ${values.join(", ")} FROM ${qualifiedName(table, context)}`,
  );
  context.remove(transient);
  return storageId;
}

/** An index whose operator class was the old type's default gets the new one's; another has to take the new type too. */
function withOperatorClasses(
  index: IndexEntry,
  table: TableEntry,
  changed: ReadonlyMap<number, ColumnTypeChange>,
  context: DefinitionContext,
): IndexEntry {
  const catalog = context.catalog();
  const columns = index.columns.map((column) => {
    const type = changed.get(column.attnum)?.type;
    const from = table.columns[column.attnum - 1]?.type;
    if (type === undefined || from === undefined) return column;
    if (index.method === "hnsw" || index.method === "ivfflat") requireGraphType(type, index.method);
    const old = must(catalog.operatorClassByOid(column.opclass), "the index's operator class");
    const shown = formatType({ catalog, searchPath: context.searchPath() }, type.oid, undefined);
    if (catalog.operatorClass(index.method, from.oid, undefined)?.oid === old.oid) {
      const found = catalog.operatorClass(index.method, type.oid, undefined);
      if (found !== undefined) return { ...column, opclass: found.oid };
      throw new SqlError(
        SqlState.undefinedObject,
        `data type ${shown} has no default operator class for access method "${index.method}"`,
        {
          hint: "You must specify an operator class for the index or define a default operator class for the data type.",
        },
      );
    }
    if (old.inputType === type.oid || catalog.cast(type.oid, old.inputType)?.method === "b") return column;
    throw new SqlError(
      SqlState.datatypeMismatch,
      `operator class "${old.name}" does not accept data type ${shown}`,
    );
  });
  return { ...index, columns };
}

async function checkConstraints(
  table: TableEntry,
  changed: ReadonlyMap<number, ColumnTypeChange>,
  context: DefinitionContext,
): Promise<void> {
  for (const [attnum, { name }] of changed) {
    if (table.columns[attnum - 1]?.notNull === true) await requireNoNulls(table, name, context);
  }
  const isChanged = (attnum: number): boolean => changed.has(attnum);
  for (const constraint of table.constraints) {
    if (!constraint.columns.some(isChanged)) continue;
    if (constraint.type === "c" && constraint.isValidated) await validateCheck(table, constraint, context);
    if (constraint.type === "f") await checkForeignKey(table, constraint, context);
  }
  const references = foreignKeysTo(
    table,
    context,
    ({ table: other, constraint }) =>
      other.oid !== table.oid && constraint.reference?.columns.some(isChanged) === true,
  );
  for (const { table: other, constraint } of references) {
    await touchTable(other.oid, ACCESS_EXCLUSIVE, context);
    const current = context.catalog().entry("table", other.oid);
    if (current?.kind === "table") await checkForeignKey(current, constraint, context);
  }
}

/** Its types must still be comparable, and every row must still find its key. */
async function checkForeignKey(
  table: TableEntry,
  constraint: ConstraintEntry,
  context: DefinitionContext,
): Promise<void> {
  const reference = must(constraint.reference, "a foreign key's reference");
  const parent = context.catalog().entry("table", reference.tableOid);
  if (parent?.kind !== "table") return;
  for (const [i, attnum] of constraint.columns.entries()) {
    const parentAttnum = must(reference.columns[i], "a referenced column");
    requireComparable(constraint.name, [table, attnum], [parent, parentAttnum], context);
  }
  if (constraint.isValidated) await validateForeignKey(table, constraint, context);
}
