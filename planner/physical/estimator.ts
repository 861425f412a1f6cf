// Row counts and selectivities, from ANALYZE's statistics where they exist and from PostgreSQL's defaults where not.
// Used by the join order rule and by every physical choice. Values of parameters, when known, serve as constants.
import { Oid } from "../../common/types/oid.ts";
import type { Datum } from "../../common/types/type.ts";
import type { ColumnStatistics } from "../../catalog/entries.ts";
import type { PlannerContext } from "../context.ts";
import type { BoundExpression } from "../logical/expression.ts";
import { inputsOf, nodeExpressions } from "../logical/map.ts";
import { outputColumns, type LogicalColumn, type LogicalPlan } from "../logical/plan.ts";
import { childrenOf } from "../logical/walk.ts";
import { clampRows, DEFAULT_ROWS } from "./cost.ts";
import { type ColumnFacts, Selectivity } from "./selectivity.ts";

/** PostgreSQL's guess at the number of distinct values. */
const DEFAULT_DISTINCT = 200;

/** Bytes per value where ANALYZE has not said. */
const TEXT_WIDTH = 32;

export class Estimator implements ColumnFacts {
  readonly planner: PlannerContext;
  readonly #columns = new Map<number, LogicalColumn>();
  readonly #rows = new WeakMap<LogicalPlan, number>();
  readonly #seen = new WeakSet<LogicalPlan>();
  readonly #selectivity: Selectivity;

  constructor(planner: PlannerContext, plan: LogicalPlan) {
    this.planner = planner;
    this.#selectivity = new Selectivity(this);
    this.register(plan);
  }

  /** Makes a plan's columns known, those of sub-selects included. */
  register(plan: LogicalPlan): void {
    if (this.#seen.has(plan)) return;
    this.#seen.add(plan);
    for (const column of outputColumns(plan)) this.#columns.set(column.id, column);
    if (plan.kind === "insert")
      for (const column of [...plan.rowColumns, ...plan.excludedColumns])
        this.#columns.set(column.id, column);
    for (const e of nodeExpressions(plan)) this.#registerSubplans(e);
    if (plan.kind === "insert" && plan.onConflict?.action.kind === "update") {
      for (const { expression } of plan.onConflict.action.assignments) this.#registerSubplans(expression);
    }
    for (const input of inputsOf(plan)) this.register(input);
  }

  #registerSubplans(e: BoundExpression): void {
    if (e.kind === "subquery" && e.logical !== undefined) this.register(e.logical);
    for (const child of childrenOf(e)) this.#registerSubplans(child);
  }

  column(id: number): LogicalColumn | undefined {
    return this.#columns.get(id);
  }

  tableRows(tableOid: number, storageId: number): number {
    const live = this.planner.rowCount(storageId);
    return live ?? this.planner.catalog.statisticsOf(tableOid)?.rowCount ?? DEFAULT_ROWS.table;
  }

  width(columns: readonly LogicalColumn[]): number {
    let bytes = 0;
    for (const column of columns)
      bytes += this.statistics(column.id)?.averageWidth ?? typeWidth(this.planner, column);
    return Math.max(0, Math.round(bytes));
  }

  /** Estimated rows a plan gives. */
  rows(plan: LogicalPlan): number {
    const known = this.#rows.get(plan);
    if (known !== undefined) return known;
    const rows = clampRows(this.#estimate(plan));
    this.#rows.set(plan, rows);
    return rows;
  }

  #estimate(plan: LogicalPlan): number {
    switch (plan.kind) {
      case "result":
        return 1;
      case "values":
        return plan.rows.length;
      case "scan":
        return this.tableRows(plan.table.oid, plan.table.storageId) * this.selectivity(plan.filter);
      case "virtual-scan":
        return DEFAULT_ROWS.virtual * this.selectivity(plan.filter);
      case "function-scan":
        return functionRows(plan.functions.map((item) => item.call));
      case "cte-scan":
        return 100;
      case "with":
        return this.rows(plan.input);
      case "filter":
        return this.rows(plan.input) * this.selectivity(plan.conditions);
      case "project":
        return this.rows(plan.input);
      case "project-set":
        return this.rows(plan.input) * Math.max(...plan.items.map((item) => functionRows([item.expression])));
      case "join":
        return this.#joinRows(plan);
      case "aggregate":
        return this.groups(
          plan.keys.map((key) => key.expression),
          this.rows(plan.input),
        );
      case "distinct": {
        const columns = outputColumns(plan);
        const keys =
          plan.on ??
          columns.map(
            (column): BoundExpression => ({
              kind: "column",
              index: column.id,
              name: column.name,
              type: column.type,
              collation: 0,
              position: 0,
            }),
          );
        return this.groups(keys, this.rows(plan.input));
      }
      case "sort":
      case "lock-rows":
        return this.rows(plan.input);
      case "limit": {
        const rows = this.rows(plan.input);
        const skip = this.constant(plan.skip) ?? 0;
        const count = this.constant(plan.count);
        return Math.max(0, Math.min(count ?? (plan.count === undefined ? rows : rows / 10), rows - skip));
      }
      case "append":
        return plan.inputs.reduce((sum, input) => sum + this.rows(input), 0);
      case "set-operation":
        return plan.operation === "intersect"
          ? Math.min(this.rows(plan.left), this.rows(plan.right))
          : this.rows(plan.left);
      case "recursive-union":
        return this.rows(plan.initial) + 10 * this.rows(plan.recursive);
      case "search":
      case "hybrid":
        return Math.min(
          this.rows(plan.scan),
          (this.constant(plan.count) ?? 10) + (this.constant(plan.skip) ?? 0),
        );
      case "insert":
      case "update":
      case "delete":
        return this.rows(plan.input);
    }
  }

