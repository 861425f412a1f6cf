// pg_namespace, pg_extension, pg_description and pg_shdescription.
import { generatedRows } from "./generated-rows.ts";
import { extensionComment } from "../builtin/extensions.ts";
import { CatalogOid } from "../catalog.ts";
import { plainText, type RelationRows, type Row } from "./rows.ts";

export const pgNamespace: RelationRows = {
  lookups: ["oid", "nspname"],
  *rows({ catalog }, equal) {
    const wanted = equal?.column === "nspname" ? catalog.schemaByName(plainText(equal.value)) : undefined;
    const schemas = equal?.column === "nspname" ? (wanted === undefined ? [] : [wanted]) : catalog.schemas();
    for (const schema of schemas) yield { oid: schema.oid, nspname: schema.name, nspowner: schema.owner };
  },
};

export const pgExtension: RelationRows = {
  lookups: [],
  *rows({ catalog }) {
    for (const entry of catalog.entries()) {
      if (entry.kind !== "extension") continue;
      yield {
        oid: entry.oid,
        extname: entry.name,
        extowner: CatalogOid.bootstrapRole,
        extnamespace: entry.schema,
        extrelocatable: true,
        extversion: entry.extensionVersion,
      };
    }
  },
};

/** Classes whose objects belong to no database: their comments stand in pg_shdescription. */
const SHARED_CLASSES: ReadonlySet<number> = new Set([CatalogOid.pgDatabase, 1260, 1213]);

export const pgDescription: RelationRows = {
  lookups: ["objoid"],
  *rows({ catalog, functions }, equal) {
    yield* generatedRows("pg_description", functions.types, equal);
    for (const entry of catalog.entries()) {
      const objoid = entry.kind === "comment" ? entry.objectOid : entry.oid;
      if (equal !== undefined && equal.value !== objoid) continue;
      if (entry.kind === "extension") {
        const description = extensionComment(entry.name);
        const classoid = CatalogOid.pgExtension;
        if (description !== undefined) yield { objoid, classoid, objsubid: 0, description };
      } else if (entry.kind === "comment" && !SHARED_CLASSES.has(entry.classOid)) {
        yield {
          objoid,
          classoid: entry.classOid,
          objsubid: entry.subId,
          description: entry.text,
        };
      }
    }
  },
};

export const pgShdescription: RelationRows = {
  lookups: ["objoid"],
  *rows({ catalog, functions }, equal) {
    // A comment of ours takes the place of the one PostgreSQL's databases are born with.
    const own = new Map<number, Row>();
    for (const entry of catalog.entries()) {
      if (entry.kind !== "comment" || !SHARED_CLASSES.has(entry.classOid)) continue;
      own.set(entry.objectOid, {
        objoid: entry.objectOid,
        classoid: entry.classOid,
        description: entry.text,
      });
    }
    for (const row of generatedRows("pg_shdescription", functions.types, equal)) {
      if (!own.has(Number(row["objoid"]))) yield row;
    }
    for (const row of own.values()) if (equal === undefined || row["objoid"] === equal.value) yield row;
  },
};
