// PRIMARY KEY, UNIQUE, CHECK and FOREIGN KEY as they stand behind a column, in CREATE TABLE and in ALTER TABLE ADD. What a
// foreign key refers to is looked at by executor/utility/definition, when the tables are locked: a table may refer to itself,
// which does not exist yet here.
import type { ReferentialAction, TableEntry } from "../../../catalog/entries.ts";
import { notSupported, SqlError, SqlState } from "../../../common/error.ts";
import { type Constraint, positionOf, type RangeVar, stringsOf } from "../../../parser/tree.ts";
import type {
  CheckDefinition,
  Deferral,
  ForeignKeyDefinition,
  KeyDefinition,
} from "../../physical/definition.ts";
import { type DefinitionBindContext, findTable, type NamedColumn } from "./context.ts";

/** The table that a constraint is being defined on. */
export interface ConstraintHome {
  readonly table: string;
  /** Schema as it was written in CREATE TABLE; ALTER TABLE finds the table by its oid. */
  readonly schemaname: string | undefined;
  readonly existing: TableEntry | undefined;
}

/**
 * A column's constraints with DEFERRABLE, INITIALLY DEFERRED and their opposites, which the grammar gives as nodes of their
 * own, put into the constraint before them (PostgreSQL's transformConstraintAttrs).
 */
export function withAttributes(constraints: readonly Constraint[]): readonly Constraint[] {
  const result: Constraint[] = [];
  let sawDeferrability = false;
  let sawInitially = false;
  const last = (clause: string, constraint: Constraint): Constraint => {
    const target = result.at(-1);
    if (target !== undefined && takesAttributes(target)) return target;
    throw attributeError(`misplaced ${clause} clause`, constraint);
  };
  const change = (attributes: Pick<Constraint, "deferrable" | "initdeferred">): void => {
    result[result.length - 1] = { ...(result.at(-1) as Constraint), ...attributes };
  };
  for (const constraint of constraints) {
    switch (constraint.contype) {
      case "CONSTR_ATTR_DEFERRABLE":
      case "CONSTR_ATTR_NOT_DEFERRABLE": {
        const isDeferrable = constraint.contype === "CONSTR_ATTR_DEFERRABLE";
        const target = last(isDeferrable ? "DEFERRABLE" : "NOT DEFERRABLE", constraint);
        if (sawDeferrability)
          throw attributeError("multiple DEFERRABLE/NOT DEFERRABLE clauses not allowed", constraint);
        sawDeferrability = true;
        if (!isDeferrable && sawInitially && target.initdeferred === true) throw mustBeDeferrable(constraint);
        change({ deferrable: isDeferrable });
        break;
      }
      case "CONSTR_ATTR_DEFERRED":
      case "CONSTR_ATTR_IMMEDIATE": {
        const isDeferred = constraint.contype === "CONSTR_ATTR_DEFERRED";
        const target = last(isDeferred ? "INITIALLY DEFERRED" : "INITIALLY IMMEDIATE", constraint);
        if (sawInitially)
          throw attributeError("multiple INITIALLY IMMEDIATE/DEFERRED clauses not allowed", constraint);
        sawInitially = true;
        if (isDeferred && sawDeferrability && target.deferrable !== true) throw mustBeDeferrable(constraint);
        change(isDeferred ? { initdeferred: true, deferrable: true } : { initdeferred: false });
        break;
      }
      default:
        result.push(constraint);
        sawDeferrability = false;
        sawInitially = false;
    }
  }
  return result;
}

function takesAttributes({ contype }: Constraint): boolean {
  return (
    contype === "CONSTR_PRIMARY" ||
    contype === "CONSTR_UNIQUE" ||
    contype === "CONSTR_EXCLUSION" ||
    contype === "CONSTR_FOREIGN"
  );
}

function attributeError(message: string, constraint: Constraint): SqlError {
  return new SqlError(SqlState.syntaxError, message, {
    position: positionOf(constraint.location) || undefined,
  });
}

function mustBeDeferrable(constraint: Constraint): SqlError {
  return attributeError("constraint declared INITIALLY DEFERRED must be DEFERRABLE", constraint);
}

function deferralOf(constraint: Constraint): Deferral {
  return { isDeferrable: constraint.deferrable === true, isDeferred: constraint.initdeferred === true };
}

