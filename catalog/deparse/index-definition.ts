// pg_get_indexdef: an index as the statement that makes it, in PostgreSQL's words.
import { assert, must } from "../../common/assert.ts";
import { defaultOperatorClass } from "../builtin/operator-classes.ts";
import { type IndexColumn, type IndexEntry, storedAttnum, type TableEntry } from "../entries.ts";
import { quoteIdentifier } from "../../common/identifier.ts";
import { expressionText, prettyExpression } from "./expression-text.ts";
import { type NameScope, qualified, schemaName } from "./identifier.ts";
import { isRelationVisible, relationName } from "./relation.ts";

export interface IndexDefinitionOptions {
  /** Names qualified only where the search path needs it (psql's `\d`); else always, as pg_get_indexdef(oid) does. */
  readonly pretty: boolean;
}

/** CREATE INDEX ... */
export function indexDefinition(
  scope: NameScope,
  index: IndexEntry,
  { pretty }: IndexDefinitionOptions,
): string {
  const table = tableOf(scope, index);
  const tableFace = {
    oid: table.oid,
    name: table.name,
    schema: table.schema,
    owner: table.owner,
    relkind: "r",
  };
  const tableName =
    pretty && isRelationVisible(scope, tableFace)
      ? relationName(scope, tableFace)
      : qualified(schemaName(scope.catalog, table.schema), table.name);
  const key = index.columns
    .slice(0, index.keyCount)
    .map((column) => keyColumn(scope, index, table, column, pretty));
  const included = index.columns
    .slice(index.keyCount)
    .map((column) => columnText(scope, table, column, pretty));
  return [
    `CREATE ${index.isUnique ? "UNIQUE " : ""}INDEX ${quoteIdentifier(index.name)} ON ${tableName}`,
    `USING ${quoteIdentifier(index.method)} (${key.join(", ")})`,
    ...(included.length === 0 ? [] : [`INCLUDE (${included.join(", ")})`]),
    ...(index.nullsNotDistinct ? ["NULLS NOT DISTINCT"] : []),
    ...(index.options.length === 0 ? [] : [`WITH (${index.options.map(optionText).join(", ")})`]),
    ...(index.predicate === undefined ? [] : [`WHERE ${printed(scope, index.predicate.text, pretty)}`]),
  ].join(" ");
}

/** pg_get_indexdef(oid, n, pretty): the n-th column alone, without class and direction; undefined when there is none. */
export function indexColumnDefinition(
  scope: NameScope,
  index: IndexEntry,
  position: number,
  { pretty }: IndexDefinitionOptions,
): string | undefined {
  const column = index.columns[position - 1];
  return column === undefined ? undefined : columnText(scope, tableOf(scope, index), column, pretty);
}

/** WITH options as PostgreSQL prints them: m='16'. */
function optionText([name, value]: readonly [string, string]): string {
  // Only values that are plain identifiers go without quotes, as flatten_reloptions has it.
  const isPlain = quoteIdentifier(value) === value;
  return `${quoteIdentifier(name)}=${isPlain ? value : `'${value.replaceAll("'", "''")}'`}`;
}

function keyColumn(
  scope: NameScope,
  index: IndexEntry,
  table: TableEntry,
  column: IndexColumn,
  pretty: boolean,
): string {
  let text = columnText(scope, table, column, pretty);
  const type = must(columnOf(table, column), "the indexed column").type.oid;
  if (column.opclass !== 0 && defaultOperatorClass(index.method, type)?.oid !== column.opclass) {
    const operatorClass = must(
      scope.catalog.operatorClassByOid(column.opclass),
      "the index's operator class",
    );
    text += ` ${quoteIdentifier(operatorClass.name)}`;
  }
  // Only btree is ordered; NULLS LAST is the default ascending, NULLS FIRST descending.
  if (index.method !== "btree") return text;
  if (column.descending) return `${text} DESC${column.nullsFirst ? "" : " NULLS LAST"}`;
  return column.nullsFirst ? `${text} NULLS FIRST` : text;
}

/** A column's name, or its expression in the brackets CREATE INDEX wants around anything but a function call. */
function columnText(scope: NameScope, table: TableEntry, column: IndexColumn, pretty: boolean): string {
  const { expression } = column;
  if (expression === undefined)
    return quoteIdentifier(
      must(
        table.columns.find((candidate) => candidate.attnum === column.attnum),
        "the indexed column",
      ).name,
    );
  const text = printed(scope, expression.text, pretty);
  return expression.isCall ? text : `(${text})`;
}

function printed(scope: NameScope, text: string, pretty: boolean): string {
  const expression = expressionText(scope, text);
  return pretty ? prettyExpression(expression) : expression;
}

/** The column the engine reads for an index column: its type is the index column's. */
function columnOf(table: TableEntry, column: IndexColumn): TableEntry["columns"][number] | undefined {
  return table.columns.find((candidate) => candidate.attnum === storedAttnum(column));
}

export function tableOf(scope: NameScope, index: IndexEntry): TableEntry {
  const ref = must(scope.catalog.relationByOid(index.tableOid), "the table of an index");
  assert(ref.kind === "table", "an index belongs to a table");
  return ref.table;
}
