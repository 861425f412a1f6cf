// COPY FROM STDIN: client data -> decoder (native, by column) -> full rows (defaults, generated columns, checks) -> engine.
// Where there is nothing to compute or check, the decoder's rows go to the engine without passing through JavaScript.
//
// Driven by the session: push() for every chunk, finish() at CopyDone. Everything belongs to the surrounding transaction, so
// abort() only lets go. Rows are written whenever a batch is full; memory does not grow with the copy.
import { must } from "../../../common/assert.ts";
import { BoxedVector, decodeUtf8, type Vector, vectorOf } from "../../../common/batch/vector.ts";
import { type SqlError, toSqlError } from "../../../common/error.ts";
import { Oid } from "../../../common/types/oid.ts";
import { codecOf } from "../../../common/types/registry.ts";
import type { Datum, SqlType, TypeCodec, TypeContext } from "../../../common/types/type.ts";
import type {
  ColumnBuffer,
  CopyDecoder,
  CopyDecoderOptions,
  CopyFieldKind,
  DecodedRows,
} from "../../../native/engine.ts";
import { fireEvents } from "../../constraint/fire.ts";
import type { ExecutionContext } from "../../context.ts";
import { chain, type MaybePromise } from "../../maybe-promise.ts";
import { type InsertTarget, type NewRows, RowInserter } from "../../modify/row-inserter.ts";
import { type Conflict, insertDecoded } from "../../modify/write-rows.ts";
import { columnSpec } from "../../storage/column-spec.ts";
import { vectorFrom } from "../../storage/row-reader.ts";
import { columnType } from "../../storage/scan-target.ts";
import type { CopyFormat } from "./format.ts";
import { rowWriter } from "./text-row.ts";

/** PostgreSQL cuts values in CONTEXT lines after this many characters. */
const MAX_SHOWN_CHARACTERS = 100;

export class CopyIn {
  readonly #target: InsertTarget;
  readonly #format: CopyFormat;
  readonly #context: ExecutionContext;
  readonly #decoder: CopyDecoder;
  readonly #inserter: RowInserter;
  readonly #types: readonly SqlType[];
  readonly #kinds: readonly CopyFieldKind[];
  #rids = new Uint32Array(0);
  /** For each column of the table its field, when the engine can take the decoder's rows as they are. */
  readonly #direct: Uint16Array | undefined;
  #rowCount = 0;

