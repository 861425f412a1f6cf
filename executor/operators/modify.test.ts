// INSERT, UPDATE and DELETE over the real engine: values of every storage form, constraint errors in PostgreSQL's words, ON
// CONFLICT, and what READ COMMITTED makes of rows that change meanwhile.
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Oid } from "../../common/types/oid.ts";
import { codecOf } from "../../common/types/registry.ts";
import type { Datum } from "../../common/types/type.ts";
import type { PhysicalPlan } from "../../planner/physical/plan.ts";
import {
  createIndex,
  createTable,
  constraintsOf,
  field,
  insert,
  remove,
  seqScan,
  type TestColumn,
  type TestTable,
  TestSession,
  update,
} from "../testing/database.ts";
import { call, column, int, node, op, text, types, values } from "../testing/support.ts";

const session = new TestSession();
const { int4, int8, text: textOid } = Oid;

describe.each([1, 3, 4096])("batches of %i rows", (batchRows) => {
  const run = (plan: PhysicalPlan) => session.once(plan, { batchRows });
  let t: TestTable;

  beforeEach(async () => {
    t = await createTable(
      session,
      "t",
      [
        ["id", int4],
        ["name", textOid],
        ["n", int8],
      ],
      ["id"],
    );
    await createIndex(session, t, "t_pkey", "id", { method: "btree", unique: true });
    await run(
      insert(
        t,
        ["id", "name", "n"],
        values(
          [int4, textOid, int8],
          [
            [1, "one", 10],
            [2, "two", 20],
            [3, null, null],
          ],
        ),
      ),
    );
  });

  const all = async () =>
    (await run(seqScan(t, ["id", "name", "n"]))).rows.sort((x, y) => (x[0] as number) - (y[0] as number));

  test("values of every storage form come back", async () => {
    const kinds: readonly (readonly [number, string, number?])[] = [
      [Oid.bool, "t"],
      [Oid.int2, "-7"],
      [int4, "-2147483648"],
      [int8, "9007199254740993"],
      [int8, "5"],
      [Oid.float4, "1.5"],
      [Oid.float8, "-0.1"],
      [Oid.numeric, "12345678901234567890.123400"],
      [textOid, "grüße"],
      [Oid.varchar, ""],
      [Oid.bytea, "\\x00ff"],
      [Oid.date, "2024-02-29"],
      [Oid.timestamptz, "2024-02-29 12:00:00.5+00"],
      [Oid.interval, "1 mon 2 days 03:00:00"],
      [Oid.uuid, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
      [Oid.jsonb, '{"a": [1, null]}'],
      [1007, "{1,NULL,3}"],
      [1009, '{"a,b","c d"}'],
      [Oid.vector, "[1,2.5,-3]", 3],
      [Oid.vector, "[1,2]"],
    ];
    const wide = await createTable(
      session,
      "wide",
      kinds.map(([oid, , typmod], i): TestColumn => [`c${i}`, oid, typmod ?? -1]),
    );
    const names = kinds.map((_, i) => `c${i}`);
    const row = kinds.map(([oid, value, typmod]) => codecOf(oid).parse(value, typmod ?? -1, types));
    const oids = kinds.map(([oid]) => oid);
    await run(insert(wide, names, values(oids, [row, row.map(() => null), row])));
    const back = (await run(seqScan(wide, names))).rows;
    const print = (line: readonly Datum[] | undefined) =>
      line?.map((value, i) => (value === null ? null : codecOf(oids[i] as number).format(value, types)));
    expect(print(back[0])).toEqual(kinds.map(([, value]) => value));
    expect(print(back[1])).toEqual(kinds.map(() => null));
    expect(back[2]).toEqual(back[0]);
  });

  test("defaults, generated columns and RETURNING", async () => {
    const g = await createTable(session, "g", [
      ["a", int4],
      ["b", int4],
      ["c", int4],
    ]);
    const plan = insert(g, ["a"], values([int4], [[1], [2]]), {
      defaults: [{ attnum: 2, expression: int(7) }],
      constraints: constraintsOf(g, {
        generated: [{ attnum: 3, expression: op("*", column(0), column(1)) }],
      }),
      returning: [column(2), column(0)],
    });
    const { rows, affected } = await run(plan);
    expect(rows).toEqual([
      [7, 1],
      [14, 2],
    ]);
    expect(affected).toBe(2);
  });

  test("a duplicate key", async () => {
    const duplicate = insert(
      t,
      ["id", "name"],
      values(
        [int4, textOid],
        [
          [9, "new"],
          [2, "again"],
        ],
      ),
    );
    await expect(run(duplicate)).rejects.toMatchObject({
      code: "23505",
      message: 'duplicate key value violates unique constraint "t_pkey"',
      fields: { detail: "Key (id)=(2) already exists.", table: "t", constraint: "t_pkey", schema: "public" },
    });
    expect(await all()).toHaveLength(3);
  });

  test("NOT NULL and CHECK", async () => {
    await expect(run(insert(t, ["name"], values([textOid], [["x"]])))).rejects.toMatchObject({
      code: "23502",
      message: 'null value in column "id" of relation "t" violates not-null constraint',
      fields: { detail: "Failing row contains (null, x, null).", table: "t", column: "id" },
    });
    const checks = [{ name: "t_n_check", expression: op(">", field(t, "n"), call("int8", [int(0)])) }];
    const plan = insert(
      t,
      ["id", "n"],
      values(
        [int4, int8],
        [
          [4, 1],
          [5, null],
          [6, -1],
        ],
      ),
      { constraints: constraintsOf(t, { checks }) },
    );
    await expect(run(plan)).rejects.toMatchObject({
      code: "23514",
      message: 'new row for relation "t" violates check constraint "t_n_check"',
      fields: { detail: "Failing row contains (6, null, -1).", constraint: "t_n_check" },
    });
  });

  test("an earlier row's duplicate key comes before a later row's NULL", async () => {
    const plan = insert(t, ["id"], values([int4], [[1], [null]]));
    await expect(run(plan)).rejects.toMatchObject({ code: "23505" });
  });

  test("ON CONFLICT DO NOTHING skips, also within the statement", async () => {
    const plan = insert(
      t,
      ["id", "name"],
      values(
        [int4, textOid],
        [
          [2, "x"],
          [4, "four"],
          [4, "again"],
          [5, "five"],
        ],
      ),
      {
        onConflict: { arbiters: [], action: { kind: "nothing" } },
        returning: [column(0)],
      },
    );
    const { rows, affected } = await run(plan);
    expect(rows).toEqual([[4], [5]]);
    expect(affected).toBe(2);
    expect((await all()).map((row) => row[1])).toEqual(["one", "two", null, "four", "five"]);
  });

  const upsert = (rows: readonly (readonly Datum[])[], where?: ReturnType<typeof op>) =>
    insert(t, ["id", "name"], values([int4, textOid], rows), {
      onConflict: {
        arbiters: [t.indexes[0]?.storageId ?? 0],
        action: {
          kind: "update",
          where,
          assignments: [
            {
              attnum: 2,
              expression: call(
                "concat_ws",
                [text("+"), column(1, textOid), column(4, textOid)],
                [textOid, 2276],
              ),
            },
          ],
        },
      },
      returning: [column(0), column(1, textOid)],
    });

  test("ON CONFLICT DO UPDATE sees the existing and the excluded row", async () => {
    const { rows, affected } = await run(
      upsert([
        [7, "seven"],
        [1, "uno"],
        [3, "tres"],
      ]),
    );
    expect(rows).toEqual([
      [7, "seven"],
      [1, "one+uno"],
      [3, "tres"],
    ]);
    expect(affected).toBe(3);
    const skipped = await run(upsert([[1, "x"]], op("<>", column(0), int(1))));
    expect(skipped).toEqual({ rows: [], affected: 0 });
  });

  test("ON CONFLICT DO UPDATE of one row twice is 21000", async () => {
    await expect(
      run(
        upsert([
          [8, "a"],
          [8, "b"],
        ]),
      ),
    ).rejects.toMatchObject({
      code: "21000",
      message: "ON CONFLICT DO UPDATE command cannot affect row a second time",
    });
    await expect(
      run(
        upsert([
          [1, "a"],
          [1, "b"],
        ]),
      ),
    ).rejects.toMatchObject({ code: "21000" });
  });

  test("an arbiter decides also where another unique index is in the way first", async () => {
    const both = await createTable(session, "both", [
      ["id", int4],
      ["mail", int4],
      ["n", int4],
    ]);
    await createIndex(session, both, "both_pkey", "id", { method: "btree", unique: true });
    const mail = await createIndex(session, both, "both_mail_key", "mail", { method: "btree", unique: true });
    await run(insert(both, ["id", "mail", "n"], values([int4, int4, int4], [[1, 5, 0]])));
    const upsertMail = (row: Datum[]) =>
      run(
        insert(both, ["id", "mail", "n"], values([int4, int4, int4], [row]), {
          onConflict: {
            arbiters: [mail.storageId],
            action: { kind: "update", where: undefined, assignments: [{ attnum: 3, expression: column(5) }] },
          },
        }),
      );
    expect((await upsertMail([1, 5, 9])).affected).toBe(1);
    expect((await run(seqScan(both, ["id", "mail", "n"]))).rows).toEqual([[1, 5, 9]]);
    await expect(upsertMail([1, 6, 9])).rejects.toMatchObject({
      code: "23505",
      fields: { constraint: "both_pkey" },
    });
  });

  test("UPDATE, with RETURNING over new and old", async () => {
    const plan = update(t, op(">", column(0), int(1)), [["name", text("many")]], {
      returning: [column(0), column(1, textOid), column(4, textOid)],
    });
    const { rows, affected } = await run(plan);
    expect(rows.toSorted((a, b) => Number(a[0]) - Number(b[0]))).toEqual([
      [2, "many", "two"],
      [3, "many", null],
    ]);
    expect(affected).toBe(2);
    expect((await all()).map((row) => row[2])).toEqual([10, 20, null]);
  });

  test("UPDATE of a key: moved once, duplicates refused", async () => {
    const { affected } = await run(update(t, undefined, [["id", op("+", column(0), int(10))]]));
    expect(affected).toBe(3);
    expect((await all()).map((row) => row[0])).toEqual([11, 12, 13]);
    await expect(run(update(t, op("=", column(0), int(11)), [["id", int(12)]]))).rejects.toMatchObject({
      code: "23505",
      fields: { detail: "Key (id)=(12) already exists." },
    });
    await expect(run(update(t, op("=", column(0), int(11)), [["id", int(null)]]))).rejects.toMatchObject({
      code: "23502",
      fields: { detail: "Failing row contains (null, one, 10)." },
    });
  });

  test("DELETE with RETURNING", async () => {
    const { rows, affected } = await run(
      remove(t, op("<", column(0), int(3)), { returning: [column(1, textOid)] }),
    );
    expect((rows.flat() as string[]).toSorted()).toEqual(["one", "two"]);
    expect(affected).toBe(2);
    expect(await all()).toEqual([[3, null, null]]);
  });

  test("INSERT from the same table does not see its own rows", async () => {
    const source: PhysicalPlan = {
      kind: "project",
      ...node([int4, textOid]),
      input: seqScan(t, ["id", "name"]),
      expressions: [op("+", column(0), int(100)), column(1, textOid)],
    };
    expect((await run(insert(t, ["id", "name"], source))).affected).toBe(3);
    expect((await all()).map((row) => row[0])).toEqual([1, 2, 3, 101, 102, 103]);
  });

  test("index scans: equality, ranges, both directions, NULLs", async () => {
    const numbers = await createTable(session, "numbers", [
      ["k", int4],
      ["v", int4],
    ]);
    const index = await createIndex(session, numbers, "numbers_k_idx", "k", { method: "btree" });
    const rows = Array.from({ length: 300 }, (_, i): Datum[] => [i % 100 === 7 ? null : (i * 37) % 100, i]);
    await run(insert(numbers, ["k", "v"], values([int4, int4], rows)));
    const none = { equal: [], low: undefined, high: undefined, anyOf: undefined, nullTest: undefined };
    const scan = (
      condition: Partial<Extract<PhysicalPlan, { kind: "index-scan" }>["condition"]>,
      backward = false,
    ): PhysicalPlan => ({
      kind: "index-scan",
      ...node([int4, int4]),
      target: { table: numbers.table, alias: "numbers", attnums: [1, 2], withRid: false },
      index,
      condition: { ...none, ...condition },
      backward,
      conditionText: [],
      filter: undefined,
    });
    const keys = async (plan: PhysicalPlan) => (await run(plan)).rows.map((row) => row[0] as number | null);
    const matching = (test: (k: number) => boolean) =>
      rows
        .map((row) => row[0])
        .filter((k): k is number => typeof k === "number" && test(k))
        .sort((x, y) => x - y);
    expect(await keys(scan({ equal: [int(5)] }))).toEqual(matching((k) => k === 5));
    expect(await keys(scan({ low: { value: int(90), inclusive: false } }))).toEqual(matching((k) => k > 90));
    expect(
      await keys(
        scan({ low: { value: int(10), inclusive: true }, high: { value: int(20), inclusive: false } }, true),
      ),
    ).toEqual(matching((k) => k >= 10 && k < 20).reverse());
    expect(await keys(scan({ equal: [int(null)] }))).toEqual([]);
    expect(await keys(scan({ nullTest: "is-null" }))).toEqual([null, null, null]);
    const whole = await keys(scan({}));
    expect(whole).toHaveLength(300);
    expect(whole.slice(-3)).toEqual([null, null, null]);
    const listed = {
      kind: "array",
      type: { oid: 1007, typmod: -1 },
      collation: 0,
      position: 0,
      elements: [int(3), int(null), int(1), int(3)],
      isNested: false,
    } as const;
    expect(await keys(scan({ anyOf: listed }))).toEqual(matching((k) => k === 1 || k === 3));
    const beyond = {
      kind: "constant",
      type: { oid: int8, typmod: -1 },
      collation: 0,
      position: 0,
      value: 3_000_000_000,
    } as const;
    expect(await keys(scan({ high: { value: beyond, inclusive: true } }))).toEqual(matching(() => true));
    expect(await keys(scan({ equal: [beyond] }))).toEqual([]);
  });
});

describe("two sessions", () => {
  const other = new TestSession();
  let t: TestTable;

  beforeAll(async () => {
    t = await createTable(
      session,
      "shared",
      [
        ["id", int4],
        ["n", int4],
      ],
      ["id"],
    );
    await createIndex(session, t, "shared_pkey", "id", { method: "btree", unique: true });
  });

  beforeEach(async () => {
    await session.once(remove(t, undefined));
    await session.once(
      insert(
        t,
        ["id", "n"],
        values(
          [int4, int4],
          [
            [1, 1],
            [2, 2],
          ],
        ),
      ),
    );
  });

  const numbers = async () =>
    (await session.once(seqScan(t, ["id", "n"]))).rows.sort((x, y) => (x[0] as number) - (y[0] as number));
  const plusTen = () => update(t, op("=", column(0), int(1)), [["n", op("+", column(1), int(10))]]);

  test("a waiting UPDATE works on the newest version", async () => {
    session.begin();
    await session.run(plusTen());
    other.begin();
    const second = other.run(plusTen());
    await session.commit();
    expect((await second).affected).toBe(1);
    await other.commit();
    expect(await numbers()).toEqual([
      [1, 21],
      [2, 2],
    ]);
  });

  test("a row that no longer satisfies the condition drops out", async () => {
    session.begin();
    await session.run(update(t, op("=", column(0), int(1)), [["n", int(99)]]));
    other.begin();
    const second = other.run(remove(t, op("=", column(1), int(1))));
    await session.commit();
    expect((await second).affected).toBe(0);
    await other.commit();
    expect(await numbers()).toEqual([
      [1, 99],
      [2, 2],
    ]);
  });

  test("a row deleted meanwhile is gone; REPEATABLE READ says 40001", async () => {
    session.begin();
    await session.run(remove(t, op("=", column(0), int(1))));
    other.begin();
    const second = other.run(plusTen());
    await session.commit();
    expect((await second).affected).toBe(0);
    other.abort();

    other.begin("repeatable read");
    await other.run(seqScan(t, ["id", "n"]));
    await session.once(update(t, undefined, [["n", int(5)]]));
    await expect(other.run(update(t, undefined, [["n", int(6)]]))).rejects.toMatchObject({ code: "40001" });
    other.abort();
  });

  test("ON CONFLICT waits for the other inserter, then updates its row", async () => {
    const upsert = insert(t, ["id", "n"], values([int4, int4], [[7, 1]]), {
      onConflict: {
        arbiters: [t.indexes[0]?.storageId ?? 0],
        action: {
          kind: "update",
          where: undefined,
          assignments: [{ attnum: 2, expression: op("+", column(1), int(100)) }],
        },
      },
    });
    session.begin();
    await session.run(insert(t, ["id", "n"], values([int4, int4], [[7, 7]])));
    other.begin();
    const second = other.run(upsert);
    await session.commit();
    expect((await second).affected).toBe(1);
    await other.commit();
    expect(await numbers()).toEqual([
      [1, 1],
      [2, 2],
      [7, 107],
    ]);
  });
});
