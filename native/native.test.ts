// Every call of the contract once through the real addon: what goes in comes out, errors carry their SQLSTATE, misuse is
// refused. What the answers mean in depth is tested in Rust, beside the engine.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as native from "./index.ts";
import {
  type Channel,
  type ColumnBuffer,
  type Engine,
  type EngineSession,
  type EngineTransaction,
  type IndexRange,
  LockPolicy,
  RowLock,
  RowLockOutcome,
  SearchMode,
  SearchStat,
  type StorageKind,
  WriteReason,
  WriteStatus,
} from "./index.ts";

/** The addon's file, for code that cannot import index.ts. */
/** Delivered tokens: one that comes alone is a number. */
function all(tokens: readonly number[] | number): Iterable<number> {
  return typeof tokens === "number" ? [tokens] : tokens;
}

function addonPath(): string {
  const folder = fileURLToPath(new URL("./node/generated/", import.meta.url));
  return join(folder, readdirSync(folder).find((name) => name.endsWith(".node")) as string);
}

/** The code and other properties of what `body` throws. */
function thrown(body: () => unknown): Record<string, unknown> {
  try {
    body();
  } catch (error) {
    if (error instanceof Error)
      return { ...Object.fromEntries(Object.entries(error)), message: error.message };
  }
  throw new Error("nothing was thrown");
}

type Cell = boolean | number | bigint | string | readonly number[] | null;

/** A column buffer with room for `capacity` rows. */
function emptyColumn(kind: StorageKind, capacity: number, dim = 0, byteCapacity = 1024): ColumnBuffer {
  const memory = new ArrayBuffer(kind === "i64" ? capacity * 8 : 0);
  const values = {
    bool: () => new Uint8Array(capacity),
    i32: () => new Int32Array(capacity),
    i64: () => new Float64Array(memory),
    f64: () => new Float64Array(capacity),
    bytes: () => new Uint8Array(0),
    vector: () => new Float32Array(capacity * dim),
  }[kind]();
  return {
    kind,
    dim,
    values,
    wide: new BigInt64Array(memory),
    isWide: new Uint8Array(1),
    nulls: new Uint8Array(capacity),
    offsets: new Uint32Array(kind === "bytes" ? capacity + 1 : 0),
    bytes: new Uint8Array(kind === "bytes" ? byteCapacity : 0),
  };
}

/** A column with these values. */
function column(kind: StorageKind, cells: readonly Cell[], dim = 0): ColumnBuffer {
  const texts = cells.map((cell) => new TextEncoder().encode(typeof cell === "string" ? cell : ""));
  const byteCount = texts.reduce((sum, text) => sum + text.length, 0);
  const made = emptyColumn(kind, cells.length, dim, byteCount);
  const wide = cells.some((cell) => typeof cell === "bigint");
  made.isWide[0] = wide ? 1 : 0;
  let end = 0;
  cells.forEach((cell, row) => {
    made.nulls[row] = cell === null ? 1 : 0;
    if (kind === "bytes") {
      made.bytes.set(texts[row] as Uint8Array, end);
      end += (texts[row] as Uint8Array).length;
      made.offsets[row + 1] = end;
    } else if (Array.isArray(cell)) made.values.set(cell as number[], row * dim);
    else if (wide) made.wide[row] = BigInt((cell as bigint | number | null) ?? 0);
    else made.values[row] = Number(cell ?? 0);
  });
  return made;
}

/** The values of the first `count` rows. */
function cells(from: ColumnBuffer, count: number): Cell[] {
  return Array.from({ length: count }, (_, row): Cell => {
    if (from.nulls[row] === 1) return null;
    switch (from.kind) {
      case "bool":
        return from.values[row] === 1;
      case "bytes":
        return new TextDecoder().decode(from.bytes.subarray(from.offsets[row], from.offsets[row + 1]));
      case "vector":
        return [...from.values.subarray(row * from.dim, (row + 1) * from.dim)] as number[];
      case "i64":
        return from.isWide[0] === 1 ? (from.wide[row] as bigint) : (from.values[row] as number);
      default:
        return from.values[row] as number;
    }
  });
}

const everything: IndexRange = {
  low: undefined,
  lowInclusive: true,
  high: undefined,
  highInclusive: true,
  nulls: "all",
};

