// obj_description, col_description, shobj_description: the comments of pg_description by object. In PostgreSQL these are
// SQL functions over the tables; the look-up is the same.
import { systemRelation } from "../builtin/system-relations.ts";
import { CatalogOid } from "../catalog.ts";
import { type BodyEntry, scalar, snapshotOf } from "./body.ts";
import { plainText } from "../pg-catalog/rows.ts";

/** Classes tried by obj_description(oid), which does not say what the oid is. */
const CLASSES = [
  CatalogOid.pgClass,
  CatalogOid.pgNamespace,
  CatalogOid.pgType,
  CatalogOid.pgProc,
  CatalogOid.pgConstraint,
];

export const commentBodies: readonly BodyEntry[] = [
  scalar("sql:obj_description:26,19", ([oid, table], call) =>
    classComment(call, Number(oid), plainText(table)),
  ),
  scalar("sql:shobj_description:26,19", ([oid, table], call) =>
    classComment(call, Number(oid), plainText(table)),
  ),
  scalar("sql:obj_description:26", ([oid], call) => {
    const catalog = snapshotOf(call);
    for (const classOid of CLASSES) {
      const comment = catalog.comment(classOid, Number(oid), 0);
      if (comment !== undefined) return comment;
    }
    return null;
  }),
  scalar("sql:col_description:26,23", ([oid, attnum], call) =>
    snapshotOf(call).comment(CatalogOid.pgClass, Number(oid), Number(attnum)),
  ),
];

function classComment(
  call: Parameters<typeof snapshotOf>[0],
  oid: number,
  table: string,
): string | undefined {
  const relation = systemRelation(CatalogOid.pgCatalogSchema, table);
  return relation === undefined ? undefined : snapshotOf(call).comment(relation.oid, oid, 0);
}
