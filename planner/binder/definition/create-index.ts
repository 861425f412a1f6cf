// CREATE INDEX over columns and expressions, with a predicate: btree, hnsw and bm25. Other access methods are 0A000.
import type { OperatorClassEntry } from "../../../catalog/catalog.ts";
import type { ColumnEntry, TableEntry } from "../../../catalog/entries.ts";
import { must } from "../../../common/assert.ts";
import { notSupported, SqlError, SqlState } from "../../../common/error.ts";
import type { SqlType } from "../../../common/types/type.ts";
import { type IndexElem, type IndexStmt, type Node, stringsOf } from "../../../parser/tree.ts";
import type { CreateIndexPlan, IndexColumnDefinition } from "../../physical/definition.ts";
import { columnName } from "../column-name.ts";
import { typeName } from "../types.ts";
import { requireGraphType } from "../../../catalog/graph-type.ts";
import { type DefinitionBindContext, findTable } from "./context.ts";
import { bindOptions, checkGraphOptions } from "./index-options.ts";

/** PostgreSQL's INDEX_MAX_KEYS. */
const MAX_INDEX_COLUMNS = 32;

type Method = CreateIndexPlan["method"];

export function bindCreateIndex(statement: IndexStmt, context: DefinitionBindContext): CreateIndexPlan {
  const table = findTable(statement.relation ?? {}, context);
  const method = methodOf(statement.accessMethod ?? "btree");
  if (statement.indexIncludingParams !== undefined && statement.indexIncludingParams.length > 0) {
    if (method === "btree") throw notSupported("INCLUDE columns");
    throw new SqlError(
      SqlState.featureNotSupported,
      `access method "${method}" does not support included columns`,
    );
  }
  if (statement.tableSpace !== undefined) throw notSupported("TABLESPACE");
  const elements = statement.indexParams ?? [];
  if (elements.length > MAX_INDEX_COLUMNS) {
    throw new SqlError(
      SqlState.tooManyColumns,
      `cannot use more than ${MAX_INDEX_COLUMNS} columns in an index`,
    );
  }
  if (method !== "btree" && elements.length > 1) {
    throw new SqlError(
      SqlState.featureNotSupported,
      `access method "${method}" does not support multicolumn indexes`,
    );
  }
  if (method !== "btree" && statement.unique === true) {
    throw new SqlError(
      SqlState.featureNotSupported,
      `access method "${method}" does not support unique indexes`,
    );
  }
  const options = bindOptions(statement.options, method);
  const columns = uniqueNames(elements.map((element) => bindIndexColumn(element, table, method, context)));
  const plan: CreateIndexPlan = {
    kind: "create-index",
    table,
    name: statement.idxname,
    ifNotExists: statement.if_not_exists === true,
    method,
    columns,
    predicate:
      statement.whereClause === undefined
        ? undefined
        : context.bindIndexPart(statement.whereClause, "index-predicate", table.name, namedColumns(table)),
    isUnique: statement.unique === true,
    nullsNotDistinct: statement.nulls_not_distinct === true,
    isConcurrent: statement.concurrent === true,
    options,
  };
  // `text <@> query` finds its index by the column.
  if (method === "bm25" && columns.some((column) => column.expression !== undefined))
    throw notSupported("a bm25 index on an expression");
  if (method === "hnsw") checkGraphOptions(options, columns[0]?.opclassName ?? "");
  if (method === "hnsw" || method === "ivfflat") requireGraphType(columnType(plan), method);
  return plan;
}

function methodOf(name: string): Method {
  switch (name) {
    case "btree":
    case "hnsw":
    case "ivfflat":
    case "bm25":
      return name;
    case "hash":
    case "gist":
    case "gin":
    case "spgist":
    case "brin":
      throw notSupported(`access method "${name}"`);
    default:
      throw new SqlError(SqlState.undefinedObject, `access method "${name}" does not exist`);
  }
}

