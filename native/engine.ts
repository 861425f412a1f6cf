// The engine as TypeScript sees it: the contract of the Rust addon, in the words of both sides.
//
// What crosses: numbers, typed arrays, handles. What does not: objects per row, number[], callbacks per row, JSON per row.
// Ownership: every typed array belongs to JavaScript; Rust borrows it for the call and copies what it keeps. Nothing the
// engine owns is ever mapped into JavaScript.
//
// Waiting: no call blocks the event loop (with one exception that a thread has to ask for: openChannel's `syncsAlone`). A call that would have to wait (row lock, table lock, log sync, index build)
// returns a wait token (> 0); the channel of the worker delivers the token when the wait is over and the caller repeats the
// call (locks) or asks for the result (commit, index build). Deadlocks are looked for when the waiter asks
// (EngineSession.checkDeadlock, after deadlock_timeout). A cancelled or deadlocked wait is delivered too; the
// repeated call then throws 57014 or 40P01. 0 always means "done at once".
//
// Errors: thrown `Error` objects whose `code` is the SQLSTATE; constraint failures name `relationId`, `indexId`
// and, where an index cannot be built, the `rid` of a duplicate.
//
// Row ids (rid) are dense u32 per relation, given at INSERT, stable over UPDATE, never reused while a snapshot can see them.
// Bitmaps hold one bit per rid, least significant bit first: bit rid & 7 of byte rid >> 3.

import type { KeyKind as ValueKeyKind } from "../common/types/type.ts";

/** How a column is stored; several SQL types share one (see `common/types`). */
export type StorageKind = "bool" | "i32" | "i64" | "f64" | "bytes" | "vector";

/**
 * How an index column is ordered, where the storage kind alone does not say. A `guard` is no part of the key: a bool column
 * after the key columns of a btree; rows where it is not true have no entry (a partial index).
 */
export type KeyKind = ValueKeyKind | "guard";

/**
 * One column of up to `capacity` rows, owned by JavaScript and reused between calls.
 * `values` by kind: bool Uint8Array, i32 Int32Array, i64 Float64Array, f64 Float64Array, vector Float32Array (rows x dim,
 * row-major), bytes: empty. `wide` views the same memory as `values` for i64.
 */
export interface ColumnBuffer {
  readonly kind: StorageKind;
  /** Words of a vector (VectorForm); 0 for other kinds. */
  readonly dim: number;
  readonly values: Uint8Array | Int32Array | Float64Array | Float32Array;
  /** i64 only: the same bytes seen as int64. When `isWide[0]` is 1 a value needed more than 53 bits and only this view is valid. */
  readonly wide: BigInt64Array;
  readonly isWide: Uint8Array;
  /** One byte a row, 1 = NULL. The value under a NULL is unspecified. */
  readonly nulls: Uint8Array;
  /** bytes only: `rowCount + 1` offsets into `bytes`. */
  readonly offsets: Uint32Array;
  /** bytes only. */
  bytes: Uint8Array;
}

/**
 * Columns of a few rows in one piece of memory, for calls that do little work: two arrays cross for any number of columns,
 * where each ColumnBuffer costs the engine half a dozen property reads. `columns` are views of the memory for JavaScript.
 *
 * `shape` is [capacity, kind, room, kind, room, ...], a pair a column: its number in BlockKind; words of a vector's row, bytes
 * of a bytes column, 0 for others. The memory, which begins at a multiple of 8 bytes, holds column after column, each part
 * rounded up to 8 bytes: 8 bytes of which the first is isWide; a byte of nulls a row; the values, as in ColumnBuffer (bytes:
 * capacity + 1 offsets, then the room).
 */
export interface RowBlock {
  readonly rows: Uint8Array;
  readonly shape: Uint32Array;
  readonly columns: readonly ColumnBuffer[];
}

/** Kinds of columns in the shape of a block. */
export const BlockKind: Readonly<Record<StorageKind, number>> = {
  bool: 0,
  i32: 1,
  i64: 2,
  f64: 3,
  bytes: 4,
  vector: 5,
};

/** Rows as calls take them: a ColumnBuffer for each column with no shape, or the memory of a block with its shape. */
export interface StoredRows {
  readonly rows: readonly ColumnBuffer[] | Uint8Array;
  readonly shape: Uint32Array | undefined;
}

export interface ColumnSpec {
  readonly kind: StorageKind;
  readonly dim: number;
  /** Of a vector: a row keeps 1 + 2n of its `dim` words, n being the first, as an integer (form "sparse"). */
  readonly isCounted?: boolean;
}

export interface IndexColumnSpec {
  /** Position of the column in the relation, from 0. */
  readonly column: number;
  readonly keyKind: KeyKind;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
}

