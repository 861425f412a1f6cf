// Logical plans as text, for plan tests and for whoever debugs a rule: one node a line, inputs indented below it.
import type { TypeContext } from "../../common/types/type.ts";
import { deparse, deparseAggregate, deparseSortKey, type DeparseOptions } from "../binder/deparse.ts";
import type { SearchBranch } from "../physical/plan.ts";
import type { BoundExpression, SubqueryExpression } from "./expression.ts";
import { inputsOf, nodeExpressions } from "./map.ts";
import type { LogicalColumn, LogicalPlan } from "./plan.ts";
import { childrenOf } from "./walk.ts";

/** The plan's lines. Columns print by name; computed ones as name#n, numbered as they appear. */
export function printLogical(plan: LogicalPlan, types: TypeContext): string {
  const printer = new Printer(types);
  printer.print(plan, 0);
  return printer.lines.join("\n");
}

class Printer {
  readonly lines: string[] = [];
  readonly #options: DeparseOptions;
  readonly #names = new Map<number, string>();

  constructor(types: TypeContext) {
    this.#options = {
      types,
      column: (e) => (e.kind === "column" ? (this.#names.get(e.index) ?? e.name) : e.name),
      subquery: (e) => `<${e.subqueryKind} subquery>`,
    };
  }

  print(plan: LogicalPlan, depth: number): void {
    // Inputs first, so that their columns have names when this node's expressions print.
    const at = this.lines.length;
    for (const input of inputsOf(plan)) this.print(input, depth + 1);
    for (const e of nodeExpressions(plan)) this.#printSubqueries(e, depth + 1);
    this.#name(plan);
    this.lines.splice(at, 0, `${"  ".repeat(depth)}${this.#describe(plan)}`);
  }

  #printSubqueries(e: BoundExpression, depth: number): void {
    if (e.kind === "subquery" && e.logical !== undefined) {
      this.lines.push(`${"  ".repeat(depth)}${subqueryTitle(e)}`);
      this.print(e.logical, depth + 1);
    }
    for (const child of childrenOf(e)) this.#printSubqueries(child, depth);
  }

  #name(plan: LogicalPlan): void {
    if (plan.kind === "aggregate") {
      for (const { column, call } of plan.aggregates)
        this.#names.set(column.id, deparseAggregate(call, this.#options));
      for (const { column, expression } of plan.keys) this.#names.set(column.id, this.#text(expression));
    }
    if (plan.kind === "project") {
      for (const { column, expression } of plan.items)
        if (expression.kind === "column") this.#names.set(column.id, this.#text(expression));
    }
  }

  #text(e: BoundExpression): string {
    return deparse(e, this.#options)
      .replace(/\s*\n\s*/g, " ")
      .trim();
  }

  #list(items: readonly BoundExpression[]): string {
    return items.map((e) => this.#text(e)).join(", ");
  }

  #and(conditions: readonly BoundExpression[]): string {
    return conditions.map((e) => this.#text(e)).join(" AND ");
  }

  #describe(plan: LogicalPlan): string {
    switch (plan.kind) {
      case "result":
        return "Result";
      case "values":
        return `Values (${plan.rows.length} rows)`;
      case "scan":
        return `Scan ${plan.table.name}${plan.alias === plan.table.name ? "" : ` ${plan.alias}`} (${names(plan.columns)}${plan.rid === undefined ? "" : ", rid"})${this.#filter(plan.filter)}`;
      case "virtual-scan":
        return `VirtualScan ${plan.relation.name} ${plan.alias} (${names(plan.columns)})${this.#filter(plan.filter)}`;
      case "function-scan":
        return `FunctionScan ${this.#list(plan.functions.map((item) => item.call))}`;
      case "cte-scan":
        return `CteScan ${plan.name}`;
      case "with":
        return `With ${plan.ctes.map((cte) => cte.name).join(", ")}`;
      case "filter":
        return `Filter ${this.#and(plan.conditions)}`;
      case "project":
        return `Project ${plan.items.map(({ column, expression }) => (this.#text(expression) === column.name ? column.name : `${this.#text(expression)} AS ${column.name}`)).join(", ")}`;
      case "project-set":
        return `ProjectSet ${this.#list(plan.items.map((item) => item.expression))}`;
      case "join":
        return `Join ${plan.joinType}${plan.conditions.length === 0 ? "" : ` on ${this.#and(plan.conditions)}`}`;
      case "aggregate": {
        const keys =
          plan.keys.length === 0 ? "" : ` by ${this.#list(plan.keys.map((key) => key.expression))}`;
        return `Aggregate ${plan.aggregates.map(({ call }) => deparseAggregate(call, this.#options)).join(", ")}${keys}`;
      }
      case "distinct":
        return plan.on === undefined ? "Distinct" : `Distinct on ${this.#list(plan.on)}`;
      case "sort":
        return `Sort ${plan.keys.map((key) => deparseSortKey(key, this.#options)).join(", ")}`;
      case "limit":
        return `Limit${plan.count === undefined ? "" : ` ${this.#text(plan.count)}`}${plan.skip === undefined ? "" : ` offset ${this.#text(plan.skip)}`}${plan.withTies === undefined ? "" : " with ties"}`;
      case "lock-rows":
        return `LockRows ${plan.marks.map((mark) => `${mark.words} OF ${mark.alias}`).join(", ")}`;
      case "append":
        return "Append";
      case "set-operation":
        return `SetOperation ${plan.operation}${plan.all ? " all" : ""}`;
      case "recursive-union":
        return `RecursiveUnion${plan.all ? " all" : ""}`;
      case "search":
        return `Search ${this.#branch(plan.branch)} limit ${this.#text(plan.count)}${plan.skip === undefined ? "" : ` offset ${this.#text(plan.skip)}`}`;
      case "hybrid":
        return `Hybrid ${plan.branches.map((branch) => this.#branch(branch)).join(", ")} limit ${this.#text(plan.count)}`;
      case "insert":
        return `Insert ${plan.table.name}`;
      case "update":
        return `Update ${plan.table.name} set ${plan.assignments.map((a) => `${plan.table.columns[a.attnum - 1]?.name ?? "?"} = ${this.#text(a.expression)}`).join(", ")}`;
      case "delete":
        return `Delete ${plan.table.name}`;
    }
  }

  #filter(conditions: readonly BoundExpression[]): string {
    return conditions.length === 0 ? "" : ` where ${this.#and(conditions)}`;
  }

  #branch(branch: SearchBranch): string {
    const operator = branch.kind === "vector" ? branch.operator : "<@>";
    return `${branch.columnName} ${operator} ${this.#text(branch.query)} using ${branch.index?.name ?? "no index"}`;
  }
}

function subqueryTitle(e: SubqueryExpression): string {
  return `${e.subqueryKind} subquery:`;
}

function names(columns: readonly LogicalColumn[]): string {
  return columns.map((column) => column.name).join(", ");
}
