// The embedded API behind index.ts: statements and values of JavaScript in, rows of JavaScript out, through the same Session
// the wire uses. Values go in as text parameters, so that every type works as it does over the wire; the common ones come
// back as JavaScript's own, the rest in PostgreSQL's text form.
import { type Batch, decodeUtf8 } from "../common/batch/vector.ts";
import { notSupported, SqlError, SqlState, type Notice } from "../common/error.ts";
import { Oid } from "../common/types/oid.ts";
import { valueCodec } from "./value-codec.ts";
import type { Datum, TypeContext } from "../common/types/type.ts";
import { type ConnectRequest, connect } from "./connect.ts";
import type { Database } from "./database.ts";
import type { CopySource, FormatCodes, ResultColumn, ResultReceiver, SessionClient } from "./result.ts";
import type { Session } from "./session.ts";
import { attachDatabase } from "./attach.ts";
import { startEngine, stopEngine } from "./start.ts";
import { appendVectors, type VectorBlock } from "./vectors/append.ts";
import { searchVectors, type VectorHits, type VectorSearch } from "./vectors/search.ts";

export interface OpenOptions {
  /** Data folder, made when missing. */
  readonly path?: string;
  /** Keep everything in memory; nothing survives close(). */
  readonly memory?: boolean;
  readonly database?: string;
  readonly user?: string;
  readonly onNotice?: (notice: Notice) => void;
}

/** What a parameter may be; everything else is given as its SQL text. */
export type SqlValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Float32Array
  | readonly number[]
  | Date;

export interface QueryResult<Row = Record<string, unknown>> {
  readonly rows: readonly Row[];
  readonly columns: readonly ResultColumn[];
  /** "SELECT 3", "INSERT 0 1", ... */
  readonly tag: string;
}

/** As VectorSearch, with the filter's parameters as query() takes them. */
export interface EmbeddedVectorSearch extends Omit<VectorSearch, "parameters"> {
  readonly parameters?: readonly SqlValue[];
}

export interface EmbeddedDatabase {
  /** Runs one statement with parameters $1..., or several statements without. Statements of one session run one at a time. */
  query<Row = Record<string, unknown>>(
    sql: string,
    parameters?: readonly SqlValue[],
  ): Promise<QueryResult<Row>>;
  /**
   * Inserts a row per vector of a block and resolves with their number. The floats are not copied on the way to the
   * engine; keys, defaults and constraints hold as for INSERT, and so does the transaction.
   *
   * ```ts
   * await db.appendVectors("items", { vectors: new Float32Array([1, 2, 3, 3, 2, 1]), ids: ["first", "second"] });
   * ```
   */
  appendVectors(table: string, block: VectorBlock): Promise<number>;
  /**
   * The k rows nearest to a vector, as typed arrays: what `SELECT id, distance ... WHERE filter ORDER BY distance LIMIT k`
   * gives.
   *
   * ```ts
   * const { ids, distances } = await db.searchVectors("items", {
   *   query: new Float32Array([3, 1, 2]),
   *   k: 10,
   *   filter: "price < $1",
   *   parameters: [20],
   * });
   * ```
   */
  searchVectors(table: string, search: EmbeddedVectorSearch): Promise<VectorHits>;
  /** A further session over the same data, with its own transaction and settings. */
  session(): EmbeddedDatabase;
  /** Ends the session; closing the first one stops the engine. */
  close(): Promise<void>;
}

/** Opens the engine of this process and a first session. Throws 55006 when another process holds the folder. */
export async function open(options: OpenOptions): Promise<EmbeddedDatabase> {
  if ((options.path === undefined) === (options.memory !== true)) {
    throw new SqlError(SqlState.invalidParameterValue, "open() takes either a path or memory: true");
  }
  const user = options.user ?? "postgres";
  const engine = await startEngine({ path: options.path, superuser: user });
  const database = await attachDatabase();
  const request = { user, database: options.database ?? "postgres", settings: [] };
  const sessions = new Set<EmbeddedSession>();
  return new EmbeddedSession(database, request, options.onNotice, sessions, async () => {
    for (const session of sessions) await session.close();
    database.close();
    await stopEngine(engine);
  });
}

/** Statements of a loop may run this long before timers, sockets and the engine's tokens get their turn. */
const TURN_MS = 4;
let turnStart = 0;

/**
 * A statement that waits for nothing resolves in the microtask queue; a loop of them would never let the event loop turn, and
 * every other session of the thread would starve. All sessions of the process share the slice.
 */
function turnIfDue(): Promise<void> | undefined {
  if (performance.now() - turnStart < TURN_MS) return undefined;
  return new Promise((resolve) => {
    setImmediate(() => {
      turnStart = performance.now();
      resolve();
    });
  });
}

class EmbeddedSession implements EmbeddedDatabase, SessionClient {
  readonly #database: Database;
  readonly #request: ConnectRequest;
  readonly #onNotice: ((notice: Notice) => void) | undefined;
  readonly #siblings: Set<EmbeddedSession>;
  readonly #afterClose: () => Promise<void>;
  readonly #session: Session;
  /** The statement before: the next one waits for it. */
  #last: Promise<unknown> = Promise.resolve();
  #isClosed = false;
  #terminated: SqlError | undefined;

