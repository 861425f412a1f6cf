// Row blocks against the real engine: rows that go in through a block come out through one, and through ColumnBuffers, as
// they were; the first rows of a key are those an index walk gives; memory that does not fit its shape is refused.
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { must } from "../../common/assert.ts";
import { BoxedVector } from "../../common/batch/vector.ts";
import { Oid } from "../../common/types/oid.ts";
import type { Datum, SqlType } from "../../common/types/type.ts";
import {
  type Engine,
  type EngineSession,
  type EngineTransaction,
  openEngine,
  StatementStart,
} from "../../native/index.ts";
import { BufferPool } from "./buffer-pool.ts";
import { LentRows, rowShape } from "./lent-rows.ts";
import { allocateBlock, BLOCK_ROWS } from "./row-block.ts";
import { RowReader } from "./row-reader.ts";

const TABLE = 30_000;
const KEY = 30_001;
const types: readonly SqlType[] = [
  { oid: Oid.int4, typmod: -1 },
  { oid: Oid.text, typmod: -1 },
  { oid: Oid.int8, typmod: -1 },
  { oid: Oid.bool, typmod: -1 },
  { oid: Oid.float8, typmod: -1 },
  { oid: Oid.vector, typmod: 3 },
  { oid: Oid.numeric, typmod: -1 },
];
const ALL = Uint16Array.from(types, (_, at) => at);
const shape = rowShape(types);
const pool = new BufferPool();

let engine: Engine;
let session: EngineSession;

beforeAll(() => {
  engine = openEngine({ path: undefined, poolThreads: 1 });
  session = engine.openSession(engine.openChannel(() => undefined));
});

afterAll(() => session.close());

/** Runs `body` on a fresh table in a transaction that is rolled back. */
function withTable(body: (transaction: EngineTransaction) => void): void {
  const transaction = session.begin("read committed", false);
  transaction.beginStatement();
  try {
    transaction.createRelation(TABLE, shape.specs, false);
    const column = { column: 0, keyKind: "int", descending: false, nullsFirst: false } as const;
    const index = { indexId: KEY, relationId: TABLE, method: "btree", columns: [column] } as const;
    expect(transaction.createIndex({ ...index, unique: false, nullsNotDistinct: false }, 1 << 30, "")).toBe(
      0,
    );
    body(transaction);
  } finally {
    transaction.abort();
  }
}

type Row = readonly Datum[];

function insert(transaction: EngineTransaction, rows: readonly Row[]): Uint32Array {
  const lent = new LentRows(shape, pool);
  const columns = types.map((_, at) => new BoxedVector(rows.map((row) => row[at] ?? null)));
  const stored = lent.hold(columns, rows.length);
  expect(stored.shape === undefined).toBe(rows.length > BLOCK_ROWS);
  const rids = new Uint32Array(rows.length);
  const status = new Int32Array(4);
  const done = transaction.insertRows(TABLE, stored.rows, stored.shape, 0, rows.length, rids, status);
  expect(done).toBe(rows.length);
  lent.release();
  transaction.beginStatement();
  return rids;
}

function rowsOf(reader: RowReader, count: number): Row[] {
  const columns = reader.vectors(count);
  const copied = (value: Datum): Datum => (value instanceof Float32Array ? Array.from(value).join() : value);
  return Array.from({ length: count }, (_, row) => columns.map((column) => copied(column.get(row))));
}

const orNull = (values: fc.Arbitrary<Datum>): fc.Arbitrary<Datum> =>
  fc.oneof({ weight: 5, arbitrary: values }, { weight: 1, arbitrary: fc.constant(null) });
const float = fc.float({ noNaN: true, noDefaultInfinity: true });
const aRow: fc.Arbitrary<Row> = fc.tuple(
  orNull(fc.integer({ min: -3, max: 3 })),
  orNull(fc.oneof(fc.string({ unit: "grapheme" }), fc.string({ minLength: 200, maxLength: 400 }))),
  orNull(fc.oneof(fc.integer(), fc.bigInt({ min: 2n ** 60n, max: 2n ** 63n - 1n }))),
  orNull(fc.boolean()),
  orNull(fc.double({ noNaN: true })),
  orNull(fc.tuple(float, float, float).map((values) => Float32Array.from(values))),
  fc.constant(null),
);

test("rows come out of a block as they went in, and as buffers give them", () => {
  const property = fc.property(fc.array(aRow, { minLength: 1, maxLength: 24 }), (rows) =>
    withTable((transaction) => {
      const rids = insert(transaction, rows);
      const expected = rows.map((row) =>
        row.map((value) => (value instanceof Float32Array ? Array.from(value).join() : value)),
      );
      for (const capacity of [BLOCK_ROWS, 100]) {
        const reader = new RowReader(types, capacity, pool, shape.specs);
        const count = Math.min(rows.length, capacity);
        expect(reader.fetch(transaction, TABLE, ALL, rids, 0, count, false)).toBe(count);
        expect(numbersAlike(rowsOf(reader, count))).toEqual(numbersAlike(expected.slice(0, count)));
        reader.close();
      }
    }),
  );
  fc.assert(property, { numRuns: 150, seed: 1 });
});

