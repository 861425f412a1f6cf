// Constraints of a table as entries: keys with their indexes, checks, and what ALTER TABLE does to them. Functions take the
// table as it is so far and give it back changed; the caller stores it. Foreign keys are made in foreign-key.ts.
import { ACCESS_EXCLUSIVE } from "../../../common/lock-mode.ts";
import { type ConstraintEntry, PLAIN_CONSTRAINT, type TableEntry } from "../../../catalog/entries.ts";
import { SqlError, SqlState } from "../../../common/error.ts";
import { quoteIdentifier } from "../../../common/identifier.ts";
import type { CheckDefinition, Deferral, KeyDefinition } from "../../../planner/physical/definition.ts";
import { attnumOf } from "./column-number.ts";
import type { DefinitionContext } from "./context.ts";
import { createKeyIndex } from "./create-index.ts";
import {
  foreignKeyDependent,
  foreignKeysTo,
  removeForeignKeys,
  requireCascade,
  shownName,
} from "./dependents.ts";
import { removeIndex } from "./drop.ts";
import { touchTable, validateForeignKey } from "./foreign-key.ts";
import { chooseConstraintName, chooseRelationName, relationExists } from "./names.ts";

/** Adds primary key and unique constraints with their indexes; returns the table with them. */
export async function addKeys(
  table: TableEntry,
  keys: readonly KeyDefinition[],
  context: DefinitionContext,
): Promise<TableEntry> {
  let result = table;
  for (const key of keys) {
    const attnums = key.columns.map((name) => attnumOf(result, name));
    if (key.kind === "primary" && result.constraints.some((constraint) => constraint.type === "p")) {
      throw new SqlError(
        SqlState.invalidTableDefinition,
        `multiple primary keys for table "${table.name}" are not allowed`,
      );
    }
    const name = key.name ?? keyName(result, key, context);
    if (relationExists(context.catalog(), table.schema, name)) {
      throw new SqlError(SqlState.duplicateTable, `relation "${name}" already exists`);
    }
    const index = await createKeyIndex(context, result, {
      name,
      attnums,
      isPrimary: key.kind === "primary",
      isImmediate: !key.isDeferrable,
      nullsNotDistinct: key.nullsNotDistinct,
    });
    const constraint: ConstraintEntry = {
      ...PLAIN_CONSTRAINT,
      oid: context.engine.allocateOid(),
      name,
      type: key.kind === "primary" ? "p" : "u",
      columns: attnums,
      indexOid: index.oid,
      isDeferrable: key.isDeferrable,
      isDeferred: key.isDeferred,
    };
    result = {
      ...result,
      constraints: [...result.constraints, constraint],
      columns:
        key.kind === "primary"
          ? result.columns.map((column) =>
              attnums.includes(column.attnum) ? { ...column, notNull: true } : column,
            )
          : result.columns,
    };
  }
  return result;
}

function keyName(table: TableEntry, key: KeyDefinition, context: DefinitionContext): string {
  const taken = namesOf(table);
  return key.kind === "primary"
    ? chooseRelationName(context.catalog(), table.schema, table.name, undefined, "pkey", taken)
    : chooseRelationName(context.catalog(), table.schema, table.name, key.columns.join("_"), "key", taken);
}

function namesOf(table: TableEntry): ReadonlySet<string> {
  return new Set(table.constraints.map((constraint) => constraint.name));
}

/** Adds CHECK constraints; rows that exist are checked by the caller. */
export function addChecks(
  table: TableEntry,
  checks: readonly CheckDefinition[],
  context: DefinitionContext,
): TableEntry {
  let result = table;
  for (const check of checks) {
    const taken = namesOf(result);
    if (check.name !== undefined && taken.has(check.name)) {
      throw new SqlError(
        SqlState.duplicateObject,
        `constraint "${check.name}" for relation "${table.name}" already exists`,
      );
    }
    // PostgreSQL names a check after its only column, else after the table alone.
    const second = check.columns.length === 1 ? check.columns[0] : undefined;
    const constraint: ConstraintEntry = {
      ...PLAIN_CONSTRAINT,
      oid: context.engine.allocateOid(),
      name:
        check.name ??
        chooseConstraintName(
          context.catalog(),
          table.schema,
          { first: table.name, second, label: "check" },
          taken,
        ),
      type: "c",
      columns: check.columns.map((name) => attnumOf(table, name)),
      expression: check.expression,
      noInherit: check.noInherit,
      isValidated: check.isValidated,
    };
    result = { ...result, constraints: [...result.constraints, constraint] };
  }
  return result;
}

/** 23502 when a row that exists has NULL in the column. */
export async function requireNoNulls(
  table: TableEntry,
  column: string,
  context: DefinitionContext,
): Promise<void> {
  if ((await context.findViolation(table.oid, `${quoteIdentifier(column)} IS NOT NULL`)) === undefined)
    return;
  throw new SqlError(
    SqlState.notNullViolation,
    `column "${column}" of relation "${table.name}" contains null values`,
    {
      table: table.name,
      column,
    },
  );
}

