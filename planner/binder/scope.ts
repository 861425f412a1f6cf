// Names in sight: the FROM items of a query and of the queries around it, and what a column name means among them.
//
// A FROM item offers columns qualified (t.a) and unqualified (a). JOIN ... USING merges columns: the two originals stay
// reachable as t.a and u.a but no longer by their bare name, and a nameless item offers the merged one. A join with an
// alias hides its inputs altogether.
import { SqlError, SqlState } from "../../common/error.ts";
import type { SqlType } from "../../common/types/type.ts";
import type { Node } from "../../parser/tree.ts";
import type { TableEntry } from "../../catalog/entries.ts";
import type { AggregateCall, BoundExpression } from "../logical/expression.ts";
import type { LogicalColumn, LogicalPlan, ProjectItem } from "../logical/plan.ts";

/** A column by the name a query knows it by. Mostly a plain column reference; COALESCE for a FULL JOIN's merged column. */
export interface ScopeColumn {
  readonly name: string;
  readonly value: BoundExpression;
  /** Where it comes from, for RowDescription. */
  readonly tableOid: number;
  readonly attnum: number;
}

/** One thing in FROM. */
export interface ScopeItem {
  /** undefined = nameless (merged columns of a join). */
  readonly alias: string | undefined;
  /** The table's own name and schema where it is one, for schema.table.column and for hints. */
  readonly relationName: string | undefined;
  readonly schemaName: string | undefined;
  readonly columns: readonly ScopeColumn[];
  /** Column names that are not reachable unqualified. */
  readonly hidden: ReadonlySet<string>;
  readonly table: TableEntry | undefined;
  /** Type of the whole row (SELECT t FROM t). */
  readonly rowType: SqlType;
  /** Makes tableoid, ctid, xmin ... on demand; undefined = this item has none. */
  readonly systemColumn: ((name: string) => BoundExpression | undefined) | undefined;
  /** A function that returns one plain value: the alias names that value and not a row. */
  readonly isScalarFunction: boolean;
  /** What it is where a locking clause cannot name it. */
  readonly fromKind: FromKind;
}

/** FOR UPDATE and the like as the grammar gives it. */
export interface LockingClause {
  readonly lockedRels?: readonly Node[];
  readonly strength?: string;
  readonly waitPolicy?: string;
}

/** A table of FROM whose rows can be locked. */
export interface LockableTable {
  readonly table: TableEntry;
  readonly alias: string;
  readonly rid: LogicalColumn;
  readonly columns: readonly LogicalColumn[];
}

export type FromKind =
  | "a table"
  | "sub-select"
  | "a join"
  | "a function"
  | "a WITH query"
  | "a system catalog";

/** What a query collects while its expressions are bound. */
export interface QueryState {
  readonly aggregates: { readonly column: LogicalColumn; readonly call: AggregateCall }[];
  readonly setCalls: ProjectItem[];
}

/** A WITH query as names see it. */
export interface CteBinding {
  readonly name: string;
  /** Makes a FROM item's plan for one reference. */
  readonly reference: (alias: string) => {
    readonly plan: LogicalPlan;
    readonly columns: readonly LogicalColumn[];
  };
}

export class Scope {
  readonly parent: Scope | undefined;
  readonly items: ScopeItem[] = [];
  /** Siblings in FROM that this scope may not use because LATERAL is missing; for error texts. */
  readonly unreachable: ScopeItem[] = [];
  readonly ctes = new Map<string, CteBinding>();
  readonly state: QueryState = { aggregates: [], setCalls: [] };
  /** The query's FOR UPDATE and the like, known before FROM is bound; */
  locking: readonly LockingClause[] = [];
  /** and what they may apply to, filled while FROM is bound. */
  readonly lockable: LockableTable[] = [];
  readonly systemRelations: string[] = [];

  constructor(parent: Scope | undefined) {
    this.parent = parent;
  }

  cte(name: string): CteBinding | undefined {
    return this.ctes.get(name) ?? this.parent?.cte(name);
  }

  /** Ids that belong to this query's own FROM items. */
  ownIds(): Set<number> {
    const ids = new Set<number>();
    for (const item of this.items) {
      for (const column of item.columns) if (column.value.kind === "column") ids.add(column.value.index);
    }
    return ids;
  }

  /** A bare column name, innermost query first; undefined = nowhere. 42702 when two items offer it. */
  findColumn(name: string, position: number): ScopeColumn | undefined {
    const found: ScopeColumn[] = [];
    for (const item of this.items) {
      if (item.hidden.has(name)) continue;
      for (const column of item.columns) if (column.name === name) found.push(column);
    }
    if (found.length > 1) {
      throw new SqlError(SqlState.ambiguousColumn, `column reference "${name}" is ambiguous`, {
        position: position || undefined,
      });
    }
    return found[0] ?? this.#systemColumn(name, position) ?? this.parent?.findColumn(name, position);
  }

