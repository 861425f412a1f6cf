// Statistics of one column from a sample, as PostgreSQL 15 computes them (commands/analyze.c: compute_scalar_stats and
// analyze_mcv_list): fraction of NULLs, width, number of distinct values (Haas and Stokes, "Sampling-Based Estimation of
// the Number of Distinct Values", 1998, their Duj1), most common values, histogram, correlation with the stored order.
import type { ColumnStatistics } from "../../../catalog/entries.ts";
import { Oid } from "../../../common/types/oid.ts";
import type { Datum, TypeCodec, TypeContext } from "../../../common/types/type.ts";

/** default_statistics_target: most common values and histogram bins. */
const TARGET = 100;
/** Values wider than this count as distinct and are kept neither as common values nor in the histogram. */
const WIDTH_THRESHOLD_BYTES = 1024;
/** Above this share of the rows the number of distinct values is taken to grow with the table. */
const GROWING_DISTINCT = 0.1;

/** A column's sampled values in stored order, with the size of the table they stand for. */
export interface ColumnSample {
  readonly attnum: number;
  readonly codec: TypeCodec;
  readonly values: readonly Datum[];
  readonly totalRows: number;
}

/** A run of equal values in the sorted sample. */
interface Run {
  readonly start: number;
  readonly count: number;
}

export function columnStatistics(sample: ColumnSample, types: TypeContext): ColumnStatistics {
  const { codec, values, totalRows } = sample;
  const present = values
    .map((value, position) => ({ value, position }))
    .filter((item) => item.value !== null);
  const nullFraction = values.length === 0 ? 0 : (values.length - present.length) / values.length;
  const widths = present.map((item) => width(codec, item.value));
  const total = widths.reduce((a, b) => a + b, 0);
  const averageWidth = widths.length === 0 ? (fixedWidth(codec) ?? 0) : Math.trunc(total / widths.length);
  const base = { attnum: sample.attnum, nullFraction, averageWidth };
  const none = { commonValues: [], commonFrequencies: [], histogram: [], correlation: 0 };
  if (present.length === 0) return { ...base, ...none, distinct: 0 };
  const { compare } = codec;
  const narrow = present.filter((_, i) => (widths[i] as number) <= WIDTH_THRESHOLD_BYTES);
  if (compare === undefined || narrow.length === 0) return { ...base, ...none, distinct: nullFraction - 1 };

  const sorted = narrow.toSorted((a, b) => compare(a.value, b.value) || a.position - b.position);
  const runs = runsOf(sorted, (a, b) => compare(a, b) === 0);
  const tooWide = present.length - narrow.length;
  const distinct = distinctValues(runs, tooWide, values.length, present.length, totalRows, nullFraction);
  const common = commonRuns(runs, tooWide, distinct, nullFraction, values.length, totalRows);
  const print = (run: Run): string => codec.format((sorted[run.start] as { value: Datum }).value, types);
  return {
    ...base,
    distinct,
    commonValues: common.map(print),
    commonFrequencies: common.map((run) => run.count / values.length),
    histogram: histogram(sorted, runs, common).map((value) => codec.format(value, types)),
    correlation: correlation(sorted),
  };
}

/** Bytes as PostgreSQL stores the value: fixed-size types by their size, others with a header of 1 or 4 bytes. */
function width(codec: TypeCodec, value: Datum): number {
  const fixed = fixedWidth(codec);
  if (fixed !== undefined) return fixed;
  if (value instanceof Float32Array) return 8 + 4 * value.length;
  const size = codec.oid === Oid.numeric ? numericBytes(codec, value) : codec.toStorage(value).length;
  return size + (size < 127 ? 1 : 4);
}

/** pg_type.typlen of types of one size. */
function fixedWidth(codec: TypeCodec): number | undefined {
  switch (codec.storageKind) {
    case "bool":
      return 1;
    case "i32":
      return codec.oid === Oid.int2 ? 2 : 4;
    case "i64":
      return codec.oid === Oid.oid ? 4 : 8;
    case "f64":
      return codec.oid === Oid.float4 ? 4 : 8;
    default:
      return codec.oid === Oid.uuid || codec.oid === Oid.interval ? 16 : undefined;
  }
}

/** A header of two bytes and two for each group of four decimal digits, which the binary form counts first. */
function numericBytes(codec: TypeCodec, value: Datum): number {
  const binary = codec.send(value);
  return 2 + 2 * new DataView(binary.buffer, binary.byteOffset).getInt16(0);
}

function runsOf(
  sorted: readonly { readonly value: Datum }[],
  isSame: (a: Datum, b: Datum) => boolean,
): Run[] {
  const runs: Run[] = [];
  let start = 0;
  for (let i = 1; i <= sorted.length; i++) {
    const isEnd =
      i === sorted.length ||
      !isSame((sorted[i] as { value: Datum }).value, (sorted[start] as { value: Datum }).value);
    if (isEnd) {
      runs.push({ start, count: i - start });
      start = i;
    }
  }
  return runs;
}

