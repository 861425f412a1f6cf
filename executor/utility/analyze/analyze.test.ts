// ANALYZE over the engine: all of a small table, a random sample of a large one with holes in it.
import { expect, test } from "vitest";
import { must } from "../../../common/assert.ts";
import type { FunctionContext } from "../../../common/function-context.ts";
import { Oid } from "../../../common/types/oid.ts";
import type { StatisticsEntry } from "../../../catalog/entries.ts";
import type { PhysicalPlan } from "../../../planner/physical/plan.ts";
import { createContext } from "../../execution.ts";
import {
  createTable,
  engine,
  insert,
  remove,
  type TestTable,
  TestSession,
  wait,
} from "../../testing/database.ts";
import { call, column, int, node, op, options, project, values } from "../../testing/support.ts";
import { analyzeTable } from "../analyze.ts";
import { SAMPLE_ROWS } from "./sample.ts";

const session = new TestSession();
const { int4, vector } = Oid;

const series = (to: number): PhysicalPlan => ({
  kind: "function-scan",
  ...node([int4]),
  alias: "g",
  functions: [{ call: call("generate_series", [int(1), int(to)]), columnCount: 1 }],
  withOrdinality: false,
});

async function analyzed(t: TestTable, previous?: StatisticsEntry): Promise<StatisticsEntry> {
  session.begin();
  const transaction = must(session.transaction, "a transaction");
  transaction.beginStatement();
  let state = 42;
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const base = options({ transaction, engine: engine(), wait });
  const functionContext = { ...base.functionContext, session: { random } } as unknown as FunctionContext;
  const entry = await analyzeTable(t.table, previous, createContext({ ...base, functionContext }));
  await session.commit();
  return entry;
}

test("a small table is read whole", async () => {
  const t = await createTable(session, "small", [
    ["a", int4],
    ["e", vector, 2],
  ]);
  await session.once(
    insert(
      t,
      ["a", "e"],
      values(
        [int4, vector],
        [
          [1, Float32Array.of(1, 2)],
          [1, null],
          [2, null],
        ],
      ),
    ),
  );
  const entry = await analyzed(t);
  expect(entry).toMatchObject({ kind: "statistics", tableOid: t.table.oid, version: 1, rowCount: 3 });
  expect(entry.columns[0]).toMatchObject({
    attnum: 1,
    nullFraction: 0,
    averageWidth: 4,
    commonValues: ["1"],
  });
  expect(entry.columns[1]).toMatchObject({ attnum: 2, averageWidth: 16 });
  expect(entry.columns[1]?.distinct).toBeCloseTo(-1 / 3, 12);
  expect((await analyzed(t, entry)).version).toBe(2);
});

test("a large one is sampled, and its size is known nevertheless", async () => {
  const rows = 2 * SAMPLE_ROWS;
  const t = await createTable(session, "large", [
    ["a", int4],
    ["b", int4],
  ]);
  await session.once(insert(t, ["a", "b"], project(series(rows), [column(0), op("%", column(0), int(10))])));
  await session.once(remove(t, op("=", op("%", column(0), int(4)), int(0))));
  const entry = await analyzed(t);
  expect(entry.rowCount / (rows * 0.75)).toBeGreaterThan(0.97);
  expect(entry.rowCount / (rows * 0.75)).toBeLessThan(1.03);
  const [a, b] = entry.columns;
  expect(a).toMatchObject({ distinct: -1, commonValues: [] });
  expect(a?.histogram).toHaveLength(101);
  expect(a?.correlation).toBeCloseTo(1, 5);
  expect(b?.distinct).toBe(10);
  expect(b?.commonFrequencies.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 5);
});
