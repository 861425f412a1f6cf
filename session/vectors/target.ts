// The table and columns that the vector calls of the embedded API name: plain names as they are stored, not SQL.
import type { ColumnEntry, IndexEntry, TableEntry } from "../../catalog/entries.ts";
import { notSupported, SqlError, SqlState } from "../../common/error.ts";
import { quoteIdentifier } from "../../common/identifier.ts";
import { codecOf } from "../../common/types/registry.ts";
import { Oid } from "../../common/types/oid.ts";
import type { SessionCore } from "../core.ts";

/** What appendVectors and searchVectors have in common. */
export interface VectorTarget {
  /** Schema of the table; the search path's where none is given. */
  readonly schema?: string | undefined;
  /** The column of vectors; needed where the table has several. */
  readonly column?: string | undefined;
  /** The column of ids; the primary key's where none is given. */
  readonly idColumn?: string | undefined;
}

/** 42P01 where there is no such table, 42809 for another kind of relation. */
export function tableOf(core: SessionCore, name: string, { schema }: VectorTarget): TableEntry {
  core.database.refresh();
  const ref = core.catalog().relation(schema, name, core.schemaPath(true));
  if (ref?.kind === "table") return ref.table;
  const shown = schema === undefined ? name : `${schema}.${name}`;
  if (ref === undefined) {
    throw new SqlError(SqlState.undefinedTable, `relation "${shown}" does not exist`);
  }
  throw new SqlError(SqlState.wrongObjectType, `"${shown}" is not a table`);
}

/** As it is written in SQL. */
export function spelled(name: string, { schema }: VectorTarget): string {
  return schema === undefined ? quoteIdentifier(name) : `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`;
}

/** 42703 where the table has no such column. */
export function columnOf(table: TableEntry, name: string): ColumnEntry {
  const column = table.columns.find((entry) => !entry.isDropped && entry.name === name);
  if (column !== undefined) return column;
  throw new SqlError(SqlState.undefinedColumn, `column "${name}" of relation "${table.name}" does not exist`);
}

/** The column of vectors, of type vector(n). 0A000 for another type, 42702 where it would have to be guessed. */
export function vectorColumn(table: TableEntry, name: string | undefined): ColumnEntry {
  const vectors = table.columns.filter(({ isDropped, type }) => !isDropped && type.oid === Oid.vector);
  const only = vectors[0];
  if (name === undefined && (only === undefined || vectors.length > 1)) {
    const found = only === undefined ? "no column" : "several columns";
    throw new SqlError(
      SqlState.ambiguousColumn,
      `relation "${table.name}" has ${found} of type vector: name the column`,
    );
  }
  const column = name === undefined ? (only as ColumnEntry) : columnOf(table, name);
  if (column.type.oid !== Oid.vector || column.type.typmod <= 0) {
    const type = codecOf(column.type.oid).name;
    throw notSupported(`vectors as floats in a column of type ${type} without dimensions`);
  }
  return column;
}

/** The column of ids: the one named, else the primary key's only one; undefined where there is no such key. */
export function idColumnOf(table: TableEntry, name: string | undefined): ColumnEntry | undefined {
  if (name !== undefined) return columnOf(table, name);
  const key = table.constraints.find(({ type }) => type === "p");
  const attnum = key?.columns.length === 1 ? key.columns[0] : undefined;
  return attnum === undefined ? undefined : table.columns[attnum - 1];
}

/** As idColumnOf, 42704 where there is none. */
export function requireIdColumn(table: TableEntry, name: string | undefined): ColumnEntry {
  const column = idColumnOf(table, name);
  if (column !== undefined) return column;
  throw new SqlError(
    SqlState.undefinedObject,
    `relation "${table.name}" has no primary key of one column: name the column of ids`,
  );
}

/** The vector indexes over a column as it is. */
export function vectorIndexes(core: SessionCore, table: TableEntry, attnum: number): readonly IndexEntry[] {
  return core
    .catalog()
    .indexesOf(table.oid)
    .filter(
      ({ method, columns }) => (method === "hnsw" || method === "ivfflat") && columns[0]?.attnum === attnum,
    );
}
