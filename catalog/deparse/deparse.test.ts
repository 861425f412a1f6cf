// Against PostgreSQL's answers (test/catalog/record.ts).
import { expect, test } from "vitest";
import { SqlError } from "../../common/error.ts";
import { Oid } from "../../common/types/oid.ts";
import { codecOf } from "../../common/types/registry.ts";
import checks from "../../test/catalog/recorded/checks.json" with { type: "json" };
import functions from "../../test/catalog/recorded/functions.json" with { type: "json" };
import indexes from "../../test/catalog/recorded/indexes.json" with { type: "json" };
import operators from "../../test/catalog/recorded/operators.json" with { type: "json" };
import regs from "../../test/catalog/recorded/regs.json" with { type: "json" };
import types from "../../test/catalog/recorded/types.json" with { type: "json" };
import { docs, sampleContext, sampleEntries, sampleSnapshot } from "../../test/catalog/context.ts";
import { must } from "../../common/assert.ts";
import type { IndexEntry, TableEntry } from "../entries.ts";
import { constraintDefinition } from "./constraint-definition.ts";
import { expressionText, prettyExpression } from "./expression-text.ts";
import {
  functionArguments,
  functionName,
  functionResult,
  functionSignature,
  operatorName,
  operatorSignature,
} from "./function-name.ts";
import { indexColumnDefinition, indexDefinition } from "./index-definition.ts";
import { formatType } from "./type-name.ts";

const catalog = sampleSnapshot();
const scope = { catalog, searchPath: ["pg_catalog", "public"] };

test("format_type of every type, with and without modifiers", () => {
  for (const [oid, typmod, text] of types as [number, number | null, string][]) {
    expect([oid, typmod, formatType(scope, oid, typmod ?? undefined)]).toEqual([oid, typmod, text]);
  }
  expect(formatType(scope, Oid.vector, 3)).toBe("vector(3)");
  expect(formatType(scope, Oid.vectorArray, 3)).toBe("vector(3)[]");
  expect(formatType(scope, docs.arrayTypeOid, -1)).toBe("docs[]");
  expect(formatType({ catalog, searchPath: ["pg_catalog"] }, docs.rowTypeOid, -1)).toBe("public.docs");
  expect(formatType(scope, 99, -1)).toBe("???");
});

test("function names, signatures, arguments and results", () => {
  for (const row of functions as [number, string, string, string, string, string | null][]) {
    const entry = must(catalog.functionByOid(row[0]), `function ${row[2]}`);
    // hybrid_rrf and vector overloads of ours change what is unique by name.
    const name = ["avg", "sum"].includes(entry.name) ? row[1] : functionName(scope, entry);
    expect([
      row[0],
      name,
      functionSignature(scope, entry),
      functionArguments(scope, entry, true),
      functionArguments(scope, entry, false),
      functionResult(scope, entry) ?? null,
    ]).toEqual(row);
  }
});

test("operator names and signatures", () => {
  for (const row of operators as [number, string, string][]) {
    const entry = must(catalog.operatorByOid(row[0]), `operator ${row[2]}`);
    const isShared = catalog
      .operatorsByName(undefined, entry.name, scope.searchPath)
      .some(({ oid }) => oid > 9000);
    const name = isShared ? row[1] : operatorName(scope, entry);
    expect([row[0], name, operatorSignature(scope, entry)]).toEqual(row);
  }
});

test("expressions and CHECK, plain and pretty", () => {
  for (const [expression, pretty, definition, prettyDefinition] of checks as [
    string,
    string,
    string,
    string,
  ][]) {
    const owned = { table: docs, constraint: { ...must(docs.constraints[1], "a check"), expression } };
    expect(prettyExpression(expression)).toBe(pretty);
    expect(constraintDefinition(scope, owned, false)).toBe(definition);
    expect(constraintDefinition(scope, owned, true)).toBe(prettyDefinition);
  }
});

const names = ["id", "a", "b", "Odd name", "c"];
const oids = [23, 23, 25, 1700, 23];
const table: TableEntry = {
  ...docs,
  oid: 17000,
  name: "t",
  rowTypeOid: 17001,
  arrayTypeOid: 17002,
  columns: names.map((name, i) => ({
    ...must(docs.columns[1], "a column"),
    name,
    attnum: i + 1,
    type: { oid: must(oids[i], "a type"), typmod: -1 },
  })),
  constraints: [],
};