/** PRIMARY KEY or UNIQUE, behind a column (`column`) or as a table constraint. */
export function bindKey(constraint: Constraint, column: string | undefined): KeyDefinition {
  if (constraint.contype !== "CONSTR_PRIMARY" && constraint.contype !== "CONSTR_UNIQUE")
    throw unsupportedConstraint(constraint);
  const position = positionOf(constraint.location);
  if (constraint.including !== undefined && constraint.including.length > 0)
    throw notSupported("INCLUDE columns", position);
  if (constraint.indexname !== undefined) throw notSupported("USING INDEX", position);
  return {
    kind: constraint.contype === "CONSTR_PRIMARY" ? "primary" : "unique",
    name: constraint.conname,
    columns: column === undefined ? stringsOf(constraint.keys) : [column],
    nullsNotDistinct: constraint.nulls_not_distinct === true,
    ...deferralOf(constraint),
  };
}

export function unsupportedConstraint(constraint: Constraint): SqlError {
  const position = positionOf(constraint.location);
  switch (constraint.contype) {
    case "CONSTR_EXCLUSION":
      return notSupported("EXCLUDE constraints", position);
    default:
      return notSupported(`constraint kind ${constraint.contype}`, position);
  }
}

export function bindCheckConstraint(
  constraint: Constraint,
  table: string,
  columns: readonly NamedColumn[],
  context: DefinitionBindContext,
): CheckDefinition {
  if (constraint.raw_expr === undefined)
    throw new SqlError(SqlState.syntaxError, "CHECK without an expression");
  const bound = context.bindCheck(constraint.raw_expr, table, columns);
  return {
    name: constraint.conname,
    expression: bound.text,
    columns: bound.columns,
    noInherit: constraint.is_no_inherit === true,
    isValidated: constraint.skip_validation !== true,
  };
}

const ACTIONS: Readonly<Record<string, ReferentialAction>> = { a: "a", r: "r", c: "c", n: "n", d: "d" };

/** REFERENCES behind a column (`column`), or FOREIGN KEY (...) REFERENCES. */
export function bindForeignKey(
  constraint: Constraint,
  column: string | undefined,
  home: ConstraintHome,
  context: DefinitionBindContext,
): ForeignKeyDefinition {
  const target = constraint.pktable ?? {};
  if (constraint.fk_matchtype === "p") {
    throw new SqlError(SqlState.featureNotSupported, "MATCH PARTIAL not yet implemented", {
      position: positionOf(constraint.location) || undefined,
    });
  }
  return {
    name: constraint.conname,
    columns: column === undefined ? stringsOf(constraint.fk_attrs) : [column],
    table: isHome(target, home, context) ? "self" : findReferenced(target, context),
    referenced: stringsOf(constraint.pk_attrs),
    match: constraint.fk_matchtype === "f" ? "f" : "s",
    onUpdate: ACTIONS[constraint.fk_upd_action ?? "a"] ?? "a",
    onDelete: ACTIONS[constraint.fk_del_action ?? "a"] ?? "a",
    deleteColumns: stringsOf(constraint.fk_del_set_cols),
    // In CREATE TABLE there is nothing to validate.
    isValidated: constraint.skip_validation !== true || home.existing === undefined,
    ...deferralOf(constraint),
  };
}

/** Whether a foreign key refers to the table it is on. */
function isHome(target: RangeVar, home: ConstraintHome, context: DefinitionBindContext): boolean {
  if (home.existing !== undefined) {
    const found = context.catalog.relation(target.schemaname, target.relname ?? "", context.searchPath);
    return found?.kind === "table" && found.table.oid === home.existing.oid;
  }
  if (target.relname !== home.table) return false;
  return target.schemaname === undefined || target.schemaname === home.schemaname;
}

function findReferenced(target: RangeVar, context: DefinitionBindContext): TableEntry {
  const found = context.catalog.relation(target.schemaname, target.relname ?? "", context.searchPath);
  if (found !== undefined && found.kind !== "table" && found.kind !== "virtual") {
    throw new SqlError(SqlState.wrongObjectType, `referenced relation "${target.relname}" is not a table`);
  }
  return findTable(target, context);
}