/** l1 of numbers too; hamming and jaccard of bits only. */
export type Metric = "l2" | "ip" | "cosine" | "l1" | "hamming" | "jaccard";

/**
 * What the 32-bit words of a vector column's rows are: floats, halves (two to a word), bits (in pairs of words) or sparse
 * vectors (how many elements, at most 1000; their indices from 0, ascending; their values; zeros). Only indexes and
 * distances ask; to the column a row is `dim` words, moved as bits.
 */
export type VectorForm = "f32" | "f16" | "bits" | "sparse";

/** What an hnsw index keeps of each vector for its traversals, beside the stored one that decides. */
export type Quantization = "none" | "f16" | "sq8" | "rabitq" | "bq" | "pq";

export interface IndexSpec {
  readonly indexId: number;
  readonly relationId: number;
  readonly method: "btree" | "hnsw" | "bm25";
  readonly columns: readonly IndexColumnSpec[];
  readonly unique: boolean;
  readonly nullsNotDistinct: boolean;
  /** hnsw only. */
  readonly m?: number;
  readonly efConstruction?: number;
  readonly metric?: Metric;
  readonly form?: VectorForm;
  /** Elements of a vector. */
  readonly dimensions?: number;
  readonly quantization?: Quantization;
  /** How many times k of the best codes the stored vectors decide among; 0 = as the kind of code needs. */
  readonly rerank?: number;
  /** bm25 only. */
  readonly textConfig?: "english" | "simple";
  readonly k1?: number;
  readonly b?: number;
}

export interface SequenceSpec {
  readonly sequenceId: number;
  readonly start: bigint;
  readonly increment: bigint;
  readonly min: bigint;
  readonly max: bigint;
  readonly cycle: boolean;
  readonly temporary: boolean;
}

/** A range of a btree index. Bounds are one-row columns for a prefix of the index columns; NULL bounds match nothing. */
export interface IndexRange {
  readonly low: readonly ColumnBuffer[] | undefined;
  readonly lowInclusive: boolean;
  readonly high: readonly ColumnBuffer[] | undefined;
  readonly highInclusive: boolean;
  /** When low = high = undefined: 'all', or only the entries whose first column is (not) NULL. */
  readonly nulls?: "all" | "only" | "none";
}

export type Isolation = "read committed" | "repeatable read" | "serializable";

/** Row lock strengths in PostgreSQL's order. */
export const RowLock = { keyShare: 0, share: 1, noKeyUpdate: 2, update: 3 } as const;
/** What to do when a lock is held: wait (a token comes back), fail with 55P03, or skip the row. */
export const LockPolicy = { wait: 0, nowait: 1, skip: 2 } as const;
/** Outcome of lockRows per row, in the `outcomes` array. */
export const RowLockOutcome = {
  /** Locked; the version seen by the statement is the newest. */
  locked: 0,
  /** Locked, but a newer version was committed since: READ COMMITTED re-evaluates on it (fetch with `newest`). */
  changed: 1,
  /** Deleted by a concurrent transaction: the statement goes on without the row. */
  gone: 2,
  /** LockPolicy.skip and held by somebody else. */
  skipped: 3,
} as const;

/** What lookupKeys gives for a key that no row has. */
export const NO_ROW = 0xffffffff;

/** Slots of the `status` array of the write calls. */
export const WriteStatus = {
  /** status[reason]: why fewer rows than asked were done. */
  reason: 0,
  /** reason conflict: the unique index; */
  indexId: 1,
  /** and the row that is in the way (a committed row or one of this transaction). */
  conflictingRid: 2,
  /** reason wait: the token. */
  token: 3,
} as const;
export const WriteReason = { done: 0, conflict: 1, wait: 2 } as const;

/**
 * Slots of the frame of EngineTransaction.start, and its answers beside a wait token (> 0): then the locks before the one
 * that is waited for were granted, as many as the slot `lockCount` says.
 */
export const StatementStart = {
  /** In: 0 = goes on in the open transaction; else one begins: 1, 2, 3 by isolation level, + 4 where it is read-only. */
  begins: 0,
  /** In: the catalogue version that the statement's plan is right for. */
  catalogVersion: 1,
  /** In: table locks wanted. */
  lockCount: 2,
  /** In: relation and mode of each. */
  firstLock: 3,
  started: 0,
  /** The transaction has begun and the locks are held, but the plan may be old: no statement has begun. */
  catalogMoved: -1,
  /** The session was told to end: nothing was done. */
  terminated: -2,
} as const;

