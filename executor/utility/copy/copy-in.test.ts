// COPY FROM over the real decoder and engine: the three formats, data cut anywhere, and the CONTEXT of errors as PostgreSQL 15
// words it.
import { beforeEach, describe, expect, test } from "vitest";
import { must } from "../../../common/assert.ts";
import { SqlError, SqlState } from "../../../common/error.ts";
import { Oid } from "../../../common/types/oid.ts";
import { codecOf } from "../../../common/types/registry.ts";
import type { Datum } from "../../../common/types/type.ts";
import { createCopyDecoder } from "../../../native/index.ts";
import { createContext, executePlan } from "../../execution.ts";
import type { InsertTarget } from "../../modify/row-inserter.ts";
import {
  constraintsOf,
  createIndex,
  createTable,
  engine,
  insert,
  seqScan,
  target,
  type TestTable,
  TestSession,
  wait,
} from "../../testing/database.ts";
import { column, int, op, options, planned, types, values } from "../../testing/support.ts";
import { CopyIn } from "./copy-in.ts";
import { copyOut } from "./copy-out.ts";
import { BINARY_FORMAT, CSV_FORMAT, type CopyFormat, TEXT_FORMAT } from "./format.ts";

const session = new TestSession();
const COLUMNS = [
  ["a", Oid.int4],
  ["s", Oid.text],
  ["n", Oid.numeric],
  ["d", Oid.date],
  ["e", Oid.vector, 2],
  ["c", Oid.varchar, 7],
  ["b", Oid.bool],
] as const;
const NAMES = COLUMNS.map(([name]) => name as string);
let t: TestTable;

beforeEach(async () => {
  t = await createTable(session, "t", COLUMNS, ["a"]);
  await createIndex(session, t, "t_pkey", "a", { method: "btree", unique: true });
});