  constructor(
    database: Database,
    request: ConnectRequest,
    onNotice: ((notice: Notice) => void) | undefined,
    siblings: Set<EmbeddedSession>,
    afterClose: () => Promise<void>,
  ) {
    this.#database = database;
    this.#request = request;
    this.#onNotice = onNotice;
    this.#siblings = siblings;
    this.#afterClose = afterClose;
    this.#session = connect(database, request, this);
  }

  query<Row>(sql: string, parameters: readonly SqlValue[] = []): Promise<QueryResult<Row>> {
    return this.#afterLast(() => this.#run<Row>(sql, parameters));
  }

  appendVectors(table: string, block: VectorBlock): Promise<number> {
    return this.#afterLast(() =>
      this.#session.runWork("appendVectors", (core) => appendVectors(core, table, block)),
    );
  }

  searchVectors(table: string, search: EmbeddedVectorSearch): Promise<VectorHits> {
    const parameters = search.parameters?.map((value) => {
      const bytes = textOf(value);
      return bytes === null ? null : decodeUtf8(bytes, 0, bytes.length);
    });
    return this.#afterLast(() =>
      this.#session.runWork("searchVectors", (core) => searchVectors(core, table, { ...search, parameters })),
    );
  }

  session(): EmbeddedDatabase {
    const session: EmbeddedSession = new EmbeddedSession(
      this.#database,
      this.#request,
      this.#onNotice,
      this.#siblings,
      async () => {
        this.#siblings.delete(session);
      },
    );
    this.#siblings.add(session);
    return session;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#last;
    this.#session.close();
    await this.#afterClose();
  }

  notice(notice: Notice): void {
    this.#onNotice?.(notice);
  }

  parameterStatus(): void {
    // Nobody caches settings here.
  }

  notification(): void {
    // The embedded API has no way to hear: NOTIFY here reaches other sessions only.
  }

  terminated(reason: SqlError): void {
    // The next statement says so.
    this.#terminated = reason;
    this.#session.close();
  }

  /** One thing at a time, in the order asked for. */
  #afterLast<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(async () => {
      await turnIfDue();
      if (this.#isClosed) throw new SqlError(SqlState.connectionException, "the session is closed");
      if (this.#terminated !== undefined) throw this.#terminated;
      return work();
    });
    this.#last = result.catch(() => undefined);
    return result;
  }

  async #run<Row>(sql: string, parameters: readonly SqlValue[]): Promise<QueryResult<Row>> {
    const rows = new RowCollector<Row>();
    if (parameters.length === 0) {
      await this.#session.simpleQuery(sql, rows);
      return rows.result();
    }
    const session = this.#session;
    try {
      session.closeStatement("");
      session.parse("", sql, []);
      session.bind("", "", [], parameters.map(textOf), []);
      await session.execute("", 0, rows);
    } catch (error) {
      session.fail();
      throw error;
    }
    await session.sync();
    return rows.result();
  }
}

const encoder = new TextEncoder();

/** A JavaScript value as the text parameter that means it. */
function textOf(value: SqlValue): Uint8Array | null {
  if (value === null) return null;
  if (value instanceof Uint8Array) return encoder.encode(`\\x${Buffer.from(value).toString("hex")}`);
  if (value instanceof Float32Array || Array.isArray(value)) {
    return encoder.encode(`[${Array.from(value as ArrayLike<number>).join(",")}]`);
  }
  if (value instanceof Date) return encoder.encode(value.toISOString());
  return encoder.encode(String(value));
}

/** Keeps the rows of the last statement as objects. */
class RowCollector<Row> implements ResultReceiver {
  #columns: readonly ResultColumn[] = [];
  #types: TypeContext | undefined;
  #rows: Row[] = [];
  #tag = "";

  start(columns: readonly ResultColumn[], _formats: FormatCodes, types: TypeContext): void {
    this.#columns = columns;
    this.#types = types;
    this.#rows = [];
  }

  rows(batch: Batch, from: number, to: number): void {
    for (let row = from; row < to; row++) {
      const object: Record<string, unknown> = {};
      for (const [index, column] of this.#columns.entries()) {
        object[column.name] = this.#valueOf(column, batch.columns[index]?.get(row) ?? null);
      }
      this.#rows.push(object as Row);
    }
  }

  complete(tag: string): void {
    this.#tag = tag;
  }

  suspended(): void {
    // Never asked for a part of a result.
  }

  empty(): void {
    this.#tag = "";
  }

  copyIn(): CopySource {
    throw notSupported("COPY FROM STDIN without a connection");
  }

  copyOut(): void {
    throw notSupported("COPY TO STDOUT without a connection");
  }

  copyData(): void {
    // copyOut() has refused.
  }

  copyDone(): void {
    // copyOut() has refused.
  }

  result(): QueryResult<Row> {
    return { rows: this.#rows, columns: this.#columns, tag: this.#tag };
  }

  #valueOf(column: ResultColumn, value: Datum): unknown {
    if (value === null) return null;
    switch (column.typeOid) {
      case Oid.bool:
      case Oid.int2:
      case Oid.int4:
      case Oid.int8:
      case Oid.oid:
      case Oid.float4:
      case Oid.float8:
      case Oid.text:
      case Oid.varchar:
      case Oid.name:
        return value;
      case Oid.bytea:
        return (value as Uint8Array).slice();
      case Oid.json:
      case Oid.jsonb:
        return JSON.parse(value as string) as unknown;
      default:
        // A vector outlives the batch it is a view of.
        if (value instanceof Float32Array) return value.slice();
        return this.#types === undefined ? value : valueCodec(column.typeOid).format(value, this.#types);
    }
  }
}