export interface EngineOptions {
  /** Data folder; undefined = in memory, nothing survives. */
  readonly path: string | undefined;
  /** Number of threads of the native pool; default cores - 1, at least 1. */
  readonly poolThreads?: number;
  /** Memory for rows that lie in no chunk file yet, in bytes; default 128 MB. Less means more checkpoints. */
  readonly bufferBytes?: number;
}

export interface RelationStatistics {
  /** Live committed rows. */
  readonly rowCount: number;
  /** Row versions that have ended and are still here. */
  readonly deadCount: number;
  /** Row versions given back since the table was loaded. */
  readonly reclaimedCount: number;
  readonly sizeBytes: number;
  readonly chunkCount: number;
  /** Runs of VACUUM, and those of the engine itself that found something, since the table was loaded; */
  readonly vacuums: number;
  /** when the last ended, in milliseconds since 1970, 0 = never. */
  readonly lastVacuum: number;
  readonly collections: number;
  readonly lastCollection: number;
}

export interface IndexStatistics {
  readonly entryCount: number;
  readonly sizeBytes: number;
  /** hnsw: vectors already linked into the graph; the rest is searched exactly. */
  readonly linkedCount: number;
  /** hnsw, bm25: dead vectors or documents given back since the index was loaded. */
  readonly reclaimedCount: number;
}

/** One lock held or waited for, as pg_locks shows it. */
export interface LockStatus {
  /** "writers": a wait for those who write a relation to end their transactions. */
  readonly kind: "relation" | "writers" | "row" | "key" | "advisory";
  /** Relation (a table's oid; row locks: its storage id), index, or the first half of an advisory key; */
  readonly objectId: number;
  /** row id, key hash, or the second half of an advisory key. */
  readonly subId: number;
  /** Advisory: a key of 64 bits rather than two of 32. */
  readonly isWide: boolean;
  readonly processId: number;
  /** Table lock mode 1 .. 8; for rows RowLock. */
  readonly mode: number;
  readonly isGranted: boolean;
  /** Milliseconds since 1970; only where it waits. */
  readonly waitStart?: number;
}

/** A backup, with bytes of the copy; `processId` is of the session that asked for it. */
export interface BackupProgress {
  readonly processId: number;
  readonly phase: string;
  readonly done: number;
  readonly total: number;
}

/** A VACUUM of the session `processId`. */
export interface VacuumProgress {
  readonly processId: number;
  readonly relationId: number;
  readonly phase: string;
  /** Chunks to look at, looked at, and rewritten. */
  readonly chunks: number;
  readonly scanned: number;
  readonly rewritten: number;
  /** Dead row versions there were when it began, and those taken out of the indexes. */
  readonly dead: number;
  readonly dropped: number;
}

export interface BuildProgress {
  readonly indexId: number;
  readonly relationId: number;
  /** The session that builds. */
  readonly processId: number;
  /** What createIndex or beginIndex was given. */
  readonly label: string;
  readonly phase: string;
  readonly done: number;
  readonly total: number;
}

/** Memory that building a graph takes, vectors not included. */
export interface IndexMemory {
  /** The graph itself and what it is built with at least. */
  readonly leastBytes: number;
  /** Codes that live as long as the build. */
  readonly codeBytes: number;
}

/** One committed catalogue change: `value` undefined = removed. */
export interface CatalogChange {
  readonly key: string;
  readonly value: string | undefined;
}

/** One per process; the main thread opens it, workers attach to the same one. */
export interface Engine {
  /**
   * A channel delivers finished wait tokens to one worker thread, in batches; one that comes alone as a number.
   * `syncsAlone`: while the thread has one session it waits itself for the disk when that session commits. Nobody else is
   * there to wait for the thread, and the hand-over costs a lone client two wake-ups a commit.
   */
  openChannel(deliver: (tokens: readonly number[] | number) => void, syncsAlone?: boolean): Channel;
  /** Registers a session: process id and cancel key live here so that any worker can serve a CancelRequest. */
  openSession(channel: Channel): EngineSession;
  /** Sets the cancel flag of a session and wakes its wait; false when no such session or the secret is wrong. */
  cancelSession(processId: number, secretKey: number | undefined): boolean;
  /** As cancel, but the session ends with 57P01. */
  terminateSession(processId: number): boolean;
  /** Process ids of the open sessions. */
  sessionIds(): Uint32Array;
  /** Whom a session waits for. */
  blockingSessions(processId: number): Uint32Array;
  lockStatuses(): readonly LockStatus[];
  /** Next object id, never given twice, also after a crash. */
  allocateOid(): number;
  /** Committed catalogue version; changes whenever a catalogue commit is published. */
  catalogVersion(): number;
  /** Committed changes after `version` in commit order (from 0: the whole catalogue, one change per live key). */
  catalogChanges(version: number): { readonly version: number; readonly changes: readonly CatalogChange[] };
  relationStatistics(relationId: number): RelationStatistics;
  indexStatistics(indexId: number): IndexStatistics;
  /** Its entryCount alone, which every search asks for. */
  indexEntryCount(indexId: number): number;
  /** Builds in the pool, and those of beginIndex until their transaction ends. */
  buildProgress(): readonly BuildProgress[];
  /** Writes a checkpoint now (KV, vector segments, graph and text files, log recycling). Returns a wait token. */
  checkpoint(): number;
  /** VACUUMs that are asked for or under way. */
  vacuumProgress(): readonly VacuumProgress[];
  /** Backups that are asked for or being written. */
  backupProgress(): readonly BackupProgress[];
  /** Flushes, writes a clean checkpoint and stops the pool. Every session must be closed. Returns a wait token. */
  shutdown(): number;
}

