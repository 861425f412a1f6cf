// Sequences: CREATE SEQUENCE and the ones behind serial and identity columns.
import { CatalogOid } from "../../../catalog/catalog.ts";
import type { Persistence, SequenceEntry } from "../../../catalog/entries.ts";
import { quoteIdentifier } from "../../../common/identifier.ts";
import { SqlError, SqlState } from "../../../common/error.ts";
import type { CreateSequencePlan, SequenceDefinition } from "../../../planner/physical/definition.ts";
import type { DefinitionContext } from "./context.ts";
import { lockName } from "./name-lock.ts";
import { relationExists } from "./names.ts";

interface OwnedSequence {
  readonly definition: SequenceDefinition & { readonly name: string };
  readonly schemaOid: number;
  readonly persistence: Persistence;
  readonly ownerTable: number;
  readonly ownerAttnum: number;
  readonly dependency: "i" | "a" | "";
}

/** Makes the sequence and returns its oid with the text that names it in a DEFAULT. */
export function createOwnedSequence(
  context: DefinitionContext,
  owned: OwnedSequence,
): { readonly oid: number; readonly reference: string } {
  const { definition } = owned;
  const catalog = context.catalog();
  if (relationExists(catalog, owned.schemaOid, definition.name)) {
    throw new SqlError(SqlState.duplicateTable, `relation "${definition.name}" already exists`);
  }
  const oid = context.engine.allocateOid();
  context.transaction.createSequence({
    sequenceId: oid,
    start: definition.start,
    increment: definition.increment,
    min: definition.min,
    max: definition.max,
    cycle: definition.cycle,
    temporary: owned.persistence === "t",
  });
  const entry: SequenceEntry = {
    kind: "sequence",
    oid,
    name: definition.name,
    version: 1,
    database: catalog.database.oid,
    schema: owned.schemaOid,
    owner: context.roleOid,
    storageId: oid,
    typeOid: definition.typeOid,
    start: definition.start.toString(),
    increment: definition.increment.toString(),
    min: definition.min.toString(),
    max: definition.max.toString(),
    cache: definition.cache.toString(),
    cycle: definition.cycle,
    ownerTable: owned.ownerTable,
    ownerAttnum: owned.ownerAttnum,
    dependency: owned.dependency,
    persistence: owned.persistence,
  };
  context.put(entry);
  const schema = catalog.entry("schema", owned.schemaOid);
  // Always qualified: a DEFAULT must mean the same sequence whatever search_path is in force when it runs.
  const schemaName = owned.schemaOid === CatalogOid.publicSchema ? "public" : (schema?.name ?? "pg_temp");
  return {
    oid,
    reference: `${quoteIdentifier(schemaName)}.${quoteIdentifier(definition.name)}`.replaceAll("'", "''"),
  };
}

export async function createSequence(plan: CreateSequencePlan, context: DefinitionContext): Promise<void> {
  const schemaOid = plan.schema === "temporary" ? context.temporarySchema() : plan.schema.oid;
  await lockName(context, schemaOid, plan.sequence.name);
  if (plan.ifNotExists && relationExists(context.catalog(), schemaOid, plan.sequence.name)) {
    context.notice({
      severity: "NOTICE",
      code: SqlState.duplicateTable,
      message: `relation "${plan.sequence.name}" already exists, skipping`,
    });
    return;
  }
  createOwnedSequence(context, {
    definition: plan.sequence,
    schemaOid,
    persistence: plan.schema === "temporary" ? "t" : "p",
    ownerTable: 0,
    ownerAttnum: 0,
    dependency: "",
  });
}
