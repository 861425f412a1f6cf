// The FunctionContext of one session: what function bodies may ask of it (common/function-context.ts).
import { randomBytes } from "node:crypto";
import { isAbsolute } from "node:path";
import { SqlError, SqlState } from "../common/error.ts";
import type { FunctionContext, SessionFunctions } from "../common/function-context.ts";
import type { SequenceEntry } from "../catalog/entries.ts";
import type { SessionCore } from "./core.ts";
import { currentValue, setValue } from "./session-settings.ts";
import { vectorRecall } from "./vector-recall.ts";

/** Microseconds from 1970 to 2000. */
const EPOCH_SHIFT_US = 946_684_800_000_000;

// Looked up once: the global and its time of origin are accessors that check their receiver, and a statement asks three times.
const timer = performance;
const { timeOrigin } = timer;

/** The clock in PostgreSQL's count: microseconds since 2000-01-01 UTC. */
export function nowMicroseconds(): number {
  return Math.round((timeOrigin + timer.now()) * 1000) - EPOCH_SHIFT_US;
}

export function makeFunctionContext(core: SessionCore, session: SessionFunctions): FunctionContext {
  return {
    get types() {
      return core.types;
    },
    session,
    catalog: {
      searchPath: (includeImplicit) => core.schemaPath(includeImplicit),
      get snapshot() {
        return core.catalog();
      },
      statistics: core.statistics,
    },
  };
}

export class SessionFunctionsOf implements SessionFunctions {
  readonly #core: SessionCore;
  readonly #random = new SeededRandom();
  /** Last value of each sequence this session has drawn from. */
  readonly #current = new Map<number, bigint>();
  #lastSequence: number | undefined;

  constructor(core: SessionCore) {
    this.#core = core;
  }