export interface Channel {
  /**
   * Keeps commits of the channel's sessions from the log until releaseCommits(): a thread about to serve several sessions in a
   * row has their commits written and synced together. For the time of a turn of its event loop.
   */
  holdCommits(): void;
  releaseCommits(): void;
  close(): void;
}

export interface EngineSession {
  readonly processId: number;
  readonly secretKey: number;
  /** 0 none, 1 cancel requested, 2 terminate requested. Cheap: polled once per batch. */
  interrupt(): number;
  /** Forgets a cancel that came too late. */
  clearCancel(): void;
  /** 0 granted, -1 not available (tryOnly), else a wait token (repeat the call). Transaction scope needs an open transaction. */
  advisoryLock(
    key: bigint,
    classId: number,
    shared: boolean,
    transactionScope: boolean,
    tryOnly: boolean,
  ): number;
  /** false when the session does not hold it. `classId` -1: one-key space; otherwise the two-key space (classId, key). */
  advisoryUnlock(key: bigint, classId: number, shared: boolean): boolean;
  advisoryUnlockAll(): void;
  /**
   * Looks for a circle of waits through this session's wait. If there is one the wait ends: its token is delivered and the
   * repeated call throws 40P01.
   */
  checkDeadlock(): boolean;
  /**
   * Gives back what no snapshot sees of a table, and rewrites its chunks with many dead rows; `full`: with any. Returns a wait
   * token.
   */
  vacuum(relationId: number, full: boolean): number;
  /**
   * Copies the database as of one commit into the folder `path`, new or empty. Returns a wait token; an interrupt of the
   * session ends the copy. 0A000 in memory.
   */
  backup(path: string): number;
  /** The commit number the copy is of, once the token is delivered; throws why there is none (58P02: not empty). */
  backupResult(token: number): number;
  /** At most one open transaction per session. */
  begin(isolation: Isolation, readOnly: boolean): EngineTransaction;
  /** Aborts what is open, releases locks, drops temporary relations and their catalogue entries. */
  close(): void;
}

/** A btree walk in key order; gives rids visible to the statement, keys rechecked. */
export interface IndexCursor {
  /** Fills `rids`; returns the count. Fewer than `rids` takes = the end. */
  next(rids: Uint32Array): number;
  close(): void;
}

/** A full scan in row-id order of chunks, own rows last. */
export interface ScanCursor {
  /**
   * Fills one batch (at most 4,096 rows and at most the buffers' capacity); returns the row count, 0 at the end. When a
   * `bytes` buffer is too small nothing is consumed, the call returns -(position in columns + 1) and `needed[0]` is the
   * size wanted.
   */
  next(buffers: readonly ColumnBuffer[], rids: Uint32Array, needed: Float64Array): number;
  close(): void;
}

/** Query terms with the statistics (N, average length, document frequencies) captured when it was made. */
export interface TextQuery {
  readonly termCount: number;
  /** Sum of document frequencies in the newest state: no bound for a transaction with rows or a snapshot of its own. */
  readonly matchBound: number;
  close(): void;
}

/** Why and how a search ran, for EXPLAIN ANALYZE; slots of the `stats` array. */
export const SearchStat = {
  /** 0 graph, 1 graph then exact, 2 exact, 3 graph then filter (text: 0 pruned, 2 exhaustive). */
  path: 0,
  visited: 1,
  distances: 2,
  /** Fresh rows searched outside the graph or segments. */
  tail: 3,
  /** Posting blocks read / skipped (text). */
  blocksRead: 4,
  blocksSkipped: 5,
  /** nearestInRange, exactly: visible rows of the range. */
  matching: 6,
  /** Width of the graph's beam; what it had got to where it stopped by itself; 0 without a graph. */
  beam: 7,
  /** How much farther than the last wanted row a beam looked that stopped by itself, as a share; 0 where none did. */
  slack: 8,
  /** Under a wanted recall, what such searches were measured to find; 0 where none was measured. */
  recall: 9,
  size: 10,
} as const;

