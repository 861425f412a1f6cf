// Relations under one face: tables, indexes, sequences and system relations differ in where they are kept, not in what a
// name, an owner or a kind is.
import { systemRelationByOid } from "../builtin/system-relations.ts";
import { type CatalogSnapshot, CatalogOid, type RelationRef } from "../catalog.ts";
import { quoteIdentifier } from "../../common/identifier.ts";
import { type NameScope, qualified, schemaName } from "./identifier.ts";

export interface RelationFace {
  readonly oid: number;
  readonly name: string;
  readonly schema: number;
  readonly owner: number;
  /** pg_class.relkind */
  readonly relkind: string;
}

export function faceOf(ref: RelationRef): RelationFace {
  switch (ref.kind) {
    case "table":
      return { ...identity(ref.table), relkind: "r" };
    case "index":
      return { ...identity(ref.index), relkind: "i" };
    case "sequence":
      return { ...identity(ref.sequence), relkind: "S" };
    case "virtual":
      return systemFace(ref.virtual);
    case "view":
      return systemFace(ref.view);
  }
}

export function relationFace(catalog: CatalogSnapshot, oid: number): RelationFace | undefined {
  const ref = catalog.relationByOid(oid);
  return ref === undefined ? undefined : faceOf(ref);
}

/** pg_table_is_visible: found under its bare name on the search path. */
export function isRelationVisible(scope: NameScope, face: RelationFace): boolean {
  const found = scope.catalog.relation(undefined, face.name, scope.searchPath);
  return found !== undefined && faceOf(found).oid === face.oid;
}

/** As regclass prints it. */
export function relationName(scope: NameScope, face: RelationFace): string {
  return isRelationVisible(scope, face)
    ? quoteIdentifier(face.name)
    : qualified(schemaName(scope.catalog, face.schema), face.name);
}

function identity(entry: {
  oid: number;
  name: string;
  schema: number;
  owner: number;
}): Omit<RelationFace, "relkind"> {
  return { oid: entry.oid, name: entry.name, schema: entry.schema, owner: entry.owner };
}

function systemFace(relation: { oid: number; name: string; schema: number }): RelationFace {
  return {
    oid: relation.oid,
    name: relation.name,
    schema: relation.schema,
    owner: CatalogOid.bootstrapRole,
    relkind: systemRelationByOid(relation.oid)?.relkind ?? "r",
  };
}