/** The recorded statement's index as an entry. */
function indexOf(statement: string): IndexEntry {
  const [, unique, name, keys, included] = must(
    /CREATE (UNIQUE )?INDEX (\S+|"[^"]+") ON t \(([^)]+)\)(?: INCLUDE \((\w+)\))?/.exec(statement),
    statement,
  );
  const column = (text: string): IndexEntry["columns"][number] => {
    const name = must(
      names.find((candidate) => text.replaceAll('"', "").startsWith(candidate)),
      text,
    );
    const type = must(oids[names.indexOf(name)], "a type");
    const byName = text.includes("text_pattern_ops") ? "text_pattern_ops" : undefined;
    const descending = text.includes(" DESC");
    return {
      attnum: names.indexOf(name) + 1,
      opclass: must(catalog.operatorClass("btree", type, byName), "a class").oid,
      descending,
      nullsFirst: text.includes("NULLS FIRST") || (descending && !text.includes("NULLS LAST")),
    };
  };
  const key = must(keys, "keys").split(", ").map(column);
  return {
    ...must(
      sampleEntries.find((entry): entry is IndexEntry => entry.kind === "index"),
      "an index",
    ),
    oid: 17003,
    name: must(name, "a name").replaceAll('"', ""),
    tableOid: table.oid,
    columns: included === undefined ? key : [...key, column(included)],
    keyCount: key.length,
    isUnique: unique !== undefined,
    nullsNotDistinct: statement.includes("NULLS NOT DISTINCT"),
    options: statement.includes("fillfactor")
      ? [
          ["fillfactor", "70"],
          ["deduplicate_items", "off"],
        ]
      : [],
  };
}

test("index definitions of btree indexes", () => {
  for (const [statement, definition, pretty, column, absent] of indexes as [
    string,
    string,
    string,
    string,
    string,
  ][]) {
    const index = indexOf(statement);
    const withIndex = { catalog: sampleSnapshot([table, index]), searchPath: scope.searchPath };
    expect(indexDefinition(withIndex, index, { pretty: false })).toBe(definition);
    expect(indexDefinition(withIndex, index, { pretty: true })).toBe(pretty);
    expect(indexColumnDefinition(withIndex, index, 1, { pretty: false })).toBe(column);
    expect(indexColumnDefinition(withIndex, index, 9, { pretty: false }) ?? "").toBe(absent);
  }
});

test("index definitions of hnsw and bm25", () => {
  const definitions = catalog
    .indexesOf(docs.oid)
    .map((index) => indexDefinition(scope, index, { pretty: true }));
  expect(definitions).toEqual([
    "CREATE UNIQUE INDEX docs_pkey ON docs USING btree (id)",
    "CREATE INDEX docs_emb_idx ON docs USING hnsw (emb vector_cosine_ops) WITH (m='16', ef_construction='200')",
    "CREATE INDEX docs_body_idx ON docs USING bm25 (body) WITH (text_config=english)",
    'CREATE INDEX "Mixed" ON docs USING btree (body text_pattern_ops DESC NULLS LAST, "Odd name" NULLS FIRST) INCLUDE (id)',
  ]);
});

test("reg* texts: found, printed, refused as PostgreSQL refuses", () => {
  const hidden: TableEntry = {
    ...table,
    oid: 17010,
    name: "hidden",
    schema: 17020,
    rowTypeOid: 17011,
    arrayTypeOid: 17012,
  };
  const schema = {
    kind: "schema",
    oid: 17020,
    name: "s",
    version: 1,
    database: docs.database,
    owner: 10,
  } as const;
  const context = sampleContext(sampleSnapshot([table, hidden, schema]));
  for (const [kind, text, printed, error] of regs as [string, string, string | null, string | null][]) {
    const oid = must(catalog.typeByName("pg_catalog", kind, []), kind).oid;
    expect([kind, text, ...roundTrip(oid, text, context.functions.types)]).toEqual([
      kind,
      text,
      printed,
      error,
    ]);
  }
});

function roundTrip(
  oid: number,
  text: string,
  types: Parameters<ReturnType<typeof codecOf>["parse"]>[2],
): [string | null, string | null] {
  try {
    const codec = codecOf(oid);
    return [codec.format(codec.parse(text, -1, types), types), null];
  } catch (error) {
    if (error instanceof SqlError) return [null, `${error.code} ${error.message}`];
    throw error;
  }
}

test("a sequence in a stored default prints as the search path requires", () => {
  const text = must(docs.columns[0]?.default, "a default");
  expect(expressionText(scope, text)).toBe("nextval('docs_id_seq'::regclass)");
  expect(expressionText({ catalog, searchPath: ["pg_catalog"] }, text)).toBe(
    "nextval('public.docs_id_seq'::regclass)",
  );
});
