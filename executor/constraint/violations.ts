// The errors of foreign keys, in PostgreSQL's words. Both name the referencing table and the constraint in their fields.
import { SqlError, SqlState } from "../../common/error.ts";
import type { SqlType } from "../../common/types/type.ts";
import type { TableEntry } from "../../catalog/entries.ts";
import type { ForeignKeyRules } from "../../planner/physical/plan.ts";
import type { ExecutionContext } from "../context.ts";
import { formatKey } from "../storage/key-text.ts";
import { columnType } from "../storage/scan-target.ts";
import type { Key } from "./events.ts";

/** A referencing row's key has no referenced row. `key` is in the child's types. */
export function missingParent(rules: ForeignKeyRules, key: Key, context: ExecutionContext): SqlError {
  const shown = keyText(rules.child, rules.constraint.columns, key, context);
  return referencingError(rules, `Key ${shown} is not present in table "${rules.parent.name}".`, context);
}

export function mixedNulls(rules: ForeignKeyRules, context: ExecutionContext): SqlError {
  return referencingError(rules, "MATCH FULL does not allow mixing of null and nonnull key values.", context);
}

function referencingError(rules: ForeignKeyRules, detail: string, context: ExecutionContext): SqlError {
  const { child, constraint } = rules;
  return new SqlError(
    SqlState.foreignKeyViolation,
    `insert or update on table "${child.name}" violates foreign key constraint "${constraint.name}"`,
    { ...fields(rules, context), detail },
  );
}

/** A removed key is still referred to. `key` is in the parent's types. */
export function stillReferenced(rules: ForeignKeyRules, key: Key, context: ExecutionContext): SqlError {
  const { child, parent, constraint, reference } = rules;
  return new SqlError(
    SqlState.foreignKeyViolation,
    `update or delete on table "${parent.name}" violates foreign key constraint "${constraint.name}" on table "${child.name}"`,
    {
      ...fields(rules, context),
      detail: `Key ${keyText(parent, reference.columns, key, context)} is still referenced from table "${child.name}".`,
    },
  );
}

function keyText(table: TableEntry, attnums: readonly number[], key: Key, context: ExecutionContext): string {
  return formatKey(
    attnums.map((attnum) => table.columns[attnum - 1]?.name ?? ""),
    attnums.map((attnum): SqlType => columnType(table, attnum)),
    key,
    context.functionContext.types,
  );
}

function fields(
  { child, constraint }: ForeignKeyRules,
  context: ExecutionContext,
): { schema: string | undefined; table: string; constraint: string } {
  return {
    schema: context.catalog.entry("schema", child.schema)?.name,
    table: child.name,
    constraint: constraint.name,
  };
}
