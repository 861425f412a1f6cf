// PhysicalPlan -> the nodes EXPLAIN shows. Not one to one: projections are no nodes in PostgreSQL's eyes, a filter is a line of
// the node below it, a hash join's inner side has a Hash node, a bitmap scan shows its index scans.
//
// Column references are positions; what a position means is followed down to a table's column, an aggregate or an
// expression, and printed as such.
import { unreachable } from "../common/assert.ts";
import { quoteIdentifier } from "../common/identifier.ts";
import type { TypeContext } from "../common/types/type.ts";
import { deparse, deparseAggregate, deparseSortKey, type DeparseOptions } from "./binder/deparse.ts";
import {
  countRelations,
  JOIN_WORDS,
  make,
  target,
  relation,
  bitmapConditions,
  bitmapNames,
  type ExplainProperty,
  type ExplainNode,
} from "./explain-parts.ts";
import type { BoundExpression, SortKey, SubqueryExpression } from "./logical/expression.ts";
import type { BitmapSource, PhysicalPlan, SearchBranch, SearchFilter } from "./physical/plan.ts";

export function describePlan(plan: PhysicalPlan, types: TypeContext): ExplainNode {
  return new Describer(types, countRelations(plan) > 1).node(plan);
}

class Describer {
  readonly #types: TypeContext;
  readonly #isQualified: boolean;
  readonly #workTables = new Set<number>();
  readonly #subqueryTexts = new Map<SubqueryExpression, string>();
  #subplanCount = 0;
  #initPlanCount = 0;
  /** Sub-selects met while printing the current node. */
  #pending: { readonly title: string; readonly node: ExplainNode }[] = [];

  constructor(types: TypeContext, isQualified: boolean) {
    this.#types = types;
    this.#isQualified = isQualified;
  }

