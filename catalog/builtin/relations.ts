// The relations of pg_catalog and information_schema as the binder sees them: columns from system-relations.ts, rows from
// catalog/pg-catalog, view texts from catalog/information-schema.
import { CatalogOid, type RelationRef } from "../catalog.ts";
import { informationSchemaView } from "../information-schema/index.ts";
import { pgCatalogRows } from "../pg-catalog/index.ts";
import { type RelationRows, rowBuilder } from "../pg-catalog/rows.ts";
import {
  type SystemRelation,
  systemRelation,
  systemRelationByOid,
  systemRelations,
} from "./system-relations.ts";

const refs = new Map<number, RelationRef>();

export function systemRef(schema: number, name: string): RelationRef | undefined {
  const relation = systemRelation(schema, name);
  return relation === undefined ? undefined : refOf(relation);
}

export function systemRefByOid(oid: number): RelationRef | undefined {
  const relation = systemRelationByOid(oid);
  return relation === undefined ? undefined : refOf(relation);
}

export function* systemRefs(schema: number): Iterable<RelationRef> {
  for (const relation of systemRelations()) if (relation.schema === schema) yield refOf(relation);
}

const NO_ROWS: RelationRows = { lookups: [], rows: () => [] };

function refOf(relation: SystemRelation): RelationRef {
  let ref = refs.get(relation.oid);
  if (ref === undefined) {
    ref = makeRef(relation);
    refs.set(relation.oid, ref);
  }
  return ref;
}

function makeRef({ oid, schema, name, columns }: SystemRelation): RelationRef {
  const isPgCatalog = schema === CatalogOid.pgCatalogSchema;
  const sql = isPgCatalog ? undefined : informationSchemaView(name);
  if (sql !== undefined) return { kind: "view", view: { oid, schema, name, columns, sql } };
  const source = (isPgCatalog ? pgCatalogRows.get(name) : undefined) ?? NO_ROWS;
  const build = rowBuilder(columns);
  return {
    kind: "virtual",
    virtual: {
      oid,
      schema,
      name,
      columns,
      lookups: source.lookups,
      *rows(context, equal) {
        const usable = equal !== undefined && source.lookups.includes(equal.column) ? equal : undefined;
        for (const row of source.rows(context, usable)) yield build(row);
      },
    },
  };
}
