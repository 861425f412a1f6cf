// The state of binding one statement: column ids, parameter types, what the statement depends on, and the two entry
// points that call each other in circles (an expression may hold a query, a query holds expressions). The circle is closed here,
// at run time, so that the files themselves import in one direction.
import { must } from "../../common/assert.ts";
import { SqlError, SqlState } from "../../common/error.ts";
import type { Datum, SqlType } from "../../common/types/type.ts";
import type { CatalogSnapshot } from "../../catalog/catalog.ts";
import type { CatalogEntry } from "../../catalog/entries.ts";
import type { Node, SelectStmt } from "../../parser/tree.ts";
import type { PlannerContext } from "../context.ts";
import type { BoundExpression, ColumnExpression, ConstantExpression } from "../logical/expression.ts";
import type { LogicalColumn, LogicalPlan } from "../logical/plan.ts";
import { ParameterTypes } from "./parameters.ts";
import type { Scope } from "./scope.ts";
import { collationOf, type TypeLookup } from "./types.ts";

/** Deepest nesting of expressions and queries we bind: recursion here and in later phases stays within the stack. */
const MAX_BIND_DEPTH = 600;

/** Where in a statement an expression stands: decides what it may contain and how errors name the place. */
export type Clause =
  | "select"
  | "where"
  | "having"
  | "filter"
  | "group-by"
  | "order-by"
  | "distinct-on"
  | "join-on"
  | "from-function"
  | "from-subselect"
  | "limit"
  | "offset"
  | "values"
  | "insert"
  | "update"
  | "returning"
  | "default"
  | "check"
  | "generated"
  | "transform"
  | "index-expression"
  | "index-predicate"
  | "conflict";

/** A field of a composite value. */
export interface RecordField {
  readonly name: string;
  readonly type: SqlType;
}

export interface ColumnOrigin {
  readonly tableOid: number;
  readonly attnum: number;
}

/** Where an expression is being bound. */
export interface Env {
  readonly scope: Scope;
  readonly clause: Clause;
}

/** A bound query: its plan and its visible output columns. */
export interface BoundQuery {
  readonly plan: LogicalPlan;
  readonly columns: readonly LogicalColumn[];
}

export interface BindEntryPoints {
  expression(node: Node, env: Env, context: BindContext): BoundExpression;
  /**
   * A SELECT, VALUES or set operation. `resolveUnknown`: literals of unknown type in the output become text (not so under
   * INSERT ... SELECT, whose target columns decide).
   */
  query(
    statement: SelectStmt,
    parent: Scope | undefined,
    context: BindContext,
    resolveUnknown: boolean,
  ): BoundQuery;
  /** INSERT, UPDATE, DELETE inside WITH. */
  modification(node: Node, parent: Scope | undefined, context: BindContext): BoundQuery;
}

export class BindContext implements TypeLookup {
  readonly planner: PlannerContext;
  readonly catalog: CatalogSnapshot;
  searchPath: readonly string[];
  readonly parameters: ParameterTypes;
  /** kind/oid -> what the plan was made from. */
  readonly dependencies = new Map<
    string,
    { readonly kind: CatalogEntry["kind"]; readonly oid: number; readonly version: number }
  >();
  /** Table oid -> PostgreSQL's lock mode number. */
  readonly locks = new Map<number, number>();
  /** Column id -> base table column, for columns that are plain copies of one. */
  readonly #origins = new Map<number, ColumnOrigin>();
  /** Column id -> the fields of its values, for columns of type record whose shape is known. */
  readonly #fields = new Map<number, readonly RecordField[]>();
  readonly #entryPoints: BindEntryPoints;
  #nextId = 1;
  #depth = 0;
  /** The statement writes, or calls something that does. */
  isReadOnly = true;
  /** "SELECT FOR UPDATE" when the statement has a locking clause anywhere: the first one met. */
  rowLock: string | undefined;

  constructor(planner: PlannerContext, entryPoints: BindEntryPoints) {
    this.planner = planner;
    this.catalog = planner.catalog;
    this.searchPath = planner.searchPath;
    this.parameters = new ParameterTypes(planner.parameterTypes, planner.catalog);
    this.#entryPoints = entryPoints;
  }

