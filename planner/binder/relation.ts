// A name in FROM -> plan and scope item: tables, virtual relations of pg_catalog, views, CTEs.
import { ACCESS_SHARE } from "../../common/lock-mode.ts";
import { must } from "../../common/assert.ts";
import { SqlError, SqlState, notSupported } from "../../common/error.ts";
import { Oid } from "../../common/types/oid.ts";
import { parse } from "../../parser/parse.ts";
import { positionOf, stringsOf, type Alias, type RangeVar } from "../../parser/tree.ts";
import type { RelationRef } from "../../catalog/catalog.ts";
import type { TableEntry } from "../../catalog/entries.ts";
import type { BoundExpression } from "../logical/expression.ts";
import type { LogicalColumn, LogicalPlan, LogicalScan } from "../logical/plan.ts";
import type { BindContext } from "./context.ts";
import { bindOperator } from "./operator.ts";
import type { Scope, ScopeColumn, ScopeItem } from "./scope.ts";
import { collationOf } from "./types.ts";

/** A part of FROM: its plan, the names it offers, and what `*` gives in order. */
export interface FromItem {
  readonly plan: LogicalPlan;
  readonly items: readonly ScopeItem[];
  readonly star: readonly ScopeColumn[];
}

const NO_NAMES: ReadonlySet<string> = new Set();

export function bindRangeVar(context: BindContext, node: RangeVar, scope: Scope): FromItem {
  const name = node.relname ?? "";
  const position = positionOf(node.location);
  const cte = node.schemaname === undefined ? scope.cte(name) : undefined;
  const alias = node.alias?.aliasname ?? name;
  if (cte !== undefined) {
    const { plan, columns } = cte.reference(alias);
    return fromItem(plan, {
      ...makeItem(context, alias, columns, node.alias, undefined),
      fromKind: "a WITH query",
    });
  }
  const relation = lookupRelation(context, node);
  switch (relation.kind) {
    case "table": {
      context.dependOn(relation.table, ACCESS_SHARE);
      const scan = scanTable(context, relation.table, alias);
      scope.lockable.push({ table: relation.table, alias, rid: scan.rid, columns: scan.columns });
      return fromItem(scan.plan, tableItem(context, scan, relation.table, alias, node));
    }
    case "virtual": {
      scope.systemRelations.push(alias);
      const columns = relation.virtual.columns.map(
        (column, i): LogicalColumn => ({
          ...context.newColumn(column.name, column.type, collationOf(context, column.type.oid)),
          tableOid: relation.virtual.oid,
          attnum: i + 1,
        }),
      );
      for (const column of columns) context.setOrigin(column);
      const plan: LogicalPlan = {
        kind: "virtual-scan",
        relation: relation.virtual,
        alias,
        columns,
        filter: [],
      };
      const item = makeItem(context, alias, columns, node.alias, relation.virtual.name);
      return fromItem(plan, {
        ...item,
        schemaName: schemaName(context, relation.virtual.schema),
        systemColumn: (column) => constantSystemColumn(context, relation.virtual.oid, column),
      });
    }
    case "view": {
      scope.systemRelations.push(alias);
      const statement = must(parse(relation.view.sql)[0], "a view's text is one statement").node;
      if (!("SelectStmt" in statement)) throw notSupported("this view", position);
      const select = statement.SelectStmt;
      const query = context.withSearchPath(["pg_catalog"], () => context.query(select, undefined));
      const columns = query.columns.map((column, i) => ({
        ...column,
        name: relation.view.columns[i]?.name ?? column.name,
      }));
      const item = makeItem(context, alias, columns, node.alias, relation.view.name);
      return fromItem(query.plan, { ...item, schemaName: schemaName(context, relation.view.schema) });
    }
    case "index":
      throw new SqlError(SqlState.wrongObjectType, `cannot open relation "${name}"`, {
        detail: "This operation is not supported for indexes.",
        position: position || undefined,
      });
    case "sequence":
      throw notSupported("SELECT from a sequence", position);
  }
}

/** 42P01 and 3F000 as PostgreSQL words them. */
export function lookupRelation(context: BindContext, node: RangeVar): RelationRef {
  const name = node.relname ?? "";
  const position = positionOf(node.location);
  if (node.catalogname !== undefined && node.catalogname !== context.catalog.database.name) {
    throw new SqlError(
      SqlState.featureNotSupported,
      `cross-database references are not implemented: "${node.catalogname}.${node.schemaname ?? ""}.${name}"`,
      { position: position || undefined },
    );
  }
  const found = context.catalog.relation(node.schemaname, name, context.searchPath);
  if (found !== undefined) return found;
  const full = node.schemaname === undefined ? name : `${node.schemaname}.${name}`;
  throw new SqlError(SqlState.undefinedTable, `relation "${full}" does not exist`, {
    position: position || undefined,
  });
}

function schemaName(context: BindContext, oid: number): string | undefined {
  for (const schema of context.catalog.schemas()) if (schema.oid === oid) return schema.name;
  return undefined;
}

