// A portal: a bound statement between Bind (or DECLARE) and its end. It pulls rows from its source, gives them to the
// receiver up to the row limit, and keeps the rest of a batch for the next Execute or FETCH.
//
// A plan reads one snapshot and one set of buffers, so before another statement of the transaction starts, what is left of
// an open portal is copied (hold); most portals are read to the end at once and never are.
import type { Batch } from "../common/batch/vector.ts";
import { must } from "../common/assert.ts";
import { SqlError, SqlState } from "../common/error.ts";
import type { Datum, TypeContext } from "../common/types/type.ts";
import { chain, type MaybePromise } from "../executor/maybe-promise.ts";
import type { PreparedStatement } from "./prepared-statement.ts";
import type { FormatCodes, ResultColumn, ResultReceiver } from "./result.ts";
import { ScrollRows } from "./scroll-rows.ts";
import { KeptRows, type RowSource, sliceBatch } from "./row-source.ts";

/** What starting a statement gives: rows and the command tag for a row count. */
export interface Started {
  /** undefined = the statement was done by starting it. */
  readonly rows: RowSource | undefined;
  readonly tag: (rowCount: number) => string;
  /** It changes rows: it must run to its end even when the client takes only some of the result. */
  readonly mustFinish: boolean;
}

/** Takes rows [from, to) of a batch; a promise holds the next ones back. */
type RowTaker = Pick<ResultReceiver, "rows">;

/** Runs a statement up to its first row. `receiver` is for COPY. */
export type StartStatement = (portal: Portal, receiver: ResultReceiver) => MaybePromise<Started>;

/** Rows kept for portals beyond this end the statement: they live in memory. */
const MAX_HELD_ROWS = 20_000_000;

export interface PortalOptions {
  readonly name: string;
  readonly statement: PreparedStatement;
  readonly parameters: readonly Datum[];
  readonly formats: FormatCodes;
  readonly columns: readonly ResultColumn[] | undefined;
  readonly start: StartStatement;
  /** Transaction it was made in. */
  readonly transaction: number;
  /** DECLARE ... WITH HOLD: lives on after COMMIT. */
  readonly isHoldable?: boolean;
}

export class Portal {
  readonly name: string;
  readonly statement: PreparedStatement;
  readonly parameters: readonly Datum[];
  readonly formats: FormatCodes;
  readonly columns: readonly ResultColumn[] | undefined;
  readonly transaction: number;
  readonly isHoldable: boolean;
  /** Set once its rows are copied and need no transaction. */
  isHeld = false;
  /** SCROLL cursors only: all rows, with the place among them. */
  scroll: ScrollRows | undefined;
  readonly #start: StartStatement;
  #started: Started | undefined;
  #batch: Batch | undefined;
  #offset = 0;
  #state: "new" | "open" | "done" = "new";

  constructor(options: PortalOptions) {
    this.name = options.name;
    this.statement = options.statement;
    this.parameters = options.parameters;
    this.formats = options.formats;
    this.columns = options.columns;
    this.transaction = options.transaction;
    this.isHoldable = options.isHoldable ?? false;
    this.#start = options.start;
  }

  /** Reading it goes on where another statement's snapshot must not interfere. */
  get isOpen(): boolean {
    return this.#state === "open";
  }

