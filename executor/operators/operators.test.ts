// Relational operators over VALUES and functions. Every test runs with several batch sizes: results may not depend on it.
import { describe, expect, test } from "vitest";
import { Oid } from "../../common/types/oid.ts";
import type { JoinType, PhysicalPlan } from "../../planner/physical/plan.ts";
import {
  aggregate,
  and,
  call,
  column,
  int,
  lit,
  node,
  op,
  operatorEntry,
  outer,
  printed,
  project,
  rowsOf,
  select,
  text,
  values,
} from "../testing/support.ts";

const { int4, int8, text: textOid, float8 } = Oid;
const people = values(
  [int4, textOid],
  [
    [3, "carol"],
    [1, "alice"],
    [null, "nobody"],
    [2, "bob"],
    [1, "ann"],
  ],
);
const pets = values(
  [int4, textOid],
  [
    [1, "cat"],
    [1, "dog"],
    [3, "fox"],
    [9, "owl"],
    [null, "ghost"],
  ],
);
const key = (index: number, descending = false, nullsFirst = descending) => ({
  expression: column(index),
  descending,
  nullsFirst,
});
const series = (from: number, to: number): PhysicalPlan => ({
  kind: "function-scan",
  ...node([int4]),
  alias: "g",
  functions: [{ call: call("generate_series", [int(from), int(to)]), columnCount: 1 }],
  withOrdinality: false,
});
const hashJoin = (
  joinType: JoinType,
  more: Partial<Extract<PhysicalPlan, { kind: "hash-join" }>> = {},
): PhysicalPlan => ({
  kind: "hash-join",
  ...node(joinType === "semi" || joinType === "anti" ? [int4, textOid] : [int4, textOid, int4, textOid]),
  joinType,
  left: people,
  right: pets,
  leftKeys: [column(0)],
  rightKeys: [column(0)],
  equals: [operatorEntry("=", int4, int4)],
  residual: undefined,
  nullAware: false,
  ...more,
});