export interface TableScan {
  /** Mutable only while binding: asking for ctid adds the row id to the scan. */
  readonly plan: LogicalScan;
  /** By attnum - 1; dropped columns have none. */
  readonly columns: readonly LogicalColumn[];
  readonly rid: LogicalColumn;
}

/** A scan of all live columns. `rid` is always there for the asking; pruning drops it when nobody reads it. */
export function scanTable(context: BindContext, table: TableEntry, alias: string): TableScan {
  const columns = table.columns
    .filter((column) => !column.isDropped)
    .map(
      (column): LogicalColumn => ({
        id: context.newId(),
        name: column.name,
        type: column.type,
        collation: column.collation,
        tableOid: table.oid,
        attnum: column.attnum,
      }),
    );
  for (const column of columns) context.setOrigin(column);
  const rid = context.newColumn("rid", { oid: Oid.int8, typmod: -1 }, 0);
  return { plan: { kind: "scan", table, alias, columns, rid, filter: [] }, columns, rid };
}

export function tableItem(
  context: BindContext,
  scan: TableScan,
  table: TableEntry,
  alias: string,
  node: RangeVar,
): ScopeItem {
  const item = makeItem(context, alias, scan.columns, node.alias, table.name);
  return {
    ...item,
    schemaName: schemaName(context, table.schema),
    table,
    rowType: { oid: table.rowTypeOid, typmod: -1 },
    systemColumn: (name) => systemColumn(context, table, scan.rid, alias, name),
  };
}

function systemColumn(
  context: BindContext,
  table: TableEntry,
  rid: LogicalColumn,
  alias: string,
  name: string,
): BoundExpression | undefined {
  return name === "ctid"
    ? ctidOf(context, context.reference(rid, `${alias}.ctid`, 0))
    : constantSystemColumn(context, table.oid, name);
}

/**
 * xmin and its kind show constants: row versions are not numbered by transaction here. 2 is PostgreSQL's frozen transaction,
 * older than every other. Computed relations have no ctid.
 */
function constantSystemColumn(
  context: BindContext,
  relationOid: number,
  name: string,
): BoundExpression | undefined {
  switch (name) {
    case "tableoid":
      return context.constant(relationOid, Oid.oid);
    case "xmin":
      return context.constant(2, Oid.xid);
    case "xmax":
      return context.constant(0, Oid.xid);
    case "cmin":
    case "cmax":
      return context.constant(0, Oid.cid);
    default:
      return undefined;
  }
}

/** Row ids per made-up block: any size below 65536 keeps (block, offset) unique and in row id order. */
const ROWS_PER_BLOCK = 256;

function ctidOf(context: BindContext, rid: BoundExpression): BoundExpression {
  const operator = (name: string, left: BoundExpression, right: BoundExpression): BoundExpression =>
    bindOperator(context, { schema: "pg_catalog", name, position: 0 }, left, right);
  const text = (value: string): BoundExpression => context.constant(value, Oid.text);
  const size = context.constant(ROWS_PER_BLOCK, Oid.int4);
  const offset = operator(
    "+",
    operator("%", rid, context.constant(ROWS_PER_BLOCK, Oid.int8)),
    context.constant(1, Oid.int4),
  );
  const asText = (e: BoundExpression): BoundExpression => ({
    kind: "io-cast",
    input: e,
    cast: "implicit",
    type: { oid: Oid.text, typmod: -1 },
    collation: 100,
    position: 0,
  });
  const parts = [asText(operator("/", rid, size)), text(","), asText(offset), text(")")];
  const joined = parts.reduce((left, right) => operator("||", left, right), text("("));
  return {
    kind: "io-cast",
    input: joined,
    cast: "implicit",
    type: { oid: Oid.tid, typmod: -1 },
    collation: 0,
    position: 0,
  };
}

export function fromItem(plan: LogicalPlan, item: ScopeItem): FromItem {
  return { plan, items: [item], star: item.columns };
}

/** A scope item over plain columns, renamed by an alias's column list. 42P10 when that list is too long. */
export function makeItem(
  context: BindContext,
  alias: string,
  columns: readonly LogicalColumn[],
  written: Alias | undefined,
  relationName: string | undefined,
): ScopeItem {
  const names = stringsOf(written?.colnames);
  if (names.length > columns.length) {
    throw new SqlError(
      SqlState.invalidColumnReference,
      `table "${alias}" has ${columns.length} columns available but ${names.length} columns specified`,
    );
  }
  return {
    alias,
    relationName,
    schemaName: undefined,
    columns: columns.map((column, i): ScopeColumn => {
      const name = names[i] ?? column.name;
      return {
        name,
        value: context.reference(column, `${alias}.${name}`, 0),
        tableOid: column.tableOid,
        attnum: column.attnum,
      };
    }),
    hidden: NO_NAMES,
    table: undefined,
    rowType: { oid: Oid.record, typmod: -1 },
    systemColumn: undefined,
    isScalarFunction: false,
    fromKind: "a table",
  };
}