describe("tools", () => {
  test("distances are pgvector's", () => {
    const [a, b] = [new Float32Array([0, 3]), new Float32Array([4, 0])];
    expect(native.distance("l2", a, b)).toBe(5);
    expect(native.distance("ip", a, b)).toBe(-0);
    expect(native.distance("cosine", a, b)).toBe(1);
    expect(thrown(() => native.distance("l2", a, new Float32Array(3)))).toMatchObject({
      code: "22000",
      message: "different vector dimensions 2 and 3",
    });
    expect(native.simdName()).not.toBe("");
  });

  test("dup gives a descriptor of its own", () => {
    expect(native.dup(1)).toBeGreaterThan(2);
    expect(thrown(() => native.dup(100_000)).code).toBe("58000");
  });

  test("regular expressions count in UTF-16", () => {
    const regex = native.compileRegex("(é)(x)?|b", false);
    expect(regex.test("É")).toBe(false);
    expect(native.compileRegex("É", true).test("é")).toBe(true);
    expect(regex.exec("😀aé", 0)).toEqual(new Int32Array([3, 4, 3, 4, -1, -1]));
    expect(regex.exec("😀aéb", 4)).toEqual(new Int32Array([4, 5, -1, -1, -1, -1]));
    expect(regex.exec("q", 0)).toBeUndefined();
    expect(regex.exec("q", 5)).toBeUndefined();
    expect(thrown(() => native.compileRegex("(a", false))).toMatchObject({
      code: "2201B",
      message: "invalid regular expression: parentheses () not balanced",
    });
    expect(thrown(() => native.compileRegex("(?=a)", false)).code).toBe("0A000");
  });

  test("COPY data becomes columns", () => {
    const field = (kind: native.CopyFieldKind, name: string, dim = 0) => ({ kind, dim, name });
    const decoder = native.createCopyDecoder({
      format: "csv",
      fields: [
        field("bool", "a"),
        field("i32", "b"),
        field("i64", "c"),
        field("f64", "d"),
        field("text", "e"),
        field("vector", "f", 2),
        field("raw", "g"),
      ],
      delimiter: ",",
      nullString: "",
      header: true,
      quote: '"',
      escape: '"',
      forceNotNull: [6],
      forceNull: [],
    });
    const text = 'a,b,c,d,e,f,g\nt,1,9007199254740993,2.5,"é","[1,2]",\n,,,,,,2024-01-01\n';
    for (const byte of new TextEncoder().encode(text)) decoder.push(new Uint8Array([byte]));
    expect(decoder.rowCount()).toBe(2);
    const taken = decoder.take(10);
    expect([taken.rowCount, taken.line]).toEqual([2, 2]);
    expect(taken.columns.map((column) => cells(column, 2))).toEqual([
      [true, null],
      [1, null],
      [9007199254740993n, null],
      [2.5, null],
      ["é", null],
      [[1, 2], null],
      ["", "2024-01-01"],
    ]);
    const wrong = thrown(() => decoder.push(new TextEncoder().encode("t,x,,,,,\n")));
    expect(wrong).toMatchObject({ code: "22P02", line: 4, column: "b", value: "x" });
    decoder.finish();
  });
});

