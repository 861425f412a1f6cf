// Searches against the plan without an index: the same rows in the same order with the same values, for every metric, filter
// and limit, including rows without a match, NaN distances and NULLs (which an index does not hold).
import { beforeAll, describe, expect, test } from "vitest";
import { must } from "../../common/assert.ts";
import { SqlArray } from "../../common/types/array.ts";
import { Oid } from "../../common/types/oid.ts";
import type { Datum } from "../../common/types/type.ts";
import type { IndexEntry } from "../../catalog/entries.ts";
import type { BoundExpression } from "../../planner/logical/expression.ts";
import type {
  HybridPlan,
  PhysicalPlan,
  SearchBranch,
  SearchFilter,
  VectorBranch,
} from "../../planner/physical/plan.ts";
import {
  createIndex,
  createTable,
  insert,
  seqScan,
  target,
  type TestTable,
  TestSession,
  typesOf,
} from "../testing/database.ts";
import {
  column,
  int,
  lit,
  node,
  op,
  options,
  operatorEntry,
  project,
  text,
  type,
  values,
} from "../testing/support.ts";

const session = new TestSession();
const { int4, int8, text: textOid, float8, vector } = Oid;
const DIM = 6;
const ROWS = 700;
const COLUMNS = ["id", "section", "body", "emb"];
const WORDS = ["graph", "index", "vector", "search", "text", "rank", "fusion", "tree", "page", "lock"];
const METRICS = { l2: "<->", ip: "<#>", cosine: "<=>" } as const;

let docs: TestTable;
let sectionIndex: IndexEntry;
let bodyIndex: IndexEntry;
const vectorIndexes: Partial<Record<keyof typeof METRICS, IndexEntry>> = {};

/** Repeatable numbers in [0, 1). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

beforeAll(async () => {
  docs = await createTable(session, "docs", [
    ["id", int4],
    ["section", int4],
    ["body", textOid],
    ["emb", vector, DIM],
  ]);
  const random = randomFrom(7);
  const rows = Array.from({ length: ROWS }, (_, i): Datum[] => {
    const words = Array.from(
      { length: 1 + Math.floor(random() * 8) },
      () => WORDS[Math.floor(random() ** 2 * WORDS.length)] as string,
    );
    // Every fourth vector repeats an earlier one: distances tie. Some are zero (NaN under cosine), some NULL.
    const seeded = randomFrom(i % 4 === 3 ? i - 3 : i);
    const embedding = Float32Array.from({ length: DIM }, () => (i % 50 === 9 ? 0 : seeded() - 0.5));
    return [i, i % 20, i % 30 === 5 ? null : words.join(" "), i % 40 === 11 ? null : embedding];
  });
  await session.once(insert(docs, COLUMNS, values([int4, int4, textOid, vector], rows)));
  sectionIndex = await createIndex(session, docs, "docs_section_idx", "section", { method: "btree" });
  bodyIndex = await createIndex(session, docs, "docs_body_idx", "body", {
    method: "bm25",
    textConfig: "english",
    k1: 1.2,
    b: 0.75,
  });
  for (const metric of ["l2", "ip", "cosine"] as const) {
    vectorIndexes[metric] = await createIndex(session, docs, `docs_emb_${metric}_idx`, "emb", {
      method: "hnsw",
      metric,
      m: 16,
      efConstruction: 64,
    });
  }
}, 60_000);

const query: BoundExpression = {
  kind: "constant",
  type: type(vector),
  collation: 0,
  position: 0,
  value: Float32Array.from([0.3, -0.2, 0.1, 0.4, -0.1, 0.2]),
};
const vectorBranch = (metric: keyof typeof METRICS, more: Partial<VectorBranch> = {}): VectorBranch => ({
  kind: "vector",
  index: vectorIndexes[metric],
  attnum: 4,
  metric,
  function: operatorEntry(METRICS[metric], vector, vector),
  query,
  operator: METRICS[metric],
  columnName: "emb",
  ...more,
});
const textBranch = (words: string): SearchBranch => ({
  kind: "text",
  index: bodyIndex,
  isUsable: true,
  attnum: 3,
  query: text(words),
  columnName: "body",
});

const sectionBitmap = (section: number): SearchFilter["bitmap"] => ({
  kind: "index",
  index: sectionIndex,
  condition: {
    equal: [int(section)],
    low: undefined,
    high: undefined,
    anyOf: undefined,
    nullTest: undefined,
  },
  conditionText: [],
});
const residual = (expression: BoundExpression): SearchFilter["whole"] => ({ expression, attnums: [1, 2] });
/** Filter of the search, and the same condition over all columns. */
const FILTERS: readonly (readonly [
  string,
  () => SearchFilter | undefined,
  () => BoundExpression | undefined,
])[] = [
  ["no filter", () => undefined, () => undefined],
  [
    "an index",
    () => ({
      bitmap: sectionBitmap(3),
      residual: undefined,
      whole: residual(op("=", column(1), int(3))),
      isIndexPredicate: false,
      text: [],
      selectivity: 0.05,
    }),
    () => op("=", column(1), int(3)),
  ],
  [
    "a condition",
    () => ({
      bitmap: undefined,
      residual: residual(op("=", op("%", column(0), int(2)), int(0))),
      whole: residual(op("=", op("%", column(0), int(2)), int(0))),
      isIndexPredicate: false,
      text: [],
      selectivity: 0.5,
    }),
    () => op("=", op("%", column(0), int(2)), int(0)),
  ],
  [
    "both",
    () => ({
      bitmap: sectionBitmap(4),
      residual: residual(op("<", column(0), int(300))),
      whole: residual({
        kind: "and",
        type: type(Oid.bool),
        collation: 0,
        position: 0,
        args: [op("=", column(1), int(4)), op("<", column(0), int(300))],
      }),
      isIndexPredicate: false,
      text: [],
      selectivity: 0.02,
    }),
    () => ({
      kind: "and",
      type: type(Oid.bool),
      collation: 0,
      position: 0,
      args: [op("=", column(1), int(4)), op("<", column(0), int(300))],
    }),
  ],
];