export const SearchMode = { auto: 0, graph: 1, exact: 2 } as const;

export interface EngineTransaction {
  /** As EngineSession.begin, under the handle of a transaction of the session that has ended: no object is made. */
  renew(isolation: Isolation, readOnly: boolean): void;
  /**
   * What begins a planned statement, in one call: forgets a cancel that came too late, begins the transaction where `frame`
   * says so (as renew), takes the table locks in their order, compares the catalogue's version, and begins the statement (as
   * beginStatement). Stops before the first of these that cannot be done at once. See StatementStart.
   */
  start(frame: Float64Array): number;
  /** Starts a statement: READ COMMITTED takes a new snapshot; the command number moves so that a statement does not see its own writes. */
  beginStatement(): void;
  /**
   * SERIALIZABLE READ ONLY DEFERRABLE, before the first statement: waits for a snapshot on which no anomaly can be seen. 0 =
   * taken (or of no meaning for this transaction), else a token: repeat the call.
   */
  safeSnapshot(): number;
  /**
   * As beginStatement, but sees the newest committed rows under REPEATABLE READ too, until the next beginStatement: foreign
   * keys must not miss referencing rows that the snapshot does not hold.
   */
  beginCheck(): void;
  savepoint(): number;
  /** Undoes everything since the savepoint, which stays. */
  rollbackTo(savepoint: number): void;
  release(savepoint: number): void;
  /**
   * 0 = committed; else a token, after which commitResult() returns or throws. The handle is dead afterwards. `asynchronous`:
   * acknowledged once it is visible, durable within 200 ms.
   */
  commit(asynchronous: boolean): number;
  /**
   * As commit, with the answer to the client: once the commit is durable and visible (acknowledged, if asynchronous), the first
   * `count` of `bytes` are sent to `socket`, of which nothing else may wait to be sent: in this call, or as the thread wakes,
   * before any of its tokens is delivered. Below zero: it is committed, and so many bytes are sent; with a token
   * commitResult() says how many. What is left, because of a full socket or a broken connection, is the caller's to send.
   * Nothing is sent when the commit fails. `bytes` are copied.
   */
  commitAndAnswer(
    asynchronous: boolean,
    sockets: ClientSockets,
    socket: number,
    bytes: Uint8Array,
    count: number,
  ): number;
  /** Bytes of the answer that are sent: 0 for commit(). */
  commitResult(): number;
  abort(): void;
  /** True once something was written or locked. */
  hasWrites(): boolean;

  // Locks
  /** PostgreSQL's table lock modes 1 (ACCESS SHARE) .. 8 (ACCESS EXCLUSIVE). 0 granted, -1 not available, else a token. */
  lockRelation(objectId: number, mode: number, policy: number): number;
  /**
   * Locks rows in order and says per row what was found. Returns how many were done; fewer than `count` means
   * `status[WriteStatus.token]` holds a wait token: repeat from there. REPEATABLE READ and SERIALIZABLE throw 40001 on a
   * changed row.
   */
  lockRows(
    relationId: number,
    rids: Uint32Array,
    from: number,
    count: number,
    mode: number,
    policy: number,
    outcomes: Uint8Array,
    status: Int32Array,
  ): number;

