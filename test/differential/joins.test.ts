// Random statements against PostgreSQL 15's recorded answers, through the whole engine, once as the planner likes it and once with
// each way of joining and scanning taken away: the answer does not depend on the plan.
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type EmbeddedDatabase, open } from "../../session/embedded.ts";
import { SCHEMA } from "./generator.ts";

interface Recorded {
  readonly sql: string;
  readonly rows: readonly (readonly (string | null)[])[];
}

const recorded = JSON.parse(
  readFileSync(new URL("recorded/joins.json", import.meta.url), "utf8"),
) as readonly Recorded[];

/** What the generator's columns come back as. */
type Scalar = string | number | bigint | boolean;

let database: EmbeddedDatabase;

beforeAll(async () => {
  database = await open({ memory: true });
  for (const statement of SCHEMA) await database.query(statement);
  await database.query("analyze");
});

afterAll(() => database.close());

async function differing(): Promise<readonly string[]> {
  const wrong: string[] = [];
  for (const { sql, rows } of recorded) {
    const result = await database.query(sql);
    const actual = result.rows.map((row) =>
      Object.values(row).map((value) => (value === null ? null : String(value as Scalar))),
    );
    if (JSON.stringify(actual) !== JSON.stringify(rows)) wrong.push(sql);
  }
  return wrong;
}

describe("joins, sub-selects and NULLs as PostgreSQL answers them", () => {
  test("by the planner's own choice", async () => {
    expect(await differing()).toEqual([]);
  });

  for (const setting of ["enable_hashjoin", "enable_seqscan", "enable_indexscan", "enable_nestloop"]) {
    test(`with ${setting} off`, async () => {
      await database.query(`set ${setting} = off`);
      expect(await differing()).toEqual([]);
      await database.query(`reset ${setting}`);
    });
  }
});
