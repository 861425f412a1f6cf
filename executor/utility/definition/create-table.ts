// CREATE TABLE: gives oids, makes the relation in the engine, its sequences, and the indexes behind its keys. A name lock keeps
// two sessions from creating the same name at once: the second waits and then finds the first one's table.
import { CatalogOid } from "../../../catalog/catalog.ts";
import type { ColumnEntry, ConstraintEntry, TableEntry } from "../../../catalog/entries.ts";
import { notSupported, SqlError, SqlState } from "../../../common/error.ts";
import type {
  CheckDefinition,
  ColumnDefinition,
  CreateTablePlan,
  KeyDefinition,
} from "../../../planner/physical/definition.ts";
import { columnSpec } from "../../storage/column-spec.ts";
import type { DefinitionContext } from "./context.ts";
import { attnumOf } from "./column-number.ts";
import { createKeyIndex } from "./create-index.ts";
import { chooseRelationName, makeObjectName, relationExists } from "./names.ts";
import { lockName } from "./name-lock.ts";
import { createOwnedSequence } from "./sequence.ts";

export async function createTable(plan: CreateTablePlan, context: DefinitionContext): Promise<void> {
  if (plan.onCommit !== "preserve") throw notSupported(`ON COMMIT ${plan.onCommit.toUpperCase()}`);
  const isTemporary = plan.schema === "temporary";
  const schemaOid = plan.schema === "temporary" ? context.temporarySchema() : plan.schema.oid;
  await lockName(context, schemaOid, plan.name);
  if (relationExists(context.catalog(), schemaOid, plan.name)) {
    const message = `relation "${plan.name}" already exists`;
    if (!plan.ifNotExists) throw new SqlError(SqlState.duplicateTable, message);
    context.notice({ severity: "NOTICE", code: SqlState.duplicateTable, message: `${message}, skipping` });
    return;
  }
  const tableOid = context.engine.allocateOid();
  const storageId = tableOid;
  context.transaction.createRelation(
    storageId,
    plan.columns.map((column) => columnSpec(column.type)),
    isTemporary,
  );
  const columns: ColumnEntry[] = [];
  const taken = new Set<string>([plan.name]);
  for (const [index, definition] of plan.columns.entries()) {
    columns.push(
      makeColumn(definition, index + 1, {
        context,
        schemaOid,
        tableOid,
        table: plan.name,
        isTemporary,
        taken,
      }),
    );
  }
  let table: TableEntry = {
    kind: "table",
    oid: tableOid,
    name: plan.name,
    version: 1,
    database: context.catalog().database.oid,
    schema: schemaOid,
    owner: context.roleOid,
    storageId,
    rowTypeOid: context.engine.allocateOid(),
    arrayTypeOid: context.engine.allocateOid(),
    persistence: isTemporary ? "t" : "p",
    columns,
    constraints: [],
  };
  context.put(table);
  table = await addKeys(table, plan.keys, context);
  table = addChecks(table, plan.checks, context);
  context.put(table);
}

interface ColumnHome {
  readonly context: DefinitionContext;
  readonly schemaOid: number;
  readonly tableOid: number;
  readonly table: string;
  readonly isTemporary: boolean;
  readonly taken: Set<string>;
}

/** The entry of a column; a serial or identity column gets its sequence here. */
export function makeColumn(definition: ColumnDefinition, attnum: number, home: ColumnHome): ColumnEntry {
  let defaultText = definition.default;
  let ownedSequence = 0;
  if (definition.sequence !== undefined) {
    const { context } = home;
    const name =
      definition.sequence.name ??
      chooseRelationName(context.catalog(), home.schemaOid, home.table, definition.name, "seq", home.taken);
    home.taken.add(name);
    const sequence = createOwnedSequence(context, {
      definition: { ...definition.sequence, name },
      schemaOid: home.schemaOid,
      isTemporary: home.isTemporary,
      ownerTable: home.tableOid,
      ownerAttnum: attnum,
      dependency: definition.identity === "" ? "a" : "i",
    });
    ownedSequence = sequence.oid;
    if (definition.identity === "") defaultText = `nextval('${sequence.reference}'::regclass)`;
  }
  return {
    name: definition.name,
    attnum,
    type: definition.type,
    notNull: definition.notNull,
    default: defaultText,
    identity: definition.identity,
    generated: definition.generated,
    collation: definition.collation,
    isDropped: false,
    ownedSequence,
  };
}

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
      nullsNotDistinct: key.nullsNotDistinct,
    });
    const constraint: ConstraintEntry = {
      oid: context.engine.allocateOid(),
      name,
      type: key.kind === "primary" ? "p" : "u",
      columns: attnums,
      indexOid: index.oid,
      expression: undefined,
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
  const taken = new Set(table.constraints.map((constraint) => constraint.name));
  return key.kind === "primary"
    ? chooseRelationName(context.catalog(), table.schema, table.name, undefined, "pkey", taken)
    : chooseRelationName(context.catalog(), table.schema, table.name, key.columns.join("_"), "key", taken);
}

/** Adds CHECK constraints; rows that exist are checked by the caller. */
export function addChecks(
  table: TableEntry,
  checks: readonly CheckDefinition[],
  context: DefinitionContext,
): TableEntry {
  const constraints = [...table.constraints];
  for (const check of checks) {
    const taken = new Set(constraints.map((constraint) => constraint.name));
    if (check.name !== undefined && taken.has(check.name)) {
      throw new SqlError(
        SqlState.duplicateObject,
        `constraint "${check.name}" for relation "${table.name}" already exists`,
      );
    }
    constraints.push({
      oid: context.engine.allocateOid(),
      name: check.name ?? checkName(table, check, taken),
      type: "c",
      columns: check.columns.map((name) => attnumOf(table, name)),
      indexOid: 0,
      expression: check.expression,
    });
  }
  return { ...table, constraints };
}

/** PostgreSQL names a check after its only column, else after the table alone. */
function checkName(table: TableEntry, check: CheckDefinition, taken: ReadonlySet<string>): string {
  const column = check.columns.length === 1 ? check.columns[0] : undefined;
  for (let attempt = 0; ; attempt++) {
    const name = makeObjectName(table.name, column, attempt === 0 ? "check" : `check${attempt}`);
    if (!taken.has(name)) return name;
  }
}

/** True for schemas in which users may not create. */
export function isSystemSchema(schemaOid: number): boolean {
  return schemaOid === CatalogOid.pgCatalogSchema || schemaOid === CatalogOid.informationSchema;
}