  #systemColumn(name: string, position: number): ScopeColumn | undefined {
    if (!SYSTEM_COLUMNS.has(name)) return undefined;
    const offered = this.items.filter((item) => item.systemColumn !== undefined);
    if (offered.length > 1) {
      throw new SqlError(SqlState.ambiguousColumn, `column reference "${name}" is ambiguous`, {
        position: position || undefined,
      });
    }
    const value = offered[0]?.systemColumn?.(name);
    return value === undefined ? undefined : { name, value, tableOid: 0, attnum: 0 };
  }

  /** A FROM item by its alias; schema given = the table itself under no other alias. */
  findItem(schema: string | undefined, alias: string, position: number): ScopeItem | undefined {
    const found = this.items.filter((item) =>
      schema === undefined
        ? item.alias === alias
        : item.relationName === alias && item.alias === alias && item.schemaName === schema,
    );
    if (found.length > 1) {
      throw new SqlError(SqlState.ambiguousAlias, `table reference "${alias}" is ambiguous`, {
        position: position || undefined,
      });
    }
    return found[0] ?? this.parent?.findItem(schema, alias, position);
  }

  /** 42712 when a new item's alias is taken. */
  assertUniqueAliases(): void {
    const seen = new Set<string>();
    for (const { alias } of this.items) {
      if (alias === undefined) continue;
      if (seen.has(alias)) {
        throw new SqlError(SqlState.duplicateAlias, `table name "${alias}" specified more than once`);
      }
      seen.add(alias);
    }
  }
}

export const SYSTEM_COLUMNS: ReadonlySet<string> = new Set([
  "tableoid",
  "ctid",
  "xmin",
  "xmax",
  "cmin",
  "cmax",
]);

/** `column "x" does not exist`, with the nearest names in sight as PostgreSQL hints them. */
export function undefinedColumn(
  scope: Scope,
  qualifier: string | undefined,
  name: string,
  position: number,
): SqlError {
  const written = qualifier === undefined ? `"${name}"` : `${qualifier}.${name}`;
  return new SqlError(SqlState.undefinedColumn, `column ${written} does not exist`, {
    hint: columnHint(scope, qualifier, name),
    position: position || undefined,
  });
}

/** PostgreSQL's limit for suggestions. */
const MAX_FUZZY_DISTANCE = 3;

function columnHint(scope: Scope, qualifier: string | undefined, name: string): string | undefined {
  const hidden = scope.unreachable.find(
    (item) => (qualifier ?? item.alias) === item.alias && item.columns.some((column) => column.name === name),
  );
  if (hidden !== undefined) {
    return `There is a column named "${name}" in table "${hidden.alias}", but it cannot be referenced from this part of the query.`;
  }
  let best = MAX_FUZZY_DISTANCE + 1;
  let names: string[] = [];
  for (let level: Scope | undefined = scope; level !== undefined; level = level.parent) {
    for (const item of level.items) {
      if (item.alias === undefined) continue;
      const penalty = qualifier === undefined ? 0 : editDistance(qualifier, item.alias);
      for (const column of item.columns) {
        const columnDistance = editDistance(name, column.name);
        if (columnDistance > name.length / 2) continue;
        const distance = columnDistance + penalty;
        if (distance > MAX_FUZZY_DISTANCE || distance > best) continue;
        if (distance < best) names = [];
        best = distance;
        names.push(`"${item.alias}.${column.name}"`);
      }
    }
  }
  if (names.length === 1) return `Perhaps you meant to reference the column ${names[0]}.`;
  if (names.length === 2)
    return `Perhaps you meant to reference the column ${names[0]} or the column ${names[1]}.`;
  return undefined;
}

/** `missing FROM-clause entry for table "x"`, or why an existing one is out of reach. */
export function missingItem(scope: Scope, alias: string, position: number): SqlError {
  const at = { position: position || undefined };
  for (let level: Scope | undefined = scope; level !== undefined; level = level.parent) {
    if (level.unreachable.some((item) => item.alias === alias)) {
      return new SqlError(
        SqlState.undefinedTable,
        `invalid reference to FROM-clause entry for table "${alias}"`,
        {
          ...at,
          hint: `There is an entry for table "${alias}", but it cannot be referenced from this part of the query.`,
        },
      );
    }
    const renamed = level.items.find((item) => item.relationName === alias && item.alias !== alias);
    if (renamed !== undefined) {
      return new SqlError(
        SqlState.undefinedTable,
        `invalid reference to FROM-clause entry for table "${alias}"`,
        {
          ...at,
          hint: `Perhaps you meant to reference the table alias "${renamed.alias}".`,
        },
      );
    }
  }
  return new SqlError(SqlState.undefinedTable, `missing FROM-clause entry for table "${alias}"`, at);
}

/** Levenshtein distance, all costs 1. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitute = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitute, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}
