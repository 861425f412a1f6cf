// Searches by index beside the exact answer in one snapshot. An index may miss a neighbour, but not most of them; distances are
// exact. Scores of bm25 depend on what is committed meanwhile, so of a text search only the rows are judged.
import type { Connection } from "./connection.ts";
import type { Random } from "./random.ts";
import { bitText, DIMENSIONS, sparseText, TABLES, vectorText, words } from "./rows.ts";
import type { Report } from "./world.ts";

const LIMIT = 10;
/** Of one search, the least share of its rows that must be as near as the exact ones. */
const LEAST_RECALL = 0.5;
/** Codes of a bit a dimension say little with 12 dimensions, and nothing of equal vectors. */
const COARSE = /quantization='?(rabitq|bq|pq)/;

const FILTERS = [
  "",
  "",
  "WHERE cat = 3",
  "WHERE cat < 5",
  "WHERE cat = 3 AND note = 'iron'",
  "WHERE id % 7 = 1",
  "WHERE note IN ('gold', 'red')",
  "WHERE owner = 1 AND cat <> 4",
];

interface Search {
  /** The distance, with the query as a literal. */
  readonly distance: string;
  readonly isText: boolean;
}

function randomSearch(random: Random): Search {
  const vector = `'${vectorText(random)}'`;
  const bits = `bit(${DIMENSIONS})`;
  const distances = [
    `v <-> ${vector}`,
    `v <=> ${vector}`,
    `v <#> ${vector}`,
    `v <+> ${vector}`,
    `h <-> ${vector}`,
    `s <-> '${sparseText(random)}'`,
    `b <~> B'${bitText(random)}'`,
    `(v::halfvec(${DIMENSIONS})) <-> ${vector}`,
    `(binary_quantize(v)::${bits}) <~> binary_quantize(${vector}::vector)::${bits}`,
  ];
  if (random.chance(0.1)) return { distance: `body <@> '${words(random, 2)}'`, isText: true };
  return { distance: random.pick(distances), isText: false };
}

type Hits = readonly (readonly (string | null)[])[];

const near = (a: number, b: number, tolerance: number): boolean =>
  Math.abs(a - b) <= tolerance * Math.max(1, Math.abs(b));

/** What is wrong with `found` beside the exact answer; counts recall. */
function judge(
  found: Hits,
  exact: Hits,
  isText: boolean,
  isCoarse: boolean,
  report: Report,
): string | undefined {
  if (found.length !== exact.length) return `${found.length} rows, not ${exact.length}`;
  if (isText || exact.length === 0) return undefined;
  const distances = new Map(exact.map(([id, distance]) => [id, Number(distance)]));
  for (const [id, distance] of found) {
    const right = distances.get(id ?? "");
    if (right !== undefined && distance !== null && !near(Number(distance), right, 1e-3)) {
      return `row ${id} at ${distance}, not ${right}`;
    }
  }
  const last = exact.at(-1)?.[1] ?? null;
  const isNearer = (distance: string | null | undefined): boolean =>
    distance != null &&
    last !== null &&
    Number(distance) < Number(last) - 1e-3 * Math.max(1, Math.abs(Number(last)));
  const ghost = found.find(([id, distance]) => !distances.has(id ?? "") && isNearer(distance));
  if (ghost) return `row ${ghost.join(" at ")} is none of the exact answer's`;
  const reaches = (distance: string | null | undefined): boolean =>
    last === null ||
    (distance != null && Number(distance) <= Number(last) + 1e-4 * Math.max(1, Math.abs(Number(last))));
  const hits = found.filter(([, distance]) => reaches(distance)).length;
  if (isCoarse) return undefined;
  report.count("neighbours", exact.length);
  report.count("neighbours found", hits);
  return hits < exact.length * LEAST_RECALL ? `${hits} of ${exact.length} neighbours` : undefined;
}

/** One search by whatever path the planner takes, and the exact one. */
export async function search(connection: Connection, random: Random, report: Report): Promise<void> {
  const table = random.pick(TABLES);
  const { distance, isText } = randomSearch(random);
  const sql = `SELECT id, ${distance} FROM ${table} ${random.pick(FILTERS)} ORDER BY ${distance} LIMIT ${LIMIT}`;
  await connection.query("BEGIN ISOLATION LEVEL REPEATABLE READ");
  await connection.query("SET LOCAL hnsw.ef_search = 400");
  if (random.chance(0.5)) await connection.query("SET LOCAL enable_seqscan = off");
  const found = (await connection.query(sql, random.chance(0.5) ? [] : undefined)).rows;
  const plan = (await connection.query(`EXPLAIN ${sql}`)).rows.map(([line]) => line).join("\n");
  const definitions = (
    await connection.query("SELECT indexname, indexdef FROM pg_indexes WHERE tablename = $1", [table])
  ).rows;
  await connection.query("SET LOCAL omendb.exact = on");
  const exact = (await connection.query(sql)).rows;
  await connection.query("COMMIT");
  const used = definitions
    .filter(([name]) => plan.includes(` ${name} on `))
    .map(([, definition]) => String(definition));
  report.count(used.length > 0 ? "searches by index" : "searches");
  const wrong = judge(
    found,
    exact,
    isText,
    used.some((definition) => COARSE.test(definition)),
    report,
  );
  if (wrong !== undefined) report.fault("search", `${wrong}: ${sql}\n${plan}\n${used.join("\n")}`);
}