describe.each([1, 3, 4096])("batches of %i rows", (batchRows) => {
  const run = (plan: PhysicalPlan) => rowsOf(plan, { batchRows });
  const sorted = async (plan: PhysicalPlan) =>
    (await run(plan)).map((row) => (row as (string | number | null)[]).join()).toSorted();

  test("filter keeps rows that are TRUE, not NULL", async () => {
    const plan: PhysicalPlan = {
      kind: "filter",
      ...node([int4, textOid]),
      input: people,
      condition: op(">", column(0), int(1)),
    };
    expect(await run(plan)).toEqual([
      [3, "carol"],
      [2, "bob"],
    ]);
  });

  test("limit and offset stop pulling", async () => {
    const limit: PhysicalPlan = {
      kind: "limit",
      ...node([int4]),
      input: series(1, 1_000_000_000),
      count: lit(int8, "3"),
      skip: lit(int8, "2"),
      withTies: undefined,
    };
    expect(await run(limit)).toEqual([[3], [4], [5]]);
  });

  test("negative LIMIT is 2201W", async () => {
    const limit: PhysicalPlan = {
      kind: "limit",
      ...node([int4]),
      input: people,
      count: lit(int8, "-1"),
      skip: undefined,
      withTies: undefined,
    };
    await expect(run(limit)).rejects.toMatchObject({ code: "2201W", message: "LIMIT must not be negative" });
  });

  test("WITH TIES goes on while keys are equal", async () => {
    const input: PhysicalPlan = {
      kind: "sort",
      ...node([int4, textOid]),
      input: people,
      keys: [key(0)],
      count: undefined,
      skip: undefined,
    };
    const ties: PhysicalPlan = {
      kind: "limit",
      ...node([int4, textOid]),
      input,
      count: lit(int8, "1"),
      skip: undefined,
      withTies: [key(0)],
    };
    expect(await run(ties)).toEqual([
      [1, "alice"],
      [1, "ann"],
    ]);
  });

  test("sort is stable and puts NULL last, or first when asked", async () => {
    const sort = (descending: boolean): PhysicalPlan => ({
      kind: "sort",
      ...node([int4, textOid]),
      input: people,
      keys: [key(0, descending)],
      count: undefined,
      skip: undefined,
    });
    expect((await run(sort(false))).map((row) => row[1])).toEqual(["alice", "ann", "bob", "carol", "nobody"]);
    expect((await run(sort(true))).map((row) => row[1])).toEqual(["nobody", "carol", "bob", "alice", "ann"]);
  });

  test("sort orders NaN above everything and text by bytes", async () => {
    const floats = values([float8], [[Number.NaN], [1], [Number.POSITIVE_INFINITY], [null], [-0]]);
    const words = values([textOid], [["b"], ["B"], ["é"], ["z"], ["\u{10000}"], ["\uffff"]]);
    const by = (input: PhysicalPlan, oid: number): PhysicalPlan => ({
      kind: "sort",
      ...node([oid]),
      input,
      keys: [{ expression: column(0, oid), descending: false, nullsFirst: false }],
      count: undefined,
      skip: undefined,
    });
    expect(await run(by(floats, float8))).toEqual([
      [-0],
      [1],
      [Number.POSITIVE_INFINITY],
      [Number.NaN],
      [null],
    ]);
    expect((await run(by(words, textOid))).flat()).toEqual(["B", "b", "z", "é", "\uffff", "\u{10000}"]);
  });

  test("top-N equals the full sort cut off", async () => {
    const mixed = project(series(0, 4999), [op("%", op("*", column(0), int(7919)), int(1009)), column(0)]);
    const sort = (count: number | undefined): PhysicalPlan => ({
      kind: "sort",
      ...node([int4, int4]),
      input: mixed,
      keys: [key(0)],
      count: count === undefined ? undefined : lit(int8, String(count)),
      skip: lit(int8, "5"),
    });
    const whole = await rowsOf(sort(undefined));
    // The five rows that the Limit above skips are wanted too.
    expect(await run(sort(20))).toEqual(whole.slice(0, 25));
  });

  test.each<[JoinType, string[]]>([
    ["inner", ["1,alice,1,cat", "1,alice,1,dog", "1,ann,1,cat", "1,ann,1,dog", "3,carol,3,fox"]],
    [
      "left",
      [
        ",nobody,,",
        "1,alice,1,cat",
        "1,alice,1,dog",
        "1,ann,1,cat",
        "1,ann,1,dog",
        "2,bob,,",
        "3,carol,3,fox",
      ],
    ],
    [
      "right",
      [
        ",,,ghost",
        ",,9,owl",
        "1,alice,1,cat",
        "1,alice,1,dog",
        "1,ann,1,cat",
        "1,ann,1,dog",
        "3,carol,3,fox",
      ],
    ],
    [
      "full",
      [
        ",,,ghost",
        ",,9,owl",
        ",nobody,,",
        "1,alice,1,cat",
        "1,alice,1,dog",
        "1,ann,1,cat",
        "1,ann,1,dog",
        "2,bob,,",
        "3,carol,3,fox",
      ],
    ],
    ["semi", ["1,alice", "1,ann", "3,carol"]],
    ["anti", [",nobody", "2,bob"]],
  ])("hash join: %s", async (joinType, expected) => {
    expect(await sorted(hashJoin(joinType))).toEqual(expected);
  });

  test("a residual condition decides which outer rows are matched", async () => {
    const residual = op("=", column(3, textOid), text("dog"));
    expect(await sorted(hashJoin("left", { residual }))).toEqual([
      ",nobody,,",
      "1,alice,1,dog",
      "1,ann,1,dog",
      "2,bob,,",
      "3,carol,,",
    ]);
    expect(await sorted(hashJoin("semi", { residual }))).toEqual(["1,alice", "1,ann"]);
  });

  test("NOT IN over a NULL gives nothing; over no rows everything", async () => {
    expect(await run(hashJoin("anti", { nullAware: true }))).toEqual([]);
    const none: PhysicalPlan = {
      kind: "filter",
      ...node([int4, textOid]),
      input: pets,
      condition: lit(Oid.bool, "f"),
    };
    expect(await run(hashJoin("anti", { nullAware: true, right: none }))).toHaveLength(5);
  });

  test.each<["inner" | "left" | "semi" | "anti", string[]]>([
    ["inner", ["1,alice,1,cat", "1,alice,1,dog", "1,ann,1,cat", "1,ann,1,dog", "3,carol,3,fox"]],
    [
      "left",
      [
        ",nobody,,",
        "1,alice,1,cat",
        "1,alice,1,dog",
        "1,ann,1,cat",
        "1,ann,1,dog",
        "2,bob,,",
        "3,carol,3,fox",
      ],
    ],
    ["semi", ["1,alice", "1,ann", "3,carol"]],
    ["anti", [",nobody", "2,bob"]],
  ])("nested loop: %s, by condition and by binding", async (joinType, expected) => {
    const loop = (more: Partial<Extract<PhysicalPlan, { kind: "nested-loop" }>>): PhysicalPlan => ({
      kind: "nested-loop",
      ...node(expected[1]?.split(",").length === 2 ? [int4, textOid] : [int4, textOid, int4, textOid]),
      joinType,
      left: people,
      right: pets,
      bindings: [],
      condition: undefined,
      ...more,
    });
    const bound: PhysicalPlan = {
      kind: "filter",
      ...node([int4, textOid]),
      input: pets,
      condition: op("=", column(0), outer(7)),
    };
    expect(await sorted(loop({ condition: op("=", column(0), column(2)) }))).toEqual(expected);
    expect(await sorted(loop({ right: bound, bindings: [{ id: 7, value: column(0) }] }))).toEqual(expected);
  });

  test("aggregate: groups in order of appearance, NULL is a group", async () => {
    const plan: PhysicalPlan = {
      kind: "aggregate",
      ...node([int4, int8, textOid]),
      input: people,
      keys: [column(0)],
      aggregates: [aggregate("count", []), aggregate("max", [column(1, textOid)])],
    };
    expect(await run(plan)).toEqual([
      [3, 1, "carol"],
      [1, 2, "ann"],
      [null, 1, "nobody"],
      [2, 1, "bob"],
    ]);
  });

  test("aggregate without keys gives one row over no rows", async () => {
    const none: PhysicalPlan = {
      kind: "filter",
      ...node([int4, textOid]),
      input: people,
      condition: lit(Oid.bool, "f"),
    };
    const plan: PhysicalPlan = {
      kind: "aggregate",
      ...node([int8, int8]),
      input: none,
      keys: [],
      aggregates: [aggregate("count", []), aggregate("sum", [column(0)])],
    };
    expect(await run(plan)).toEqual([[0, null]]);
  });

  test("FILTER, DISTINCT and ORDER BY inside aggregates", async () => {
    const plan: PhysicalPlan = {
      kind: "aggregate",
      ...node([int8, int8, textOid]),
      input: people,
      keys: [],
      aggregates: [
        aggregate("count", [], { filter: op(">", column(0), int(1)) }),
        aggregate("count", [column(0)], { isDistinct: true }),
        aggregate("string_agg", [column(1, textOid), text("|")], {
          orderBy: [{ expression: column(1, textOid), descending: true, nullsFirst: true }],
        }),
      ],
    };
    expect(await run(plan)).toEqual([[2, 3, "nobody|carol|bob|ann|alice"]]);
  });

  test("distinct, by hash and on sorted input", async () => {
    const keys = project(people, [column(0)]);
    expect(await run({ kind: "distinct", ...node([int4]), input: keys, on: undefined })).toEqual([
      [3],
      [1],
      [null],
      [2],
    ]);
    const input: PhysicalPlan = {
      kind: "sort",
      ...node([int4, textOid]),
      input: people,
      keys: [key(0)],
      count: undefined,
      skip: undefined,
    };
    expect(await run({ kind: "distinct", ...node([int4, textOid]), input, on: [column(0)] })).toEqual([
      [1, "alice"],
      [2, "bob"],
      [3, "carol"],
      [null, "nobody"],
    ]);
  });

  test("INTERSECT and EXCEPT, with and without ALL", async () => {
    const left = values([int4], [[1], [1], [1], [2], [null], [null]]);
    const right = values([int4], [[1], [1], [null], [3]]);
    const set = (operation: "intersect" | "except", all: boolean): PhysicalPlan => ({
      kind: "set-operation",
      ...node([int4]),
      operation,
      all,
      left,
      right,
    });
    expect(await run(set("intersect", false))).toEqual([[1], [null]]);
    expect(await run(set("intersect", true))).toEqual([[1], [1], [null]]);
    expect(await run(set("except", false))).toEqual([[2]]);
    expect(await run(set("except", true))).toEqual([[1], [2], [null]]);
  });

  test("a CTE read twice runs once", async () => {
    const scan = (): PhysicalPlan => ({ kind: "cte-scan", ...node([int4]), cteId: 4, name: "c", alias: "c" });
    const plan: PhysicalPlan = {
      kind: "with",
      ...node([int4]),
      ctes: [{ id: 4, name: "c", plan: series(1, 3), modifies: false }],
      input: { kind: "append", ...node([int4]), inputs: [scan(), scan()] },
    };
    expect((await run(plan)).flat()).toEqual([1, 2, 3, 1, 2, 3]);
  });

  test("WITH RECURSIVE: counting up, and a cycle ended by UNION", async () => {
    const working: PhysicalPlan = { kind: "cte-scan", ...node([int4]), cteId: 5, name: "r", alias: "r" };
    const counting: PhysicalPlan = {
      kind: "recursive-union",
      ...node([int4]),
      cteId: 5,
      all: true,
      initial: series(1, 1),
      recursive: {
        kind: "filter",
        ...node([int4]),
        input: project(working, [op("+", column(0), int(1))]),
        condition: op("<=", column(0), int(10)),
      },
    };
    expect((await run(counting)).flat()).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    const cycle: PhysicalPlan = {
      kind: "recursive-union",
      ...node([int4]),
      cteId: 5,
      all: false,
      initial: series(0, 0),
      recursive: project(working, [op("%", op("+", column(0), int(1)), int(4))]),
    };
    expect((await run(cycle)).flat()).toEqual([0, 1, 2, 3]);
  });

  test("set-returning functions in step, the shorter padded with NULL", async () => {
    const sets = [
      call("generate_series", [int(1), int(3)]),
      call("generate_series", [int(1), column(0)]),
      column(0),
    ];
    const plan: PhysicalPlan = {
      kind: "project-set",
      ...node([int4, int4, int4]),
      input: values([int4], [[1], [2]]),
      expressions: sets,
      isSet: [true, true, false],
    };
    expect(await run(plan)).toEqual([
      [1, 1, 1],
      [2, null, 1],
      [3, null, 1],
      [1, 1, 2],
      [2, 2, 2],
      [3, null, 2],
    ]);
  });

  test("ROWS FROM with ordinality", async () => {
    const plan: PhysicalPlan = {
      kind: "function-scan",
      ...node([int4, int4, int8]),
      alias: "r",
      functions: [1, 2].map((to) => ({ call: call("generate_series", [int(1), int(to)]), columnCount: 1 })),
      withOrdinality: true,
    };
    expect(await run(plan)).toEqual([
      [1, 1, 1],
      [null, 2, 2],
    ]);
  });

  test("a correlated scalar subquery runs per row; a second row is 21000", async () => {
    const inner = (condition: ReturnType<typeof op>): PhysicalPlan =>
      project({ kind: "filter", ...node([int4, textOid]), input: pets, condition }, [column(1, textOid)]);
    const subquery = (plan: PhysicalPlan) =>
      ({
        kind: "subquery",
        type: { oid: textOid, typmod: -1 },
        collation: 0,
        position: 0,
        subqueryKind: "scalar",
        logical: undefined,
        plan,
        testArgs: [],
        test: undefined,
        isHashable: false,
        bindings: [{ id: 3, value: column(0) }],
      }) as const;
    const same = op("=", column(0), outer(3));
    const one = project(people, [subquery(inner(and(same, op("<>", column(1, textOid), text("dog")))))]);
    expect((await run(one)).flat()).toEqual(["fox", "cat", null, null, "cat"]);
    await expect(run(project(people, [subquery(inner(same))]))).rejects.toMatchObject({ code: "21000" });
  });

  test("a subquery over a CTE that differs from row to row is not kept", async () => {
    // select (with c as (select k as x) select (select x from c)) from ...
    const subquery = (plan: PhysicalPlan, bindings: { id: number; value: ReturnType<typeof op> }[]) =>
      ({
        kind: "subquery",
        type: { oid: int4, typmod: -1 },
        collation: 0,
        position: 0,
        subqueryKind: "scalar",
        logical: undefined,
        plan,
        testArgs: [],
        test: undefined,
        isHashable: false,
        bindings,
      }) as const;
    const scan: PhysicalPlan = { kind: "cte-scan", ...node([int4]), cteId: 8, name: "c", alias: "c" };
    const inner: PhysicalPlan = {
      kind: "with",
      ...node([int4]),
      ctes: [{ id: 8, name: "c", plan: select(outer(6)), modifies: false }],
      input: select(subquery(scan, [])),
    };
    const plan = project(people, [subquery(inner, [{ id: 6, value: column(0) }])]);
    expect((await run(plan)).flat()).toEqual([3, 1, null, 2, 1]);
  });

  test("IN over a sub-select: NULLs make the answer unknown", async () => {
    const inSubquery = (plan: PhysicalPlan, isHashable: boolean) =>
      ({
        kind: "subquery",
        type: { oid: Oid.bool, typmod: -1 },
        collation: 0,
        position: 0,
        subqueryKind: "any",
        logical: undefined,
        plan,
        testArgs: [column(0)],
        test: op("=", column(1), column(0)),
        isHashable,
        bindings: [],
      }) as const;
    const withNull = project(pets, [column(0)]);
    const without = values([int4], [[1], [3]]);
    for (const hashable of [true, false]) {
      expect((await run(project(people, [inSubquery(withNull, hashable)]))).flat()).toEqual([
        true,
        true,
        null,
        null,
        true,
      ]);
      expect((await run(project(people, [inSubquery(without, hashable)]))).flat()).toEqual([
        true,
        true,
        null,
        false,
        true,
      ]);
    }
  });

  test("one row without FROM", async () => {
    const plan = select(op("+", int(1), int(1)), text("x"));
    expect(printed(await run(plan), plan)).toEqual([["2", "x"]]);
  });
});

test("a long sort gives other work of the event loop its turn", async () => {
  const big: PhysicalPlan = {
    kind: "sort",
    ...node([int4]),
    input: series(1, 300_000),
    keys: [key(0, true)],
    count: undefined,
    skip: undefined,
  };
  let turns = 0;
  let isRunning = true;
  const tick = (): void => {
    turns += 1;
    if (isRunning) setImmediate(tick);
  };
  setImmediate(tick);
  const rows = await rowsOf(big);
  isRunning = false;
  expect(rows[0]).toEqual([300_000]);
  expect(turns).toBeGreaterThan(3);
});

test("a cancelled statement stops between batches", async () => {
  let batches = 0;
  const checkInterrupt = (): void => {
    if (++batches > 3)
      throw Object.assign(new Error("canceling statement due to user request"), { code: "57014" });
  };
  await expect(rowsOf(series(1, 1_000_000), { batchRows: 10, checkInterrupt })).rejects.toMatchObject({
    code: "57014",
  });
});