function bindIndexColumn(
  node: Node,
  table: TableEntry,
  method: Method,
  context: DefinitionBindContext,
): IndexColumnDefinition {
  if (!("IndexElem" in node)) throw notSupported("this index element");
  const element = node.IndexElem;
  const { column, expression, type, name } = indexedValue(element, table, context);
  const opclass = operatorClassOf(element, type.oid, method, context);
  refuseCollation(element);
  const descending = element.ordering === "SORTBY_DESC";
  const hasOrder = descending || element.ordering === "SORTBY_ASC";
  const hasNullsOrder =
    element.nulls_ordering === "SORTBY_NULLS_FIRST" || element.nulls_ordering === "SORTBY_NULLS_LAST";
  if (method !== "btree" && hasOrder) {
    throw new SqlError(
      SqlState.featureNotSupported,
      `access method "${method}" does not support ASC/DESC options`,
    );
  }
  if (method !== "btree" && hasNullsOrder) {
    throw new SqlError(
      SqlState.featureNotSupported,
      `access method "${method}" does not support NULLS FIRST/LAST options`,
    );
  }
  return {
    column,
    expression,
    name,
    opclass: opclass.oid,
    opclassName: opclass.name,
    descending,
    nullsFirst:
      element.nulls_ordering === "SORTBY_NULLS_FIRST" ||
      (descending && element.nulls_ordering !== "SORTBY_NULLS_LAST"),
  };
}

/** The column or expression of an index element. A column in brackets is a column. */
function indexedValue(
  element: IndexElem,
  table: TableEntry,
  context: DefinitionBindContext,
): Pick<IndexColumnDefinition, "column" | "expression" | "name"> & { readonly type: SqlType } {
  const plain = (name: string | undefined): ColumnEntry | undefined =>
    table.columns.find((candidate) => candidate.name === name && !candidate.isDropped);
  if (element.name !== undefined) {
    const column = plain(element.name);
    if (column === undefined)
      throw new SqlError(SqlState.undefinedColumn, `column "${element.name}" does not exist`);
    return { column: column.name, expression: undefined, type: column.type, name: column.name };
  }
  const node = must(element.expr, "an index element is a column or an expression");
  const bound = context.bindIndexPart(node, "index-expression", table.name, namedColumns(table));
  const figured = columnName(node);
  const name = figured === "?column?" ? "expr" : figured;
  if (bound.column !== undefined)
    return { column: bound.column, expression: undefined, type: bound.type, name };
  return { column: undefined, expression: bound, type: bound.type, name };
}

function namedColumns(table: TableEntry): readonly ColumnEntry[] {
  return table.columns.filter((column) => !column.isDropped);
}

/** "expr", "expr1", ...: PostgreSQL numbers repeated names within an index. */
function uniqueNames(columns: readonly IndexColumnDefinition[]): readonly IndexColumnDefinition[] {
  const taken = new Set<string>();
  return columns.map((column) => {
    let name = column.name;
    for (let i = 1; taken.has(name); i++) name = `${column.name}${i}`;
    taken.add(name);
    return { ...column, name };
  });
}

function refuseCollation(element: IndexElem): void {
  const collation = stringsOf(element.collation).at(-1);
  if (collation === undefined || ["C", "POSIX", "default"].includes(collation)) return;
  throw notSupported(`collation "${collation}"`);
}

function operatorClassOf(
  element: IndexElem,
  typeOid: number,
  method: Method,
  context: DefinitionBindContext,
): OperatorClassEntry {
  const wanted = stringsOf(element.opclass).at(-1);
  const found = context.catalog.operatorClass(method, typeOid, wanted);
  const named = typeName(context.catalog, typeOid);
  if (found !== undefined) {
    if (!acceptsType(found.inputType, typeOid, context)) {
      throw new SqlError(
        SqlState.datatypeMismatch,
        `operator class "${wanted}" does not accept data type ${named}`,
      );
    }
    return found;
  }
  if (wanted !== undefined) {
    throw new SqlError(
      SqlState.undefinedObject,
      `operator class "${wanted}" does not exist for access method "${method}"`,
    );
  }
  throw new SqlError(
    SqlState.undefinedObject,
    `data type ${named} has no default operator class for access method "${method}"`,
    {
      hint: "You must specify an operator class for the index or define a default operator class for the data type.",
    },
  );
}

/** varchar columns use text's operator classes, as in PostgreSQL, because the cast changes no bytes. */
function acceptsType(inputType: number, typeOid: number, context: DefinitionBindContext): boolean {
  if (inputType === typeOid) return true;
  return context.catalog.cast(typeOid, inputType)?.method === "b" || POLYMORPHIC_INPUTS.has(inputType);
}

/** anyarray, anyenum, anyrange, record: classes for whole families of types. */
const POLYMORPHIC_INPUTS: ReadonlySet<number> = new Set([2277, 3500, 3831, 2249]);

/** Type of the first column or expression. */
function columnType(plan: CreateIndexPlan): SqlType | undefined {
  const [first] = plan.columns;
  if (first?.expression !== undefined) return first.expression.type;
  return plan.table.columns.find((candidate) => !candidate.isDropped && candidate.name === first?.column)
    ?.type;
}