  expression(node: Node, env: Env): BoundExpression {
    return this.#nested(() => this.#entryPoints.expression(node, env, this));
  }

  query(statement: SelectStmt, parent: Scope | undefined, resolveUnknown = true): BoundQuery {
    return this.#nested(() => this.#entryPoints.query(statement, parent, this, resolveUnknown));
  }

  modification(node: Node, parent: Scope | undefined): BoundQuery {
    return this.#nested(() => this.#entryPoints.modification(node, parent, this));
  }

  newId(): number {
    return this.#nextId++;
  }

  /** A fresh computed column. */
  newColumn(name: string, type: SqlType, collation: number): LogicalColumn {
    return { id: this.newId(), name, type, collation, tableOid: 0, attnum: 0 };
  }

  /** An output column for an expression; a plain column reference keeps its origin. */
  outputColumn(name: string, e: BoundExpression): LogicalColumn {
    const column = this.newColumn(name, e.type, e.collation);
    const fields =
      e.kind === "row"
        ? e.fields.map((field, i) => ({ name: e.names[i] ?? `f${i + 1}`, type: field.type }))
        : e.kind === "column"
          ? this.#fields.get(e.index)
          : undefined;
    if (fields !== undefined) this.#fields.set(column.id, fields);
    const origin = e.kind === "column" ? this.#origins.get(e.index) : undefined;
    if (origin === undefined) return column;
    this.#origins.set(column.id, origin);
    return { ...column, tableOid: origin.tableOid, attnum: origin.attnum };
  }

  /** Registers a column of a base table. */
  setOrigin(column: LogicalColumn): void {
    if (column.tableOid !== 0)
      this.#origins.set(column.id, { tableOid: column.tableOid, attnum: column.attnum });
  }

  /** Says what the records of a column hold. */
  setFields(column: LogicalColumn, fields: readonly RecordField[]): void {
    this.#fields.set(column.id, fields);
  }

  fieldsOfColumn(id: number): readonly RecordField[] | undefined {
    return this.#fields.get(id);
  }

  originOf(id: number): ColumnOrigin | undefined {
    return this.#origins.get(id);
  }

  /** A reference to a column. */
  reference(column: LogicalColumn, name: string, position: number): ColumnExpression {
    return {
      kind: "column",
      index: column.id,
      name,
      type: column.type,
      collation: column.collation,
      position,
    };
  }

  constant(value: Datum, oid: number, position = 0, typmod = -1): ConstantExpression {
    return { kind: "constant", value, type: { oid, typmod }, collation: collationOf(this, oid), position };
  }

  dependOn(entry: CatalogEntry, lockMode: number): void {
    this.dependencies.set(`${entry.kind}/${entry.oid}`, {
      kind: entry.kind,
      oid: entry.oid,
      version: entry.version,
    });
    if (entry.kind === "table" && lockMode > 0) {
      this.locks.set(entry.oid, Math.max(lockMode, this.locks.get(entry.oid) ?? 0));
    }
  }

  /** Runs `bind` with other schemas in sight: the text of a system view names pg_catalog only. */
  withSearchPath<T>(path: readonly string[], bind: () => T): T {
    const saved = this.searchPath;
    this.searchPath = path;
    try {
      return bind();
    } finally {
      this.searchPath = saved;
    }
  }

  typeByOid(oid: number): ReturnType<CatalogSnapshot["typeByOid"]> {
    return this.catalog.typeByOid(oid);
  }

  #nested<T>(run: () => T): T {
    if (++this.#depth > MAX_BIND_DEPTH) {
      throw new SqlError(SqlState.statementTooComplex, "stack depth limit exceeded", {
        hint: "Simplify the statement: it nests deeper than this server can follow.",
      });
    }
    try {
      return run();
    } finally {
      this.#depth -= 1;
    }
  }

  functionByOid(oid: number): NonNullable<ReturnType<CatalogSnapshot["functionByOid"]>> {
    return must(this.catalog.functionByOid(oid), `function ${oid} that the catalogue itself names`);
  }
}
