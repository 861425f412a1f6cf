import { describe, expect, test } from "vitest";
import { SqlArray } from "../../common/types/array.ts";
import { Oid } from "../../common/types/oid.ts";
import type { Datum } from "../../common/types/type.ts";
import { call, docs, sampleContext, sampleEntries, sampleSnapshot } from "../../test/catalog/context.ts";
import type { CatalogEntry } from "../entries.ts";
import { systemFunctionBodies } from "./index.ts";

const catalog = sampleSnapshot();
const context = sampleContext(catalog);
const run = (name: string, types: readonly number[], ...args: Datum[]): Datum =>
  call(context, name, types, args);

const NAME = 19;
const INT4 = 23;
const TEXT = 25;
const OID = 26;
const REGCLASS = 2205;
const BOOL = 16;
const NODE_TREE = 194;

test("every body belongs to a function of pg_proc", () => {
  const sources = new Set(Array.from(catalog.functions(), (entry) => entry.source));
  expect(sources.size).toBeGreaterThan(2000);
  const unknown = [...systemFunctionBodies.keys()].filter((key) => !sources.has(key));
  expect(unknown).toEqual([]);
});

describe("definitions", () => {
  test("indexes, constraints, defaults", () => {
    expect(run("pg_get_indexdef", [OID], 16387)).toBe(
      "CREATE UNIQUE INDEX docs_pkey ON public.docs USING btree (id)",
    );
    expect(run("pg_get_indexdef", [OID, INT4, BOOL], 16393, 2, true)).toBe('"Odd name"');
    expect(run("pg_get_indexdef", [OID, INT4, BOOL], 16393, 9, true)).toBe("");
    expect(run("pg_get_indexdef", [OID], 1259)).toBeNull();
    expect(run("pg_get_constraintdef", [OID], 16388)).toBe("PRIMARY KEY (id)");
    expect(run("pg_get_constraintdef", [OID, BOOL], 16389, true)).toBe(
      'CHECK (id > 0 AND "Odd name" IS NOT NULL)',
    );
    expect(run("pg_get_expr", [NODE_TREE, OID], "nextval('public.docs_id_seq'::regclass)", 16384)).toBe(
      "nextval('docs_id_seq'::regclass)",
    );
    expect(run("pg_get_viewdef", [OID], 1259)).toBeNull();
  });

  test("serial sequences", () => {
    expect(run("pg_get_serial_sequence", [TEXT, TEXT], "docs", "id")).toBe("public.docs_id_seq");
    expect(run("pg_get_serial_sequence", [TEXT, TEXT], "public.docs", "body")).toBeNull();
    expect(() => run("pg_get_serial_sequence", [TEXT, TEXT], "docs", "zz")).toThrow(
      'column "zz" of relation "docs" does not exist',
    );
    expect(() => run("pg_get_serial_sequence", [TEXT, TEXT], "zz", "zz")).toThrow(
      'relation "zz" does not exist',
    );
  });
});

describe("names", () => {
  test("visibility follows the search path", () => {
    expect(run("pg_table_is_visible", [OID], docs.oid)).toBe(true);
    expect(run("pg_table_is_visible", [OID], 1259)).toBe(true);
    expect(run("pg_table_is_visible", [OID], 99999)).toBeNull();
    const elsewhere = sampleContext(catalog, ["other"]);
    expect(call(elsewhere, "pg_table_is_visible", [OID], [docs.oid])).toBe(false);
    expect(run("pg_type_is_visible", [OID], Oid.vector)).toBe(true);
    expect(run("pg_opclass_is_visible", [OID], 1978)).toBe(true);
    expect(run("pg_function_is_visible", [OID], 870)).toBe(true);
  });

  test("to_reg*: NULL where there is nothing", () => {
    expect(run("to_regclass", [TEXT], "docs")).toBe(docs.oid);
    expect(run("to_regclass", [TEXT], "nope.docs")).toBeNull();
    expect(run("to_regtype", [TEXT], "vector(3)")).toBe(Oid.vector);
    expect(run("to_regtype", [TEXT], "nope.int4")).toBeNull();
    expect(run("to_regproc", [TEXT], "lower")).toBeNull();
    expect(() => run("to_regclass", [TEXT], "a b")).toThrow("invalid name syntax");
  });

  test("roles, encodings", () => {
    expect(run("pg_get_userbyid", [OID], 10)).toBe("postgres");
    expect(run("pg_get_userbyid", [OID], 12345678)).toBe("unknown (OID=12345678)");
    expect(run("pg_encoding_to_char", [INT4], 6)).toBe("UTF8");
    expect(run("pg_encoding_to_char", [INT4], 99)).toBe("");
    expect(run("pg_char_to_encoding", [NAME], "utf-8")).toBe(6);
    expect(run("pg_char_to_encoding", [NAME], "zz")).toBe(-1);
  });

  test("keywords", () => {
    const [entry] = catalog.functionsByName("pg_catalog", "pg_get_keywords", []);
    if (entry?.body?.kind !== "set") throw new Error("pg_get_keywords returns a set");
    const call0 = { context: context.functions, argumentTypes: [], resultType: { oid: 2249, typmod: -1 } };
    const rows = [...entry.body.rows([], call0)];
    expect(rows).toContainEqual(["abort", "U", true, "unreserved", "can be bare label"]);
    expect(rows).toContainEqual(["array", "R", false, "reserved", "requires AS"]);
  });
});

