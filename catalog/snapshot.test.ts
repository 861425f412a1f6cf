import { beforeAll, describe, expect, test } from "vitest";
import { must } from "../common/assert.ts";
import { Oid } from "../common/types/oid.ts";
import { bootstrapEntries, storedEntry } from "./bootstrap.ts";
import { CatalogCache } from "./cache.ts";
import { CatalogOid } from "./catalog.ts";
import { entryKey, type IndexEntry, type TableEntry } from "./entries.ts";
import type { Snapshot } from "./snapshot.ts";

const PATH = ["pg_catalog", "public"];

const docs: TableEntry = {
  kind: "table",
  oid: 16384,
  name: "docs",
  version: 1,
  database: CatalogOid.postgresDatabase,
  schema: CatalogOid.publicSchema,
  owner: CatalogOid.bootstrapRole,
  storageId: 1,
  rowTypeOid: 16385,
  arrayTypeOid: 16386,
  persistence: "p",
  columns: [],
  constraints: [],
};
const docsIndex: IndexEntry = {
  kind: "index",
  oid: 16387,
  name: "docs_emb_idx",
  version: 1,
  database: CatalogOid.postgresDatabase,
  schema: CatalogOid.publicSchema,
  owner: CatalogOid.bootstrapRole,
  tableOid: 16384,
  storageId: 2,
  method: "hnsw",
  columns: [],
  keyCount: 1,
  isUnique: false,
  isPrimary: false,
  isImmediate: true,
  nullsNotDistinct: false,
  options: [],
  persistence: "p",
};

let cache: CatalogCache;
let snapshot: Snapshot;

beforeAll(() => {
  cache = new CatalogCache();
  cache.refresh(1, [...bootstrapEntries("postgres"), docs, docsIndex].map(storedEntry));
  snapshot = must(cache.snapshot(CatalogOid.postgresDatabase), "the database postgres");
});

describe("built-in objects", () => {
  test("types by name, oid and alias schema", () => {
    expect(snapshot.typeByName(undefined, "int4", PATH)).toMatchObject({
      oid: 23,
      category: "N",
      arrayOid: 1007,
    });
    expect(snapshot.typeByOid(1043)).toMatchObject({ name: "varchar", collation: 100 });
    expect(snapshot.typeByName("public", "vector", PATH)?.oid).toBe(Oid.vector);
    expect(snapshot.typeByName("public", "int4", PATH)).toBeUndefined();
  });

  test("functions with their overloads, defaults and sources", () => {
    const [l2] = snapshot.functionsByName(undefined, "l2_distance", PATH);
    expect(l2).toMatchObject({
      resultType: Oid.float8,
      argumentTypes: [Oid.vector, Oid.vector],
      isStrict: true,
    });
    const substrings = snapshot.functionsByName(undefined, "substring", PATH);
    expect(substrings.map((entry) => entry.source)).toContain("sql:substring:25,25,25");
    const max = snapshot.functionsByName(undefined, "max", PATH);
    expect(max.find((entry) => entry.argumentTypes[0] === Oid.int4)?.source).toBe("agg:max:23");
    const exists = snapshot.functionsByName("pg_catalog", "jsonb_path_exists_tz", []);
    expect(exists[0]?.defaults).toEqual(["'{}'::jsonb", "false"]);
    expect(snapshot.functionsByName(undefined, "_pg_truetypid", PATH)).toEqual([]);
  });

  test("operators and casts", () => {
    const plus = snapshot.operatorsByName(undefined, "+", PATH);
    expect(plus.find((entry) => entry.leftType === 23 && entry.rightType === 23)?.functionOid).toBe(177);
    const distance = snapshot.operatorsByName("public", "<->", PATH).map((entry) => entry.leftType);
    expect(distance).toEqual([Oid.vector, Oid.halfvec, Oid.sparsevec]);
    expect(snapshot.cast(Oid.int4, Oid.int8)).toMatchObject({ context: "i", method: "f" });
    expect(snapshot.cast(Oid.varchar, Oid.text)).toMatchObject({ context: "i", method: "b" });
    expect(snapshot.cast(Oid.vector, 1021)).toMatchObject({ context: "i", method: "f" });
    expect(snapshot.cast(Oid.text, Oid.int4)).toBeUndefined();
  });

  test("operator classes: defaults, coercible types, names", () => {
    expect(snapshot.operatorClass("btree", Oid.int4, undefined)?.name).toBe("int4_ops");
    expect(snapshot.operatorClass("btree", Oid.varchar, undefined)?.name).toBe("text_ops");
    expect(snapshot.operatorClass("btree", 1007, undefined)?.name).toBe("array_ops");
    expect(snapshot.operatorClass("hnsw", Oid.vector, undefined)).toBeUndefined();
    const cosine = must(snapshot.operatorClass("hnsw", Oid.vector, "vector_cosine_ops"), "the class");
    expect(snapshot.operatorByOid(must(cosine.operators.get(1), "strategy 1"))?.name).toBe("<=>");
    expect(snapshot.operatorClass("bm25", Oid.varchar, undefined)?.name).toBe("text_bm25_ops");
    const text = must(snapshot.operatorClass("btree", Oid.text, undefined), "text_ops");
    expect(
      [...text.operators].toSorted(([a], [b]) => a - b).map(([, oid]) => snapshot.operatorByOid(oid)?.name),
    ).toEqual(["<", "<=", "=", ">=", ">"]);
  });

  test("system relations have PostgreSQL's oids", () => {
    const ref = snapshot.relation(undefined, "pg_class", PATH);
    expect(ref?.kind).toBe("virtual");
    expect(ref?.kind === "virtual" && ref.virtual.oid).toBe(CatalogOid.pgClass);
    expect(snapshot.relation("information_schema", "columns", [])).toBeDefined();
  });
});

