// What PostgreSQL 15 makes of some three hundred statements, recorded by test/record/planner.ts: names and types of columns, types of
// parameters, and errors with code, text, hint, detail and position.
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { SqlError } from "../common/error.ts";
import { initParser, parse } from "../parser/parse.ts";
import { must } from "../common/assert.ts";
import { planStatement } from "./index.ts";
import { DIFFERENCES } from "./testing/differences.ts";
import { testContext } from "./testing/fixture.ts";
import { recordedPath, type RecordedStatement } from "./testing/recorded.ts";

const recorded = JSON.parse(readFileSync(recordedPath, "utf8")) as readonly RecordedStatement[];

beforeAll(initParser);

function answer(sql: string): Omit<RecordedStatement, "sql"> {
  try {
    const planned = planStatement(must(parse(sql)[0], "one statement"), testContext());
    return {
      parameters: planned.parameterTypes.map((type) => type.oid),
      columns: (planned.result ?? []).map((column) => [column.name, column.type.oid, column.type.typmod]),
    };
  } catch (error) {
    if (!(error instanceof SqlError)) throw error;
    const { hint, detail, position } = error.fields;
    return { error: { code: error.code, message: error.message, hint, detail, position } };
  }
}

describe("statements as PostgreSQL 15 reads them", () => {
  for (const { sql, ...expected } of recorded) {
    const known = DIFFERENCES.get(sql);
    test.skipIf(known?.isOpen === true)(sql, () => {
      const wanted = known?.expected ?? expected;
      const actual = answer(sql);
      // A recording without columns says nothing about them.
      const isSilent = wanted.error === undefined && wanted.columns === undefined;
      expect(isSilent ? { ...actual, columns: undefined } : actual).toEqual(wanted);
    });
  }
});