  node(plan: PhysicalPlan, filters: readonly BoundExpression[] = []): ExplainNode {
    switch (plan.kind) {
      case "project":
        return this.#throughProject(plan, filters);
      case "filter":
        return this.node(plan.input, [...filters, plan.condition]);
      case "with": {
        const ctes = plan.ctes.map((cte) => ({ title: `CTE ${cte.name}`, node: this.node(cte.plan) }));
        const input = this.node(plan.input, filters);
        return { ...input, subplans: [...ctes, ...input.subplans] };
      }
      default:
        break;
    }
    const saved = this.#pending;
    this.#pending = [];
    const described = this.#describe(plan);
    const conditions = filters.map(
      (condition): ExplainProperty => ({ name: "Filter", value: this.#text(condition, plan) }),
    );
    const node: ExplainNode = {
      ...described,
      properties: [...described.properties, ...conditions],
      subplans: [...this.#pending, ...described.subplans],
    };
    this.#pending = saved;
    return node;
  }

  /** A projection shows as the node below it, with its own width and its sub-selects. */
  #throughProject(
    plan: Extract<PhysicalPlan, { kind: "project" }>,
    filters: readonly BoundExpression[],
  ): ExplainNode {
    const saved = this.#pending;
    this.#pending = [];
    const output = plan.expressions.map((e) => this.#text(e, plan.input));
    const pending = this.#pending;
    this.#pending = saved;
    const below = this.node(plan.input, filters);
    const properties = below.properties.filter((property) => property.name !== "Output");
    return {
      ...below,
      estimate: below.estimate === undefined ? undefined : { ...below.estimate, width: plan.estimate.width },
      properties: [{ name: "Output", value: output, needs: "verbose" }, ...properties],
      subplans: [...pending, ...below.subplans],
    };
  }

  #describe(plan: Exclude<PhysicalPlan, { kind: "project" | "filter" | "with" }>): ExplainNode {
    switch (plan.kind) {
      case "result":
        return make(plan, "Result", "Result", {
          properties: this.#optional("One-Time Filter", plan.condition, plan),
        });
      case "values":
        return make(plan, 'Values Scan on "*VALUES*"', "Values Scan", { attributes: { Alias: "*VALUES*" } });
      case "seq-scan":
        return make(plan, `Seq Scan on ${target(plan.target)}`, "Seq Scan", {
          attributes: relation(plan.target),
          properties: this.#optional("Filter", plan.filter, plan),
        });
      case "index-scan":
        return make(
          plan,
          `Index Scan ${plan.backward ? "Backward " : ""}using ${quoteIdentifier(plan.index.name)} on ${target(plan.target)}`,
          "Index Scan",
          {
            attributes: {
              "Scan Direction": plan.backward ? "Backward" : "Forward",
              "Index Name": plan.index.name,
              ...relation(plan.target),
            },
            properties: [
              ...this.#conditions("Index Cond", plan.conditionText, plan),
              ...this.#optional("Filter", plan.filter, plan),
            ],
          },
        );
      case "bitmap-scan":
        return make(plan, `Bitmap Heap Scan on ${target(plan.target)}`, "Bitmap Heap Scan", {
          attributes: relation(plan.target),
          properties: [
            ...this.#conditions("Recheck Cond", bitmapConditions(plan.bitmap), plan),
            ...this.#optional("Filter", plan.filter, plan),
          ],
          children: [this.#bitmap(plan.bitmap, plan)],
        });
      case "search":
        return this.#search(plan);
      case "hybrid":
        return this.#hybrid(plan);
      case "virtual-scan": {
        const name =
          plan.relation.name === plan.alias
            ? quoteIdentifier(plan.alias)
            : `${quoteIdentifier(plan.relation.name)} ${quoteIdentifier(plan.alias)}`;
        return make(plan, `Seq Scan on ${name}`, "Seq Scan", {
          attributes: { "Relation Name": plan.relation.name, Alias: plan.alias },
          properties: this.#optional("Filter", plan.filter, plan),
        });
      }
      case "function-scan": {
        const call = plan.functions[0]?.call;
        const name = call?.kind === "call" ? call.function.name : plan.alias;
        const label = plan.functions.length > 1 ? "ROWS FROM" : quoteIdentifier(name);
        return make(
          plan,
          `Function Scan on ${label}${label === quoteIdentifier(plan.alias) ? "" : ` ${quoteIdentifier(plan.alias)}`}`,
          "Function Scan",
          {
            attributes: { "Function Name": name, Alias: plan.alias },
          },
        );
      }
      case "cte-scan": {
        const kind = this.#workTables.has(plan.cteId) ? "WorkTable Scan" : "CTE Scan";
        const alias = plan.alias === plan.name ? "" : ` ${quoteIdentifier(plan.alias)}`;
        return make(plan, `${kind} on ${quoteIdentifier(plan.name)}${alias}`, kind, {
          attributes: { "CTE Name": plan.name, Alias: plan.alias },
        });
      }
      case "project-set":
        return make(plan, "ProjectSet", "ProjectSet", { children: [this.node(plan.input)] });
      case "limit":
        return make(plan, "Limit", "Limit", { children: [this.node(plan.input)] });
      case "lock-rows":
        return make(plan, "LockRows", "LockRows", { children: [this.node(plan.input)] });
      case "sort":
        return make(plan, "Sort", "Sort", {
          properties: [this.#sortKey(plan.keys, plan.input)],
          children: [this.node(plan.input)],
        });
      case "distinct":
        return this.#distinct(plan);
      case "aggregate": {
        const keys = plan.keys.map((key) => this.#text(key, plan.input));
        const label = keys.length > 0 ? "HashAggregate" : "Aggregate";
        return make(plan, label, "Aggregate", {
          attributes: { Strategy: keys.length > 0 ? "Hashed" : "Plain", "Partial Mode": "Simple" },
          properties: keys.length > 0 ? [{ name: "Group Key", value: keys }] : [],
          children: [this.node(plan.input)],
        });
      }
      case "hash-join":
        return this.#hashJoin(plan);
      case "nested-loop":
        return make(
          plan,
          `Nested Loop${JOIN_WORDS[plan.joinType]}${plan.joinType === "inner" ? "" : " Join"}`,
          "Nested Loop",
          {
            attributes: { "Join Type": JOIN_WORDS[plan.joinType].trim() || "Inner" },
            properties: this.#optional("Join Filter", plan.condition, plan),
            children: [this.node(plan.left), this.node(plan.right)],
          },
        );
      case "append":
        return make(plan, "Append", "Append", { children: plan.inputs.map((input) => this.node(input)) });
      case "set-operation": {
        const command = `${plan.operation === "intersect" ? "Intersect" : "Except"}${plan.all ? " All" : ""}`;
        return make(plan, `HashSetOp ${command}`, "SetOp", {
          attributes: { Strategy: "Hashed", Command: command },
          children: [this.node(plan.left), this.node(plan.right)],
        });
      }
      case "recursive-union":
        this.#workTables.add(plan.cteId);
        return make(plan, "Recursive Union", "Recursive Union", {
          children: [this.node(plan.initial), this.node(plan.recursive)],
        });
      case "insert":
      case "update":
      case "delete":
        return this.#modify(plan);
      default:
        return unreachable(plan);
    }
  }

  #hashJoin(plan: Extract<PhysicalPlan, { kind: "hash-join" }>): ExplainNode {
    const word = JOIN_WORDS[plan.joinType];
    const conditions = plan.leftKeys.map(
      (key, i) =>
        `(${this.#text(key, plan.left)} = ${this.#text(plan.rightKeys[i] as BoundExpression, plan.right)})`,
    );
    const text = conditions.length === 1 ? (conditions[0] as string) : `(${conditions.join(" AND ")})`;
    const right = this.node(plan.right);
    const cost = plan.right.estimate;
    const hash: ExplainNode = {
      id: undefined,
      label: "Hash",
      nodeType: "Hash",
      attributes: {},
      estimate: { ...cost, startupCost: cost.totalCost },
      properties: [],
      subplans: [],
      children: [right],
    };
    return make(plan, `Hash${word} Join`, "Hash Join", {
      attributes: { "Join Type": word.trim() || "Inner" },
      properties: [{ name: "Hash Cond", value: text }, ...this.#optional("Join Filter", plan.residual, plan)],
      children: [this.node(plan.left), hash],
    });
  }

  #distinct(plan: Extract<PhysicalPlan, { kind: "distinct" }>): ExplainNode {
    if (plan.on !== undefined) return make(plan, "Unique", "Unique", { children: [this.node(plan.input)] });
    const keys = plan.output.map((_, i) => this.#column(plan.input, i, true));
    return make(plan, "HashAggregate", "Aggregate", {
      attributes: { Strategy: "Hashed", "Partial Mode": "Simple" },
      properties: [{ name: "Group Key", value: keys }],
      children: [this.node(plan.input)],
    });
  }

  #modify(plan: Extract<PhysicalPlan, { kind: "insert" | "update" | "delete" }>): ExplainNode {
    const operation = plan.kind === "insert" ? "Insert" : plan.kind === "update" ? "Update" : "Delete";
    const properties: ExplainProperty[] = [];
    if (plan.kind === "insert" && plan.onConflict !== undefined) {
      const { arbiters, action } = plan.onConflict;
      properties.push({
        name: "Conflict Resolution",
        value: action.kind === "nothing" ? "NOTHING" : "UPDATE",
      });
      const names = plan.constraints.indexes
        .filter((index) => arbiters.includes(index.storageId))
        .map((index) => index.name);
      if (names.length > 0) properties.push({ name: "Conflict Arbiter Indexes", value: names });
    }
    // Without RETURNING nothing comes out, which PostgreSQL shows as zero rows.
    const cost = plan.returning === undefined ? { ...plan.estimate, rows: 0, width: 0 } : plan.estimate;
    return {
      ...make(plan, `${operation} on ${quoteIdentifier(plan.table.name)}`, "ModifyTable", {
        attributes: { Operation: operation, "Relation Name": plan.table.name, Alias: plan.table.name },
        properties,
        children: [this.node(plan.input)],
      }),
      estimate: cost,
    };
  }

  #search(plan: Extract<PhysicalPlan, { kind: "search" }>): ExplainNode {
    const { branch } = plan;
    const filter = this.#searchFilter(plan.filter, plan);
    const paths = plan.paths.map((path) => `${path.path} ${path.totalCost.toFixed(2)}`);
    const order: ExplainProperty = { name: "Order By", value: this.#branch(branch) };
    const extra: ExplainProperty = { name: "Search Paths", value: paths, needs: "verbose" };
    if (branch.index === undefined) {
      return make(plan, `Custom Scan (ExactKnn) on ${target(plan.target)}`, "Custom Scan", {
        attributes: { "Custom Plan Provider": "ExactKnn", ...relation(plan.target) },
        properties: [order, ...filter, extra],
      });
    }
    return make(
      plan,
      `Index Scan using ${quoteIdentifier(branch.index.name)} on ${target(plan.target)}`,
      "Index Scan",
      {
        attributes: {
          "Scan Direction": "Forward",
          "Index Name": branch.index.name,
          ...relation(plan.target),
        },
        properties: [order, ...filter, extra],
      },
    );
  }

  #hybrid(plan: Extract<PhysicalPlan, { kind: "hybrid" }>): ExplainNode {
    const options: ExplainProperty[] = [];
    for (const name of ["weights", "k", "candidates"] as const) {
      const value = plan[name];
      if (value !== undefined) options.push({ name: `RRF ${name}`, value: this.#text(value, plan) });
    }
    const branches = plan.branches.map(
      (branch) =>
        `${this.#branch(branch)} using ${branch.index === undefined ? "exact evaluation" : quoteIdentifier(branch.index.name)}`,
    );
    return make(plan, `Custom Scan (HybridRRF) on ${target(plan.target)}`, "Custom Scan", {
      attributes: { "Custom Plan Provider": "HybridRRF", ...relation(plan.target) },
      properties: [
        ...branches.map((value, i): ExplainProperty => ({ name: `Branch ${i + 1}`, value })),
        ...options,
        ...this.#searchFilter(plan.filter, plan),
      ],
    });
  }

  #branch(branch: SearchBranch): string {
    const operator = branch.kind === "vector" ? branch.operator : "<@>";
    return `(${branch.columnName} ${operator} ${this.#text(branch.query, undefined)})`;
  }

  #searchFilter(filter: SearchFilter | undefined, plan: PhysicalPlan): readonly ExplainProperty[] {
    if (filter === undefined) return [];
    const indexes = filter.bitmap === undefined ? [] : bitmapNames(filter.bitmap);
    const lines: ExplainProperty[] = [...this.#conditions("Filter", filter.text, plan)];
    if (indexes.length > 0) lines.push({ name: "Filter Bitmap", value: indexes });
    // What the paths were priced with; EXPLAIN ANALYZE sets the share that was found beside it.
    lines.push({
      name: "Estimated Selectivity",
      value: Number(filter.selectivity.toPrecision(3)),
      needs: "costs",
    });
    return lines;
  }

  #bitmap(source: BitmapSource, plan: PhysicalPlan): ExplainNode {
    const base = { id: undefined, attributes: {}, estimate: undefined, subplans: [] };
    if (source.kind === "index") {
      return {
        ...base,
        label: `Bitmap Index Scan on ${quoteIdentifier(source.index.name)}`,
        nodeType: "Bitmap Index Scan",
        attributes: { "Index Name": source.index.name },
        properties: this.#conditions("Index Cond", source.conditionText, plan),
        children: [],
      };
    }
    if (source.kind === "text") {
      return {
        ...base,
        label: `Bitmap Index Scan on ${quoteIdentifier(source.indexName)}`,
        nodeType: "Bitmap Index Scan",
        properties: [],
        children: [],
      };
    }
    const label = source.kind === "and" ? "BitmapAnd" : "BitmapOr";
    return {
      ...base,
      label,
      nodeType: label,
      properties: [],
      children: source.inputs.map((input) => this.#bitmap(input, plan)),
    };
  }

  #sortKey(keys: readonly SortKey[], input: PhysicalPlan): ExplainProperty {
    return { name: "Sort Key", value: keys.map((key) => deparseSortKey(key, this.#options(input, true))) };
  }

  #optional(name: string, e: BoundExpression | undefined, plan: PhysicalPlan): readonly ExplainProperty[] {
    return e === undefined ? [] : [{ name, value: this.#text(e, plan) }];
  }

  #conditions(
    name: string,
    list: readonly BoundExpression[],
    plan: PhysicalPlan,
  ): readonly ExplainProperty[] {
    const texts = list.map((e) => this.#text(e, plan));
    if (texts.length === 0) return [];
    return [{ name, value: texts.length === 1 ? (texts[0] as string) : `(${texts.join(" AND ")})` }];
  }

  #text(e: BoundExpression, plan: PhysicalPlan | undefined): string {
    return deparse(e, this.#options(plan, false))
      .replace(/\s*\n\s*/g, " ")
      .trim();
  }

  #options(plan: PhysicalPlan | undefined, inBrackets: boolean): DeparseOptions {
    return {
      types: this.#types,
      column: (e) =>
        e.kind === "outer" || plan === undefined ? e.name : this.#column(plan, e.index, inBrackets),
      subquery: (e) => this.#subquery(e),
    };
  }

  /** What a position of a plan's output is; `inBrackets`: computed values in brackets, as sort keys show them. */
  #column(plan: PhysicalPlan, index: number, inBrackets: boolean): string {
    const computed = (text: string): string => (inBrackets ? `(${text})` : text);
    switch (plan.kind) {
      case "project":
      case "project-set": {
        const e = plan.expressions[index];
        if (e === undefined) return "?column?";
        return e.kind === "column"
          ? this.#column(plan.input, e.index, inBrackets)
          : computed(this.#text(e, plan.input));
      }
      case "aggregate": {
        const key = plan.keys[index];
        if (key !== undefined)
          return key.kind === "column"
            ? this.#column(plan.input, key.index, inBrackets)
            : computed(this.#text(key, plan.input));
        const call = plan.aggregates[index - plan.keys.length];
        return call === undefined
          ? "?column?"
          : computed(deparseAggregate(call, this.#options(plan.input, false)));
      }
      case "filter":
      case "sort":
      case "limit":
      case "lock-rows":
      case "distinct":
      case "with":
        return this.#column(plan.input, index, inBrackets);
      case "hash-join":
      case "nested-loop": {
        const width = plan.left.output.length;
        return index < width
          ? this.#column(plan.left, index, inBrackets)
          : this.#column(plan.right, index - width, inBrackets);
      }
      case "seq-scan":
      case "index-scan":
      case "bitmap-scan":
      case "search":
      case "hybrid":
        return this.#named(plan.target.alias, plan.output[index]?.name);
      case "virtual-scan":
      case "function-scan":
      case "cte-scan":
        return this.#named(plan.alias, plan.output[index]?.name);
      case "values":
        return this.#named("*VALUES*", plan.output[index]?.name);
      default:
        return quoteIdentifier(plan.output[index]?.name ?? "?column?");
    }
  }

  #named(alias: string, name: string | undefined): string {
    const column = quoteIdentifier(name ?? "?column?");
    return this.#isQualified ? `${quoteIdentifier(alias)}.${column}` : column;
  }

  #subquery(e: SubqueryExpression): string {
    // One sub-select may print in two lines of a node (Recheck Cond and Index Cond).
    const known = this.#subqueryTexts.get(e);
    if (known !== undefined) return known;
    const text = this.#newSubquery(e);
    this.#subqueryTexts.set(e, text);
    return text;
  }

  #newSubquery(e: SubqueryExpression): string {
    if (e.plan === undefined) return "(SubPlan)";
    const isInit =
      e.bindings.length === 0 &&
      (e.subqueryKind === "scalar" || e.subqueryKind === "exists" || e.subqueryKind === "array");
    this.#subplanCount += 1;
    const number = this.#subplanCount;
    if (isInit) {
      const result = `$${this.#initPlanCount++}`;
      this.#pending.push({ title: `InitPlan ${number} (returns ${result})`, node: this.node(e.plan) });
      return result;
    }
    this.#pending.push({ title: `SubPlan ${number}`, node: this.node(e.plan) });
    return e.isHashable && e.bindings.length === 0 ? `(hashed SubPlan ${number})` : `(SubPlan ${number})`;
  }
}
