// Statistics compared with PostgreSQL's own over the same rows in the same order (recorded/pg-stats.json; UPDATE=1 with PGURL
// records again). The table is smaller than the sample, so nothing is left to chance.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { beforeAll, expect, test } from "vitest";
import { must } from "../../../common/assert.ts";
import { Oid } from "../../../common/types/oid.ts";
import { codecOf } from "../../../common/types/registry.ts";
import type { Datum } from "../../../common/types/type.ts";
import { types } from "../../testing/support.ts";
import { columnStatistics } from "./column-statistics.ts";

const FILE = new URL("./recorded/pg-stats.json", import.meta.url);
const ROWS = 20_000;

/** name, type, SQL over i, the same as a text form. */
const COLUMNS: readonly (readonly [string, string, number, string, (i: number) => string | null])[] = [
  ["serial", "int", Oid.int4, "i", (i) => String(i)],
  ["few", "int", Oid.int4, "i % 7", (i) => String(i % 7)],
  [
    "some",
    "int",
    Oid.int4,
    "CASE WHEN i % 11 = 0 THEN NULL ELSE i * 31 % 1009 END",
    (i) => (i % 11 === 0 ? null : String((i * 31) % 1009)),
  ],
  [
    "skewed",
    "int",
    Oid.int4,
    "CASE WHEN i % 10 < 3 THEN 1 WHEN i % 10 < 5 THEN i % 20 ELSE i END",
    (i) => String(i % 10 < 3 ? 1 : i % 10 < 5 ? i % 20 : i),
  ],
  ["word", "text", Oid.text, "'w' || i % 50", (i) => `w${i % 50}`],
  [
    "price",
    "numeric",
    Oid.numeric,
    "((20000 - i) / 100.0)::numeric(8,2)",
    (i) => ((20000 - i) / 100).toFixed(2),
  ],
  ["flag", "boolean", Oid.bool, "i % 4 = 0", (i) => (i % 4 === 0 ? "t" : "f")],
  ["nothing", "int", Oid.int4, "NULL", () => null],
];

interface Recorded {
  readonly null_frac: number;
  readonly avg_width: number;
  readonly n_distinct: number;
  readonly mcv: readonly string[] | null;
  readonly mcf: readonly number[] | null;
  readonly hist: readonly string[] | null;
  readonly correlation: number | null;
}
let recorded: Record<string, Recorded>;

beforeAll(() => {
  if (process.env["UPDATE"] === "1" && process.env["PGURL"] !== undefined) record(process.env["PGURL"]);
  recorded = JSON.parse(readFileSync(FILE, "utf8")) as Record<string, Recorded>;
});

test.each(COLUMNS)("%s", (name, _sqlType, oid, _sql, make) => {
  const codec = codecOf(oid);
  const values = Array.from({ length: ROWS }, (_, i): Datum => {
    const text = make(i + 1);
    return text === null ? null : codec.parse(text, -1, types);
  });
  const found = columnStatistics({ attnum: 1, codec, values, totalRows: ROWS }, types);
  const expected = must(recorded[name], "a recorded column");
  expect(found.nullFraction).toBeCloseTo(expected.null_frac, 5);
  expect(found.averageWidth).toBe(expected.avg_width);
  expect(found.distinct).toBeCloseTo(expected.n_distinct, 4);
  expect(found.commonValues).toEqual(expected.mcv ?? []);
  expect(found.commonFrequencies.map((share) => share.toFixed(5))).toEqual(
    (expected.mcf ?? []).map((share) => share.toFixed(5)),
  );
  expect(found.histogram).toEqual(expected.hist ?? []);
  expect(found.correlation).toBeCloseTo(expected.correlation ?? 0, 4);
});

function record(url: string): void {
  const columns = COLUMNS.map(([name, sqlType, , sql]) => `(${sql})::${sqlType} AS ${name}`).join(", ");
  const script = `CREATE TEMP TABLE sample AS SELECT ${columns} FROM generate_series(1, ${ROWS}) i;
    ANALYZE sample;
    SELECT json_object_agg(attname, json_build_object('null_frac', null_frac, 'avg_width', avg_width, 'n_distinct', n_distinct,
      'mcv', most_common_vals::text::text[], 'mcf', most_common_freqs, 'hist', histogram_bounds::text::text[], 'correlation', correlation))
      FROM pg_stats WHERE tablename = 'sample'`;
  const out = execFileSync("psql", ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", url], { input: script });
  writeFileSync(FILE, `${JSON.stringify(JSON.parse(out.toString()))}\n`);
}