/** A safe integer may come back as a number or, in a column with larger ones, as a bigint. */
function numbersAlike(rows: readonly Row[]): Row[] {
  return rows.map((row) =>
    row.map((value, at) => (at === 2 && value !== null ? BigInt(value as number | bigint) : value)),
  );
}

test("the first rows of a key are those of an index walk", () => {
  withTable((transaction) => {
    const rows = Array.from({ length: 40 }, (_, i): Row => [i % 2, `row ${i} ${"x".repeat(i * 9)}`]);
    const rids = insert(transaction, rows.slice(0, 20));
    insert(transaction, rows.slice(20));
    const keyShape = rowShape(types.slice(0, 1));
    const lent = new LentRows(keyShape, pool);
    const reader = new RowReader(types, BLOCK_ROWS, pool, shape.specs);
    expect(reader.takesKeys).toBe(true);
    for (const [value, backward] of [
      [0, false],
      [1, true],
      [7, false],
    ] as const) {
      const key = must(lent.holdFew([new BoxedVector([value])], 1), "a narrow key");
      const range = { low: key.columns, lowInclusive: true, high: key.columns, highInclusive: true };
      const walked = new Uint32Array(BLOCK_ROWS);
      const count = transaction.indexRids(KEY, range, backward, walked);
      expect(reader.fetchByKey(transaction, KEY, key, backward, TABLE, ALL)).toBe(count);
      expect(reader.rids.subarray(0, count)).toEqual(walked.subarray(0, count));
      const expected = Array.from(walked.subarray(0, count), (rid) => rows[rid - (rids[0] as number)]?.[1]);
      expect(rowsOf(reader, count).map((row) => row[1])).toEqual(expected);
    }
    reader.close();
  });
});

test("a block that does not fit its shape is refused", () => {
  withTable((transaction) => {
    const { rows, shape: layout } = allocateBlock(shape.specs);
    const rids = new Uint32Array(1);
    const status = new Int32Array(4);
    const write = (memory: Uint8Array, of: Uint32Array): (() => unknown) => {
      return () => transaction.insertRows(TABLE, memory, of, 0, 1, rids, status);
    };
    expect(write(rows.subarray(0, rows.length - 8), layout)).toThrow("shorter than its shape");
    expect(write(rows.subarray(1), layout)).toThrow(/multiple of 8|shorter/);
    expect(write(rows, layout.slice(0, 4))).toThrow("bad shape");
    expect(write(rows, new Uint32Array(0))).toThrow("begins with its capacity");
    const ofUnknownKind = layout.slice();
    ofUnknownKind[1] = 77;
    expect(write(rows, ofUnknownKind)).toThrow("column kind 77");
    const tooLarge = layout.slice();
    tooLarge[4] = 0xffff_ffff;
    expect(write(rows, tooLarge)).toThrow("shorter than its shape");
  });
});

test("a statement starts in one call: transaction, locks, version and snapshot", () => {
  const transaction = session.begin("read committed", false);
  transaction.abort();
  const frame = new Float64Array(8);
  const start = (begins: number, version: number, lock: number): number => {
    frame.set([begins, version, 1, lock, 1]);
    return transaction.start(frame);
  };
  const version = engine.catalogVersion();
  expect(start(1, version, TABLE)).toBe(StatementStart.started);
  expect(transaction.hasWrites()).toBe(true);
  expect(start(0, version + 1, TABLE + 1)).toBe(StatementStart.catalogMoved);
  expect(engine.lockStatuses().map(({ objectId }) => objectId)).toEqual(
    expect.arrayContaining([TABLE, TABLE + 1]),
  );
  transaction.abort();
  // A cancel of the statement before is forgotten; one who is to end is not begun with.
  engine.cancelSession(session.processId, undefined);
  expect(start(6, version, TABLE)).toBe(StatementStart.started);
  expect(session.interrupt()).toBe(0);
  expect(() => start(6, version, TABLE)).toThrow("open transaction");
  transaction.abort();
  frame[StatementStart.lockCount] = 9;
  expect(() => transaction.start(frame)).toThrow("shorter than its locks");
  const other = engine.openSession(engine.openChannel(() => undefined));
  const ended = other.begin("read committed", false);
  ended.abort();
  engine.terminateSession(other.processId);
  frame.set([1, version, 0]);
  expect(ended.start(frame)).toBe(StatementStart.terminated);
  expect(ended.hasWrites()).toBe(false);
  other.close();
});
