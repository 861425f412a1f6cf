// What a function body may ask of the session that runs it. Bodies live in catalog/functions and must not import the
// session or the engine; the session hands them this. Pure functions never touch it, so the optimizer can fold them.
import type { Notice } from "./error.ts";
import type { TypeContext } from "./types/type.ts";

export interface FunctionContext {
  /** How values print and parse under the session's settings. */
  readonly types: TypeContext;
  readonly session: SessionFunctions;
  readonly catalog: CatalogFunctions;
}

/** Clock, settings, locks, sequences: the context functions' world. Times are microseconds since 2000-01-01 UTC. */
export interface SessionFunctions {
  readonly processId: number;
  readonly currentUser: string;
  readonly sessionUser: string;
  readonly currentDatabase: string;
  transactionTimestamp(): number;
  statementTimestamp(): number;
  clockTimestamp(): number;
  /** [0, 1), seeded per session. */
  random(): number;
  setSeed(seed: number): void;
  randomBytes(count: number): Uint8Array;
  /** undefined = no such setting. */
  getSetting(name: string): string | undefined;
  setSetting(name: string, value: string, isLocal: boolean): string;
  notice(notice: Notice): void;
  /** Sequences by oid. */
  sequenceNext(oid: number): bigint;
  sequenceCurrent(oid: number): bigint;
  sequenceLast(): bigint;
  sequenceSet(oid: number, value: bigint, isCalled: boolean): void;
  /** Resolves when granted; false when `tryOnly` and not available. */
  advisoryLock(
    key: bigint,
    classId: number,
    shared: boolean,
    transactionScope: boolean,
    tryOnly: boolean,
  ): Promise<boolean>;
  advisoryUnlock(key: bigint, classId: number, shared: boolean): boolean;
  advisoryUnlockAll(): void;
  /** Recall of a vector index (by oid) over a sample of its vectors; null when it has none. 42809, 22023. */
  vectorRecall(indexOid: number, sample: number): Promise<number | null>;
  /** Writes a backup to a folder of the server; the commit number it is of. 42501 unless superuser. */
  backup(folder: string): Promise<bigint>;
  /** Sleeps, woken by cancel (57014). */
  sleep(milliseconds: number): Promise<void>;
  cancelBackend(processId: number): boolean;
  terminateBackend(processId: number): boolean;
  isConnected(processId: number): boolean;
  /** NOTIFY: heard by others when the transaction commits. Throws 22023. */
  notify(channel: string, payload: string): void;
  listeningChannels(): Iterable<string>;
  /** Transaction id for txid_current and friends. */
  transactionId(): number;
}

/** Catalogue look-ups for reg* types, pg_get_indexdef and the like; implemented over catalog/. */
export interface CatalogFunctions {
  /** The search path in force with implicit schemas first, as current_schemas(true) shows it. */
  searchPath(includeImplicit: boolean): readonly string[];
  /** The snapshot as catalog/catalog.ts knows it; typed there (common imports nothing). */
  readonly snapshot: unknown;
  /** EngineStatistics of catalog/catalog.ts: what pg_relation_size and pg_sequence_last_value read. */
  readonly statistics?: unknown;
}