const count = (rows: number | undefined): BoundExpression | undefined =>
  rows === undefined ? undefined : lit(int8, String(rows));

function search(
  branch: SearchBranch,
  filter: SearchFilter | undefined,
  limit: number | undefined,
  skip?: number,
): PhysicalPlan {
  return {
    kind: "search",
    ...node([int4, float8]),
    target: target(docs, ["id"]),
    branch,
    filter,
    count: count(limit),
    skip: count(skip),
    paths: [],
  };
}

/** Scan, filter, compute, sort by (value, row id): what the search must equal. */
async function expected(value: BoundExpression, condition: BoundExpression | undefined): Promise<Datum[][]> {
  const scan = seqScan(docs, COLUMNS, condition, true);
  const input = project(scan, [column(0), value, column(4, int8)]);
  const keys = [1, 2].map((index) => ({
    expression: column(index, index === 1 ? float8 : int8),
    descending: false,
    nullsFirst: false,
  }));
  const sorted: PhysicalPlan = {
    kind: "sort",
    ...node([int4, float8, int8]),
    input,
    keys,
    count: undefined,
    skip: undefined,
  };
  return (await session.once(sorted)).rows.map((row) => row.slice(0, 2));
}

const distance = (metric: keyof typeof METRICS): BoundExpression =>
  op(METRICS[metric], column(3, vector), query);
const score = (words: string): BoundExpression => ({
  kind: "text-score",
  type: type(float8),
  collation: 0,
  position: 0,
  text: column(2, textOid),
  query: text(words),
  indexStorageId: bodyIndex.storageId,
  indexOid: bodyIndex.oid,
  indexName: bodyIndex.name,
  namesIndex: false,
});
const exact = { settings: { ...options().settings, exact: true } };

