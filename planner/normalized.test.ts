// A normalised statement is the same statement: its plan gives the same columns as the exact text's, and where the key cannot be
// planned (then the session plans the text) that is rare and known.
import { readFileSync } from "node:fs";
import { beforeAll, expect, test } from "vitest";
import { must } from "../common/assert.ts";
import { initParser, parse } from "../parser/parse.ts";
import { literalTypes, normalize } from "../parser/normalize.ts";
import { planStatement } from "./index.ts";
import type { PlannedStatement } from "./physical/plan.ts";
import { testContext } from "./testing/fixture.ts";
import { recordedPath, type RecordedStatement } from "./testing/recorded.ts";

beforeAll(initParser);

function plan(sql: string, types: readonly number[] = []): PlannedStatement | undefined {
  try {
    return planStatement(must(parse(sql)[0], "one statement"), testContext({}, types));
  } catch {
    return undefined;
  }
}

test("keys plan to the same columns as the texts they stand for", () => {
  const statements = (JSON.parse(readFileSync(recordedPath, "utf8")) as readonly RecordedStatement[]).filter(
    (statement) => statement.error === undefined,
  );
  let same = 0;
  const unplanned: string[] = [];
  for (const { sql } of statements) {
    const normalized = normalize(sql);
    const exact = plan(sql);
    if (normalized === undefined || exact === undefined) continue;
    const shared = plan(normalized.key, literalTypes(normalized.literals));
    if (shared === undefined) {
      unplanned.push(sql);
      continue;
    }
    const columns = (planned: PlannedStatement): unknown =>
      planned.result?.map((column) => [column.name, column.type.oid]);
    expect([sql, columns(shared)]).toEqual([sql, columns(exact)]);
    expect(shared.parameterTypes).toHaveLength(normalized.literals.length);
    same += 1;
  }
  expect(same).toBeGreaterThan(60);
  expect(unplanned.length).toBeLessThan(same / 10);
});