  // Reading. `columns` are positions in the relation.
  /** Since 0: all rows; else only committed versions that are younger than that commit (a snapshotNumber()). */
  openScan(relationId: number, columns: Uint16Array, since: number): ScanCursor;
  /** The commit that the statement's snapshot is of. */
  snapshotNumber(): number;
  openIndexScan(indexId: number, range: IndexRange, backward: boolean): IndexCursor;
  /** The first rows of that walk, without a cursor; fewer than `rids` takes = all of them. */
  indexRids(indexId: number, range: IndexRange, backward: boolean, rids: Uint32Array): number;
  /** Sets the bits of the visible rows in the range; returns how many. */
  indexBitmap(indexId: number, range: IndexRange, bitmap: Uint8Array): number;
  /** Counts index entries in the range up to `limit`, visibility unchecked: an estimate for the planner. */
  indexCount(indexId: number, range: IndexRange, limit: number): number;
  /**
   * Reads rows by rid in the given order, skipping those not visible; `found` receives the rids read. `newest` reads the
   * newest version of rows this transaction has locked. Returns the count, or the too-small-buffer answer of ScanCursor.
   */
  fetchRows(
    relationId: number,
    rids: Uint32Array,
    from: number,
    count: number,
    newest: boolean,
    columns: Uint16Array,
    rows: StoredRows["rows"],
    shape: StoredRows["shape"],
    found: Uint32Array,
    needed: Float64Array,
  ): number;
  /**
   * The first visible rows whose first index columns equal `key` (a block of one row), read as fetchRows reads them: as many
   * as `found` takes. Fewer = all of them; as many = there may be more, behind these in an index scan of the same range.
   */
  fetchByKey(
    indexId: number,
    key: Uint8Array,
    keyShape: Uint32Array,
    backward: boolean,
    relationId: number,
    columns: Uint16Array,
    rows: Uint8Array,
    shape: Uint32Array,
    found: Uint32Array,
    needed: Float64Array,
  ): number;
  /**
   * The visible row with each of `count` keys of a unique btree index, or NO_ROW; `columns` are the index's columns in its
   * order.
   */
  lookupKeys(indexId: number, columns: readonly ColumnBuffer[], count: number, rids: Uint32Array): void;
  /** One above the largest rid in use, own rows included: the size of a bitmap in bits. */
  ridLimit(relationId: number): number;

  // Writing. All columns of the relation in order. Unique indexes are checked row by row.
  /** Inserts rows [from, from+count); returns how many were done, see WriteStatus. `rids` receives the new row ids at the same positions. */
  insertRows(
    relationId: number,
    rows: StoredRows["rows"],
    shape: StoredRows["shape"],
    from: number,
    count: number,
    rids: Uint32Array,
    status: Int32Array,
  ): number;
  /**
   * As insertRows, with the staged rows of a COPY decoder, which JavaScript never sees: column i of the relation is field
   * `fields[i]`, and no field may be of kind raw.
   */
  insertDecoded(
    relationId: number,
    decoder: CopyDecoder,
    fields: Uint16Array,
    from: number,
    count: number,
    rids: Uint32Array,
    status: Int32Array,
  ): number;
  /** Replaces the columns `changed` of locked rows; column i of the rows given belongs to `changed[i]`. Same protocol. */
  updateRows(
    relationId: number,
    rids: Uint32Array,
    changed: Uint16Array,
    rows: StoredRows["rows"],
    shape: StoredRows["shape"],
    from: number,
    count: number,
    status: Int32Array,
  ): number;
  /**
   * Looks for other rows with the keys that rows have now in a btree index, unique or not: what a deferrable key does instead
   * of the check row by row. Same protocol: a conflict means a duplicate of row `from + done`.
   */
  checkDuplicates(
    indexId: number,
    rids: Uint32Array,
    from: number,
    count: number,
    status: Int32Array,
  ): number;
  /** Deletes locked rows. */
  deleteRows(relationId: number, rids: Uint32Array, from: number, count: number): void;

  // Search
  /**
   * The k nearest visible rows with a vector in the column of an hnsw index, optionally only rids of `filter`. Never fewer
   * than min(k, matches): the search finishes exactly when the graph cannot. Sorted by (distance, rid); rows whose
   * distance is NaN are left out. `query` has the words of a row. `filterCount`: the bits set in `filter`.
   * `maxDistances` is the budget of the graph before the exact finish (0 = none). `recall` is the mean recall wanted, by which
   * the graph chooses its beam instead of `ef`, from what was measured of it (0 = none); the first such search has it
   * measured in the background, and looks widely itself.
   */
  vectorSearch(
    indexId: number,
    query: Float32Array,
    k: number,
    ef: number,
    filter: Uint8Array | undefined,
    filterCount: number,
    mode: number,
    maxDistances: number,
    recall: number,
    rids: Uint32Array,
    distances: Float64Array,
    stats: Float64Array,
  ): number;
  /**
   * The nearest visible rows in a range of a btree index of the same table, as many as `rids` takes. Exactly where the range has
   * at most `most` entries; from `wide` entries on (0 = never) among the first `sure` of the `ef` nearest rows of all,
   * provided that so many of them pass. Not done: -1 = entries between the two, -2 = the transaction has rows of its own
   * in the table, -3 = too few of the nearest pass.
   */
  nearestInRange(
    indexId: number,
    keyIndexId: number,
    range: IndexRange,
    most: number,
    wide: number,
    ef: number,
    sure: number,
    maxDistances: number,
    query: Float32Array,
    k: number,
    rids: Uint32Array,
    distances: Float64Array,
    stats: Float64Array,
  ): number;
  /** Distances of given visible rows to `query`; NULL and NaN both come back as NaN. */
  vectorDistances(
    relationId: number,
    column: number,
    form: VectorForm,
    dimensions: number,
    metric: Metric,
    rids: Uint32Array,
    count: number,
    query: Float32Array,
    distances: Float64Array,
  ): void;
  textQuery(indexId: number, query: string): TextQuery;
  /** The k best visible matching rows, best first, ties by rid. Scores are positive BM25; SQL shows them negated. */
  textSearch(
    indexId: number,
    query: TextQuery,
    k: number,
    filter: Uint8Array | undefined,
    mode: number,
    rids: Uint32Array,
    scores: Float64Array,
    stats: Float64Array,
  ): number;
  /** Sets the bits of all visible rows that contain a term of the query; returns how many. */
  textBitmap(indexId: number, query: TextQuery, bitmap: Uint8Array): number;
  /** Scores any texts with the query's statistics: equal to what textSearch gives for the same text; 0 where no term matches or NULL. */
  textScore(query: TextQuery, texts: ColumnBuffer, count: number, scores: Float64Array): void;