describe.each(["l2", "ip", "cosine"] as const)("nearest by %s", (metric) => {
  test.each(FILTERS)("with %s", async (_name, filter, condition) => {
    const whole = await expected(distance(metric), condition());
    for (const limit of [1, 10, 100, ROWS, undefined]) {
      const cut = whole.slice(0, limit);
      for (const batchRows of [3, 4096]) {
        const plan = search(vectorBranch(metric), filter(), limit);
        expect((await session.once(plan, { batchRows })).rows).toEqual(cut);
        expect((await session.once(plan, { ...exact, batchRows })).rows).toEqual(cut);
      }
      const unindexed = search(vectorBranch(metric, { index: undefined }), filter(), limit);
      expect((await session.once(unindexed)).rows).toEqual(cut);
    }
    expect((await session.once(search(vectorBranch(metric), filter(), 5, 7))).rows).toEqual(
      whole.slice(0, 12),
    );
  });
});

describe.each(["graph index", "page lock tree rank", "unheard", "graph graph text"])(
  "texts by '%s'",
  (words) => {
    test.each(FILTERS)("with %s", async (_name, filter, condition) => {
      const whole = await expected(score(words), condition());
      for (const limit of [1, 10, 100, ROWS, undefined]) {
        for (const more of [{}, exact, { batchRows: 3 }]) {
          expect((await session.once(search(textBranch(words), filter(), limit), more)).rows).toEqual(
            whole.slice(0, limit),
          );
        }
      }
    });
  },
);

test("a query of another dimension is pgvector's error", async () => {
  const wrong: BoundExpression = {
    ...query,
    kind: "constant",
    value: Float32Array.of(1, 2),
  };
  await expect(
    session.once(search(vectorBranch("l2", { query: wrong }), undefined, 3)),
  ).rejects.toMatchObject({ code: "22000", message: "different vector dimensions 2 and 6" });
});

test("a NULL query gives every row with a NULL value", async () => {
  const none: BoundExpression = { ...query, kind: "constant", value: null };
  const { rows } = await session.once(search(vectorBranch("l2", { query: none }), undefined, 3));
  expect(rows).toEqual([
    [0, null],
    [1, null],
    [2, null],
  ]);
});

test("EXPLAIN ANALYZE learns the path", async () => {
  const plan = search(vectorBranch("l2"), undefined, 10);
  const instrument = new Map();
  await session.once(plan, { instrument });
  const statistics = must(instrument.get(plan.id), "statistics of the node") as {
    rows: number;
    extra: Map<string, string>;
  };
  expect(statistics.rows).toBe(10);
  expect([...statistics.extra.keys()]).toContain("Search Path");
});

