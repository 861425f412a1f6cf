// The expressions inside definitions (DEFAULT, CHECK, GENERATED), bound by the planner's binder and deparsed to the text the
// catalogue keeps: the DefinitionBindContext of one session.
import type { TableEntry } from "../catalog/entries.ts";
import { SqlError, SqlState } from "../common/error.ts";
import { quoteIdentifier } from "../common/identifier.ts";
import { Oid } from "../common/types/oid.ts";
import type { SqlType } from "../common/types/type.ts";
import type { Node } from "../parser/tree.ts";
import { coerce, coerceToBoolean } from "../planner/binder/coerce.ts";
import type { Clause } from "../planner/binder/context.ts";
import { deparseExpression } from "../planner/binder/deparse.ts";
import type { DefinitionBindContext, NamedColumn } from "../planner/binder/definition/index.ts";
import { makeBindContext } from "../planner/binder/index.ts";
import { bindScalarText, rowScope, tableColumns } from "../planner/binder/scalar.ts";
import { resolveTypeName } from "../planner/binder/type-name.ts";
import { TEXT, typeName, typeNameWithModifier } from "../planner/binder/types.ts";
import { isMutable } from "../planner/logical/mutable.ts";
import { someExpression } from "../planner/logical/walk.ts";
import type { BoundExpression } from "../planner/logical/expression.ts";
import type { SessionCore } from "./core.ts";
import { plannerContext } from "./planning.ts";

export function definitionBindContext(core: SessionCore): DefinitionBindContext {
  const planner = plannerContext(core, []);
  const bind = (
    node: Node,
    columns: readonly NamedColumn[],
    clause: Clause,
    table: string,
  ): { readonly bound: BoundExpression; readonly context: ReturnType<typeof makeBindContext> } => {
    const context = makeBindContext(planner);
    const scope = rowScope(
      columns.map((column, index) => ({ ...column, index })),
      table,
    );
    return { bound: context.expression(node, { scope, clause }), context };
  };
  const assign = (
    node: Node,
    column: NamedColumn,
    columns: readonly NamedColumn[],
    clause: Clause,
    table: string,
  ) => {
    const { bound, context } = bind(node, columns, clause, table);
    const converted = coerce(context, bound, column.type, "assignment");
    if (converted !== undefined) return converted;
    const what = clause === "generated" ? "generation" : "default";
    const names = [column.type, bound.type].map((type) => typeName(context, type.oid));
    throw new SqlError(
      SqlState.datatypeMismatch,
      `column "${column.name}" is of type ${names[0]} but ${what} expression is of type ${names[1]}`,
      { hint: "You will need to rewrite or cast the expression." },
    );
  };
  return {
    catalog: planner.catalog,
    searchPath: planner.searchPath,
    resolveType: (name): SqlType => resolveTypeName(planner, name),
    bindDefault: (node, column) => {
      const expression = assign(node, column, [], "default", "");
      return { text: deparseExpression(expression, []), expression };
    },
    bindCheck: (node, table, columns) => {
      const { bound, context } = bind(node, columns, "check", table);
      const condition = coerceToBoolean(context, bound, "CHECK");
      return {
        text: deparseExpression(condition, columns.map(nameOf)),
        columns: columnsRead(condition, columns),
      };
    },
    bindTransform: (node, column, table, columns) => {
      const using = node ?? { ColumnRef: { fields: [{ String: { sval: column.name } }] } };
      const { bound, context } = bind(using, columns, "transform", table);
      const converted = coerce(context, bound, column.type, "assignment");
      if (converted === undefined) {
        const { name, type } = column;
        const cast = `${quoteIdentifier(name)}::${typeNameWithModifier(context, type)}`;
        throw node === undefined
          ? cannotBeCast(context, `column "${name}"`, type, `You might need to specify "USING ${cast}".`)
          : cannotBeCast(
              context,
              `result of USING clause for column "${name}"`,
              type,
              "You might need to add an explicit cast.",
            );
      }
      // The assignment itself is done with the row: it refuses what does not fit, where a cast would cut it off.
      const value = bound.type.oid === Oid.unknown ? converted : bound;
      return deparseExpression(value, columns.map(nameOf));
    },
    convertDefault: (text, column) => {
      const context = makeBindContext(planner);
      const bound = bindScalarText(context, text, [], undefined, "default");
      const converted = coerce(context, bound, column.type, "assignment");
      if (converted !== undefined) return deparseExpression(converted, []);
      throw cannotBeCast(context, `default for column "${column.name}"`, column.type, undefined);
    },
    bindIndexPart: (node, part, table, columns) => {
      const { bound, context } = bind(node, columns, part, table);
      const isPredicate = part === "index-predicate";
      const known =
        bound.type.oid === Oid.unknown ? (coerce(context, bound, TEXT, "implicit") ?? bound) : bound;
      const e = isPredicate ? coerceToBoolean(context, bound, "WHERE") : known;
      if (isMutable(e, planner.catalog)) {
        const where = isPredicate ? "predicate" : "expression";
        throw new SqlError(
          SqlState.invalidObjectDefinition,
          `functions in index ${where} must be marked IMMUTABLE`,
        );
      }
      return {
        text: deparseExpression(e, columns.map(nameOf)),
        type: e.type,
        collation: e.collation,
        column: e.kind === "column" ? columns[e.index]?.name : undefined,
        isCall: isCall(e),
        reads: columnsRead(e, columns),
      };
    },
    bindGenerated: (node, column, table, columns) =>
      deparseExpression(assign(node, column, columns, "generated", table), columns.map(nameOf)),
  };
}

function cannotBeCast(
  context: ReturnType<typeof makeBindContext>,
  what: string,
  type: SqlType,
  hint: string | undefined,
): SqlError {
  return new SqlError(
    SqlState.datatypeMismatch,
    `${what} cannot be cast automatically to type ${typeName(context, type.oid)}`,
    hint === undefined ? {} : { hint },
  );
}

/** Names of the columns an expression reads. */
function columnsRead(e: BoundExpression, columns: readonly NamedColumn[]): readonly string[] {
  const used = new Set<string>();
  someExpression(e, (part) => {
    const column = part.kind === "column" ? columns[part.index] : undefined;
    if (column !== undefined) used.add(column.name);
    return false;
  });
  return [...used];
}

/** What PostgreSQL prints like a function call (looks_like_function in ruleutils.c). */
function isCall(e: BoundExpression): boolean {
  if (e.kind === "call") return e.operator === undefined && e.cast === undefined;
  return ["coalesce", "greatest", "least", "nullif"].includes(e.kind);
}

/** A stored expression bound over the row of its table. */
function boundText(core: SessionCore, text: string, table: TableEntry): BoundExpression {
  const context = makeBindContext(plannerContext(core, []));
  return bindScalarText(context, text, tableColumns(table), undefined, "generated", table.name);
}

/** See DefinitionContext.rewriteText. */
export function rewriteText(core: SessionCore, text: string, table: TableEntry, renamed: TableEntry): string {
  return deparseExpression(
    boundText(core, text, table),
    renamed.columns.map((column) => column.name),
  );
}

/** See DefinitionContext.columnsRead. */
export function attnumsRead(core: SessionCore, text: string, table: TableEntry): readonly number[] {
  const read = new Set<number>();
  someExpression(boundText(core, text, table), (part) => {
    if (part.kind === "column") read.add(part.index + 1);
    return false;
  });
  return [...read];
}

function nameOf(column: NamedColumn): string {
  return column.name;
}