  // Definition. All of it is undone by abort and rollbackTo.
  createRelation(relationId: number, columns: readonly ColumnSpec[], temporary: boolean): void;
  dropRelation(relationId: number): void;
  /** Appends a column; existing rows read `initial` (one row, may be NULL). */
  addColumn(relationId: number, column: ColumnSpec, initial: ColumnBuffer): void;
  /** Whether backfill() can give the rows of a relation their values: this transaction has written none of them. */
  canBackfill(relationId: number): boolean;
  /**
   * Values for rows of the statement's snapshot in columns that this transaction has added, beside the versions that exist: row
   * i of `rows` for `rids[i]`, column j of it for `positions[j]`. A row that has a younger version by now is passed over;
   * at the commit the caller has kept writers away since it asked for the last of them.
   */
  backfill(
    relationId: number,
    rids: Uint32Array,
    positions: Uint16Array,
    rows: StoredRows["rows"],
    shape: StoredRows["shape"],
    count: number,
  ): void;
  /** What building this index over the rows committed by now takes; zeros where it is built without regard to memory. */
  indexMemory(spec: IndexSpec): IndexMemory;
  /**
   * 0 = built; else a token, after which indexResult() returns or throws (23505 with the rid of a duplicate, 57014). A graph
   * is built without the codes of IndexMemory, and slower, where `memoryBytes` has no room for both.
   */
  createIndex(spec: IndexSpec, memoryBytes: number, label: string): number;
  indexResult(): void;
  /**
   * A btree or bm25 index made while others write, step by step: attached empty, then awaitWriters(), then fillIndex(); for a
   * unique one awaitWriters() again and validateIndex(). The caller holds SHARE UPDATE EXCLUSIVE on the table.
   */
  beginIndex(spec: IndexSpec, label: string): void;
  /**
   * Waits for the end of the transactions that now hold a lock to write the table (its oid), and keeps nobody who comes later
   * waiting. 0 = they have ended; else a token: repeat.
   */
  awaitWriters(objectId: number): number;
  /** Brings the committed rows in. Returns a token, after which indexResult() answers. */
  fillIndex(): number;
  /** Looks for two rows with one key. Returns a token, after which indexResult() answers: 23505 with the rid of one. */
  validateIndex(): number;
  dropIndex(indexId: number): void;
  createSequence(spec: SequenceSpec): void;
  dropSequence(sequenceId: number): void;
  /** A sequence's own counter moves outside transactions, as PostgreSQL's does. */
  sequenceNext(sequenceId: number): bigint;
  sequenceSet(sequenceId: number, value: bigint, isCalled: boolean): void;
  sequenceState(sequenceId: number): { readonly lastValue: bigint; readonly isCalled: boolean };
  /** Catalogue entry under a key such as "table/16384"; undefined removes. `temporary` entries are never logged and end with the session. */
  catalogPut(key: string, value: string | undefined, temporary: boolean): void;
}

/** What a check looked at under one heading, and a line for each thing that is wrong. */
export interface CheckedPart {
  readonly name: string;
  readonly count: number;
  readonly problems: readonly string[];
}

/**
 * Client sockets that one thread reads and writes without stream objects. In a turn of the event loop in which some are ready,
 * behind its other events, `deliver` is called once and calls `receive` until that has read them all. A socket is the thread's, by an id
 * that is never given again, until close() or release(); with other ids calls throw XX000.
 */
export interface ClientSockets {
  /** Takes over a descriptor, which does not block from then on. It is not watched yet. */
  adopt(fd: number): number;
  /** What the socket is watched for from now on. */
  watch(id: number, reads: boolean, writes: boolean): void;
  /** Sends what the kernel takes at once of the first `count` bytes; how many, or SocketEvent.broken. */
  send(id: number, bytes: Uint8Array, count: number): number;
  /** Tells the client that nothing more comes. */
  finish(id: number): void;
  close(id: number): void;
  /** Gives the descriptor back, open. */
  release(id: number): number;
}

