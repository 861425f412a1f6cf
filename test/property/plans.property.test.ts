// The answer does not depend on the plan. Random small tables (NULLs, zero vectors, duplicates) with btree, hnsw and bm25
// indexes; random predicates, orders, LIMIT and OFFSET; every query runs with the default settings, with kinds of scans
// switched off, and with omendb.exact, and must answer the same each time: before and after changes, inside the
// transaction that made them and after it.
//
// Rows that tie in the order may come in any order, so what is compared is the sort keys of the rows in their order, and that
// every row answered is one that the table scan gives for these keys.
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type EmbeddedDatabase, open } from "../../index.ts";

const RUNS = 40;
const WORDS = ["red", "green", "blue", "quick", "slow", "river"];
/** Settings under which the same query is asked; the first is the reference, a sequential scan with an exact sort. */
const PLANS = [
  ["enable_indexscan = off", "enable_bitmapscan = off", "omendb.exact = on"],
  [],
  ["enable_seqscan = off"],
  ["enable_indexscan = off"],
  ["enable_bitmapscan = off"],
  ["enable_seqscan = off", "enable_bitmapscan = off"],
  ["omendb.exact = on"],
] as const;
const TOUCHED = ["enable_seqscan", "enable_indexscan", "enable_bitmapscan", "omendb.exact"];

interface Row {
  readonly category: number | null;
  readonly body: string | null;
  readonly vector: readonly number[] | null;
}

const coordinate = fc.integer({ min: -3, max: 3 });
const vector = fc.oneof(
  { weight: 8, arbitrary: fc.array(coordinate, { minLength: 3, maxLength: 3 }) },
  { weight: 1, arbitrary: fc.constant([0, 0, 0]) },
);
const words = fc.array(fc.constantFrom(...WORDS), { maxLength: 6 }).map((list) => list.join(" "));
const row: fc.Arbitrary<Row> = fc.record({
  category: fc.option(fc.integer({ min: 0, max: 5 }), { freq: 6 }),
  body: fc.option(words, { freq: 6 }),
  vector: fc.option(vector, { freq: 6 }),
});

const atom = fc.oneof(
  fc
    .tuple(fc.constantFrom("=", "<", ">=", "<>"), fc.integer({ min: -1, max: 6 }))
    .map(([op, n]) => `category ${op} ${n}`),
  fc.integer({ min: 0, max: 60 }).map((n) => `id < ${n}`),
  fc
    .array(fc.integer({ min: 0, max: 6 }), { minLength: 1, maxLength: 3 })
    .map((list) => `category IN (${list.join(", ")})`),
  fc.constantFrom("category IS NULL", "body IS NOT NULL", "v IS NOT NULL", "body LIKE '%red%'", "false"),
);
const predicate = fc.oneof(
  atom,
  fc.tuple(atom, fc.constantFrom("AND", "OR"), atom).map(([a, op, b]) => `(${a} ${op} ${b})`),
  atom.map((a) => `NOT (${a})`),
);
const literal = (values: readonly number[]): string => `'[${values.join(",")}]'`;
const order = fc.oneof(
  fc.tuple(fc.constantFrom("<->", "<=>", "<#>"), vector).map(([op, v]) => [`v ${op} ${literal(v)}`]),
  fc
    .array(fc.constantFrom(...WORDS), { minLength: 1, maxLength: 2 })
    .map((q) => [`body <@> '${q.join(" ")}'`]),
  fc.constantFrom(
    ["category"],
    ["category DESC"],
    ["category", "id"],
    ["id DESC"],
    ["category NULLS FIRST", "id"],
  ),
);
interface Query {
  readonly where: string | null;
  readonly order: readonly string[];
  readonly limit: number | null;
  readonly offset: number | undefined;
}

const query: fc.Arbitrary<Query> = fc.record({
  where: fc.option(predicate, { freq: 4 }),
  order,
  limit: fc.option(fc.integer({ min: 0, max: 70 }), { freq: 5 }),
  offset: fc.option(fc.integer({ min: 0, max: 10 }), { freq: 3, nil: undefined }),
});

function print({ where, order, limit, offset }: Query): string {
  const keys = order.map((key) => key.replace(/ (DESC|NULLS FIRST)$/, ""));
  return [
    `SELECT id, ${keys.join(", ")} FROM t`,
    where === null ? "" : `WHERE ${where}`,
    `ORDER BY ${order.join(", ")}`,
    limit === null ? "" : `LIMIT ${limit}`,
    offset === undefined ? "" : `OFFSET ${offset}`,
  ].join(" ");
}

let db: EmbeddedDatabase;
beforeAll(async () => {
  db = await open({ memory: true });
});
afterAll(() => db.close());

/** Rows as [id, ...sort keys]; a distance is rounded to what f32 kernels in different orders of summation agree on. */
async function answer(sql: string): Promise<unknown[][]> {
  const { rows } = await db.query(sql);
  return rows.map((one) =>
    Object.values(one).map((value) =>
      typeof value === "number" && !Number.isInteger(value)
        ? Number(value.toPrecision(5)) + 0
        : value === 0
          ? 0
          : value,
    ),
  );
}