  get processId(): number {
    return this.#core.engineSession.processId;
  }
  get currentUser(): string {
    return this.#core.user;
  }
  get sessionUser(): string {
    return this.#core.user;
  }
  get currentDatabase(): string {
    return this.#core.catalog().database.name;
  }
  transactionTimestamp(): number {
    return this.#core.transactions.startTime;
  }
  statementTimestamp(): number {
    return this.#core.statementTime;
  }
  clockTimestamp(): number {
    return nowMicroseconds();
  }
  random(): number {
    return this.#random.next();
  }
  setSeed(seed: number): void {
    this.#random.seed(seed);
  }
  randomBytes(count: number): Uint8Array {
    return randomBytes(count);
  }
  getSetting(name: string): string | undefined {
    return currentValue(this.#core, name);
  }
  setSetting(name: string, value: string, isLocal: boolean): string {
    setValue(this.#core, name, value, isLocal);
    return currentValue(this.#core, name) ?? "";
  }
  notice(notice: Parameters<SessionFunctions["notice"]>[0]): void {
    this.#core.notice(notice);
  }

  sequenceNext(oid: number): bigint {
    const sequence = this.#sequence(oid);
    const value = this.#core.transactions.engine().sequenceNext(sequence.storageId);
    this.#current.set(oid, value);
    this.#lastSequence = oid;
    return value;
  }
  sequenceCurrent(oid: number): bigint {
    const sequence = this.#sequence(oid);
    const value = this.#current.get(oid);
    if (value !== undefined) return value;
    throw new SqlError(
      SqlState.objectNotInPrerequisiteState,
      `currval of sequence "${sequence.name}" is not yet defined in this session`,
    );
  }
  sequenceLast(): bigint {
    const value = this.#lastSequence === undefined ? undefined : this.#current.get(this.#lastSequence);
    if (value !== undefined) return value;
    throw new SqlError(SqlState.objectNotInPrerequisiteState, "lastval is not yet defined in this session");
  }
  sequenceSet(oid: number, value: bigint, isCalled: boolean): void {
    const sequence = this.#sequence(oid);
    if (value < BigInt(sequence.min) || value > BigInt(sequence.max)) {
      throw new SqlError(
        SqlState.numericValueOutOfRange,
        `setval: value ${value} is out of bounds for sequence "${sequence.name}" (${sequence.min}..${sequence.max})`,
      );
    }
    this.#core.transactions.engine().sequenceSet(sequence.storageId, value, isCalled);
    if (isCalled) this.#current.set(oid, value);
  }

  async advisoryLock(
    key: bigint,
    classId: number,
    shared: boolean,
    transactionScope: boolean,
    tryOnly: boolean,
  ): Promise<boolean> {
    if (transactionScope) this.#core.transactions.engine();
    return this.#core.waitForLock(() =>
      this.#core.engineSession.advisoryLock(key, classId, shared, transactionScope, tryOnly),
    );
  }
  advisoryUnlock(key: bigint, classId: number, shared: boolean): boolean {
    return this.#core.engineSession.advisoryUnlock(key, classId, shared);
  }
  advisoryUnlockAll(): void {
    this.#core.engineSession.advisoryUnlockAll();
  }
  vectorRecall(indexOid: number, sample: number): Promise<number | null> {
    return vectorRecall(this.#core, indexOid, sample);
  }
  async backup(folder: string): Promise<bigint> {
    const core = this.#core;
    if (core.catalog().roleByName(core.user)?.isSuperuser !== true)
      throw new SqlError(SqlState.insufficientPrivilege, "must be superuser to back up the database");
    if (!isAbsolute(folder))
      throw new SqlError(SqlState.invalidName, "relative path not allowed for backup stored on server");
    const token = core.engineSession.backup(folder);
    await core.database.waits.wait(token);
    return BigInt(core.engineSession.backupResult(token));
  }
  sleep(milliseconds: number): Promise<void> {
    return this.#core.interrupts.sleep(milliseconds);
  }
  cancelBackend(processId: number): boolean {
    return this.#core.database.engine.cancelSession(processId, undefined);
  }
  terminateBackend(processId: number): boolean {
    const isKnown = this.#core.database.engine.terminateSession(processId);
    if (isKnown) this.#core.database.notifications.terminate(processId);
    return isKnown;
  }
  isConnected(processId: number): boolean {
    return this.#core.database.engine.sessionIds().includes(processId);
  }
  notify(channel: string, payload: string): void {
    this.#core.notifications.notify(channel, payload);
  }
  listeningChannels(): Iterable<string> {
    return this.#core.notifications.channels;
  }
  transactionId(): number {
    return this.#core.transactionId();
  }

  /** Forgets currval and lastval (DISCARD SEQUENCES). */
  discardSequences(): void {
    this.#current.clear();
    this.#lastSequence = undefined;
  }

  #sequence(oid: number): SequenceEntry {
    const ref = this.#core.catalog().relationByOid(oid);
    if (ref?.kind === "sequence") return ref.sequence;
    if (ref === undefined) {
      throw new SqlError(SqlState.undefinedTable, `could not open relation with OID ${oid}`);
    }
    const name = ref.kind === "table" ? ref.table.name : ref.kind === "index" ? ref.index.name : String(oid);
    throw new SqlError(SqlState.wrongObjectType, `"${name}" is not a sequence`);
  }
}

/** xorshift128+: repeatable after setseed, as random() must be. */
class SeededRandom {
  #a = BigInt(`0x${randomBytes(8).toString("hex")}`) | 1n;
  #b = BigInt(`0x${randomBytes(8).toString("hex")}`);

  /** `seed` in [-1, 1]. */
  seed(seed: number): void {
    const bits = new DataView(new ArrayBuffer(8));
    bits.setFloat64(0, seed);
    this.#a = bits.getBigUint64(0) ^ 0x9e3779b97f4a7c15n;
    this.#b = 0xbf58476d1ce4e5b9n;
    for (let i = 0; i < 8; i++) this.next();
  }

  /** [0, 1) with 53 bits. */
  next(): number {
    const mask = 0xffff_ffff_ffff_ffffn;
    let x = this.#a;
    const y = this.#b;
    this.#a = y;
    x = (x ^ (x << 23n)) & mask;
    this.#b = x ^ y ^ (x >> 17n) ^ (y >> 26n);
    return Number(((this.#b + y) & mask) >> 11n) / 2 ** 53;
  }
}