describe("hybrid_rrf", () => {
  const hybrid = (
    filter: SearchFilter | undefined,
    limit: number,
    more: Partial<HybridPlan> = {},
  ): PhysicalPlan => ({
    kind: "hybrid",
    ...node([int4, float8]),
    target: target(docs, ["id"]),
    branches: [textBranch("graph index"), vectorBranch("cosine")],
    weights: undefined,
    k: undefined,
    candidates: undefined,
    filter,
    count: count(limit),
    skip: undefined,
    ...more,
  });

  /** Ranks by definition: rows that match, by (value, rid); fused by sum of weight / (k + rank). */
  async function fused(
    condition: BoundExpression | undefined,
    weights: readonly number[],
    k: number,
  ): Promise<Datum[][]> {
    const rankings = [
      (await expected(score("graph index"), condition)).filter((row) => row[1] !== null && row[1] !== 0),
      (await expected(distance("cosine"), condition)).filter(
        (row) => row[1] !== null && !Number.isNaN(row[1]),
      ),
    ];
    const sums = new Map<number, number>();
    rankings.forEach((ranking, branch) => {
      ranking.forEach((row, i) => {
        sums.set(
          row[0] as number,
          (sums.get(row[0] as number) ?? 0) - (weights[branch] as number) / (k + i + 1),
        );
      });
    });
    // The table's ids are its row ids in order, so they break ties the same way.
    return [...sums].sort((x, y) => x[1] - y[1] || x[0] - y[0]).map(([id, value]) => [id, value]);
  }

  test.each(FILTERS)(
    "with %s: as many candidates as rows equal the definition",
    async (_name, filter, condition) => {
      const whole = await fused(condition(), [1, 1], 60);
      const candidates = int(ROWS);
      for (const batchRows of [3, 4096]) {
        expect((await session.once(hybrid(filter(), 10, { candidates }), { batchRows })).rows).toEqual(
          whole.slice(0, 10),
        );
      }
      expect((await session.once(hybrid(filter(), 10), exact)).rows).toEqual(whole.slice(0, 10));
    },
  );

  test("weights and k", async () => {
    const weights: BoundExpression = {
      kind: "constant",
      type: type(1022),
      collation: 0,
      position: 0,
      value: SqlArray.of(float8, [1, 0.25]),
    };
    const plan = hybrid(undefined, 20, { weights, k: int(10), candidates: int(ROWS) });
    expect((await session.once(plan)).rows).toEqual((await fused(undefined, [1, 0.25], 10)).slice(0, 20));
    const short: BoundExpression = {
      ...weights,
      kind: "constant",
      value: SqlArray.of(float8, [1]),
    };
    await expect(session.once(hybrid(undefined, 1, { weights: short }))).rejects.toMatchObject({
      code: "22023",
    });
  });

  test("unranked rows fill the limit with value 0", async () => {
    const only: HybridPlan["branches"] = [textBranch("unheard")];
    expect((await session.once(hybrid(undefined, 3, { branches: only }))).rows).toEqual([
      [0, 0],
      [1, 0],
      [2, 0],
    ]);
  });
});

test("columns beside the value", async () => {
  const scanned = target(docs, ["section", "id"], true);
  const plan: PhysicalPlan = {
    kind: "search",
    ...node([...typesOf(scanned), float8]),
    target: scanned,
    branch: vectorBranch("l2"),
    filter: undefined,
    count: count(1),
    skip: undefined,
    paths: [],
  };
  const [row] = (await session.once(plan)).rows;
  expect(row?.[0]).toBe((row?.[1] as number) % 20);
});

test("a table large enough for the graph: its path is taken and the answer is nearly exact", async () => {
  const big = await createTable(session, "big", [
    ["id", int4],
    ["emb", vector, 16],
  ]);
  const random = randomFrom(11);
  const rows = Array.from({ length: 6000 }, (_, i): Datum[] => [
    i,
    Float32Array.from({ length: 16 }, () => random() - 0.5),
  ]);
  await session.once(insert(big, ["id", "emb"], values([int4, vector], rows)));
  const index = await createIndex(session, big, "big_emb_idx", "emb", {
    method: "hnsw",
    metric: "l2",
    m: 16,
    efConstruction: 64,
  });
  let hits = 0;
  for (let i = 0; i < 20; i++) {
    const near: BoundExpression = {
      ...query,
      kind: "constant",
      value: Float32Array.from({ length: 16 }, () => random() - 0.5),
    };
    const branch: VectorBranch = { ...vectorBranch("l2"), index, attnum: 2, query: near };
    const plan: PhysicalPlan = {
      kind: "search",
      ...node([int4, float8]),
      target: target(big, ["id"]),
      branch,
      filter: undefined,
      count: count(10),
      skip: undefined,
      paths: [],
    };
    const instrument = new Map();
    const found = (await session.once(plan, { instrument })).rows;
    expect(instrument.get(plan.id).extra.get("Search Path")).toBe("graph");
    expect(found.map((row) => row[1])).toEqual(
      found.map((row) => row[1] as number).toSorted((x, y) => x - y),
    );
    const truth = new Set((await session.once(plan, exact)).rows.map((row) => row[0]));
    hits += found.filter((row) => truth.has(row[0])).length;
  }
  expect(hits / 200).toBeGreaterThan(0.95);
});
