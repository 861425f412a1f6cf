// What binding a definition needs: the catalogue and the expression binder (types, defaults, checks), passed in so that this
// folder knows nothing of scopes and overloads.
import type { CatalogSnapshot, RelationRef } from "../../../catalog/catalog.ts";
import type { IndexEntry, SchemaEntry, SequenceEntry, TableEntry } from "../../../catalog/entries.ts";
import { SqlError, SqlState } from "../../../common/error.ts";
import type { SqlType } from "../../../common/types/type.ts";
import { type Node, positionOf, type TypeName } from "../../../parser/tree.ts";
import type { BoundExpression } from "../../logical/expression.ts";

export interface NamedColumn {
  readonly name: string;
  readonly type: SqlType;
  readonly collation: number;
}

/** An expression of an index, bound and deparsed. */
export interface StoredExpression {
  /** PostgreSQL's deparsed form. */
  readonly text: string;
  readonly type: SqlType;
  readonly collation: number;
  /** The column's name where the expression is nothing else. */
  readonly column: string | undefined;
  /** A plain function call, which CREATE INDEX takes without brackets. */
  readonly isCall: boolean;
  /** Names of the columns it reads. */
  readonly reads: readonly string[];
}

export interface DefinitionBindContext {
  readonly catalog: CatalogSnapshot;
  readonly searchPath: readonly string[];
  /** 42704 with position when there is no such type. */
  resolveType(name: TypeName): SqlType;
  /** Binds a DEFAULT without columns, coerced to `target`; the text is PostgreSQL's deparsed form. */
  bindDefault(
    node: Node,
    column: NamedColumn,
  ): { readonly text: string; readonly expression: BoundExpression };
  /** Binds a boolean over the columns; `columns` are the names it uses. */
  bindCheck(
    node: Node,
    table: string,
    columns: readonly NamedColumn[],
  ): { readonly text: string; readonly columns: readonly string[] };
  /** Binds a stored generated column's expression over the others. */
  bindGenerated(node: Node, column: NamedColumn, table: string, columns: readonly NamedColumn[]): string;
  /**
   * Binds what a column's values become under `column.type`: USING, or without it the column itself. 42804 when that type
   * cannot be assigned.
   */
  bindTransform(
    node: Node | undefined,
    column: NamedColumn,
    table: string,
    columns: readonly NamedColumn[],
  ): string;
  /** A stored DEFAULT as it is for `column.type`; 42804 when it cannot be assigned. */
  convertDefault(text: string, column: NamedColumn): string;
  /** Binds an index's column expression, or its predicate (a boolean); 42P17 when it is not immutable. */
  bindIndexPart(
    node: Node,
    part: "index-expression" | "index-predicate",
    table: string,
    columns: readonly NamedColumn[],
  ): StoredExpression;
}

interface RelationName {
  readonly catalogname?: string;
  readonly schemaname?: string;
  readonly relname?: string;
  readonly location?: number;
}

/** "s.t" as PostgreSQL names a relation in "does not exist" messages. */
export const displayName = (name: RelationName): string =>
  name.schemaname === undefined ? `${name.relname}` : `${name.schemaname}.${name.relname}`;

export function findRelation(name: RelationName, context: DefinitionBindContext): RelationRef | undefined {
  return context.catalog.relation(name.schemaname, name.relname ?? "", context.searchPath);
}

/** The table a definition is about: 42P01 when missing, 42809 when it is something else. */
export function findTable(name: RelationName, context: DefinitionBindContext): TableEntry {
  const found = findRelation(name, context);
  if (found === undefined) throw undefinedRelation(name);
  if (found.kind === "table") return found.table;
  if (found.kind === "virtual" || found.kind === "view") {
    throw new SqlError(
      SqlState.insufficientPrivilege,
      `permission denied: "${name.relname}" is a system catalog`,
    );
  }
  throw new SqlError(SqlState.wrongObjectType, `"${name.relname}" is not a table`);
}

/** PostgreSQL looks these names up without a position. */
export function undefinedRelation(name: RelationName): SqlError {
  return new SqlError(SqlState.undefinedTable, `relation "${displayName(name)}" does not exist`);
}

/** Where CREATE puts an unqualified name: the first existing schema of the search path. */
export function creationSchema(
  name: RelationName & { readonly relpersistence?: string },
  context: DefinitionBindContext,
): SchemaEntry | "temporary" {
  const isTemporary = name.relpersistence === "t";
  if (name.schemaname === "pg_temp") return "temporary";
  if (name.schemaname !== undefined) {
    if (isTemporary) {
      throw new SqlError(
        SqlState.invalidTableDefinition,
        "cannot create temporary relation in non-temporary schema",
      );
    }
    return requireSchema(name.schemaname, context, positionOf(name.location) || undefined);
  }
  if (isTemporary) return "temporary";
  for (const schemaName of context.searchPath) {
    if (schemaName.startsWith("pg_") || schemaName === "information_schema") continue;
    const schema = context.catalog.schemaByName(schemaName);
    if (schema !== undefined) return schema;
  }
  throw new SqlError(SqlState.invalidSchemaName, "no schema has been selected to create in", {
    position: positionOf(name.location) || undefined,
  });
}

export function requireSchema(name: string, context: DefinitionBindContext, position?: number): SchemaEntry {
  const schema = context.catalog.schemaByName(name);
  if (schema === undefined) {
    throw new SqlError(SqlState.invalidSchemaName, `schema "${name}" does not exist`, { position });
  }
  if (name === "pg_catalog" || name === "information_schema") {
    throw new SqlError(SqlState.insufficientPrivilege, `permission denied for schema ${name}`);
  }
  return schema;
}

export type UserObject =
  | { readonly kind: "table"; readonly table: TableEntry }
  | { readonly kind: "index"; readonly index: IndexEntry }
  | { readonly kind: "sequence"; readonly sequence: SequenceEntry };
