import { beforeAll, describe, expect, test } from "vitest";
import { SqlError } from "../common/error.ts";
import { initParser, parse } from "./parse.ts";
import { expressionPosition } from "./tree.ts";

beforeAll(initParser);

function failure(sql: string): { code: string; message: string; position: number | undefined } {
  try {
    parse(sql);
  } catch (error) {
    if (error instanceof SqlError)
      return { code: error.code, message: error.message, position: error.fields.position };
    throw error;
  }
  throw new Error(`parsed: ${sql}`);
}

describe("statements", () => {
  test("a query string gives its statements with their own texts", () => {
    const statements = parse("select 1;  select 'é' ; ; values (2)");
    expect(statements.map((statement) => statement.text)).toEqual(["select 1", "select 'é'", "values (2)"]);
    expect(parse("")).toEqual([]);
    expect(parse(" -- nothing\n")).toEqual([]);
  });

  test("positions count characters, not bytes or UTF-16 units", () => {
    const [statement] = parse("select '😀é', nosuch");
    const node = statement?.node;
    const target = node !== undefined && "SelectStmt" in node ? node.SelectStmt.targetList?.[1] : undefined;
    expect(
      expressionPosition(target !== undefined && "ResTarget" in target ? target.ResTarget.val : undefined),
    ).toBe(14);
  });

  test("equal texts share one tree", () => {
    expect(parse("select 42")).toBe(parse("select 42"));
  });
});

describe("errors as PostgreSQL words them", () => {
  test.each([
    ["selec 1", "42601", 'syntax error at or near "selec"', 1],
    ["select 'é' from wher 1", "42601", 'syntax error at or near "1"', 22],
    ["select 1 +", "42601", "syntax error at end of input", 11],
    ["select 'abc", "42601", 'unterminated quoted string at or near "\'abc"', 8],
    ["select u&'\\zz'", "22025", "invalid Unicode escape", 11],
    ["select a limit 1,2", "42601", "LIMIT #,# syntax is not supported", 10],
  ])("%s", (sql, code, message, position) => {
    expect(failure(sql)).toEqual({ code, message, position });
  });

  test("syntax newer than version 15 is a syntax error", () => {
    expect(failure("merge into t using u on true when matched then delete returning t.a").code).toBe("42601");
    expect(failure("select * from json_table('[]', '$' columns (a int path '$'))").code).toBe("42601");
  });

  test("nesting has a limit", () => {
    expect(failure(`select ${"(".repeat(2000)}1${")".repeat(2000)}`).code).toBe("54001");
    expect(failure(`select 1${"+1".repeat(40_000)}`).code).toBe("54001");
    expect(parse("select 'still alive'")).toHaveLength(1);
  });
});