/** An event is `size` numbers at these places. */
export const SocketEvent = {
  size: 3,
  id: 0,
  /** Bytes read, 0 for none, `ended`, or `broken`. */
  read: 1,
  /** 1: the socket takes bytes, and is watched for that. */
  mayWrite: 2,
  ended: -1,
  broken: -2,
} as const;

/** What the addon exports. */
export interface EngineBinding {
  /** Opens the process's only engine: throws when one is open, 55006 when another process holds the folder. */
  readonly openEngine: (options: EngineOptions) => Engine;
  /** Verifies every sum of the data folder `path`, then its indexes against rows. Blocks; 55006 while a server has it. */
  readonly checkDatabase: (path: string) => readonly CheckedPart[];
  /** The engine opened by another thread of this process. */
  readonly attachEngine: () => Engine;
  /** Duplicates a file descriptor (socket hand-off between threads). */
  readonly dup: (fd: number) => number;
  /**
   * Client sockets of the calling thread. Sockets that are ready are read into `bytes`, one behind the other, and described in
   * `events` (SocketEvent); then `deliver` is called with the number of events, again and again until all that are ready have
   * been read. `bytes` has room for 16 KB at least. Both are the addon's until the thread ends, and may not be transferred.
   */
  readonly Sockets: new (
    deliver: (count: number) => void,
    bytes: Uint8Array,
    events: Int32Array,
  ) => ClientSockets;
  /** Incremental decoder of COPY data (see CopyDecoder). */
  readonly createCopyDecoder: (options: CopyDecoderOptions) => CopyDecoder;
  /** Exact distances of two embeddings with the kernels the index uses. */
  readonly distance: (metric: Metric, a: Float32Array, b: Float32Array) => number;
  /** Position of the first NaN or infinity; -1 = there is none. */
  readonly firstNotFinite: (values: Float32Array) => number;
  /**
   * Reads `[1,2.5,-3e-5]` into `out` from place `from` on; gives the number of elements, 0 when the text is of another form
   * (blanks, names, not finite), right or wrong, or does not fit.
   */
  readonly parseVector: (text: Uint8Array, out: Float32Array, from: number) => number;
  /** Which kernels run: "avx2+fma", "scalar", ... */
  readonly simdName: () => string;
  /** Regular expression in linear time (no back-references or look-around: 0A000). */
  readonly compileRegex: (pattern: string, caseInsensitive: boolean) => CompiledRegex;
}

export interface CompiledRegex {
  test(text: string): boolean;
  /** UTF-16 positions [start, end) of the first match at or after `from` and its groups, -1 where a group did not match; undefined = none. */
  exec(text: string, from: number): Int32Array | undefined;
}

/** How COPY decodes a field: parsed natively, or left as text for the type's own input function. */
export type CopyFieldKind = "bool" | "i32" | "i64" | "f64" | "text" | "vector" | "raw";

export interface CopyDecoderOptions {
  readonly format: "text" | "csv" | "binary";
  readonly fields: readonly { readonly kind: CopyFieldKind; readonly dim: number; readonly name: string }[];
  readonly delimiter: string;
  readonly nullString: string;
  readonly header: boolean;
  readonly quote: string;
  readonly escape: string;
  /** csv: positions of FORCE_NOT_NULL / FORCE_NULL columns. */
  readonly forceNotNull: readonly number[];
  readonly forceNull: readonly number[];
}

export interface CopyDecoder {
  /** Takes one CopyData payload (any split). Throws 22P04, 22P02, 22021 ... with `line` and `column` for the CONTEXT line. */
  push(chunk: Uint8Array): void;
  /** No more input: an unfinished last line becomes a row, an unfinished binary tuple is 22P04. */
  finish(): void;
  /** Rows ready to be taken. */
  rowCount(): number;
  /** Takes up to `max` rows into fresh columns (fields of kind text and raw as bytes columns). */
  take(max: number): DecodedRows;
  /** Sets all ready rows aside for insertDecoded, in place of those set aside before; gives how many. */
  stage(): number;
  /** Whether a staged row has NULL in the field. */
  stagedNull(field: number): boolean;
  /** The staged rows as take() gives rows; they stay staged. */
  staged(): DecodedRows;
}

export interface DecodedRows {
  readonly rowCount: number;
  /** Line of the first row. */
  readonly line: number;
  readonly columns: readonly ColumnBuffer[];
}