describe("engine", () => {
  let engine: Engine;
  let channel: Channel;
  let session: EngineSession;
  const waiting = new Map<number, () => void>();

  /** Resolves when the channel delivers the token; 0 is done at once. */
  function finished(token: number): Promise<void> {
    return token === 0 ? Promise.resolve() : new Promise((resolve) => waiting.set(token, resolve));
  }

  async function commit(transaction: EngineTransaction): Promise<void> {
    const token = transaction.commit(false);
    if (token === 0) return;
    await finished(token);
    transaction.commitResult();
  }

  async function transact<T>(body: (transaction: EngineTransaction) => T | Promise<T>): Promise<T> {
    const transaction = session.begin("read committed", false);
    transaction.beginStatement();
    try {
      const result = await body(transaction);
      await commit(transaction);
      return result;
    } catch (error) {
      transaction.abort();
      throw error;
    }
  }

  function insert(
    transaction: EngineTransaction,
    relation: number,
    columns: readonly ColumnBuffer[],
  ): Uint32Array {
    const count = (columns[0] as ColumnBuffer).nulls.length;
    const rids = new Uint32Array(count);
    const status = new Int32Array(4);
    expect(transaction.insertRows(relation, columns, undefined, 0, count, rids, status)).toBe(count);
    return rids;
  }

  const TABLE = 20_000;
  const KEY = 20_001;
  const GRAPH = 20_002;
  const TEXTS = 20_003;
  const kinds = ["i32", "bytes", "i64", "bool", "f64", "vector"] as const;
  const dims = [0, 0, 0, 0, 0, 3];
  const positions = new Uint16Array([0, 1, 2, 3, 4, 5]);
  const buffers = () => kinds.map((kind, at) => emptyColumn(kind, 16, dims[at]));
  const rows: readonly (readonly Cell[])[] = [
    [1, 2, 3, null],
    ["red apple", "green apple", "blue sky", null],
    [1, 2n ** 60n, 3, null],
    [true, false, true, null],
    [0.5, Number.NaN, -1, null],
    [[1, 0, 0], [0, 1, 0], [0, 0, 1], null],
  ];
  const columns = () => rows.map((cells, at) => column(kinds[at] as StorageKind, cells, dims[at]));
  let rids: Uint32Array;

  beforeAll(async () => {
    engine = native.openEngine({ path: undefined, poolThreads: 1 });
    channel = engine.openChannel((tokens) => {
      for (const token of all(tokens)) {
        waiting.get(token)?.();
        waiting.delete(token);
      }
    });
    session = engine.openSession(channel);
    rids = await transact(async (transaction) => {
      const specs = kinds.map((kind, at) => ({ kind, dim: dims[at] as number }));
      transaction.createRelation(TABLE, specs, false);
      const index = { relationId: TABLE, unique: false, nullsNotDistinct: false } as const;
      const key = { keyKind: "int", descending: false, nullsFirst: false } as const;
      const of = (position: number) => [{ ...key, column: position }];
      for (const spec of [
        { ...index, indexId: KEY, method: "btree", columns: of(0), unique: true },
        {
          ...index,
          indexId: GRAPH,
          method: "hnsw",
          columns: of(5),
          metric: "l2",
          dimensions: 3,
          m: 8,
          efConstruction: 32,
        },
        { ...index, indexId: TEXTS, method: "bm25", columns: of(1), textConfig: "english", k1: 1.2, b: 0.75 },
      ] as const) {
        const token = transaction.createIndex(spec, Number.MAX_SAFE_INTEGER, "");
        await finished(token);
        if (token > 0) transaction.indexResult();
      }
      return insert(transaction, TABLE, columns());
    });
  });

  afterAll(async () => {
    session.close();
    await finished(engine.shutdown());
    channel.close();
  });

  test("a scan gives back what was inserted", async () => {
    await transact((transaction) => {
      const scan = transaction.openScan(TABLE, positions, 0);
      const into = buffers();
      const found = new Uint32Array(16);
      const needed = new Float64Array(1);
      expect(scan.next(into, found, needed)).toBe(4);
      expect(into.map((column) => cells(column, 4))).toEqual(
        rows.map((cells, at) => (at === 2 ? [1n, 2n ** 60n, 3n, null] : cells)),
      );
      expect([...found.subarray(0, 4)]).toEqual([...rids]);
      expect(scan.next(into, found, needed)).toBe(0);
      scan.close();
      expect(thrown(() => scan.next(into, found, needed)).code).toBe("XX000");
    });
  });

  test("a bytes buffer that is too small says what it needs", async () => {
    await transact((transaction) => {
      const scan = transaction.openScan(TABLE, new Uint16Array([0, 1]), 0);
      const small = emptyColumn("bytes", 16, 0, 3);
      const needed = new Float64Array(1);
      const into = [emptyColumn("i32", 16), small];
      expect(scan.next(into, new Uint32Array(16), needed)).toBe(-2);
      expect(needed[0]).toBeGreaterThanOrEqual(28);
      small.bytes = new Uint8Array(needed[0] as number);
      expect(scan.next(into, new Uint32Array(16), needed)).toBe(4);
      scan.close();
    });
  });

  test("rows are fetched by id", async () => {
    await transact((transaction) => {
      const into = [emptyColumn("i32", 4)];
      const found = new Uint32Array(4);
      const wanted = new Uint32Array([99_999, rids[2] as number, rids[0] as number]);
      const only = new Uint16Array([0]);
      const count = transaction.fetchRows(
        TABLE,
        wanted,
        1,
        2,
        false,
        only,
        into,
        undefined,
        found,
        new Float64Array(1),
      );
      expect(count).toBe(2);
      expect(cells(into[0] as ColumnBuffer, 2)).toEqual([3, 1]);
      expect([...found.subarray(0, 2)]).toEqual([rids[2], rids[0]]);
      const inPlace = wanted.slice();
      expect(
        transaction.fetchRows(
          TABLE,
          inPlace,
          0,
          3,
          false,
          only,
          into,
          undefined,
          inPlace,
          new Float64Array(1),
        ),
      ).toBe(2);
      expect([...inPlace.subarray(0, 2)]).toEqual([rids[2], rids[0]]);
      expect(transaction.ridLimit(TABLE)).toBeGreaterThan(Math.max(...rids));
    });
  });

  test("index ranges walk, count and fill bitmaps", async () => {
    await transact((transaction) => {
      const range: IndexRange = { ...everything, low: [column("i32", [2])], nulls: "none" };
      const cursor = transaction.openIndexScan(KEY, range, true);
      const found = new Uint32Array(8);
      expect(cursor.next(found)).toBe(2);
      expect([...found.subarray(0, 2)]).toEqual([rids[2], rids[1]]);
      expect(cursor.next(found)).toBe(0);
      cursor.close();
      const bitmap = new Uint8Array(Math.ceil(transaction.ridLimit(TABLE) / 8));
      expect(transaction.indexBitmap(KEY, range, bitmap)).toBe(2);
      const isSet = (rid: number) => (((bitmap[rid >> 3] as number) >> (rid & 7)) & 1) === 1;
      expect([...rids].map(isSet)).toEqual([false, true, true, false]);
      const first = new Uint32Array(1);
      expect(transaction.indexRids(KEY, range, true, first)).toBe(1);
      expect(first[0]).toBe(rids[2]);
      const two = [column("i32", [2])];
      expect(transaction.indexRids(KEY, { ...range, low: two, high: two }, false, found)).toBe(1);
      expect(found[0]).toBe(rids[1]);
      expect(transaction.indexCount(KEY, everything, 100)).toBe(4);
      expect(transaction.indexCount(KEY, { ...everything, nulls: "only" }, 100)).toBe(1);
    });
  });

  test("the nearest of a range of keys are found in one call", async () => {
    await transact((transaction) => {
      const query = new Float32Array([0, 0.9, 0.1]);
      const found = new Uint32Array(2);
      const distances = new Float64Array(2);
      const stats = new Float64Array(SearchStat.size);
      const nearest = (range: IndexRange, most: number, wide = 0, sure = 0): number => {
        const limits = [most, wide, 3, sure, 0] as const;
        return transaction.nearestInRange(GRAPH, KEY, range, ...limits, query, 2, found, distances, stats);
      };
      const fromTwo: IndexRange = { ...everything, low: [column("i32", [2])], nulls: "none" };
      expect(nearest(fromTwo, 2)).toBe(2);
      expect([...found]).toEqual([rids[1], rids[2]]);
      expect(distances[0]).toBeCloseTo(native.distance("l2", query, new Float32Array([0, 1, 0])), 6);
      expect(stats[SearchStat.matching]).toBe(2);
      expect(nearest(fromTwo, 1)).toBe(-1);
      expect(nearest(fromTwo, 0, 3)).toBe(-1);
      // Asked of the nearest rows of all: two of the first three lie in the range, one of the first two.
      found.fill(0);
      expect(nearest(fromTwo, 0, 2, 3)).toBe(2);
      expect([...found]).toEqual([rids[1], rids[2]]);
      expect(stats[SearchStat.path]).toBe(3);
      expect(nearest(fromTwo, 0, 2, 1)).toBe(-3);
      const one = [column("i32", [1])];
      expect(nearest({ ...everything, low: one, high: one }, 2)).toBe(1);
      expect(found[0]).toBe(rids[0]);
      const none = [column("i32", [77])];
      expect(nearest({ ...everything, low: none, high: none }, 2)).toBe(0);
      expect(stats[SearchStat.matching]).toBe(0);
      // Rows of its own are not looked for there.
      const point = transaction.savepoint();
      const row = kinds.map((kind, at) => column(kind, [at === 0 ? 4 : null], dims[at]));
      insert(transaction, TABLE, row);
      expect(nearest(fromTwo, 9)).toBe(-2);
      transaction.rollbackTo(point);
    });
  });

  test("the nearest vectors come first", async () => {
    await transact((transaction) => {
      const query = new Float32Array([0, 0.9, 0.1]);
      const found = new Uint32Array(2);
      const distances = new Float64Array(2);
      const stats = new Float64Array(SearchStat.size);
      for (const mode of [SearchMode.auto, SearchMode.exact]) {
        const count = transaction.vectorSearch(
          GRAPH,
          query,
          2,
          40,
          undefined,
          0,
          mode,
          0,
          0,
          found,
          distances,
          stats,
        );
        expect(count).toBe(2);
        expect([...found]).toEqual([rids[1], rids[2]]);
        expect(distances[0]).toBeCloseTo(native.distance("l2", query, new Float32Array([0, 1, 0])), 6);
      }
      const filter = new Uint8Array(Math.ceil(transaction.ridLimit(TABLE) / 8));
      const only = rids[0] as number;
      filter[only >> 3] = 1 << (only & 7);
      const count = transaction.vectorSearch(
        GRAPH,
        query,
        2,
        40,
        filter,
        1,
        SearchMode.auto,
        0,
        0,
        found,
        distances,
        stats,
      );
      expect([count, found[0]]).toEqual([1, only]);
      const all = new Float64Array(4);
      transaction.vectorDistances(TABLE, 5, "f32", 3, "ip", rids, 4, query, all);
      expect([...all].map((value) => Math.round(value * 10) / 10)).toEqual([-0, -0.9, -0.1, Number.NaN]);
    });
  });

  test("texts are found and scored alike", async () => {
    await transact((transaction) => {
      const query = transaction.textQuery(TEXTS, "apples or the sky");
      expect([query.termCount, query.matchBound]).toEqual([2, 3]);
      const found = new Uint32Array(4);
      const scores = new Float64Array(4);
      const stats = new Float64Array(SearchStat.size);
      const count = transaction.textSearch(TEXTS, query, 4, undefined, SearchMode.auto, found, scores, stats);
      expect(count).toBe(3);
      expect(found[0]).toBe(rids[2]);
      const bitmap = new Uint8Array(Math.ceil(transaction.ridLimit(TABLE) / 8));
      expect(transaction.textBitmap(TEXTS, query, bitmap)).toBe(3);
      const again = new Float64Array(4);
      transaction.textScore(query, column("bytes", rows[1] as Cell[]), 4, again);
      expect(again[2]).toBe(scores[0]);
      expect(again[3]).toBe(0);
      query.close();
      expect(thrown(() => transaction.textBitmap(TEXTS, query, bitmap)).code).toBe("XX000");
    });
  });

  test("rows are locked, changed and deleted", async () => {
    await transact((transaction) => {
      const [row] = insert(
        transaction,
        TABLE,
        rows.map((_, at) => column(kinds[at] as StorageKind, [at === 0 ? 50 : null], dims[at])),
      );
      transaction.beginStatement();
      const rid = new Uint32Array([row as number]);
      const outcomes = new Uint8Array(1);
      const status = new Int32Array(4);
      const update = RowLock.update;
      expect(transaction.lockRows(TABLE, rid, 0, 1, update, LockPolicy.wait, outcomes, status)).toBe(1);
      expect(outcomes[0]).toBe(RowLockOutcome.locked);
      const changed = new Uint16Array([1]);
      expect(
        transaction.updateRows(TABLE, rid, changed, [column("bytes", ["new"])], undefined, 0, 1, status),
      ).toBe(1);
      transaction.beginStatement();
      const into = [emptyColumn("bytes", 1)];
      transaction.fetchRows(
        TABLE,
        rid,
        0,
        1,
        true,
        changed,
        into,
        undefined,
        new Uint32Array(1),
        new Float64Array(1),
      );
      expect(cells(into[0] as ColumnBuffer, 1)).toEqual(["new"]);
      transaction.deleteRows(TABLE, rid, 0, 1);
      transaction.beginStatement();
      expect(
        transaction.indexCount(KEY, { ...everything, low: [column("i32", [50])] }, 9),
      ).toBeLessThanOrEqual(1);
      expect(transaction.hasWrites()).toBe(true);
    });
  });

  test("a second row with the key is a conflict", async () => {
    const transaction = session.begin("read committed", false);
    transaction.beginStatement();
    const status = new Int32Array(4);
    const twice = rows.map((_, at) =>
      column(kinds[at] as StorageKind, at === 0 ? [60, 1] : [null, null], dims[at]),
    );
    expect(transaction.insertRows(TABLE, twice, undefined, 0, 2, new Uint32Array(2), status)).toBe(1);
    expect(status[WriteStatus.reason]).toBe(WriteReason.conflict);
    expect(status[WriteStatus.indexId]).toBe(KEY);
    expect(status[WriteStatus.conflictingRid]).toBe(rids[0]);
    transaction.abort();
  });

  test("a handle that has ended begins the next transaction, and no other does", async () => {
    const transaction = session.begin("read committed", false);
    expect(thrown(() => transaction.renew("read committed", false)).code).toBe("XX000");
    insert(
      transaction,
      TABLE,
      rows.map((_, at) => column(kinds[at] as StorageKind, at === 0 ? [70] : [null], dims[at])),
    );
    transaction.abort();
    transaction.renew("read committed", false);
    transaction.beginStatement();
    const [key] = [column("i32", [70])];
    const range: IndexRange = { low: [key], lowInclusive: true, high: [key], highInclusive: true };
    expect(transaction.indexRids(KEY, range, false, new Uint32Array(4))).toBe(0);
    await commit(transaction);
    expect(thrown(() => transaction.beginStatement()).code).toBe("XX000");
    transaction.renew("repeatable read", true);
    transaction.abort();
  });

  test("staged rows of a COPY go in as they are", async () => {
    const decoder = native.createCopyDecoder({
      format: "text",
      fields: [
        { kind: "vector", name: "v", dim: 3 },
        { kind: "i32", name: "a", dim: 0 },
        { kind: "text", name: "b", dim: 0 },
        { kind: "i64", name: "c", dim: 0 },
        { kind: "bool", name: "d", dim: 0 },
        { kind: "f64", name: "e", dim: 0 },
      ],
      delimiter: "\t",
      nullString: "\\N",
      header: false,
      quote: '"',
      escape: '"',
      forceNotNull: [],
      forceNull: [],
    });
    decoder.push(
      new TextEncoder().encode(
        "[1,2,3]\t80\tone\t9007199254740993\tt\t0.25\n\\N\t81\t\\N\t-5\tf\t\\N\n\\N\t1\t\\N\t1\tf\t1\n",
      ),
    );
    expect(decoder.stage()).toBe(3);
    expect(decoder.rowCount()).toBe(0);
    expect([0, 1, 2, 3, 4, 5].map((field) => decoder.stagedNull(field))).toEqual([
      true,
      false,
      true,
      false,
      false,
      true,
    ]);
    expect(decoder.staged().rowCount).toBe(3);
    const fields = new Uint16Array([1, 2, 3, 4, 5, 0]);
    const transaction = session.begin("read committed", false);
    transaction.beginStatement();
    const status = new Int32Array(4);
    const found = new Uint32Array(3);
    expect(transaction.insertDecoded(TABLE, decoder, fields, 0, 3, found, status)).toBe(2);
    // The third row has the key of a row that was there before.
    expect(status[WriteStatus.reason]).toBe(WriteReason.conflict);
    expect(status[WriteStatus.conflictingRid]).toBe(rids[0]);
    transaction.beginStatement();
    const into = buffers();
    const needed = new Float64Array(1);
    expect(
      transaction.fetchRows(
        TABLE,
        found,
        0,
        2,
        false,
        positions,
        into,
        undefined,
        new Uint32Array(2),
        needed,
      ),
    ).toBe(2);
    expect(into.map((column) => cells(column, 2))).toEqual([
      [80, 81],
      ["one", null],
      [9007199254740993n, -5n],
      [true, false],
      [0.25, null],
      [[1, 2, 3], null],
    ]);
    const tooFar = new Uint16Array([1, 2, 3, 4, 5, 6]);
    expect(thrown(() => transaction.insertDecoded(TABLE, decoder, tooFar, 0, 1, found, status)).code).toBe(
      "XX000",
    );
    transaction.abort();
  });

  test("savepoints undo", async () => {
    await transact((transaction) => {
      const savepoint = transaction.savepoint();
      insert(
        transaction,
        TABLE,
        rows.map((_, at) => column(kinds[at] as StorageKind, [at === 0 ? 70 : null], dims[at])),
      );
      transaction.rollbackTo(savepoint);
      transaction.release(savepoint);
      transaction.beginStatement();
      const range: IndexRange = { ...everything, low: [column("i32", [70])], nulls: "none" };
      expect(transaction.openIndexScan(KEY, range, false).next(new Uint32Array(4))).toBe(0);
    });
  });

  test("a waiting lock is delivered through the channel", async () => {
    const other = engine.openSession(channel);
    const holder = session.begin("read committed", false);
    const waiter = other.begin("read committed", false);
    expect(holder.lockRelation(TABLE, 8, LockPolicy.wait)).toBe(0);
    expect(waiter.lockRelation(TABLE, 1, LockPolicy.nowait)).toBe(-1);
    const token = waiter.lockRelation(TABLE, 1, LockPolicy.wait);
    expect(token).toBeGreaterThan(0);
    const granted = finished(token);
    holder.abort();
    await granted;
    expect(waiter.lockRelation(TABLE, 1, LockPolicy.wait)).toBe(0);
    waiter.abort();
    other.close();
  });

  test("cancelling wakes a wait with 57014", async () => {
    const other = engine.openSession(channel);
    const holder = session.begin("read committed", false);
    const waiter = other.begin("repeatable read", true);
    holder.lockRelation(TABLE, 8, LockPolicy.wait);
    const woken = finished(waiter.lockRelation(TABLE, 1, LockPolicy.wait));
    expect(engine.cancelSession(other.processId, other.secretKey + 1)).toBe(false);
    expect(engine.cancelSession(other.processId, other.secretKey)).toBe(true);
    await woken;
    expect(other.interrupt()).toBe(1);
    expect(thrown(() => waiter.lockRelation(TABLE, 1, LockPolicy.wait)).code).toBe("57014");
    other.clearCancel();
    expect(other.interrupt()).toBe(0);
    waiter.abort();
    holder.abort();
    expect(engine.terminateSession(other.processId)).toBe(true);
    expect(other.interrupt()).toBe(2);
    other.close();
    expect(engine.terminateSession(other.processId)).toBe(false);
  });

  test("advisory locks belong to a session", () => {
    const other = engine.openSession(channel);
    expect(session.advisoryLock(7n, -1, false, false, false)).toBe(0);
    expect(other.advisoryLock(7n, -1, false, false, true)).toBe(-1);
    expect(other.advisoryLock(7n, 3, true, false, true)).toBe(0);
    expect(other.advisoryUnlock(7n, -1, false)).toBe(false);
    expect(session.advisoryUnlock(7n, -1, false)).toBe(true);
    expect(thrown(() => session.advisoryLock(2n ** 63n, -1, false, false, true)).code).toBe("XX000");
    other.advisoryUnlockAll();
    other.close();
  });

  test("sequences count", async () => {
    const sequenceId = 20_100;
    await transact((transaction) => {
      const limits = { min: 1n, max: 2n ** 63n - 1n, cycle: false, temporary: false };
      transaction.createSequence({ sequenceId, start: 5n, increment: 2n, ...limits });
      expect(transaction.sequenceNext(sequenceId)).toBe(5n);
      expect(transaction.sequenceNext(sequenceId)).toBe(7n);
      expect(transaction.sequenceState(sequenceId)).toEqual({ lastValue: 7n, isCalled: true });
      transaction.sequenceSet(sequenceId, 100n, false);
      expect(transaction.sequenceNext(sequenceId)).toBe(100n);
      transaction.dropSequence(sequenceId);
    });
  });

  test("catalogue entries are published on commit", async () => {
    await transact((transaction) => transaction.catalogPut("table/0", "first", false));
    const before = engine.catalogVersion();
    await transact((transaction) => {
      transaction.catalogPut("table/20000", '{"name":"é"}', false);
      transaction.catalogPut("table/1", "x", false);
      expect(engine.catalogVersion()).toBe(before);
    });
    await transact((transaction) => transaction.catalogPut("table/1", undefined, false));
    const { version, changes } = engine.catalogChanges(before);
    expect(version).toBe(engine.catalogVersion());
    expect(changes).toContainEqual({ key: "table/20000", value: '{"name":"é"}' });
    expect(changes.find((change) => change.key === "table/1" && change.value === undefined)).toBeDefined();
    expect(engine.catalogChanges(0).changes.map((change) => change.key)).toContain("table/20000");
    const oid = engine.allocateOid();
    expect(engine.allocateOid()).toBeGreaterThan(oid);
  });

  test("relations gain columns and go", async () => {
    await transact((transaction) => {
      transaction.createRelation(20_200, [{ kind: "i32", dim: 0 }], true);
      insert(transaction, 20_200, [column("i32", [1, 2])]);
      transaction.beginStatement();
      transaction.addColumn(20_200, { kind: "bytes", dim: 0 }, column("bytes", ["x"]));
      const into = [emptyColumn("bytes", 4)];
      const scan = transaction.openScan(20_200, new Uint16Array([1]), 0);
      expect(scan.next(into, new Uint32Array(4), new Float64Array(1))).toBe(2);
      expect(cells(into[0] as ColumnBuffer, 2)).toEqual(["x", "x"]);
      scan.close();
      transaction.dropRelation(20_200);
    });
    await transact((transaction) => transaction.dropIndex(TEXTS));
  });

  test("statistics and checkpoints answer", async () => {
    expect(engine.relationStatistics(TABLE).rowCount).toBeGreaterThanOrEqual(4);
    expect(engine.indexStatistics(KEY).entryCount).toBeGreaterThanOrEqual(4);
    expect(engine.buildProgress()).toEqual([]);
    await finished(engine.checkpoint());
  });

  test("misuse is refused before memory is touched", async () => {
    await transact((transaction) => {
      const rid = new Uint32Array(4);
      const status = new Int32Array(4);
      const message = (body: () => unknown) => {
        const error = thrown(body);
        expect(error.code).toBe("XX000");
        return error.message;
      };
      expect(
        message(() =>
          transaction.insertRows(TABLE, columns(), undefined, 0, 4, new Int32Array(4) as never, status),
        ),
      ).toBe("rids must be a Uint32Array");
      expect(message(() => transaction.deleteRows(TABLE, rid, 3, 2))).toBe("rids is shorter than 3 + 2");
      const shared = new ArrayBuffer(32);
      const overlapping = [new Uint32Array(shared, 0, 4), new Uint8Array(shared, 12, 4)] as const;
      expect(
        message(() => transaction.lockRows(TABLE, overlapping[0], 0, 4, 0, 0, overlapping[1], status)),
      ).toContain("shares memory");
      expect(message(() => transaction.lockRelation(TABLE, 9, 0))).toContain("table lock modes");
      expect(
        message(() => transaction.insertRows(TABLE, undefined as never, undefined, 0, 1, rid, status)),
      ).toContain("array");
      expect(message(() => transaction.openScan(TABLE, [0] as never, 0))).toBe(
        "columns must be a Uint16Array",
      );
    });
    expect(() => native.openEngine({ path: undefined })).toThrow("already open");
  });

  test("another thread attaches, and its locks go when it dies", async () => {
    const worker = new Worker(
      `const { parentPort, workerData } = require("node:worker_threads");
       const native = require(workerData);
       if (require(workerData) !== native) throw new Error("loaded twice");
       const engine = native.attachEngine();
       const session = engine.openSession(engine.openChannel(() => {}));
       const transaction = session.begin("read committed", false);
       parentPort.postMessage(transaction.lockRelation(${TABLE}, 8, 0));
       setInterval(() => transaction.hasWrites(), 1000);`,
      { eval: true, workerData: addonPath() },
    );
    const [locked] = await new Promise<unknown[]>((resolve, reject) => {
      worker.once("message", (...message) => resolve(message));
      worker.once("error", reject);
    });
    expect(locked).toBe(0);
    const transaction = session.begin("read committed", false);
    const token = transaction.lockRelation(TABLE, 1, LockPolicy.wait);
    expect(token).toBeGreaterThan(0);
    const granted = finished(token);
    await worker.terminate();
    await granted;
    expect(transaction.lockRelation(TABLE, 1, LockPolicy.wait)).toBe(0);
    transaction.abort();
  });
});