  /** `target.attnums` are the columns of the data, in order; an InsertPlan for the same columns is a target. */
  constructor(
    target: InsertTarget,
    format: CopyFormat,
    createDecoder: (options: CopyDecoderOptions) => CopyDecoder,
    context: ExecutionContext,
  ) {
    this.#target = target;
    this.#format = format;
    this.#context = context;
    this.#inserter = new RowInserter(target, context);
    this.#types = target.attnums.map((attnum) => columnType(target.table, attnum));
    this.#kinds = this.#types.map((type) => fieldKind(type, format));
    this.#direct = this.#directFields();
    this.#decoder = createDecoder({
      format: format.format,
      fields: this.#types.map((type, i) => ({
        kind: must(this.#kinds[i], "a kind per field"),
        dim: columnSpec(type).dim,
        name: this.#columnName(i),
      })),
      delimiter: format.delimiter,
      nullString: format.nullString,
      header: format.header,
      quote: format.quote,
      escape: format.escape,
      forceNotNull: format.forceNotNull,
      forceNull: format.forceNull,
    });
  }

  /** Takes a chunk (cut anywhere) and writes the batches it fills. Errors carry a CONTEXT (`where`). */
  push(chunk: Uint8Array): MaybePromise<void> {
    return chain(
      this.#feed(() => this.#decoder.push(chunk)),
      () => this.#writeFull(),
    );
  }

  #writeFull(): MaybePromise<void> {
    while (this.#decoder.rowCount() >= this.#context.batchRows) {
      const writing = this.#writeBatch();
      if (writing instanceof Promise) return writing.then(() => this.#writeFull());
    }
  }

  /** CopyDone: writes what is left; gives the number of rows copied. */
  async finish(): Promise<number> {
    await this.#feed(() => this.#decoder.finish());
    await this.#writeRest();
    if (this.#context.hasEvents) await fireEvents(this.#context);
    return this.#rowCount;
  }

  /** CopyFail or an error: nothing more comes. What was written goes with the transaction. */
  abort(): void {
    this.#inserter.close();
    this.#context.close();
  }

  /** Bad data: the rows before it come first, because an error in one of them is the earlier one. */
  #feed(work: () => void): MaybePromise<void> {
    try {
      work();
    } catch (thrown) {
      return this.#writeRest().then(() => {
        throw this.#decoderError(thrown);
      });
    }
  }

  async #writeRest(): Promise<void> {
    while (this.#decoder.rowCount() > 0) await this.#writeBatch();
  }

  /**
   * Nothing to compute and nothing to check but NOT NULL: every column comes with the data, in the form it is stored in.
   * Otherwise rows pass through JavaScript.
   */
  #directFields(): Uint16Array | undefined {
    const { table, attnums, defaults, constraints } = this.#target;
    // Keys are the engine's to check, NULLs are looked for, and who refers to the table does not mind new rows.
    const { notNull: _, indexes: __, referencedBy: ___, ...others } = constraints;
    const { checks, generated, foreignKeys, deferrableKeys, ...unknown } = others;
    // A new kind of constraint has to be thought about here.
    unknown satisfies Record<string, never>;
    const isPlain =
      !this.#kinds.includes("raw") &&
      defaults.length === 0 &&
      checks.length === 0 &&
      generated.length === 0 &&
      foreignKeys.length === 0 &&
      deferrableKeys.length === 0 &&
      attnums.length === table.columns.length;
    return isPlain ? Uint16Array.from(table.columns, ({ attnum }) => attnums.indexOf(attnum)) : undefined;
  }

  #writeBatch(): MaybePromise<void> {
    return chain(this.#context.turn(), () => {
      if (this.#direct !== undefined) return this.#writeStaged(this.#direct);
      return this.#writeRows(this.#decoder.take(this.#context.batchRows));
    });
  }

  #writeStaged(fields: Uint16Array): MaybePromise<void> {
    const count = this.#decoder.stage();
    const { table, constraints } = this.#target;
    // Which row and what else is wrong with it is found where the values are at hand.
    if (constraints.notNull.some((attnum) => this.#decoder.stagedNull(fields[attnum - 1] as number)))
      return this.#writeRows(this.#decoder.staged());
    if (this.#rids.length < count) this.#rids = new Uint32Array(count);
    const inserting = insertDecoded(table.storageId, this.#decoder, fields, count, this.#rids, this.#context);
    return chain(inserting, (conflict) => {
      if (conflict !== undefined) this.#throwStaged(fields, conflict);
      this.#rowCount += count;
    });
  }

  #throwStaged(fields: Uint16Array, conflict: Conflict): never {
    const rows = this.#decoder.staged();
    const columns = Array.from(fields, (field) =>
      this.#convert(must(rows.columns[field], "a staged field"), field, rows.rowCount, rows.line),
    );
    try {
      this.#inserter.throwConflict(columns, conflict);
    } catch (error) {
      throw toSqlError(error).with({ where: this.#where(rows.line + conflict.row, undefined) });
    }
  }

  async #writeRows(rows: DecodedRows): Promise<void> {
    const columns = rows.columns.map((buffer, i) => this.#convert(buffer, i, rows.rowCount, rows.line));
    const complete = await this.#inserter.complete(columns, rows.rowCount);
    const atLine = (thrown: unknown, row: number, showsLine: boolean): SqlError =>
      toSqlError(thrown).with({
        where: this.#where(rows.line + row, showsLine ? this.#lineText(columns, row) : undefined),
      });
    const { conflictRow, error } = await this.#tryInsert(complete);
    if (error !== undefined) {
      if (conflictRow !== undefined) throw atLine(error, conflictRow, false);
      // Keys are checked when rows go in together, after their lines are gone; the other checks see the line. What is no
      // row's fault, like a lock that is not to be had, comes at the last of them.
      const { validCount } = complete;
      throw validCount < rows.rowCount
        ? atLine(error, validCount, true)
        : atLine(error, rows.rowCount - 1, false);
    }
    this.#rowCount += rows.rowCount;
  }

  async #tryInsert(rows: NewRows): Promise<{ conflictRow: number | undefined; error: unknown }> {
    let conflictRow: number | undefined;
    try {
      await this.#inserter.insert(rows, (row) => {
        conflictRow = row;
      });
      return { conflictRow: undefined, error: undefined };
    } catch (error) {
      return { conflictRow, error };
    }
  }

  /** Decoded fields as a column: native kinds as they are, others through the type's input function. */
  #convert(buffer: ColumnBuffer, field: number, rowCount: number, firstLine: number): Vector {
    const type = must(this.#types[field], "a type per field");
    if (this.#kinds[field] !== "raw") return vectorFrom(buffer, type, rowCount);
    const codec = codecOf(type.oid);
    const { types } = this.#context.functionContext;
    const read = this.#format.format === "binary" ? receiveField : parseField;
    const values = new Array<Datum>(rowCount);
    for (let row = 0; row < rowCount; row++) {
      if (buffer.nulls[row] === 1) {
        values[row] = null;
        continue;
      }
      const bytes = buffer.bytes.subarray(buffer.offsets[row], buffer.offsets[row + 1]);
      try {
        values[row] = read(codec, bytes, type, types);
      } catch (thrown) {
        throw toSqlError(thrown).with({ where: this.#fieldWhere(firstLine + row, field, bytes) });
      }
    }
    return codec.vectorKind === "text" ? new BoxedVector(values) : vectorOf(codec.vectorKind, values);
  }

  /** The decoder says line, column and value beside code and message. */
  #decoderError(thrown: unknown): SqlError {
    const place = thrown as {
      line?: number;
      column?: string | null;
      value?: string | null;
      hint?: string | null;
    };
    if (place.line === undefined) return toSqlError(thrown);
    const at = `COPY ${this.#target.table.name}, line ${place.line}`;
    const named = typeof place.column === "string" ? `${at}, column ${place.column}` : at;
    const hint = typeof place.hint === "string" ? { hint: place.hint } : {};
    return toSqlError(thrown).with({
      where: typeof place.value === "string" ? `${named}: "${place.value}"` : named,
      ...hint,
    });
  }

  #fieldWhere(line: number, field: number, bytes: Uint8Array): string {
    const where = `COPY ${this.#target.table.name}, line ${line}, column ${this.#columnName(field)}`;
    if (this.#format.format === "binary") return where;
    return `${where}: "${shown(decodeUtf8(bytes, 0, bytes.length))}"`;
  }

  #where(line: number, text: string | undefined): string {
    const where = `COPY ${this.#target.table.name}, line ${line}`;
    return text === undefined || this.#format.format === "binary" ? where : `${where}: "${shown(text)}"`;
  }

  /** The input line as we would have written it; the client's own spelling is gone by now. */
  #lineText(columns: readonly Vector[], row: number): string {
    const { types } = this.#context.functionContext;
    const fields = columns.map((column, i) => {
      const value = column.get(row);
      return value === null ? undefined : codecOf(must(this.#types[i], "a type").oid).format(value, types);
    });
    return rowWriter(this.#format)(fields).slice(0, -1);
  }

  #columnName(field: number): string {
    const attnum = must(this.#target.attnums[field], "a column per field");
    return must(this.#target.table.columns[attnum - 1], "a column").name;
  }
}

function parseField(codec: TypeCodec, bytes: Uint8Array, type: SqlType, types: TypeContext): Datum {
  return codec.parse(decodeUtf8(bytes, 0, bytes.length), type.typmod, types);
}

function receiveField(codec: TypeCodec, bytes: Uint8Array, type: SqlType, types: TypeContext): Datum {
  return codec.receive(bytes.slice(), type.typmod, types);
}

/** Types that the decoder reads itself; the rest has rules (ranges, lengths, calendars) that live in its codec. */
function fieldKind(type: SqlType, format: CopyFormat): CopyFieldKind {
  switch (type.oid) {
    case Oid.bool:
      return "bool";
    case Oid.int4:
      return "i32";
    case Oid.int8:
      return "i64";
    case Oid.float8:
      return "f64";
    case Oid.text:
      return "text";
    case Oid.varchar:
      return type.typmod < 0 ? "text" : "raw";
    case Oid.vector:
      return type.typmod > 0 ? "vector" : "raw";
    case Oid.int2:
      return format.format === "binary" ? "i32" : "raw";
    default:
      return "raw";
  }
}

function shown(text: string): string {
  const characters = Array.from(text.slice(0, MAX_SHOWN_CHARACTERS * 2 + 2));
  return characters.length <= MAX_SHOWN_CHARACTERS
    ? text
    : `${characters.slice(0, MAX_SHOWN_CHARACTERS).join("")}...`;
}