/** 23514 when a row that exists breaks the check. */
export async function validateCheck(
  table: TableEntry,
  constraint: ConstraintEntry,
  context: DefinitionContext,
): Promise<void> {
  if ((await context.findViolation(table.oid, constraint.expression ?? "true")) === undefined) return;
  throw new SqlError(
    SqlState.checkViolation,
    `check constraint "${constraint.name}" of relation "${table.name}" is violated by some row`,
    {
      schema: context.catalog().entry("schema", table.schema)?.name,
      table: table.name,
      constraint: constraint.name,
    },
  );
}

function constraintNamed(table: TableEntry, name: string): ConstraintEntry | undefined {
  return table.constraints.find((candidate) => candidate.name === name);
}

function missing(table: TableEntry, name: string): string {
  return `constraint "${name}" of relation "${table.name}" does not exist`;
}

export interface DropConstraint {
  readonly name: string;
  readonly ifExists: boolean;
  readonly cascade: boolean;
}

/** Without the constraint; with a key goes its index, and with CASCADE the foreign keys that rest on that. */
export async function dropConstraint(
  table: TableEntry,
  { name, ifExists, cascade }: DropConstraint,
  context: DefinitionContext,
): Promise<TableEntry> {
  const constraint = constraintNamed(table, name);
  if (constraint === undefined) {
    if (!ifExists) throw new SqlError(SqlState.undefinedObject, missing(table, name));
    context.notice({ severity: "NOTICE", code: "00000", message: `${missing(table, name)}, skipping` });
    return table;
  }
  let result = table;
  if (constraint.reference !== undefined) {
    const { tableOid } = constraint.reference;
    if (tableOid !== table.oid) await touchTable(tableOid, ACCESS_EXCLUSIVE, context);
  } else if (constraint.indexOid !== 0) {
    result = await dropKeyIndex(table, constraint, cascade, context);
  }
  return { ...result, constraints: result.constraints.filter(({ oid }) => oid !== constraint.oid) };
}

async function dropKeyIndex(
  table: TableEntry,
  constraint: ConstraintEntry,
  cascade: boolean,
  context: DefinitionContext,
): Promise<TableEntry> {
  const index = context.catalog().entry("index", constraint.indexOid);
  if (index?.kind !== "index") return table;
  const dependents = foreignKeysTo(table, context, (one) => one.constraint.indexOid === index.oid);
  requireCascade(
    `constraint ${constraint.name} on table ${shownName(table, context)}`,
    dependents.map((one) => foreignKeyDependent(one, `index ${index.name}`, context)),
    cascade,
    context,
  );
  await removeForeignKeys(
    dependents.filter((one) => one.table.oid !== table.oid),
    context,
  );
  removeIndex(index, context);
  const own = new Set(dependents.map((one) => one.constraint.oid));
  return { ...table, constraints: table.constraints.filter(({ oid }) => !own.has(oid)) };
}

/** VALIDATE CONSTRAINT: looks at the rows that NOT VALID left out. */
export async function validateConstraint(
  table: TableEntry,
  name: string,
  context: DefinitionContext,
): Promise<TableEntry> {
  const constraint = constraintNamed(table, name);
  if (constraint === undefined) throw new SqlError(SqlState.undefinedObject, missing(table, name));
  if (constraint.type !== "c" && constraint.type !== "f") {
    throw new SqlError(
      SqlState.wrongObjectType,
      `constraint "${name}" of relation "${table.name}" is not a foreign key or check constraint`,
    );
  }
  if (constraint.isValidated) return table;
  if (constraint.type === "c") await validateCheck(table, constraint, context);
  else await validateForeignKey(table, constraint, context);
  return withConstraint(table, { ...constraint, isValidated: true });
}

/** ALTER CONSTRAINT ... [NOT] DEFERRABLE. */
export async function alterConstraint(
  table: TableEntry,
  name: string,
  { isDeferrable, isDeferred }: Deferral,
  context: DefinitionContext,
): Promise<TableEntry> {
  const constraint = constraintNamed(table, name);
  if (constraint === undefined) throw new SqlError(SqlState.undefinedObject, missing(table, name));
  if (constraint.reference === undefined) {
    throw new SqlError(
      SqlState.wrongObjectType,
      `constraint "${name}" of relation "${table.name}" is not a foreign key constraint`,
    );
  }
  const { tableOid } = constraint.reference;
  if (tableOid !== table.oid) await touchTable(tableOid, ACCESS_EXCLUSIVE, context);
  return withConstraint(table, { ...constraint, isDeferrable, isDeferred });
}

function withConstraint(table: TableEntry, constraint: ConstraintEntry): TableEntry {
  return {
    ...table,
    constraints: table.constraints.map((other) => (other.oid === constraint.oid ? constraint : other)),
  };
}