describe("stored entries", () => {
  test("relations by name through the path, by oid, indexes and row types", () => {
    expect(snapshot.relation(undefined, "docs", PATH)).toEqual({ kind: "table", table: docs });
    expect(snapshot.relation(undefined, "docs", ["pg_catalog"])).toBeUndefined();
    expect(snapshot.relationByOid(16387)?.kind).toBe("index");
    expect(snapshot.indexesOf(16384).map((index) => index.name)).toEqual(["docs_emb_idx"]);
    expect(snapshot.typeByName(undefined, "docs", PATH)).toMatchObject({ kind: "c", relationOid: 16384 });
    expect(snapshot.typeByOid(16386)?.name).toBe("_docs");
  });

  test("other databases do not see them", () => {
    const template = must(cache.snapshot(CatalogOid.templateDatabase), "template1");
    expect(template.relation(undefined, "docs", PATH)).toBeUndefined();
    expect([...template.databases()].map((database) => database.name).sort()).toEqual([
      "postgres",
      "template0",
      "template1",
    ]);
  });

  test("comments: PostgreSQL's, those of one database, those of all", () => {
    const comment = { kind: "comment", oid: 16700, name: "", version: 1, subId: 0, text: "ours" } as const;
    const onTable = { ...comment, database: 5, classOid: CatalogOid.pgClass, objectOid: docs.oid };
    const onDatabase = { ...comment, oid: 16701, database: 0, classOid: CatalogOid.pgDatabase, objectOid: 5 };
    const commented = new CatalogCache();
    commented.refresh(1, [...bootstrapEntries("postgres"), docs, onTable, onDatabase].map(storedEntry));
    const here = must(commented.snapshot(CatalogOid.postgresDatabase), "postgres");
    const there = must(commented.snapshot(CatalogOid.templateDatabase), "template1");
    expect(here.comment(CatalogOid.pgClass, docs.oid, 0)).toBe("ours");
    expect(there.comment(CatalogOid.pgClass, docs.oid, 0)).toBeUndefined();
    expect(there.comment(CatalogOid.pgDatabase, 5, 0)).toBe("ours");
    expect(there.comment(CatalogOid.pgDatabase, 1, 0)).toBe("default template for new databases");
    expect(there.comment(CatalogOid.pgNamespace, 11, 0)).toBe("system catalog schema");
  });

  test("own changes are seen by their snapshot alone, names may be swapped, versions differ", () => {
    const other: TableEntry = { ...docs, oid: 16390, name: "other", rowTypeOid: 16391, arrayTypeOid: 16392 };
    const base = cache.withOwn(snapshot, [{ key: entryKey(other), entry: other }]);
    const swapped = cache.withOwn(base, [
      { key: entryKey(docs), entry: { ...docs, name: "other" } },
      { key: entryKey(other), entry: { ...other, name: "docs" } },
    ]);
    const ref = swapped.relation(undefined, "docs", PATH);
    expect(ref?.kind === "table" && ref.table.oid).toBe(16390);
    expect(snapshot.relation(undefined, "other", PATH)).toBeUndefined();
    expect(new Set([snapshot.version, base.version, swapped.version]).size).toBe(3);
    const dropped = cache.withOwn(base, [{ key: entryKey(docsIndex), entry: undefined }]);
    expect(dropped.indexesOf(16384)).toEqual([]);
    expect(base.indexesOf(16384)).toHaveLength(1);
  });

  test("a refresh moves new snapshots and leaves old ones", () => {
    const before = must(cache.snapshot(CatalogOid.postgresDatabase), "postgres");
    const many = Array.from(
      { length: 500 },
      (_, i): TableEntry => ({
        ...docs,
        oid: 20000 + 3 * i,
        rowTypeOid: 20001 + 3 * i,
        arrayTypeOid: 20002 + 3 * i,
        name: `t${i}`,
      }),
    );
    for (const [i, table] of many.entries()) cache.refresh(2 + i, [storedEntry(table)]);
    const after = must(cache.snapshot(CatalogOid.postgresDatabase), "postgres");
    expect(after.version).toBe(501);
    for (const table of many) expect(after.relationByOid(table.oid)).toEqual({ kind: "table", table });
    expect(before.relation(undefined, "t3", PATH)).toBeUndefined();
    cache.refresh(
      502,
      many.map((table) => ({ key: entryKey(table), value: undefined })),
    );
    const emptied = must(cache.snapshot(CatalogOid.postgresDatabase), "postgres");
    expect([...emptied.relationsIn(CatalogOid.publicSchema)]).toHaveLength(2);
    expect(after.relation(undefined, "t499", PATH)).toBeDefined();
  });
});
