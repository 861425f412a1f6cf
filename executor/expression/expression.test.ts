// Expressions against what PostgreSQL 15 answers: each case is an expression and its SQL; the answers are recorded in
// recorded/expressions.json (UPDATE=1 with PGURL naming a PostgreSQL 15 records them again).
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { toSqlError } from "../../common/error.ts";
import { Oid } from "../../common/types/oid.ts";
import type { BoundExpression } from "../../planner/logical/expression.ts";
import type { PhysicalPlan } from "../../planner/physical/plan.ts";
import {
  and,
  arrayOf,
  bool,
  call,
  column,
  int,
  lit,
  node,
  op,
  operatorEntry,
  or,
  printed,
  project,
  rowsOf,
  text,
  type,
  values,
} from "../testing/support.ts";

const NULL_MARK = "(null)";
const FILE = new URL("./recorded/expressions.json", import.meta.url);
const base = (oid: number) => ({ type: type(oid), collation: 0, position: 0 });
const INT_ARRAY = 1007;

/** The rows that every expression sees: a int, b int, s text, p boolean. */
const TABLE =
  "(VALUES (1, 10, 'x', true), (2, 0, NULL, false), (NULL, 5, 'zebra', NULL), (4, NULL, '', true)) t(a, b, s, p)";
const rows = values(
  [Oid.int4, Oid.int4, Oid.text, Oid.bool],
  [
    [1, 10, "x", true],
    [2, 0, null, false],
    [null, 5, "zebra", null],
    [4, null, "", true],
  ],
);
const a = column(0);
const b = column(1);
const s = column(2, Oid.text);
const p = column(3, Oid.bool);
const isNull = (input: BoundExpression): BoundExpression => ({ kind: "is-null", ...base(Oid.bool), input });
const not = (input: BoundExpression): BoundExpression => ({ kind: "not", ...base(Oid.bool), input });
const when = (
  oid: number,
  whens: [BoundExpression, BoundExpression][],
  otherwise?: BoundExpression,
): BoundExpression => ({
  kind: "case",
  ...base(oid),
  whens: whens.map(([condition, result]) => ({ condition, result })),
  otherwise,
});
const coalesce = (...args: BoundExpression[]): BoundExpression => ({
  kind: "coalesce",
  ...base(args[0]?.type.oid ?? 0),
  args,
});
const inList = (
  left: BoundExpression,
  elements: BoundExpression[],
  quantifier: "any" | "all",
  operator: string,
): BoundExpression => ({
  kind: "scalar-array",
  ...base(Oid.bool),
  quantifier,
  operator,
  function: operatorEntry(operator, Oid.int4, Oid.int4),
  left,
  right: arrayOf(Oid.int4, elements),
});
const rowCompare = (
  operator: "=" | "<>" | "<" | "<=" | ">" | ">=",
  right: [BoundExpression, BoundExpression],
): BoundExpression => ({
  kind: "row-compare",
  ...base(Oid.bool),
  operator,
  left: [a, b],
  right,
  equals: [operatorEntry("=", Oid.int4, Oid.int4), operatorEntry("=", Oid.int4, Oid.int4)],
  less: [operatorEntry("<", Oid.int4, Oid.int4), operatorEntry("<", Oid.int4, Oid.int4)],
});
const boolTest = (
  test: "is-true" | "is-not-true" | "is-false" | "is-not-false" | "is-unknown" | "is-not-unknown",
): BoundExpression => ({
  kind: "boolean-test",
  ...base(Oid.bool),
  test,
  input: p,
});
const array = arrayOf(Oid.int4, [a, b, int(7)]);
const at = (
  ...bounds: { isSlice: boolean; lower?: BoundExpression; upper?: BoundExpression }[]
): BoundExpression => ({
  kind: "subscript",
  ...base(bounds[0]?.isSlice === true ? INT_ARRAY : Oid.int4),
  input: array,
  subscripts: bounds.map((bound) => ({ isSlice: bound.isSlice, lower: bound.lower, upper: bound.upper })),
});
const divides = op("/", int(100), b);