/** Copies `data` in pieces of `size` bytes; gives the count. */
async function copy(
  data: Uint8Array,
  format: CopyFormat,
  more: Partial<InsertTarget> = {},
  size = data.length,
  batchRows = 3,
  waitFor: typeof wait = wait,
): Promise<number> {
  session.begin();
  const transaction = must(session.transaction, "a transaction");
  transaction.beginStatement();
  const context = createContext(options({ transaction, engine: engine(), wait: waitFor, batchRows }));
  const copyTarget: InsertTarget = {
    table: t.table,
    attnums: target(t, NAMES).attnums,
    defaults: [],
    constraints: constraintsOf(t),
    ...more,
  };
  try {
    const copyIn = new CopyIn(copyTarget, format, createCopyDecoder, context);
    for (let at = 0; at < data.length; at += size) await copyIn.push(data.subarray(at, at + size));
    const count = await copyIn.finish();
    await session.commit();
    return count;
  } catch (error) {
    session.abort();
    throw error;
  }
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const stored = async (): Promise<(string | null)[][]> =>
  (await session.once(seqScan(t, NAMES))).rows.map((row) =>
    row.map((value, i) => (value === null ? null : codecOf(COLUMNS[i]?.[1] ?? 0).format(value, types))),
  );

const ROWS = [
  ["1", "tab\\there", "1.50", "2024-02-29", "[1,2]", "abc", "t"],
  ["2", "", null, null, null, null, null],
  ["3", 'q"uo,te', "-7", "1999-12-31", "[0.5,-1]", "é", "f"],
  ["4", "line\\nbreak", "0", "2000-01-01", "[3,4]", "x", "t"],
].map((row) => row.map((value) => value?.replaceAll("\\\\t", "\\t").replaceAll("\\\\n", "\\n") ?? null));

/** The rows as PostgreSQL-format data, through copyOut (which has its own test against PostgreSQL). */
async function encoded(format: CopyFormat): Promise<Uint8Array> {
  const oids = COLUMNS.map(([, oid]) => oid);
  const data = ROWS.map((row) =>
    row.map(
      (value, i): Datum => (value === null ? null : codecOf(oids[i] as number).parse(value, -1, types)),
    ),
  );
  const pieces: Uint8Array[] = [];
  for await (const batch of copyOut(executePlan(planned(values(oids, data)), options()), format, types, {
    rowCount: 0,
  }))
    pieces.push(...batch);
  return Buffer.concat(pieces);
}

describe.each([
  ["text", TEXT_FORMAT],
  ["csv", CSV_FORMAT],
  ["csv with heading", { ...CSV_FORMAT, header: true }],
  ["binary", BINARY_FORMAT],
] as const)("%s", (_name, format) => {
  test.each([1, 7, 100_000])("in pieces of %i bytes", async (size) => {
    expect(await copy(await encoded(format), format, {}, size)).toBe(4);
    expect(await stored()).toEqual(ROWS);
  });
});

test("defaults and checks", async () => {
  const checks = [{ name: "t_a_check", expression: op(">", column(0), int(0)) }];
  const some = {
    attnums: [2, 3],
    defaults: [{ attnum: 1, expression: int(42) }],
    constraints: constraintsOf(t, { checks }),
  };
  expect(await copy(bytes("x\t1\n"), TEXT_FORMAT, some)).toBe(1);
  expect((await stored())[0]?.slice(0, 3)).toEqual(["42", "x", "1"]);
});

const only = { attnums: [1, 2] };
test.each([
  [
    "1\ta\nx\tb\n",
    only,
    "22P02",
    'invalid input syntax for type integer: "x"',
    'COPY t, line 2, column a: "x"',
  ],
  ["1\ta\n2\n", only, "22P04", 'missing data for column "s"', 'COPY t, line 2: "2"'],
  ["1\ta\tb\n", only, "22P04", "extra data after last expected column", 'COPY t, line 1: "1\ta\tb"'],
  [
    "1\n\\N\n",
    { attnums: [1] },
    "23502",
    'null value in column "a" of relation "t" violates not-null constraint',
    'COPY t, line 2: "\\N"',
  ],
  [
    "1\ta\n2\tb\n1\tc\n",
    only,
    "23505",
    'duplicate key value violates unique constraint "t_pkey"',
    "COPY t, line 3",
  ],
  [
    "1\t2024-13-01\n",
    { attnums: [1, 4] },
    "22008",
    'date/time field value out of range: "2024-13-01"',
    'COPY t, line 1, column d: "2024-13-01"',
  ],
  [
    "1\tabcd\n",
    { attnums: [1, 6] },
    "22001",
    "value too long for type character varying(3)",
    'COPY t, line 1, column c: "abcd"',
  ],
  [
    "1\t[1,2,3]\n",
    { attnums: [1, 5] },
    "22000",
    "expected 2 dimensions, not 3",
    'COPY t, line 1, column e: "[1,2,3]"',
  ],
] as const)("%j", async (data, more, code, message, where) => {
  await expect(copy(bytes(data), TEXT_FORMAT, more, 4)).rejects.toMatchObject({
    code,
    message,
    fields: { where },
  });
  expect(await stored()).toEqual([]);
});

// PostgreSQL names the row whose key it waits for; a batch that goes in together knows none of its own.
test("an error that is no row's", async () => {
  const other = new TestSession();
  other.begin();
  const row = [[2, "held", null, null, null, null, null]];
  const oids = COLUMNS.map(([, oid]) => oid);
  await other.run(insert(t, NAMES, values(oids, row)));
  const refuse = (): Promise<void> =>
    Promise.reject(new SqlError(SqlState.lockNotAvailable, "canceling statement due to lock timeout"));
  // A numeric is read by its codec: nothing may be asked of a row beyond the last.
  await expect(
    copy(bytes("1\t1.5\n2\t2.5\n"), TEXT_FORMAT, { attnums: [1, 3] }, 100, 3, refuse),
  ).rejects.toMatchObject({ code: "55P03", fields: { where: "COPY t, line 2" } });
  other.abort();
  expect(await stored()).toEqual([]);
});
