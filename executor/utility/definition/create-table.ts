// CREATE TABLE: gives oids, makes the relation in the engine, its sequences, and the indexes behind its keys. A name lock keeps
// two sessions from creating the same name at once: the second waits and then finds the first one's table.
import { CatalogOid } from "../../../catalog/catalog.ts";
import type { ColumnEntry, Persistence, TableEntry } from "../../../catalog/entries.ts";
import { SqlError, SqlState } from "../../../common/error.ts";
import type { ColumnDefinition, CreateTablePlan } from "../../../planner/physical/definition.ts";
import { columnSpec } from "../../storage/column-spec.ts";
import type { DefinitionContext } from "./context.ts";
import { addChecks, addKeys } from "./constraint.ts";
import { addForeignKeys } from "./foreign-key.ts";
import { chooseRelationName, relationExists } from "./names.ts";
import { lockName } from "./name-lock.ts";
import { createOwnedSequence } from "./sequence.ts";

export async function createTable(plan: CreateTablePlan, context: DefinitionContext): Promise<void> {
  const isTemporary = plan.schema === "temporary";
  const persistence = isTemporary ? "t" : plan.isUnlogged ? "u" : "p";
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
        persistence,
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
    persistence,
    onCommit: plan.onCommit === "preserve" ? undefined : plan.onCommit,
    columns,
    constraints: [],
  };
  context.put(table);
  table = await addKeys(table, plan.keys, context);
  table = addChecks(table, plan.checks, context);
  context.put(table);
  if (plan.foreignKeys.length > 0) context.put(await addForeignKeys(table, plan.foreignKeys, context));
}

interface ColumnHome {
  readonly context: DefinitionContext;
  readonly schemaOid: number;
  readonly tableOid: number;
  readonly table: string;
  readonly persistence: Persistence;
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
      persistence: home.persistence,
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

/** True for schemas in which users may not create. */
export function isSystemSchema(schemaOid: number): boolean {
  return schemaOid === CatalogOid.pgCatalogSchema || schemaOid === CatalogOid.informationSchema;
}