/** The one question whose answer a setting changes, as in pgvector: docs/decisions.md, "Sequential scans off". */
function asksTheIndexAlone(one: Query, settings: readonly string[]): boolean {
  return (
    one.limit === null &&
    one.order[0]?.startsWith("v <") === true &&
    settings.includes("enable_seqscan = off")
  );
}

async function samePlans(one: Query): Promise<void> {
  const sql = print(one);
  const unlimited = print({ ...one, limit: null, offset: undefined });
  let reference: unknown[][] = [];
  let all = new Map<unknown, unknown[]>();
  for (const [index, settings] of PLANS.entries()) {
    if (asksTheIndexAlone(one, settings)) continue;
    for (const setting of settings) await db.query(`SET ${setting}`);
    try {
      const rows = await answer(sql);
      if (index === 0) {
        reference = rows;
        all = new Map((await answer(unlimited)).map((each) => [each[0], each]));
      }
      const note = `${sql} with ${settings.join(", ") || "defaults"}`;
      expect(
        rows.map((each) => each.slice(1)),
        note,
      ).toEqual(reference.map((each) => each.slice(1)));
      expect(new Set(rows.map(([id]) => id)).size, `${note}: no row twice`).toBe(rows.length);
      for (const each of rows) expect(each, note).toEqual(all.get(each[0]));
    } finally {
      for (const name of TOUCHED) await db.query(`RESET ${name}`);
    }
  }
}

async function insert(rows: readonly Row[], from: number): Promise<void> {
  for (const [index, { category, body, vector: v }] of rows.entries()) {
    await db.query("INSERT INTO t VALUES ($1, $2, $3, $4)", [
      from + index,
      category,
      body,
      v === null ? null : `[${v.join(",")}]`,
    ]);
  }
}

async function createTable(rows: readonly Row[], isIndexedFirst: boolean): Promise<void> {
  await db.query("DROP TABLE IF EXISTS t");
  await db.query("CREATE TABLE t (id int PRIMARY KEY, category int, body text, v vector(3))");
  const index = async (): Promise<void> => {
    await db.query("CREATE INDEX ON t (category)");
    await db.query("CREATE INDEX ON t USING hnsw (v vector_l2_ops)");
    await db.query("CREATE INDEX ON t USING hnsw (v vector_cosine_ops)");
    await db.query("CREATE INDEX ON t USING hnsw (v vector_ip_ops)");
    await db.query("CREATE INDEX ON t USING bm25 (body) WITH (text_config = 'simple')");
  };
  if (isIndexedFirst) await index();
  await insert(rows, 0);
  if (!isIndexedFirst) await index();
}

test("the same rows under every plan", { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(row, { maxLength: 60 }),
      fc.array(row, { maxLength: 8 }),
      fc.array(query, { minLength: 3, maxLength: 5 }),
      fc.boolean(),
      fc.boolean(),
      async (rows, later, queries, isIndexedFirst, commits) => {
        await createTable(rows, isIndexedFirst);
        for (const one of queries) await samePlans(one);
        await db.query("BEGIN");
        try {
          await insert(later, 1000);
          await db.query("DELETE FROM t WHERE id % 5 = 1");
          await db.query("UPDATE t SET v = '[1,-2,0]', body = 'red river' WHERE id % 7 = 2");
          await db.query("UPDATE t SET category = category + 1 WHERE id % 3 = 0");
          for (const one of queries) await samePlans(one);
        } finally {
          await db.query(commits ? "COMMIT" : "ROLLBACK");
        }
        for (const one of queries) await samePlans(one);
      },
    ),
    { numRuns: RUNS, seed: 20_260_801 },
  );
});

test("the same rows under every plan in a snapshot that others' commits have left behind", {
  timeout: 120_000,
}, async () => {
  const other = db.session();
  try {
    await fc.assert(
      fc.asyncProperty(
        fc.array(row, { maxLength: 40 }),
        fc.array(query, { minLength: 2, maxLength: 4 }),
        async (rows, queries) => {
          await createTable(rows, true);
          await db.query("BEGIN ISOLATION LEVEL REPEATABLE READ");
          try {
            const before = await answer("SELECT id, category, body, v::text FROM t ORDER BY id");
            await other.query("DELETE FROM t WHERE id % 2 = 0");
            await other.query("UPDATE t SET v = '[3,3,3]', body = 'blue', category = 3 WHERE id % 3 = 0");
            await other.query(
              "INSERT INTO t VALUES (500, 1, 'red blue', '[1,1,1]'), (501, NULL, 'slow', NULL)",
            );
            for (const one of queries) await samePlans(one);
            expect(await answer("SELECT id, category, body, v::text FROM t ORDER BY id")).toEqual(before);
          } finally {
            await db.query("ROLLBACK");
          }
        },
      ),
      { numRuns: RUNS, seed: 20_260_802 },
    );
  } finally {
    await other.close();
  }
});