const CASES: readonly (readonly [sql: string, expression: BoundExpression])[] = [
  ["a + b", op("+", a, b)],
  ["p AND a > 1", and(p, op(">", a, int(1)))],
  ["p OR a > 1", or(p, op(">", a, int(1)))],
  ["NOT p", not(p)],
  ["a IS NULL AND s IS NULL", and(isNull(a), isNull(s))],
  ["ROW(a, b) IS NULL", isNull({ kind: "row", ...base(2249), fields: [a, b], names: [] })],
  ["b <> 0 AND 100 / b > 10", and(op("<>", b, int(0)), op(">", divides, int(10)))],
  ["b = 0 OR 100 / b > 10", or(op("=", b, int(0)), op(">", divides, int(10)))],
  ["100 / b", divides],
  [
    "CASE WHEN b = 0 THEN -1 WHEN b IS NULL THEN -2 ELSE 100 / b END",
    when(
      Oid.int4,
      [
        [op("=", b, int(0)), int(-1)],
        [isNull(b), int(-2)],
      ],
      divides,
    ),
  ],
  ["CASE WHEN p THEN s END", when(Oid.text, [[p, s]])],
  ["CASE WHEN true THEN a ELSE 100 / b END", when(Oid.int4, [[bool(true), a]], divides)],
  ["coalesce(a, b)", coalesce(a, b)],
  ["coalesce(a, 0, 100 / b)", coalesce(a, int(0), divides)],
  ["coalesce(s, 'none')", coalesce(s, text("none"))],
  ["greatest(a, b, 3)", { kind: "greatest", ...base(Oid.int4), args: [a, b, int(3)] }],
  ["least(a, b)", { kind: "least", ...base(Oid.int4), args: [a, b] }],
  [
    "nullif(b, 0)",
    {
      kind: "nullif",
      ...base(Oid.int4),
      equals: operatorEntry("=", Oid.int4, Oid.int4),
      left: b,
      right: int(0),
    },
  ],
  [
    "a IS DISTINCT FROM b",
    {
      kind: "distinct",
      ...base(Oid.bool),
      negated: false,
      equals: operatorEntry("=", Oid.int4, Oid.int4),
      left: a,
      right: b,
    },
  ],
  [
    "a IS NOT DISTINCT FROM NULL",
    {
      kind: "distinct",
      ...base(Oid.bool),
      negated: true,
      equals: operatorEntry("=", Oid.int4, Oid.int4),
      left: a,
      right: int(null),
    },
  ],
  ["p IS TRUE", boolTest("is-true")],
  ["p IS NOT TRUE", boolTest("is-not-true")],
  ["p IS FALSE", boolTest("is-false")],
  ["p IS NOT FALSE", boolTest("is-not-false")],
  ["p IS UNKNOWN", boolTest("is-unknown")],
  ["p IS NOT UNKNOWN", boolTest("is-not-unknown")],
  ["a IN (1, 4)", inList(a, [int(1), int(4)], "any", "=")],
  ["a IN (1, NULL)", inList(a, [int(1), int(null)], "any", "=")],
  ["a NOT IN (1, 9)", inList(a, [int(1), int(9)], "all", "<>")],
  ["a NOT IN (1, NULL)", inList(a, [int(1), int(null)], "all", "<>")],
  ["a IN (b, 4)", inList(a, [b, int(4)], "any", "=")],
  ["a < ALL (ARRAY[b, 3])", inList(a, [b, int(3)], "all", "<")],
  ["a > ANY (ARRAY[b, NULL])", inList(a, [b, int(null)], "any", ">")],
  ["(a, b) = (1, 10)", rowCompare("=", [int(1), int(10)])],
  ["(a, b) <> (1, NULL)", rowCompare("<>", [int(1), int(null)])],
  ["(a, b) < (2, 5)", rowCompare("<", [int(2), int(5)])],
  ["(a, b) >= (1, 10)", rowCompare(">=", [int(1), int(10)])],
  ["ARRAY[a, b, 7]", array],
  ["(ARRAY[a, b, 7])[2]", at({ isSlice: false, upper: int(2) })],
  ["(ARRAY[a, b, 7])[a]", at({ isSlice: false, upper: a })],
  ["(ARRAY[a, b, 7])[2:3]", at({ isSlice: true, lower: int(2), upper: int(3) })],
  ["(ARRAY[a, b, 7])[:2]", at({ isSlice: true, upper: int(2) })],
  ["(ARRAY[a, b, 7])[5:9]", at({ isSlice: true, lower: int(5), upper: int(9) })],
  [
    "ARRAY[ARRAY[a], ARRAY[b]]",
    {
      kind: "array",
      ...base(INT_ARRAY),
      elements: [arrayOf(Oid.int4, [a]), arrayOf(Oid.int4, [b])],
      isNested: true,
    },
  ],
  ["ROW(a, s)", { kind: "row", ...base(2249), fields: [a, s], names: [] }],
  ["a::text", { kind: "io-cast", ...base(Oid.text), input: a, cast: "explicit" }],
  ["s::int", { kind: "io-cast", ...base(Oid.int4), input: s, cast: "explicit" }],
  [
    "ARRAY[a, b]::text[]",
    {
      kind: "array-cast",
      ...base(1009),
      input: arrayOf(Oid.int4, [a, b]),
      element: { kind: "io-cast", ...base(Oid.text), input: column(0), cast: "explicit" },
      cast: "explicit",
    },
  ],
  ["upper(s)", call("upper", [s])],
  ["length(s) + a", op("+", call("length", [s]), a)],
  ["2147483647 + a", op("+", int(2147483647), a)],
  ["9007199254740993 * a", op("*", lit(Oid.int8, "9007199254740993"), a)],
  ["s = 'x'", op("=", s, text("x"))],
];