/** > 0: a number; < 0: minus a fraction of the rows. */
function distinctValues(
  runs: readonly Run[],
  tooWide: number,
  sampleRows: number,
  presentRows: number,
  totalRows: number,
  nullFraction: number,
): number {
  const repeated = runs.filter((run) => run.count > 1).length;
  // Every value once: the column is taken to be unique.
  if (repeated === 0) return -(1 - nullFraction);
  // Every value more than once: the sample has seen them all.
  if (tooWide === 0 && repeated === runs.length) return growing(runs.length, totalRows);
  const once = runs.length - repeated + tooWide;
  const seen = once + repeated;
  const rows = totalRows * (presentRows / sampleRows);
  const denominator = presentRows - once + (once * presentRows) / rows;
  const estimate = denominator <= 0 ? seen : (presentRows * seen) / denominator;
  return growing(Math.floor(Math.min(Math.max(estimate, seen), rows) + 0.5), totalRows);
}

function growing(distinct: number, totalRows: number): number {
  return distinct > GROWING_DISTINCT * totalRows ? -(distinct / totalRows) : distinct;
}

/** The most common values that are worth keeping, most frequent first. */
function commonRuns(
  runs: readonly Run[],
  tooWide: number,
  distinct: number,
  nullFraction: number,
  sampleRows: number,
  totalRows: number,
): Run[] {
  const tracked = runs
    .filter((run) => run.count > 1)
    .toSorted((a, b) => b.count - a.count || a.start - b.start)
    .slice(0, TARGET);
  if (tracked.length === runs.length && tooWide === 0 && distinct > 0) return tracked;
  return tracked.slice(0, usefulCount(tracked, distinct, nullFraction, sampleRows, totalRows));
}

/**
 * analyze_mcv_list: drops values from the rare end until the last one is significantly more common (two standard deviations
 * of the hypergeometric distribution) than the average of what is not in the list.
 */
function usefulCount(
  tracked: readonly Run[],
  distinct: number,
  nullFraction: number,
  sampleRows: number,
  totalRows: number,
): number {
  let count = tracked.length;
  if (sampleRows === totalRows || totalRows <= 1) return count;
  const tableDistinct = distinct < 0 ? -distinct * totalRows : distinct;
  let kept = tracked.slice(0, -1).reduce((sum, run) => sum + run.count, 0);
  while (count > 0) {
    const last = (tracked[count - 1] as Run).count;
    let selectivity = Math.min(Math.max(1 - kept / sampleRows - nullFraction, 0), 1);
    const others = tableDistinct - (count - 1);
    if (others > 1) selectivity /= others;
    const inTable = (totalRows * last) / sampleRows;
    const variance =
      (sampleRows * inTable * (totalRows - inTable) * (totalRows - sampleRows)) /
      (totalRows * totalRows * (totalRows - 1));
    if (last > selectivity * sampleRows + 2 * Math.sqrt(variance) + 0.5) break;
    count -= 1;
    if (count > 0) kept -= (tracked[count - 1] as Run).count;
  }
  return count;
}

/** Bounds of bins of equal frequency over the values that are not common ones. */
function histogram(
  sorted: readonly { readonly value: Datum }[],
  runs: readonly Run[],
  common: readonly Run[],
): Datum[] {
  const boundCount = Math.min(runs.length - common.length, TARGET + 1);
  if (boundCount < 2) return [];
  const excluded = new Set(common);
  const rest: Datum[] = [];
  for (const run of runs) {
    if (excluded.has(run)) continue;
    for (let i = run.start; i < run.start + run.count; i++) rest.push((sorted[i] as { value: Datum }).value);
  }
  return Array.from({ length: boundCount }, (_, bound) => {
    const at = Math.floor((bound * (rest.length - 1)) / (boundCount - 1));
    return rest[at] as Datum;
  });
}

/** Linear correlation between the order of values and the order in which they are stored. */
function correlation(sorted: readonly { readonly position: number }[]): number {
  const n = sorted.length;
  if (n < 2) return 0;
  // Positions are ranked within the values present, as PostgreSQL's tupno counts them.
  const ranks = new Map(
    sorted
      .map((item) => item.position)
      .toSorted((a, b) => a - b)
      .map((at, rank) => [at, rank]),
  );
  let products = 0;
  for (let i = 0; i < n; i++)
    products += i * (ranks.get((sorted[i] as { position: number }).position) as number);
  const sum = ((n - 1) * n) / 2;
  const squares = ((n - 1) * n * (2 * n - 1)) / 6;
  return (n * products - sum * sum) / (n * squares - sum * sum);
}