  #joinRows(plan: Extract<LogicalPlan, { kind: "join" }>): number {
    const left = this.rows(plan.left);
    const right = this.rows(plan.right);
    const inner = left * right * this.selectivity(plan.conditions);
    switch (plan.joinType) {
      case "inner":
        return inner;
      case "left":
        return Math.max(inner, left);
      case "right":
        return Math.max(inner, right);
      case "full":
        return Math.max(inner, left + right);
      case "semi":
        return Math.min(left, Math.max(inner, left * 0.1));
      case "anti":
        return Math.max(1, left - Math.min(inner, left * 0.9));
    }
  }

  /** Number of groups by these keys: product of distinct counts, at most the rows. */
  groups(keys: readonly BoundExpression[], rows: number): number {
    if (keys.length === 0) return 1;
    const product = keys.reduce((groups, key) => groups * this.distinctValues(key, rows), 1);
    return Math.min(product, rows);
  }

  distinctValues(e: BoundExpression, rows: number): number {
    if (e.kind === "constant" || e.kind === "parameter") return 1;
    if (e.type.oid === Oid.bool) return 2;
    const statistics = e.kind === "column" ? this.statistics(e.index) : undefined;
    if (e.kind !== "column" || statistics === undefined || statistics.distinct === 0) {
      return e.kind === "column" && this.#isUnique(e.index)
        ? Math.max(rows, this.ownRows(e.index))
        : Math.min(rows, DEFAULT_DISTINCT);
    }
    return statistics.distinct > 0 ? statistics.distinct : -statistics.distinct * this.ownRows(e.index);
  }

  ownRows(id: number): number {
    const column = this.#columns.get(id);
    const relation = column === undefined ? undefined : this.planner.catalog.relationByOid(column.tableOid);
    return relation?.kind === "table"
      ? this.tableRows(relation.table.oid, relation.table.storageId)
      : DEFAULT_ROWS.virtual;
  }

  #isUnique(id: number): boolean {
    const column = this.#columns.get(id);
    if (column === undefined || column.tableOid === 0) return false;
    const relation = this.planner.catalog.relationByOid(column.tableOid);
    if (relation?.kind === "virtual") return column.name === "oid";
    return this.planner.catalog
      .indexesOf(column.tableOid)
      .some(
        (index) =>
          index.isUnique &&
          index.predicate === undefined &&
          index.keyCount === 1 &&
          index.columns[0]?.attnum === column.attnum,
      );
  }

  statistics(id: number): ColumnStatistics | undefined {
    const column = this.#columns.get(id);
    if (column === undefined || column.tableOid === 0) return undefined;
    return this.planner.catalog
      .statisticsOf(column.tableOid)
      ?.columns.find((entry) => entry.attnum === column.attnum);
  }

  /** A number that is known at planning time: a constant, or a parameter whose value was given for estimates. */
  constant(e: BoundExpression | undefined): number | undefined {
    const value = e === undefined ? undefined : this.value(e);
    return typeof value === "number" || typeof value === "bigint" ? Number(value) : undefined;
  }

  value(e: BoundExpression): Datum | undefined {
    if (e.kind === "constant") return e.value;
    if (e.kind === "parameter") return this.planner.parameterValues?.[e.index];
    if (e.kind === "relabel") return this.value(e.input);
    return undefined;
  }

  /** Fraction of rows that pass all conditions. */
  selectivity(conditions: readonly BoundExpression[]): number {
    return this.#selectivity.all(conditions);
  }
}

function functionRows(calls: readonly BoundExpression[]): number {
  return Math.max(
    1,
    ...calls.map((call) => (call.kind === "call" && call.function.returnsSet ? seriesRows(call) : 1)),
  );
}

/** generate_series over constants says how many rows it gives. */
function seriesRows(call: Extract<BoundExpression, { kind: "call" }>): number {
  const [from, to, step] = call.args.map((arg) =>
    arg.kind === "constant" && typeof arg.value === "number" ? arg.value : undefined,
  );
  if (call.function.name === "generate_series" && from !== undefined && to !== undefined) {
    return Math.max(0, Math.floor((to - from) / (step ?? 1)) + 1);
  }
  return call.function.name === "unnest" ? 10 : DEFAULT_ROWS.function;
}

function typeWidth(planner: PlannerContext, column: LogicalColumn): number {
  const type = planner.catalog.typeByOid(column.type.oid);
  if (type === undefined) return TEXT_WIDTH;
  if (type.length > 0) return type.length;
  if (type.name === "vector" && column.type.typmod > 0) return 8 + 4 * column.type.typmod;
  return TEXT_WIDTH;
}
