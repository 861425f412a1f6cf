// pg_type: PostgreSQL's types, ours, and the row types of tables with their arrays.
import { rowsBy } from "../builtin/tables.ts";
import { type CatalogSnapshot, CatalogOid, type TypeEntry } from "../catalog.ts";
import { generatedRows } from "./generated-rows.ts";
import { plainText, type Lookup, type RelationRows, type Row } from "./rows.ts";

// record_in, array_in and their companions in pg_proc.
const RECORD_IO = { typinput: 2290, typoutput: 2291, typreceive: 2402, typsend: 2403 };
const ARRAY_IO = {
  typinput: 750,
  typoutput: 751,
  typreceive: 2400,
  typsend: 2401,
  typsubscript: 6179,
  typanalyze: 3816,
};

export const pgType: RelationRows = {
  lookups: ["oid", "typname"],
  *rows({ catalog, functions }, equal) {
    yield* generatedRows("pg_type", functions.types, equal);
    for (const type of rowTypes(catalog, equal)) yield rowOf(type);
  },
};

function* rowTypes(catalog: CatalogSnapshot, equal: Lookup | undefined): Iterable<TypeEntry> {
  if (equal?.column === "oid") {
    const isBuiltin = rowsBy("pg_type", "oid", plainText(equal.value)).length > 0;
    const type = isBuiltin ? undefined : catalog.typeByOid(Number(equal.value));
    if (type !== undefined) yield type;
    return;
  }
  for (const entry of catalog.entries()) {
    if (entry.kind !== "table") continue;
    for (const oid of [entry.rowTypeOid, entry.arrayTypeOid]) {
      const type = catalog.typeByOid(oid);
      if (type !== undefined) yield type;
    }
  }
}

function rowOf(type: TypeEntry): Row {
  return {
    oid: type.oid,
    typname: type.name,
    typnamespace: type.namespace,
    typowner: CatalogOid.bootstrapRole,
    typlen: -1,
    typtype: type.kind,
    typcategory: type.category,
    typisdefined: true,
    typdelim: ",",
    typrelid: type.relationOid,
    typelem: type.elementOid,
    typarray: type.arrayOid,
    ...(type.category === "A" ? ARRAY_IO : RECORD_IO),
    typalign: "d",
    typstorage: "x",
    typtypmod: -1,
  };
}
