// A column of a type without a typed form (numeric, jsonb, arrays ...) over the engine's memory: a value is decoded when it is
// asked for, once. A filter on another column then decodes only the rows that pass it. Looks like a BoxedVector to everybody;
// valid as long as the batch is, because the bytes are the reader's.
import type { BoxedVector, Nulls } from "../../common/batch/vector.ts";
import type { Datum } from "../../common/types/type.ts";

export class StoredVector implements BoxedVector {
  readonly kind = "boxed";
  readonly length: number;
  /** The value of a row that is not NULL, from memory that is overwritten later. */
  readonly #decode: (row: number) => Datum;
  readonly #nulls: Nulls;
  readonly #decoded: (Datum | undefined)[];

  constructor(decode: (row: number) => Datum, nulls: Nulls, length: number) {
    this.#decode = decode;
    this.#nulls = nulls;
    this.length = length;
    this.#decoded = new Array<Datum | undefined>(length);
  }

  /** Decodes everything. */
  get values(): readonly Datum[] {
    for (let row = 0; row < this.length; row++) this.get(row);
    return this.#decoded as Datum[];
  }

  isNull(row: number): boolean {
    return this.#nulls !== undefined && this.#nulls[row] === 1;
  }

  get(row: number): Datum {
    let value = this.#decoded[row];
    if (value === undefined) {
      value = this.isNull(row) ? null : this.#decode(row);
      this.#decoded[row] = value;
    }
    return value;
  }
}
