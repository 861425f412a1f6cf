// GROUP BY and aggregates: after the select list is bound over FROM's columns, expressions are rewritten over the
// aggregate's output, and columns that are neither grouped nor determined by a grouped primary key are refused.
import { SqlError, SqlState } from "../../common/error.ts";
import type { BoundExpression } from "../logical/expression.ts";
import { freeColumns, producedIds, substituteColumns } from "../logical/map.ts";
import type { LogicalPlan, ProjectItem } from "../logical/plan.ts";
import { mapChildren, sameExpression } from "../logical/walk.ts";
import type { BindContext } from "./context.ts";
import type { Scope } from "./scope.ts";

export class Grouping {
  readonly #context: BindContext;
  readonly #scope: Scope;
  readonly #keys: ProjectItem[];
  /** Ids of the columns that FROM makes. */
  readonly #own: ReadonlySet<number>;

  constructor(context: BindContext, scope: Scope, input: LogicalPlan, keys: readonly BoundExpression[]) {
    this.#context = context;
    this.#scope = scope;
    this.#own = producedIds(input);
    this.#keys = [];
    for (const key of keys) {
      if (!this.#keys.some((known) => sameExpression(known.expression, key))) this.#addKey(key);
    }
  }

  #addKey(expression: BoundExpression): ProjectItem {
    const name = expression.kind === "column" ? (expression.name.split(".").at(-1) ?? "") : "";
    const item = { column: this.#context.outputColumn(name, expression), expression };
    this.#keys.push(item);
    return item;
  }

  /** Keys, including the columns that were added because a primary key determines them. */
  get keys(): readonly ProjectItem[] {
    return this.#keys;
  }

  /** The expression over keys and aggregates. 42803 for a column that has no single value in a group. */
  rewrite(e: BoundExpression): BoundExpression {
    const key = this.#keys.find((item) => sameExpression(item.expression, e));
    if (key !== undefined) return this.#reference(key, e);
    if (e.kind === "column" && this.#own.has(e.index)) {
      const added = this.#determined(e);
      if (added !== undefined) return this.#reference(added, e);
      throw new SqlError(
        SqlState.groupingError,
        `column "${e.name}" must appear in the GROUP BY clause or be used in an aggregate function`,
        { position: e.position || undefined },
      );
    }
    const below = mapChildren(e, (child) => this.rewrite(child));
    return below.kind === "subquery" && below.logical !== undefined ? this.#rewriteSubquery(below) : below;
  }

  #reference(key: ProjectItem, e: BoundExpression): BoundExpression {
    return this.#context.reference(key.column, e.kind === "column" ? e.name : key.column.name, e.position);
  }

  #rewriteSubquery(e: Extract<BoundExpression, { kind: "subquery" }>): BoundExpression {
    const replacement = new Map<number, BoundExpression>();
    for (const id of e.logical === undefined ? [] : freeColumns(e.logical)) {
      if (!this.#own.has(id)) continue;
      const key = this.#keys.find(
        (item) => item.expression.kind === "column" && item.expression.index === id,
      );
      const column = this.#columnById(id);
      const found = key ?? (column === undefined ? undefined : this.#determined(column));
      if (found === undefined) {
        throw new SqlError(
          SqlState.groupingError,
          `subquery uses ungrouped column "${column?.kind === "column" ? column.name : "?"}" from outer query`,
          { position: e.position || undefined },
        );
      }
      replacement.set(id, this.#context.reference(found.column, found.column.name, 0));
    }
    return replacement.size === 0 ? e : substituteColumns(e, replacement);
  }

  #columnById(id: number): BoundExpression | undefined {
    for (const item of this.#scope.items) {
      for (const column of item.columns)
        if (column.value.kind === "column" && column.value.index === id) return column.value;
    }
    return undefined;
  }

  /** A column of a table whose whole primary key is grouped has one value per group: it becomes a key itself. */
  #determined(e: Extract<BoundExpression, { kind: "column" }> | BoundExpression): ProjectItem | undefined {
    if (e.kind !== "column") return undefined;
    const item = this.#scope.items.find((candidate) =>
      candidate.columns.some((column) => column.value.kind === "column" && column.value.index === e.index),
    );
    const primary = item?.table?.constraints.find(({ type, isDeferrable }) => type === "p" && !isDeferrable);
    if (item === undefined || primary === undefined) return undefined;
    const isGrouped = primary.columns.every((attnum) => {
      const column = item.columns.find((candidate) => candidate.attnum === attnum);
      return this.#keys.some((key) => sameExpression(key.expression, column?.value));
    });
    return isGrouped ? this.#addKey(e) : undefined;
  }
}