test("comments: ours, PostgreSQL's, none", () => {
  expect(run("col_description", [OID, INT4], docs.oid, 2)).toBe("the text");
  expect(run("obj_description", [OID, NAME], 11, "pg_namespace")).toBe("system catalog schema");
  expect(run("obj_description", [OID], 11)).toBe("system catalog schema");
  expect(run("obj_description", [OID, NAME], docs.oid, "pg_class")).toBeNull();
  expect(run("obj_description", [OID, NAME], docs.oid, "zz")).toBeNull();
});

test("helpers of information_schema", () => {
  const types = [OID, INT4];
  const ask = (name: string, ...args: Datum[]): Datum => {
    const [entry] = catalog.functionsByName("information_schema", name, []);
    if (entry?.body?.kind !== "scalar") throw new Error(`${name} has no scalar body`);
    const typed = types.map((oid) => ({ oid, typmod: -1 }));
    return entry.body.row(args, {
      context: context.functions,
      argumentTypes: typed,
      resultType: { oid: INT4, typmod: -1 },
    });
  };
  expect(ask("_pg_char_max_length", 1043, 14)).toBe(10);
  expect(ask("_pg_char_octet_length", 1043, 14)).toBe(40);
  expect(ask("_pg_char_octet_length", 25, -1)).toBe(1073741824);
  expect([ask("_pg_numeric_precision", 1700, 655366), ask("_pg_numeric_scale", 1700, 655366)]).toEqual([
    10, 2,
  ]);
  expect([ask("_pg_numeric_precision", 701, -1), ask("_pg_numeric_precision_radix", 701, -1)]).toEqual([
    53, 2,
  ]);
  expect([ask("_pg_datetime_precision", 1184, -1), ask("_pg_datetime_precision", 1184, 3)]).toEqual([6, 3]);
  expect(ask("_pg_interval_type", 1186, 470286338)).toBe("DAY TO SECOND");
  expect(ask("_pg_interval_type", 1186, -1)).toBeNull();
  const [expand] = catalog.functionsByName("information_schema", "_pg_expandarray", []);
  if (expand?.body?.kind !== "set") throw new Error("_pg_expandarray returns a set");
  const vector = new SqlArray(21, [2], [0], [7, 9]);
  const call0 = { context: context.functions, argumentTypes: [], resultType: { oid: 2249, typmod: -1 } };
  expect([...expand.body.rows([vector], call0)]).toEqual([
    [7, 1],
    [9, 2],
  ]);
});

test("sizes", () => {
  expect(run("pg_relation_size", [REGCLASS], docs.oid)).toBe(81920);
  expect(run("pg_total_relation_size", [REGCLASS], docs.oid)).toBe(81920 + 4 * 16384);
  expect(run("pg_relation_size", [REGCLASS], 99999)).toBeNull();
  expect(run("pg_sequence_last_value", [REGCLASS], 16390)).toBe(7);
  expect(() => run("pg_relation_size", [REGCLASS, TEXT], docs.oid, "zz")).toThrow("invalid fork name");
  expect(() => run("pg_sequence_last_value", [REGCLASS], docs.oid)).toThrow('"docs" is not a sequence');
});

describe("privileges", () => {
  const guest: CatalogEntry = {
    kind: "role",
    oid: 16500,
    name: "guest",
    version: 1,
    isSuperuser: false,
    canLogin: true,
    password: undefined,
  };
  const withGuest = sampleContext(sampleSnapshot([...sampleEntries, guest]));
  const ask = (name: string, types: readonly number[], ...args: Datum[]): Datum =>
    call(withGuest, name, types, args);

  test("superusers may everything, others what PUBLIC has", () => {
    expect(run("has_table_privilege", [TEXT, TEXT], "docs", "select, update with grant option")).toBe(true);
    expect(ask("has_table_privilege", [NAME, TEXT, TEXT], "guest", "docs", "SELECT")).toBe(false);
    expect(ask("has_table_privilege", [NAME, TEXT, TEXT], "guest", "pg_class", "SELECT")).toBe(true);
    expect(ask("has_schema_privilege", [NAME, TEXT, TEXT], "guest", "public", "USAGE")).toBe(true);
    expect(ask("has_schema_privilege", [NAME, TEXT, TEXT], "guest", "public", "CREATE")).toBe(false);
    expect(ask("has_database_privilege", [OID, TEXT, TEXT], 16500, "postgres", "CONNECT")).toBe(true);
    expect(ask("pg_has_role", [NAME, NAME, TEXT], "guest", "postgres", "MEMBER")).toBe(false);
  });

  test("words and names are checked", () => {
    expect(() => run("has_table_privilege", [TEXT, TEXT], "docs", "zz")).toThrow(
      'unrecognized privilege type: "zz"',
    );
    expect(() => run("has_table_privilege", [NAME, TEXT, TEXT], "nobody", "docs", "SELECT")).toThrow(
      'role "nobody" does not exist',
    );
    expect(() => run("has_column_privilege", [TEXT, TEXT, TEXT], "docs", "zz", "SELECT")).toThrow(
      'column "zz" of relation "docs" does not exist',
    );
    expect(run("has_column_privilege", [OID, 21, TEXT], docs.oid, 77, "SELECT")).toBeNull();
    expect(run("has_table_privilege", [OID, TEXT], 99999999, "SELECT")).toBeNull();
    expect(() => run("has_sequence_privilege", [TEXT, TEXT], "docs", "USAGE")).toThrow(
      '"docs" is not a sequence',
    );
  });
});
