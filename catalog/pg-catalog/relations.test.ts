// Every relation of pg_catalog and information_schema: PostgreSQL's columns, and rows whose values fit them.
import { expect, test } from "vitest";
import { must } from "../../common/assert.ts";
import { Oid } from "../../common/types/oid.ts";
import { SqlArray } from "../../common/types/array.ts";
import { codecOf } from "../../common/types/registry.ts";
import columns from "../../test/catalog/recorded/columns.json" with { type: "json" };
import { sampleContext, sampleSnapshot } from "../../test/catalog/context.ts";
import type { Datum } from "../../common/types/type.ts";
import type { VirtualRelation } from "../catalog.ts";
import { systemRelationByOid } from "../builtin/system-relations.ts";
import { formatType } from "../deparse/type-name.ts";
import { pgCatalogRows } from "./index.ts";
import { isComplete, plainText } from "./rows.ts";

const catalog = sampleSnapshot();
const context = sampleContext(catalog);

function virtual(name: string): VirtualRelation {
  const ref = catalog.relation("pg_catalog", name, []);
  if (ref?.kind !== "virtual") throw new Error(`no virtual relation ${name}`);
  return ref.virtual;
}

/** Rows as objects with printed values. */
function printed(name: string, equal?: { column: string; value: Datum }): Record<string, string | null>[] {
  const relation = virtual(name);
  return [...relation.rows(context, equal)].map((row) =>
    Object.fromEntries(
      relation.columns.map((column, i) => {
        const value = row[i] ?? null;
        return [
          column.name,
          value === null ? null : codecOf(column.type.oid).format(value, context.functions.types),
        ];
      }),
    ),
  );
}

test("columns of every relation are PostgreSQL's", () => {
  const scope = { catalog, searchPath: ["pg_catalog"] };
  for (const [oid, name, relkind, expected] of columns as [number, string, string, string][]) {
    const relation = must(systemRelationByOid(oid), name);
    const text = relation.columns
      .map((column) => {
        const isDomain = column.declaredType !== column.type.oid;
        const type = formatType(scope, column.declaredType, isDomain ? -1 : column.type.typmod);
        return `${column.name} ${type}${column.notNull ? " not null" : ""}`;
      })
      .join(", ");
    expect([name, relation.relkind, text]).toEqual([name, relkind, expected]);
  }
});

test("every row fits its columns: known names, NULL only where allowed, values the codecs can print", () => {
  for (const [name, source] of pgCatalogRows) {
    const relation = virtual(name);
    const known = new Set(relation.columns.map((column) => column.name));
    for (const row of source.rows(context, undefined)) {
      if (isComplete(row)) continue;
      for (const column of Object.keys(row))
        if (!known.has(column)) throw new Error(`${name} has no column ${column}`);
    }
    // Printing all of the long generated tables again and again proves nothing new.
    for (const row of [...relation.rows(context)].slice(0, 500)) {
      for (const [i, column] of relation.columns.entries()) {
        const value = row[i] ?? null;
        if (value === null) {
          if (column.notNull) throw new Error(`${name}.${column.name} must not be NULL`);
        } else if (!(value instanceof SqlArray && column.type.oid === 2277)) {
          codecOf(column.type.oid).format(value, context.functions.types);
        }
      }
    }
  }
});

test("a look-up returns what a scan with the same condition returns", () => {
  for (const [name, source] of pgCatalogRows) {
    const relation = virtual(name);
    for (const column of source.lookups) {
      const position = relation.columns.findIndex((candidate) => candidate.name === column);
      const all = [...relation.rows(context)];
      const values = new Set([...all.slice(0, 3), ...all.slice(-3)].map((row) => row[position] ?? null));
      for (const value of values) {
        const matches = (rows: Iterable<readonly Datum[]>): readonly Datum[][] =>
          [...rows].filter((row) => row[position] === value).map((row) => [...row]);
        expect(
          matches(relation.rows(context, { column, value })),
          `${name}.${column} = ${plainText(value)}`,
        ).toEqual(matches(all));
      }
    }
  }
});

test("a table, its columns, indexes, constraints and comment", () => {
  const [table] = printed("pg_class", { column: "relname", value: "docs" });
  expect(table).toMatchObject({
    oid: "16384",
    relkind: "r",
    relnatts: "4",
    relchecks: "1",
    relhasindex: "t",
    reltuples: "1000",
    relpages: "10",
  });
  const attributes = printed("pg_attribute", { column: "attrelid", value: 16384 });
  expect(
    attributes.map((row) => [
      row["attname"],
      row["attnum"],
      row["atttypid"],
      row["atttypmod"],
      row["attnotnull"],
      row["atthasdef"],
    ]),
  ).toEqual([
    ["id", "1", "23", "-1", "t", "t"],
    ["body", "2", "25", "-1", "f", "t"],
    ["emb", "3", String(Oid.vector), "3", "f", "f"],
    ["Odd name", "4", "1700", "655366", "f", "f"],
    ["tableoid", "-6", "26", "-1", "t", "f"],
    ["cmax", "-5", "29", "-1", "t", "f"],
    ["xmax", "-4", "28", "-1", "t", "f"],
    ["cmin", "-3", "29", "-1", "t", "f"],
    ["xmin", "-2", "28", "-1", "t", "f"],
    ["ctid", "-1", "27", "-1", "t", "f"],
  ]);
  const mixed = printed("pg_index", { column: "indexrelid", value: 16393 });
  expect(mixed).toMatchObject([
    { indkey: "2 4 1", indoption: "1 2", indclass: "4217 3125", indnkeyatts: "2", indnatts: "3" },
  ]);
  const constraint = printed("pg_constraint", { column: "conrelid", value: 16384 });
  expect(constraint.map((row) => [row["conname"], row["contype"], row["conkey"], row["conindid"]])).toEqual([
    ["docs_pkey", "p", "{1}", "16387"],
    ["docs_check", "c", "{1,4}", "0"],
  ]);
  expect(printed("pg_description", { column: "objoid", value: 16384 })).toEqual([
    { objoid: "16384", classoid: "1259", objsubid: "2", description: "the text" },
  ]);
  expect(
    printed("pg_depend").filter((row) => row["objid"] === "16390" && row["refclassid"] === "1259"),
  ).toMatchObject([{ refobjid: "16384", refobjsubid: "1", deptype: "a" }]);
});

test("rows of the whole server", () => {
  expect(
    printed("pg_database")
      .map((row) => [row["datname"], row["datistemplate"], row["datallowconn"]])
      .toSorted((a, b) => (String(a) < String(b) ? -1 : 1)),
  ).toEqual([
    ["postgres", "f", "t"],
    ["template0", "t", "f"],
    ["template1", "t", "t"],
  ]);
  expect(
    printed("pg_namespace")
      .map((row) => row["nspname"])
      .toSorted((a, b) => (String(a) < String(b) ? -1 : 1)),
  ).toEqual(["information_schema", "pg_catalog", "pg_toast", "public"]);
  expect(printed("pg_user").map((row) => row["usename"])).toEqual(["postgres"]);
  expect(printed("pg_extension")).toMatchObject([{ extname: "vector", extversion: "0.8.5" }]);
  const workMem = printed("pg_settings").find((row) => row["name"] === "work_mem");
  expect(workMem).toMatchObject({ setting: "8192", unit: "kB", boot_val: "4096", source: "session" });
});