test("a process ends by itself once its channels are closed", () => {
  const script = `
    const native = require(process.argv[1]);
    const engine = native.openEngine({ path: undefined, poolThreads: 1 });
    const channel = engine.openChannel((tokens) => channel.close());
    if (engine.shutdown() === 0) channel.close();`;
  execFileSync(process.execPath, ["-e", script, addonPath()], { timeout: 10_000 });
});

describe("a folder", () => {
  test("keeps what was committed and is let go on shutdown", async () => {
    const path = mkdtempSync(join(tmpdir(), "omendb-native-"));
    try {
      for (const expected of [0, 3, 6]) {
        const engine = native.openEngine({ path, poolThreads: 1 });
        const waiting = new Map<number, () => void>();
        const channel = engine.openChannel((tokens) => {
          for (const token of all(tokens)) waiting.get(token)?.();
        });
        const finished = (token: number) =>
          token === 0 ? Promise.resolve() : new Promise<void>((resolve) => waiting.set(token, resolve));
        const session = engine.openSession(channel);
        const transaction = session.begin("read committed", false);
        transaction.beginStatement();
        if (expected === 0) transaction.createRelation(20_000, [{ kind: "bytes", dim: 0 }], false);
        const scan = transaction.openScan(20_000, new Uint16Array([0]), 0);
        const found = scan.next([emptyColumn("bytes", 16)], new Uint32Array(16), new Float64Array(1));
        scan.close();
        expect(found).toBe(expected);
        const three = column("bytes", ["a", "b", null]);
        transaction.insertRows(20_000, [three], undefined, 0, 3, new Uint32Array(3), new Int32Array(4));
        const token = transaction.commit(false);
        await finished(token);
        if (token > 0) transaction.commitResult();
        session.close();
        await finished(engine.shutdown());
        channel.close();
      }
    } finally {
      rmSync(path, { recursive: true });
    }
  });
});
