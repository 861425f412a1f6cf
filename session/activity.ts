// Who is connected and what they do: the rows of pg_stat_activity, shared by the worker threads of a process.
//
// A board is one SharedArrayBuffer of equal slots. A session takes a free slot by writing its process id into it and is its
// only writer from then on; every statement costs a few stores and, when its text is another one than before, one copy of
// it. Readers in other threads take a slot as it is when its version was even and the same before and after. A worker that
// dies leaves its slots behind: whose process id the engine no longer knows is free.
//
//   slot (1,408 bytes)  0 pid | 4 version | 8 database | 12 role | 16 state | 20 client port | 24, 28, 32 lengths of the texts | 36 transactions so far
//                       40 backend, xact, query start, state change: float64, microseconds since 2000; 0 = none
//                       72 application name (64) | 136 client address (64) | 200 query (1,024)

import type { SessionActivity } from "../catalog/catalog.ts";

/** PostgreSQL's default of track_activity_query_size, less its closing zero. */
const QUERY_BYTES = 1023;
const NAME_BYTES = 63;
const SLOT_BYTES = 1408;
/** max_connections of the server; sessions beyond it run without being seen. */
const SLOTS = 1024;

const PID = 0;
const VERSION = 1;
const DATABASE = 2;
const ROLE = 3;
const STATE = 4;
const PORT = 5;
const NAME_LENGTH = 6;
const ADDRESS_LENGTH = 7;
const QUERY_LENGTH = 8;
const TRANSACTION = 9;
const NUMBERS = 10;

const TIMES_AT = 40;
const BACKEND_START = 0;
const XACT_START = 1;
const QUERY_START = 2;
const STATE_CHANGE = 3;

const NAME_AT = 72;
const ADDRESS_AT = 136;
const QUERY_AT = 200;

/** pg_stat_activity.state by number. */
const STATES = ["active", "idle", "idle in transaction", "idle in transaction (aborted)"] as const;
const ACTIVE = 0;
const IDLE_STATES = { I: 1, T: 2, E: 3 } as const;

const MAX_UNITS_BY_HAND = 256;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export interface ActivityIdentity {
  readonly processId: number;
  readonly databaseOid: number;
  readonly roleOid: number;
  /** Microseconds since 2000-01-01 UTC, as all times here. */
  readonly startTime: number;
  readonly clientAddress: string | undefined;
  readonly clientPort: number | undefined;
}

/** The slots of a process, seen from one of its threads. */
export class ActivityBoard {
  /** The memory that the threads of a process share; made by whoever starts them. */
  static allocate(): SharedArrayBuffer {
    return new SharedArrayBuffer(SLOTS * SLOT_BYTES);
  }

  readonly buffer: SharedArrayBuffer;
  /** Process ids of the sessions that are open. */
  readonly #live: () => Uint32Array;

  constructor(live: () => Uint32Array, buffer = ActivityBoard.allocate()) {
    this.buffer = buffer;
    this.#live = live;
  }

  /** Takes a slot for a session; one that writes nowhere when all are taken. */
  open(identity: ActivityIdentity): ActivityRecord {
    const { processId } = identity;
    const slot = this.#take(processId, (pid) => pid === 0) ?? this.#takeDead(processId);
    return new ActivityRecord(this.buffer, slot, identity);
  }

  /** The sessions that are open. */
  *sessions(): Iterable<SessionActivity> {
    const live = new Set(this.#live());
    for (let slot = 0; slot < SLOTS; slot++) {
      const numbers = this.#numbers(slot);
      if (!live.has(Atomics.load(numbers, PID))) continue;
      const activity = read(this.buffer, slot);
      if (activity !== undefined && live.has(activity.processId)) yield activity;
    }
  }

  #numbers(slot: number): Int32Array {
    return new Int32Array(this.buffer, slot * SLOT_BYTES, NUMBERS);
  }

  #take(processId: number, isFree: (pid: number) => boolean): number | undefined {
    for (let slot = 0; slot < SLOTS; slot++) {
      const numbers = this.#numbers(slot);
      const pid = Atomics.load(numbers, PID);
      if (isFree(pid) && Atomics.compareExchange(numbers, PID, pid, processId) === pid) return slot;
    }
    return undefined;
  }

  /** A slot whose session ended without giving it back. */
  #takeDead(processId: number): number | undefined {
    const live = new Set(this.#live());
    return this.#take(processId, (pid) => !live.has(pid));
  }
}

/** One session's slot, for the session itself. */
export class ActivityRecord {
  readonly #numbers: Int32Array;
  readonly #times: Float64Array;
  readonly #bytes: Uint8Array;
  #query: string | undefined;