interface Answer {
  readonly rows?: readonly (string | null)[];
  readonly code?: string;
}
let recorded: Record<string, Answer>;

beforeAll(() => {
  if (process.env["UPDATE"] === "1" && process.env["PGURL"] !== undefined) record(process.env["PGURL"]);
  recorded = JSON.parse(readFileSync(FILE, "utf8")) as Record<string, Answer>;
});

describe.each([1, 3, 4096])("batches of %i rows", (batchRows) => {
  test.each(CASES)("%s", async (sql, expression) => {
    const plan = project(rows, [expression]);
    let answer: Answer;
    try {
      answer = { rows: printed(await rowsOf(plan, { batchRows }), plan).map((row) => row[0] ?? null) };
    } catch (error) {
      answer = { code: toSqlError(error).code };
    }
    expect(answer).toEqual(recorded[sql]);
  });
});

test("nothing runs over no rows", async () => {
  const none: PhysicalPlan = {
    kind: "filter",
    ...node([Oid.int4, Oid.int4, Oid.text, Oid.bool]),
    input: rows,
    condition: bool(false),
  };
  expect(await rowsOf(project(none, [op("/", int(1), int(0))]))).toEqual([]);
});

/** One query per case, because a failing one must not hide the others. */
function record(url: string): void {
  const answers: Record<string, Answer> = {};
  for (const [sql] of CASES) {
    try {
      const query = `SELECT ${sql} FROM ${TABLE}`;
      const out = execFileSync(
        "psql",
        ["-X", "-A", "-t", "-P", `null=${NULL_MARK}`, "-v", "VERBOSITY=sqlstate", "-c", query, url],
        {
          stdio: ["ignore", "pipe", "pipe"],
        },
      );
      const lines = out.toString().slice(0, -1).split("\n");
      answers[sql] = { rows: lines.map((line) => (line === NULL_MARK ? null : line)) };
    } catch (error) {
      const stderr = String((error as { stderr?: Buffer }).stderr);
      answers[sql] = { code: /ERROR:\s+([0-9A-Z]{5})/.exec(stderr)?.[1] ?? stderr };
    }
  }
  writeFileSync(FILE, `${JSON.stringify(answers, undefined, 1)}\n`);
}
