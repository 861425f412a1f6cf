// Texts recorded from PostgreSQL 15.20: pg_get_expr of defaults, pg_get_constraintdef of checks. Printing what was printed gives
// the same text again.
import { beforeAll, describe, expect, test } from "vitest";
import { initParser } from "../../parser/parse.ts";
import { Oid } from "../../common/types/oid.ts";
import type { SqlType } from "../../common/types/type.ts";
import { testContext } from "../testing/fixture.ts";
import { deparseExpression } from "./deparse.ts";
import { bindScalar } from "./index.ts";
import type { ScalarColumn } from "./scalar.ts";

beforeAll(initParser);

function type(oid: number, typmod = -1): SqlType {
  return { oid, typmod };
}

describe("defaults", () => {
  test.each([
    ["'x'", type(Oid.text), "'x'::text"],
    ["-5", type(Oid.int4), "'-5'::integer"],
    ["5", type(Oid.int8), "5"],
    ["1.5", type(Oid.numeric), "1.5"],
    ["'ab'", type(Oid.varchar, 7), "'ab'::character varying"],
    ["true", type(Oid.bool), "true"],
    ["current_timestamp", type(Oid.timestamptz), "CURRENT_TIMESTAMP"],
    ["'2020-01-01'", type(Oid.date), "'2020-01-01'::date"],
    ["1+2", type(Oid.int4), "(1 + 2)"],
    ["upper('x'||'y')", type(Oid.text), "upper(('x'::text || 'y'::text))"],
    ["1", type(Oid.float8), "1"],
    ["'{1,2}'", type(1007), "'{1,2}'::integer[]"],
    ["'1 day'", type(Oid.interval), "'1 day'::interval"],
    [
      "case when 1=1 then 'a' end",
      type(Oid.text),
      "\nCASE\n    WHEN (1 = 1) THEN 'a'::text\n    ELSE NULL::text\nEND",
    ],
    ["coalesce(null,'b')", type(Oid.text), "COALESCE(NULL::text, 'b'::text)"],
    ["current_date", type(Oid.date), "CURRENT_DATE"],
    ["current_user", type(Oid.text), "CURRENT_USER"],
  ])("%s", (sql, target, expected) => {
    expect(deparseExpression(bindScalar(sql, [], target, testContext(), "default"), [])).toBe(expected);
  });
});

const COLUMNS: readonly (readonly [string, number, number])[] = [
  ["a", Oid.text, -1],
  ["b", Oid.int4, -1],
  ["c", Oid.int8, -1],
  ["d", Oid.numeric, -1],
  ["e", Oid.varchar, 7],
  ["h", Oid.date, -1],
  ["l", 1007, -1],
];

const columns = COLUMNS.map(
  ([name, oid, typmod], index): ScalarColumn => ({ name, type: type(oid, typmod), collation: 0, index }),
);

describe("checks", () => {
  test.each([
    ["a like 'x%' and b > 0 or not (c is null)", "(((a ~~ 'x%'::text) AND (b > 0)) OR (NOT (c IS NULL)))"],
    ["b between 1 and 2", "((b >= 1) AND (b <= 2))"],
    ["a in ('x','y')", "(a = ANY (ARRAY['x'::text, 'y'::text]))"],
    [
      "e = 'q' and l[1] = 2 and (d > 1) is true",
      "(((e)::text = 'q'::text) AND (l[1] = 2) AND ((d > (1)::numeric) IS TRUE))",
    ],
    ["a is distinct from 'b'", "(a IS DISTINCT FROM 'b'::text)"],
    ["extract(year from h) > 2000", "(EXTRACT(year FROM h) > (2000)::numeric)"],
    ["a ~ '^x' and -b < 3 and b = any (l)", "((a ~ '^x'::text) AND ((- b) < 3) AND (b = ANY (l)))"],
  ])("%s", (sql, expected) => {
    const names = columns.map((column) => column.name);
    const bind = (text: string): string =>
      deparseExpression(bindScalar(text, columns, type(Oid.bool), testContext(), "check"), names);
    expect(bind(sql)).toBe(expected);
    expect(bind(bind(sql))).toBe(expected);
  });
});