  constructor(buffer: SharedArrayBuffer, slot: number | undefined, identity: ActivityIdentity) {
    const [memory, at] =
      slot === undefined ? [new SharedArrayBuffer(SLOT_BYTES), 0] : [buffer, slot * SLOT_BYTES];
    this.#numbers = new Int32Array(memory, at, NUMBERS);
    this.#times = new Float64Array(memory, at + TIMES_AT, 4);
    this.#bytes = new Uint8Array(memory, at, SLOT_BYTES);
    this.#write(() => {
      this.#numbers[DATABASE] = identity.databaseOid;
      this.#numbers[ROLE] = identity.roleOid;
      this.#numbers[STATE] = IDLE_STATES.I;
      this.#numbers[PORT] = identity.clientPort ?? 0;
      this.#numbers[NAME_LENGTH] = 0;
      this.#numbers[QUERY_LENGTH] = 0;
      this.#numbers[ADDRESS_LENGTH] = this.#text(identity.clientAddress ?? "", ADDRESS_AT, NAME_BYTES);
      this.#times.fill(0);
      this.#times[BACKEND_START] = identity.startTime;
      this.#times[STATE_CHANGE] = identity.startTime;
    });
  }

  set applicationName(name: string) {
    this.#write(() => {
      this.#numbers[NAME_LENGTH] = this.#text(name, NAME_AT, NAME_BYTES);
    });
  }

  /** A statement begins, in the session's transaction number `transaction`. */
  run(query: string, now: number, transaction: number, transactionStart: number): void {
    this.#begin();
    if (query !== this.#query) {
      this.#query = query;
      this.#numbers[QUERY_LENGTH] = this.#text(query, QUERY_AT, QUERY_BYTES);
    }
    this.#numbers[STATE] = ACTIVE;
    this.#numbers[TRANSACTION] = transaction;
    this.#times[XACT_START] = transactionStart;
    this.#times[QUERY_START] = now;
    this.#times[STATE_CHANGE] = now;
    this.#end();
  }

  /** The client's turn. `transactionStart` 0 = in no transaction. */
  rest(status: "I" | "T" | "E", now: number, transactionStart: number): void {
    this.#begin();
    this.#numbers[STATE] = IDLE_STATES[status];
    this.#times[XACT_START] = transactionStart;
    this.#times[STATE_CHANGE] = now;
    this.#end();
  }

  close(): void {
    Atomics.store(this.#numbers, PID, 0);
  }

  #write(change: () => void): void {
    this.#begin();
    change();
    this.#end();
  }

  #begin(): void {
    Atomics.add(this.#numbers, VERSION, 1);
  }

  #end(): void {
    Atomics.add(this.#numbers, VERSION, 1);
  }

  /** Writes as much of a text as fits, in whole characters; gives its length in bytes. */
  #text(text: string, at: number, limit: number): number {
    // The statements of a transaction follow each other with a text each: an ASCII one is there before a view for the encoder is.
    if (text.length <= Math.min(limit, MAX_UNITS_BY_HAND)) {
      let i = 0;
      for (; i < text.length; i++) {
        const unit = text.charCodeAt(i);
        if (unit >= 0x80) break;
        this.#bytes[at + i] = unit;
      }
      if (i === text.length) return i;
    }
    return encoder.encodeInto(text, this.#bytes.subarray(at, at + limit)).written;
  }
}

/** Tries before a slot that is always being written is left out. */
const READ_ATTEMPTS = 100;

function read(buffer: SharedArrayBuffer, slot: number): SessionActivity | undefined {
  const shared = new Int32Array(buffer, slot * SLOT_BYTES, NUMBERS);
  for (let attempt = 0; attempt < READ_ATTEMPTS; attempt++) {
    const version = Atomics.load(shared, VERSION);
    if (version % 2 !== 0) continue;
    const copy = new Uint8Array(SLOT_BYTES);
    copy.set(new Uint8Array(buffer, slot * SLOT_BYTES, SLOT_BYTES));
    if (Atomics.load(shared, VERSION) === version) return decode(copy);
  }
  return undefined;
}

function decode(copy: Uint8Array): SessionActivity {
  const numbers = new Int32Array(copy.buffer, 0, NUMBERS);
  const times = new Float64Array(copy.buffer, TIMES_AT, 4);
  const number = (at: number): number => numbers[at] as number;
  const time = (at: number): number => times[at] as number;
  const text = (at: number, length: number): string => decoder.decode(copy.subarray(at, at + length));
  const hasAddress = number(ADDRESS_LENGTH) > 0;
  return {
    processId: number(PID),
    databaseOid: number(DATABASE) >>> 0,
    roleOid: number(ROLE) >>> 0,
    applicationName: text(NAME_AT, number(NAME_LENGTH)),
    clientAddress: hasAddress ? text(ADDRESS_AT, number(ADDRESS_LENGTH)) : undefined,
    clientPort: hasAddress ? number(PORT) : undefined,
    backendStart: time(BACKEND_START),
    transactionNumber: number(TRANSACTION) >>> 0,
    transactionStart: time(XACT_START) || undefined,
    queryStart: time(QUERY_START) || undefined,
    stateChange: time(STATE_CHANGE),
    state: STATES[number(STATE)] ?? "active",
    query: text(QUERY_AT, number(QUERY_LENGTH)),
  };
}