  /**
   * Gives at most `maxRows` rows (0 = all). "complete" came with its tag; "suspended" means more may follow. Calls
   * receiver.start, rows and nothing else: the caller completes, because a commit may have to come first.
   */
  run(maxRows: number, receiver: ResultReceiver, types: TypeContext): MaybePromise<string | undefined> {
    if (this.#state === "done" && this.#started?.rows === undefined) {
      throw new SqlError(
        SqlState.objectNotInPrerequisiteState,
        `portal "${this.name}" cannot be run anymore`,
      );
    }
    const opening = this.#state === "new" ? this.open(receiver) : undefined;
    if (opening !== undefined) return opening.then(() => this.#send(maxRows, receiver, types));
    return this.#send(maxRows, receiver, types);
  }

  /** Runs the statement up to its first row. */
  open(receiver: ResultReceiver): MaybePromise<void> {
    this.#state = "open";
    try {
      const starting = this.#start(this, receiver);
      if (starting instanceof Promise) {
        return starting.then(
          (started) => void (this.#started = started),
          (error: unknown) => this.#startFailed(error),
        );
      }
      this.#started = starting;
    } catch (error) {
      this.#startFailed(error);
    }
  }

  #startFailed(error: unknown): never {
    this.#state = "done";
    throw error;
  }

  /** What opening it gave: EXECUTE hands the rows of an inner portal on as its own. */
  get started(): Started {
    return must(this.#started, "the portal was opened");
  }

  /** Gives up to `count` rows to `taker`; the number given. FETCH and MOVE. */
  fetch(count: number, taker: RowTaker): MaybePromise<number> {
    let given = 0;
    while (given < count) {
      const batch = this.#current();
      if (batch instanceof Promise) return this.#fetchOn(count, taker, given, batch);
      if (batch === undefined) break;
      const from = this.#offset;
      const taken = taker.rows(batch, from, this.#pass(batch, count - given));
      given += this.#offset - from;
      if (taken !== undefined) return this.#fetchOn(count, taker, given, taken);
    }
    return given;
  }

  /** fetch() from the first wait on: `given` rows were given, and `waiting` is waited for. */
  async #fetchOn(count: number, taker: RowTaker, given: number, waiting: Promise<unknown>): Promise<number> {
    await waiting;
    let sum = given;
    while (sum < count) {
      const pulled = this.#current();
      const batch = pulled instanceof Promise ? await pulled : pulled;
      if (batch === undefined) break;
      const from = this.#offset;
      const taken = taker.rows(batch, from, this.#pass(batch, count - sum));
      sum += this.#offset - from;
      if (taken !== undefined) await taken;
    }
    return sum;
  }

  /** Moves on by at most `count` rows of the batch; the end of those passed. */
  #pass(batch: Batch, count: number): number {
    this.#offset = Math.min(batch.rowCount, this.#offset + count);
    return this.#offset;
  }

  /** As fetch, but at most to the end of the present batch, which `take` gets cut to the rows given. */
  async fetchPiece(count: number, take: (batch: Batch) => void): Promise<number> {
    const batch = await this.#current();
    if (batch === undefined) return 0;
    const from = this.#offset;
    const end = this.#pass(batch, count);
    take(from === 0 && end === batch.rowCount ? batch : sliceBatch(batch, from, end));
    return end - from;
  }

  /** Keeps all rows for a SCROLL cursor; Executes of the protocol then go on from row to row as FETCH does. */
  async makeScrollable(): Promise<void> {
    const kept = await this.#takeAll();
    this.scroll = new ScrollRows(kept, this.columns?.length ?? 0);
    const { scroll } = this;
    const next = (): Batch | undefined => {
      const batch = scroll.fetch("forward", 1);
      return batch.rowCount === 0 ? undefined : batch;
    };
    this.#keep({ next, close: () => undefined });
  }

  /** Copies what is left, so that the source can be closed. */
  async hold(): Promise<void> {
    // A portal that is only just starting has read nothing: it is the one whose statement asks for this.
    if (this.#state !== "open" || this.isHeld || this.#started?.rows === undefined) return;
    this.#keep(new KeptRows(await this.#takeAll()));
  }

  close(): void {
    this.#state = "done";
    this.#batch = undefined;
    this.#started?.rows?.close();
  }

  async #takeAll(): Promise<Batch[]> {
    const kept: Batch[] = [];
    let rowCount = 0;
    for (let batch = await this.#current(); batch !== undefined; batch = await this.#current()) {
      kept.push(sliceBatch(batch, this.#offset, batch.rowCount));
      rowCount += batch.rowCount - this.#offset;
      if (rowCount > MAX_HELD_ROWS) {
        throw new SqlError(SqlState.outOfMemory, "out of memory", {
          detail: `A cursor keeps at most ${MAX_HELD_ROWS} rows.`,
        });
      }
      this.#offset = batch.rowCount;
    }
    return kept;
  }

  /** From here on the rows come from `rows`, which need no transaction. */
  #keep(rows: RowSource): void {
    this.#started = { rows, tag: this.started.tag, mustFinish: false };
    this.#batch = undefined;
    this.#offset = 0;
    this.#state = "open";
    this.isHeld = true;
  }

  /** The tag when the end was reached, undefined when the limit was. */
  #send(maxRows: number, receiver: ResultReceiver, types: TypeContext): MaybePromise<string | undefined> {
    if (this.columns !== undefined) receiver.start(this.columns, this.formats, types);
    const { rows, tag, mustFinish } = this.started;
    if (rows === undefined) {
      this.#state = "done";
      return tag(0);
    }
    if (maxRows <= 0) {
      const given = this.fetch(Number.POSITIVE_INFINITY, receiver);
      return given instanceof Promise ? given.then(tag) : tag(given);
    }
    // INSERT ... RETURNING with a row limit: all rows are changed now, the client takes the answers as it likes.
    return chain(mustFinish ? this.hold() : undefined, () =>
      chain(this.fetch(maxRows, receiver), (rowCount) => (rowCount === maxRows ? undefined : tag(rowCount))),
    );
  }

  /** The batch with unread rows; undefined at the end. */
  #current(): MaybePromise<Batch | undefined> {
    if (this.#batch !== undefined && this.#offset < this.#batch.rowCount) return this.#batch;
    if (this.#state !== "open") return undefined;
    const pulled = this.#started?.rows?.next();
    return pulled instanceof Promise
      ? pulled.then((batch) => this.#keepBatch(batch))
      : this.#keepBatch(pulled);
  }

  #keepBatch(batch: Batch | undefined): Batch | undefined {
    this.#batch = batch;
    this.#offset = 0;
    if (batch === undefined) {
      this.#state = "done";
      this.#started?.rows?.close();
    }
    return batch;
  }
}
