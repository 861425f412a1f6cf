// Every type under every operator class, and indexes over an expression and over a part of the rows: through updates, deletes
// and a rollback the graph goes on finding what there is (vector_recall walks the graph whatever a plan would choose), and
// what the index answers is what the rows say. Integers of few values, so that all forms hold them exactly.
import { afterAll, beforeAll, expect, test } from "vitest";
import { type EmbeddedDatabase, open } from "../../index.ts";

const ROWS = 1200;
const ENOUGH = 0.9;

interface Case {
  readonly name: string;
  readonly definition: string;
  /** Ordered by, the query being `$1`. */
  readonly distance: string;
  readonly where?: string;
}

const numbers = [
  ["l2", "<->"],
  ["ip", "<#>"],
  ["cosine", "<=>"],
  ["l1", "<+>"],
] as const;
const CASES: readonly Case[] = [
  ...numbers.flatMap(([metric, operator]) =>
    (["vector", "halfvec"] as const).map((type) => ({
      name: `${type}_${metric}`,
      definition: `(${type[0]} ${type}_${metric}_ops)`,
      distance: `${type[0]} ${operator} $1::${type}`,
    })),
  ),
  ...numbers.map(([metric, operator]) => ({
    name: `sparsevec_${metric}`,
    definition: `(s sparsevec_${metric}_ops)`,
    distance: `s ${operator} $1::vector::sparsevec`,
  })),
  {
    name: "bit_hamming",
    definition: "((binary_quantize(v)::bit(6)) bit_hamming_ops)",
    distance: "binary_quantize(v)::bit(6) <~> binary_quantize($1::vector)",
  },
  {
    name: "bit_jaccard",
    definition: "(b bit_jaccard_ops)",
    distance: "b <%> binary_quantize($1::vector)",
  },
  {
    name: "expression",
    definition: "((v::halfvec(6)) halfvec_l2_ops)",
    distance: "v::halfvec(6) <-> $1::halfvec",
  },
  {
    name: "part",
    definition: "(v vector_l2_ops) WHERE kind < 2",
    distance: "v <-> $1::vector",
    where: "kind < 2",
  },
];

let db: EmbeddedDatabase;
let seed = 7;

/** Below `limit`; the same every run. */
function random(limit: number): number {
  seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
  return Math.floor((seed / 2 ** 31) * limit);
}

function vector(): string {
  return `[${Array.from({ length: 6 }, () => random(41) - 20).join()}]`;
}

async function write(ids: readonly number[]): Promise<void> {
  const values = ids.map((id) => `(${id}, '${vector()}', ${random(5)})`).join();
  await db.query(`INSERT INTO t SELECT id, x::vector, x::halfvec, x::vector::sparsevec, binary_quantize(x::vector)::bit(6), kind
    FROM (VALUES ${values}) n (id, x, kind)
    ON CONFLICT (id) DO UPDATE SET v = excluded.v, h = excluded.h, s = excluded.s, b = excluded.b, kind = excluded.kind`);
}

beforeAll(async () => {
  db = await open({ memory: true });
  await db.query(
    "CREATE TABLE t (id int PRIMARY KEY, v vector(6), h halfvec(6), s sparsevec(6), b bit(6), kind int)",
  );
  await write(Array.from({ length: ROWS }, (_, i) => i));
  for (const { name, definition } of CASES)
    await db.query(`CREATE INDEX ${name} ON t USING hnsw ${definition}`);
});
afterAll(() => db.close());

async function distances(one: Case, query: string): Promise<unknown[]> {
  const where = one.where === undefined ? "" : `WHERE ${one.where}`;
  const sql = `SELECT round((${one.distance})::numeric, 4) AS d FROM t ${where} ORDER BY ${one.distance} LIMIT 10`;
  return (await db.query<{ d: unknown }>(sql, [query])).rows.map((row) => row.d);
}

async function check(): Promise<void> {
  for (const one of CASES) {
    const query = vector();
    await db.query("SET omendb.exact = on");
    const exact = await distances(one, query);
    await db.query("SET omendb.exact = off");
    expect([one.name, await distances(one, query)]).toEqual([one.name, exact]);
    const { rows } = await db.query<{ recall: number }>("SELECT vector_recall($1::regclass, 20) AS recall", [
      one.name,
    ]);
    expect([one.name, (rows[0]?.recall ?? 0) >= ENOUGH]).toEqual([one.name, true]);
  }
}

test("as built", check);

test("after updates and deletes", async () => {
  await write(Array.from({ length: 300 }, () => random(ROWS)).filter((id, i, all) => all.indexOf(id) === i));
  await db.query("DELETE FROM t WHERE id % 6 = 5");
  await check();
});

test("inside a transaction that changed rows, and after it was taken back", async () => {
  await db.query("BEGIN");
  await write(Array.from({ length: 200 }, (_, i) => ROWS + i));
  await db.query("DELETE FROM t WHERE id < 200");
  await check();
  await db.query("ROLLBACK");
  await check();
});

test("after REINDEX", async () => {
  await db.query("REINDEX TABLE t");
  await check();
});
